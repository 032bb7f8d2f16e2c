"""What an upload costs: requests to Django, and to the S3 server beside the parts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import TestCase

from django_minio_router import tenant_bucket_context
from tests.support.proxy import Proxy

from .conftest import FIELD, Browser

MIB = 1024 * 1024


@pytest.fixture
def wire(settings: Any) -> Iterator[Proxy]:
    """What all requests to the server pass, those of the browser too."""
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        yield proxy


@pytest.mark.parametrize(("size", "parts", "most"), [(5, 1, 5), (11 * MIB, 3, 6)])
def test_the_s3_server_gets_the_parts_and_at_most_six_requests(
    ann: Browser, wire: Proxy, size: int, parts: int, most: int, server_name: str
) -> None:
    most += server_name == "ceph" and parts > 1  # it does not tell the entity tag of what it put together
    with tenant_bucket_context(ann.tenant), TestCase.captureOnCommitCallbacks():
        FIELD.storage.save("before.txt", form_file(ann, ann.upload(b"now it knows the server")))
        wire.forget()
        with TestCase.captureOnCommitCallbacks(execute=True):
            name = FIELD.storage.save("a.txt", form_file(ann, ann.upload(b"x" * size)))
        asked = list(wire.methods)
        assert FIELD.storage.size(name) == size
    assert len(asked) <= parts + most
    assert "DELETE" in asked
    assert "GET" not in asked


def form_file(browser: Browser, receipt: str) -> Any:
    form = browser.form(receipt)
    assert form.is_valid(), form.errors
    return form.cleaned_data["file"]


def test_an_answer_has_links_for_fifty_parts(ann: Browser) -> None:
    begun = ann.asked("begin", ticket=ann.ticket(), name="a", type="", size=120 * 5 * MIB)
    assert [part["number"] for part in begun["parts"]] == list(range(1, 51))
    further = ann.asked("sign", upload=begun["upload"], parts=list(range(51, 101)))
    assert len(further["parts"]) == 50
    assert ann.ask("sign", upload=begun["upload"], parts=list(range(51, 102))).status_code == 403


def test_links_to_files_in_memory_are_whole_urls(ann: Browser, settings: Any) -> None:
    settings.MINIO_TESTING = "memory"
    small, large = ann.begin(b"hello"), ann.begin(bytes(11_000_000))
    again = ann.asked("sign", upload=large["upload"], parts=[2])
    for link in (small, *large["parts"], *again["parts"]):
        assert link["url"].startswith("http://testserver/minio-memory/")
