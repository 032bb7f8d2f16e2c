"""A browser as the server sees it: it asks the view for what it may send, and sends it to the S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from django import forms
from django.http import HttpRequest, JsonResponse
from django.test import RequestFactory
from minio import Minio

from django_minio_router import MinioRouter, tenant_bucket_context
from django_minio_router.direct.forms import DirectFileField, DirectUploadForm
from django_minio_router.direct.tokens import make_ticket
from django_minio_router.direct.views import DirectUploadView
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract

view = DirectUploadView.as_view()
FIELD = Contract._meta.get_field("file")


class ContractForm(DirectUploadForm, forms.ModelForm):
    file = DirectFileField(max_size=20_000_000)

    class Meta:
        model = Contract
        fields = ["file"]


@dataclass
class Browser:
    """One user's browser on the site of one tenant."""

    tenant: Client
    user: int

    def request(self, data: Any = None) -> HttpRequest:
        body = data if isinstance(data, bytes) else json.dumps(data)
        request = RequestFactory().post("/uploads/", body, content_type="application/json")
        request.user = SimpleNamespace(pk=self.user, is_authenticated=bool(self.user))
        request._dont_enforce_csrf_checks = True
        return request

    def ask(self, step: str, **data: Any) -> JsonResponse:
        with tenant_bucket_context(self.tenant):
            return view(self.request({"step": step, **data}))

    def asked(self, step: str, **data: Any) -> dict[str, Any]:
        """Return the answer to what must succeed."""
        answer = self.ask(step, **data)
        found: dict[str, Any] = json.loads(answer.content)
        assert answer.status_code == 200, found
        return found

    def ticket(self, **limits: Any) -> str:
        with tenant_bucket_context(self.tenant):
            return str(make_ticket(self.request(), FIELD, **limits))

    def begin(self, content: bytes, name: str = "a.txt", kind: str = "text/plain", **limits: Any) -> Any:
        return self.asked("begin", ticket=self.ticket(**limits), name=name, type=kind, size=len(content))

    def upload(self, content: bytes, name: str = "a.txt", kind: str = "text/plain") -> str:
        """Upload it whole, and return the receipt."""
        begun = self.begin(content, name, kind)
        etags = None
        if "parts" not in begun:
            assert put(begun, content).status == 200
        else:
            etags = send_parts(begun, content)
        found: str = self.asked("complete", upload=begun["upload"], etags=etags)["receipt"]
        return found

    def form(self, receipt: str, **data: Any) -> ContractForm:
        return ContractForm({"file": receipt, **data}, {}, request=self.request())

    def error(self, receipt: str) -> list[str]:
        """Return the codes with which a form refuses the receipt."""
        with tenant_bucket_context(self.tenant):
            return [error.code for error in self.form(receipt).errors.as_data().get("file", [])]


def put(link: dict[str, Any], content: Any, **headers: str) -> Any:
    return urllib3.request(
        "PUT", link["url"], body=content, headers={**link["headers"], **headers}, retries=False
    )


def send_parts(begun: dict[str, Any], content: bytes) -> list[str]:
    size, etags = begun["part_size"], []
    for part in begun["parts"]:
        answer = put(part, content[(part["number"] - 1) * size : part["number"] * size])
        assert answer.status == 200, answer.data
        etags.append(answer.headers["ETag"])
    return etags


@pytest.fixture(autouse=True)
def site(settings: Any, use: Callable[..., None]) -> None:
    """The contracts of each tenant go to the bucket that the tenant's fixture made."""
    settings.ROOT_URLCONF = "tests.direct.urls"
    settings.MINIO_MULTIPART_PART_SIZE = 5 * 1024 * 1024
    use(Contract, MinioRouter(strategy=PerTenant("test-brands-{schema_name}")))


@pytest.fixture
def ann(north: Client) -> Browser:
    return Browser(north, 1)


@pytest.fixture
def bob(north: Client) -> Browser:
    """Another user of the same tenant."""
    return Browser(north, 2)


@pytest.fixture
def eve(south: Client) -> Browser:
    """A user of another tenant, with the number that the first one has there."""
    return Browser(south, 1)


@pytest.fixture
def keys(bare: Minio) -> Callable[[Client], list[str]]:
    """Return a function that lists what is in a tenant's bucket."""

    def keys(tenant: Client) -> list[str]:
        found = bare.list_objects(bucket_name=f"test-brands-{tenant.schema_name}", recursive=True)
        return [entry.object_name for entry in found]

    return keys
