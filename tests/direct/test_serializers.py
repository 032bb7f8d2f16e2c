"""Django REST framework takes a receipt as a form does, for the same user of the same tenant alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework import serializers

from django_minio_router import tenant_bucket_context
from django_minio_router.direct.serializers import DirectFileField
from django_minio_router.exceptions import ConfigurationError
from tests.apps.docs.models import Contract, Photo

from .conftest import Browser


class ContractSerializer(serializers.ModelSerializer):
    file = DirectFileField(max_size=10, accept=[".txt"])

    class Meta:
        model = Contract
        fields = ["file"]


def codes(browser: Browser, file: Any, kind: Any = ContractSerializer) -> list[str]:
    with tenant_bucket_context(browser.tenant):
        serializer = kind(data={"file": file}, context={"request": browser.request()})
        serializer.is_valid()
        return [error.code for error in serializer.errors.get("file", [])]


def test_a_receipt_becomes_a_file_of_the_tenant(ann: Browser) -> None:
    with tenant_bucket_context(ann.tenant):
        serializer = ContractSerializer(context={"request": ann.request()})
        ticket = serializer.fields["file"].ticket()
    begun = ann.asked("begin", ticket=ticket, name="a.txt", type="text/plain", size=5)
    assert begun["upload"]
    serializer = ContractSerializer(data={"file": ann.upload(b"hello")}, context={"request": ann.request()})
    with tenant_bucket_context(ann.tenant):
        assert serializer.is_valid(), serializer.errors
        file = serializer.validated_data["file"]
        assert (file.name, file.size, file.read()) == ("a.txt", 5, b"hello")


def test_the_limits_hold_for_both_ways(ann: Browser) -> None:
    assert ann.ask("begin", ticket=ticket_of(ann), name="a.txt", type="", size=11).status_code == 400
    assert ann.ask("begin", ticket=ticket_of(ann), name="a.txt", type="", size=10).status_code == 200
    assert codes(ann, SimpleUploadedFile("a.txt", b"hello")) == []
    assert codes(ann, SimpleUploadedFile("a.txt", b"x" * 11)) == ["too_large"]
    assert codes(ann, SimpleUploadedFile("a.html", b"x")) == ["type"]
    assert codes(ann, {"no": "file"}) == ["invalid"]


def ticket_of(browser: Browser) -> str:
    with tenant_bucket_context(browser.tenant):
        field = ContractSerializer(context={"request": browser.request()}).fields["file"]
        return str(field.ticket())


def test_the_receipt_is_for_one_user_of_one_tenant(ann: Browser, bob: Browser, eve: Browser) -> None:
    receipt = ann.upload(b"hello")
    assert codes(bob, receipt) == codes(eve, receipt) == codes(ann, receipt + "x") == ["receipt"]
    assert codes(ann, receipt) == []


def test_nobody_who_may_not_upload_gets_a_ticket(ann: Browser) -> None:
    assert ticket_of(Browser(ann.tenant, user=0)) == "None"


def test_outside_of_a_model_the_field_is_named(ann: Browser) -> None:
    class Named(serializers.Serializer):
        file = DirectFileField(field="docs.Contract.file")

    class Unnamed(serializers.Serializer):
        file = DirectFileField()

    assert codes(ann, ann.upload(b"hello"), Named) == []
    with pytest.raises(ConfigurationError, match="field="):
        codes(ann, "x", Unnamed)


def test_an_image_is_looked_at(ann: Browser) -> None:
    class Named(serializers.Serializer):
        file = DirectFileField(field=Photo._meta.get_field("image"))

    assert codes(ann, SimpleUploadedFile("a.png", b"no image", "image/png"), Named) == ["invalid_image"]
