"""A file that a browser uploaded becomes an ordinary file by a copy that the server makes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import TestCase
from minio import Minio
from PIL import Image

from django_minio_router import MinioRouter, tenant_bucket_context
from django_minio_router.direct.forms import DirectImageField
from django_minio_router.exceptions import ConfigurationError, ServerError
from django_minio_router.s3 import copying
from django_minio_router.storage.uploaded import UploadedObject
from django_minio_router.strategies import FixedBucket
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract

from .conftest import FIELD, Browser, ContractForm

MIB = 1024 * 1024
Keys = Callable[[Client], list[str]]


def uploaded(
    browser: Browser, content: bytes, name: str = "a.txt", kind: str = "text/plain"
) -> UploadedObject:
    return browser.form("").fields["file"].clean(browser.upload(content, name, kind))


def save(name: str, file: Any, *, storage: Any = None) -> str:
    """Save it and commit."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        return (storage or FIELD.storage).save(name, file)


@pytest.fixture
def in_north(north: Client) -> Any:
    with tenant_bucket_context(north):
        yield north


@pytest.mark.parametrize("size", [1, 300_000, 5 * MIB + 1, 12 * MIB])
def test_it_is_stored_whole_and_nothing_stays_in_incoming(
    ann: Browser, in_north: Client, keys: Keys, size: int
) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    content = content[:size]
    file = uploaded(ann, content)
    assert (file.name, file.size, file.content_type) == ("a.txt", size, "text/plain")
    assert [key.split("/")[0] for key in keys(in_north)] == ["incoming"]

    name = save("final.txt", file)

    assert keys(in_north) == [name] == ["final.txt"]
    assert FIELD.storage.open(name).read() == content


def test_it_reads_by_range_as_an_uploaded_file_does(ann: Browser, in_north: Client) -> None:
    file = uploaded(ann, b"line one\nline two\n")
    assert file.closed
    assert file.read(4) == b"line"
    assert (file.seek(5), file.read()) == (5, b"one\nline two\n")
    assert b"".join(file.chunks()) == b"line one\nline two\n"
    file.close()
    assert file.closed
    assert list(file.open()) == [b"line one\n", b"line two\n"]
    assert "a.txt" in repr(file)


def test_a_taken_name_is_not_overwritten(ann: Browser, in_north: Client, keys: Keys) -> None:
    storage = FIELD.storage
    storage.save("a.txt", ContentFile(b"before"))
    name = save("a.txt", uploaded(ann, b"after"))
    assert name != "a.txt"
    assert (storage.open("a.txt").read(), storage.open(name).read()) == (b"before", b"after")
    assert sorted(keys(in_north)) == sorted(["a.txt", name])


def test_what_is_over_the_limit_of_one_copy_is_copied_in_parts(
    ann: Browser, in_north: Client, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "COPY_LIMIT", 6 * MIB)
    monkeypatch.setattr(copying, "COPY_PART", 5 * MIB)
    content = b"abc" * (3 * MIB)
    storage = FIELD.storage
    storage.save("a.txt", ContentFile(b"before"))
    name = save("a.txt", uploaded(ann, content))
    assert storage.open(name).read() == content
    assert sorted(keys(in_north)) == sorted(["a.txt", name])


def test_active_content_is_stored_to_be_downloaded(
    ann: Browser, in_north: Client, bare: Minio, settings: Any
) -> None:
    begun = ann.begin(b"<script>", "a.png", "image/png")
    assert begun["headers"]["content-disposition"] == "attachment"
    name = save("page.html", uploaded(ann, b"<script>", "page.html", "text/html"))
    stored = bare.stat_object(bucket_name=f"test-brands-{in_north.schema_name}", object_name=name)
    assert stored.metadata["content-disposition"] == "attachment"
    name = save("a.png", uploaded(ann, b"<script>", "a.png", "image/png"))
    stored = bare.stat_object(bucket_name=f"test-brands-{in_north.schema_name}", object_name=name)
    assert (stored.content_type, stored.metadata.get("content-disposition")) == ("image/png", None)


def test_what_is_stored_anew_after_the_check_is_not_taken(
    ann: Browser, in_north: Client, bare: Minio, keys: Keys
) -> None:
    file, other = uploaded(ann, b"check"), uploaded(ann, b"other")
    bucket = f"test-brands-{in_north.schema_name}"
    bare.put_object(bucket_name=bucket, object_name=file.info.key, data=io.BytesIO(b"evil!"), length=5)
    with pytest.raises(ServerError):
        file.read()
    with pytest.raises(ServerError):
        FIELD.storage.save("a.txt", file)
    assert all(key.startswith("incoming/") for key in keys(in_north))
    assert FIELD.storage.open(save("b.txt", other)).read() == b"other"


