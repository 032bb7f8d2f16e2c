"""The import paths that projects, their settings and their migrations may use, and that therefore stay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.db import models
from django.utils.module_loading import import_string

import django_minio_router
from django_minio_router import (
    BucketFileField,
    BucketImageField,
    MinioBackend,
    MinioBackendStatic,
    MinioRouter,
)
from django_minio_router import iso_date_prefix as prefix
from django_minio_router.strategies import FixedBucket, PerModel, PerTenant, PerTenantPrefix

API = Path(__file__).parents[2] / "docs" / "api.md"
ELSEWHERE = {"apps", "dates", "models", "fields", "exceptions"}  # older paths to names of the root

PATHS = """
apps.DjangoMinioRouterConfig
apps.DjangoMinioBackendConfig
dates.get_iso_date
dates.iso_date_prefix
direct.admin.DirectUploadMixin
direct.forms.DirectFileField
direct.forms.DirectFileInput
direct.forms.DirectImageField
direct.forms.DirectUploadForm
direct.tokens.make_ticket
exceptions.BucketNotFound
exceptions.BucketTaken
exceptions.ConfigurationError
exceptions.InvalidBucketName
exceptions.ModelRequired
exceptions.PrivatePublicMixedError
exceptions.RoutingError
exceptions.ServerError
exceptions.TenantRequired
fields.BucketFileField
fields.BucketImageField
hooks.cors
hooks.encryption
hooks.expire
hooks.expire_incoming
hooks.kms_encryption
hooks.required
hooks.tags
hooks.versioning
models.MinioBackend
models.MinioBackendStatic
models.MinioRouter
models.get_iso_date
models.iso_date_prefix
static.MinioBackendStatic
static.MinioManifestStaticStorage
strategies.BucketStrategy
strategies.FixedBucket
strategies.Location
strategies.PerModel
strategies.PerTenant
strategies.PerTenantPrefix
tenancy.current_tenant
tenancy.tenant_bucket_context
testing.StrategyContract
views.ObjectView
views.serve_object
"""


@pytest.mark.parametrize("path", PATHS.split())
def test_the_path_is_there(path: str) -> None:
    assert import_string(f"django_minio_router.{path}")


@pytest.mark.parametrize("name", django_minio_router.__all__)
def test_the_name_is_in_the_root(name: str) -> None:
    assert getattr(django_minio_router, name) is not None


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (MinioRouter(), "django_minio_router.models.MinioRouter"),
        (MinioBackend("media"), "django_minio_router.models.MinioBackend"),
        (MinioBackendStatic(), "django_minio_router.models.MinioBackendStatic"),
        (FixedBucket("media"), "django_minio_router.strategies.FixedBucket"),
        (PerModel(default="media"), "django_minio_router.strategies.PerModel"),
        (PerTenant(), "django_minio_router.strategies.PerTenant"),
        (PerTenantPrefix("media"), "django_minio_router.strategies.PerTenantPrefix"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_migrations_write_it(written: object, path: str) -> None:
    assert written.deconstruct()[0] == path  # type: ignore[attr-defined]


@pytest.mark.parametrize("field_class", [BucketFileField, BucketImageField])
def test_migrations_write_fields_with_an_owner(field_class: type[models.FileField]) -> None:
    path = field_class(owner="company").deconstruct()[1]
    assert path == f"django_minio_router.fields.{field_class.__name__}"


def test_migrations_write_the_prefix_by_date() -> None:
    assert f"{prefix.__module__}.{prefix.__qualname__}" == "django_minio_router.dates.iso_date_prefix"


def test_an_alias_may_name_any_storage_by_the_root(settings) -> None:
    settings.STORAGES = {"media": {"BACKEND": "django_minio_router.MinioRouter"}}
    assert isinstance(storages["media"], MinioRouter)


def test_every_public_name_is_in_the_reference() -> None:
    page = API.read_text()
    listed = set(re.findall(r"::: django_minio_router\.([\w.]+)", page))
    for module, members in re.findall(
        r"::: django_minio_router\.([\w.]+)\n    options:\n      members: \[(.*)\]", page
    ):
        listed |= {f"{module}.{name}" for name in members.split(", ")}

    paths = {path for path in PATHS.split() if path.split(".")[0] not in ELSEWHERE}
    in_root = set(django_minio_router.__all__)
    assert in_root | {path for path in paths if path.split(".")[1] not in in_root} <= listed