def test_a_receipt_is_good_for_one_file(ann: Browser, in_north: Client) -> None:
    receipt = ann.upload(b"hello")
    form = ann.form(receipt)
    assert form.is_valid()
    save("a.txt", form.cleaned_data["file"])
    assert ann.error(receipt) == ["receipt"]


def test_a_rollback_leaves_the_receipt_good(ann: Browser, in_north: Client) -> None:
    receipt = ann.upload(b"hello")
    with TestCase.captureOnCommitCallbacks(execute=True), transaction.atomic():
        FIELD.storage.save("a.txt", ann.form("").fields["file"].clean(receipt))
        transaction.set_rollback(True)
    name = save("a.txt", ann.form("").fields["file"].clean(receipt))
    assert FIELD.storage.open(name).read() == b"hello"
    assert ann.error(receipt) == ["receipt"]


def test_a_form_that_fails_elsewhere_keeps_the_receipt(ann: Browser, in_north: Client) -> None:
    class TitledForm(ContractForm):
        title = forms.CharField()

    receipt = ann.upload(b"hello", "my file.txt")
    form = TitledForm({"file": receipt, "title": ""}, {}, request=ann.request())
    assert list(form.errors) == ["title"]
    assert f'<input type="hidden" name="file" value="{receipt}">' in str(form["file"])
    assert "my file.txt" in str(form["file"])
    again = TitledForm({"file": receipt, "title": "x"}, {}, request=ann.request())
    assert again.is_valid()
    assert again.cleaned_data["file"].name == "my file.txt"


def test_a_scan_says_no_and_the_file_stays_where_it_is(
    ann: Browser, in_north: Client, settings: Any, keys: Keys
) -> None:
    settings.MINIO_DIRECT_UPLOAD = {"SCAN": lambda uploaded: b"virus" not in uploaded.read()}
    good, bad = ann.upload(b"hello"), ann.upload(b"a virus")
    assert (ann.error(good), ann.error(bad)) == ([], ["scan"])
    assert all(key.startswith("incoming/") for key in keys(in_north))


def test_another_server_gets_it_streamed(
    ann: Browser, in_north: Client, settings: Any, new_name: Any
) -> None:
    settings.MINIO_SERVERS = {"other": {"MINIO_ENDPOINT": "memory:"}}
    storage = MinioRouter(strategy=FixedBucket(new_name()), server="other")
    name = save("a.txt", uploaded(ann, b"hello"), storage=storage)
    assert storage.open(name).read() == b"hello"


def png() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(target, "PNG")
    return target.getvalue()


def test_an_image_is_looked_at_before_it_is_taken(ann: Browser, in_north: Client) -> None:
    def cleaned(content: bytes, name: str) -> Any:
        field = DirectImageField()
        field.bind(ann.request(), FIELD)
        return field.clean(ann.upload(content, name, "image/png"))

    image = cleaned(png(), "a.png")
    assert (image.image.size, image.content_type) == ((300, 200), "image/png")
    assert cleaned(png(), "a.jpg").content_type == "image/png"
    with pytest.raises(forms.ValidationError) as error:
        cleaned(b"<html><script>", "a.png")
    assert error.value.code == "invalid_image"


def test_without_the_script_the_file_comes_the_ordinary_way(ann: Browser, in_north: Client) -> None:
    def sent(name: str, content: bytes, **fields: Any) -> ContractForm:
        form = ContractForm(fields, {"file": SimpleUploadedFile(name, content)}, request=ann.request())
        form.fields["file"].accept, form.fields["file"].max_size = [".txt"], 5
        return form

    form = sent("a.txt", b"hello", file="is not looked at")
    assert form.is_valid(), form.errors
    assert form.cleaned_data["file"].read() == b"hello"
    codes = [
        e.code for f in (sent("a.txt", b"hello!"), sent("a.html", b"x")) for e in f.errors["file"].as_data()
    ]
    assert codes == ["too_large", "type"]


def test_an_empty_form_asks_for_a_file(ann: Browser, in_north: Client) -> None:
    assert ann.error("") == ["required"]
    assert not ContractForm({}, {}, request=ann.request()).is_valid()


def test_a_field_that_was_not_told_the_request_says_what_to_do() -> None:
    class Forgetful(forms.ModelForm):
        class Meta:
            model = Contract
            fields = ["file"]
            field_classes = {"file": ContractForm.base_fields["file"].__class__}

    with pytest.raises(ConfigurationError, match="request=request"):
        str(Forgetful()["file"])
    with pytest.raises(ConfigurationError, match="request=request"):
        Forgetful({"file": "receipt"}).is_valid()


def test_a_user_without_permission_gets_a_plain_input(ann: Browser, in_north: Client) -> None:
    visitor = Browser(in_north, 0)
    assert "data-minio-router" in str(ContractForm(request=ann.request())["file"])
    assert "data-minio-router" not in str(ContractForm(request=visitor.request())["file"])
