"""What ``manage.py check`` can report: a function per id, fact in the message, remedy in the hint."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.checks import Error, Warning

from .naming import bucket_name_problem

if TYPE_CHECKING:
    from django.db.models import Model


def bad_setting(error: Exception) -> Error:
    return Error(
        str(error),
        hint="Correct it where it stands: in the settings, in MINIO_SERVERS, in the OPTIONS of a storage or "
        "in the storage of a field.",
        id="minio_router.E001",
    )


def missing_endpoint() -> Error:
    return Error(
        "MINIO_ENDPOINT is not set.",
        hint="Give it the host and port of the S3 server, such as '127.0.0.1:9000'.",
        id="minio_router.E002",
    )


def malformed_endpoint(setting: str, endpoint: str, problem: str) -> Error:
    return Error(
        f"{setting} {endpoint} {problem}.",
        hint="Write the host name or address, and the port after a colon if it is not the usual one; "
        "or a URL such as 'https://s3.example.com'.",
        id="minio_router.E003",
    )


def missing_key(setting: str) -> Error:
    return Error(
        f"{setting} is not set.",
        hint="Set MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or give MINIO_CREDENTIALS a provider.",
        id="minio_router.E004",
    )


def private_and_public(error: Exception) -> Error:
    return Error(
        str(error),
        hint="Remove each from MINIO_PRIVATE_BUCKETS or from MINIO_PUBLIC_BUCKETS, and let storages and "
        "strategies say the same.",
        id="minio_router.E005",
    )


def invalid_bucket(name: object, source: Any) -> Error:
    return Error(
        f"{source} gives the bucket name {name!r}, which {bucket_name_problem(name)}.",
        hint="Choose a name that follows the S3 naming rules.",
        id="minio_router.E006",
    )


def expiry_out_of_range(expiry: timedelta) -> Error:
    return Error(
        f"MINIO_URL_EXPIRY_HOURS is {expiry}, which is not between 1 second and 7 days.",
        hint="S3 signs links for at most 7 days: timedelta(days=7).",
        id="minio_router.E007",
    )


def half_external_endpoint(missing: str) -> Error:
    return Error(
        f"The external endpoint is given by halves: {missing} is not set.",
        hint="Set MINIO_EXTERNAL_ENDPOINT and MINIO_EXTERNAL_ENDPOINT_USE_HTTPS together.",
        id="minio_router.E008",
    )


def no_django_tenants(strategy: Any) -> Error:
    return Error(
        f"{strategy!r} needs tenants: MINIO_TENANCY is not set, and django-tenants is not installed.",
        hint="Name the model of your tenants in MINIO_TENANCY, or "
        "pip install 'django-minio-router[tenants]'.",
        id="minio_router.E009",
    )


def no_tenant_database(strategy: Any, problem: str) -> Error:
    return Error(
        f"{strategy!r} cannot tell the tenant: MINIO_TENANCY is not set, and {problem}.",
        hint="Name the model of your tenants in MINIO_TENANCY. If they are schemas of django-tenants, set "
        "the ENGINE in DATABASES to 'django_tenants.postgresql_backend'.",
        id="minio_router.E010",
    )


def unmapped_model(model: type[Model], strategy: Any) -> Error:
    return Error(
        f"{strategy!r} has no bucket for {model._meta.label}.",
        hint="Add the model to the mapping, or give PerModel a template or a default.",
        obj=model,
        id="minio_router.E011",
    )


def unknown_model(label: str, strategy: Any) -> Error:
    return Error(
        f"{strategy!r} maps {label!r}, and there is no such model.",
        hint="Correct the label, 'app_label.ModelName', or remove it.",
        id="minio_router.E013",
    )


def meeting_templates(strategy: Any, other: Any) -> Error:
    return Error(
        f"{strategy!r} and {other!r} could give one place to two tenants.",
        hint="Begin each template with text that no other one begins with, such as 'media-{schema_name}' and "
        "'scans-{schema_name}'.",
        id="minio_router.E015",
    )


def unknown_tenant_field(name: str, model: type[Model], strategy: Any) -> Error:
    return Error(
        f"{strategy!r} uses the field {name!r}, which {model._meta.label} does not have, or not as a value.",
        hint="Correct the name, or add the field. Of a relation name the key, such as 'owner_id'.",
        id="minio_router.E014",
    )


def undeclared_bucket(name: str, where: str) -> Error:
    return Error(
        f"The bucket {name!r} of {where} is declared neither private nor public.",
        hint="Add it to MINIO_PRIVATE_BUCKETS or MINIO_PUBLIC_BUCKETS.",
        id="minio_router.E012",
    )


def bucket_of_all_tenants(where: str, bucket: str) -> Error:
    return Error(
        f"The MinioRouter of {where} has no strategy, so all tenants store in one bucket, {bucket!r}.",
        hint="Give it a strategy, such as PerTenant(). If they are to share the bucket, say so: "
        f"FixedBucket({bucket!r}).",
        id="minio_router.E016",
    )


def shared_rows(where: str, strategy: Any, problem: str) -> Error:
    return Error(
        f"All tenants share the rows of {where}, and {strategy!r} {problem}.",
        hint="Use BucketFileField with the owner of a row, give the strategy a bucket for public, or move "
        "the app to TENANT_APPS.",
        id="minio_router.E017",
    )


def plain_http(setting: str, endpoint: str) -> Warning:
    return Warning(
        f"{setting} is off, so files and links of {endpoint} travel unencrypted.",
        hint=f"Serve the S3 server over HTTPS, and set {setting} to True.",
        id="minio_router.W001",
    )


def unrouted_label(label: str, strategy: Any) -> Warning:
    return Warning(
        f"{strategy!r} maps {label!r}, and that model has no file field of its own which uses it.",
        hint="Map the model that defines the field: of a proxy the concrete one, of a multi-table child "
        "the parent.",
        id="minio_router.W002",
    )


def shared_tenant_field(names: Iterable[str], model: type[Model], strategy: Any) -> Warning:
    return Warning(
        f"{strategy!r} names buckets by {', '.join(names)}, which {model._meta.label} does not keep unique, "
        "so tenants may share a bucket.",
        hint="Set unique=True, or put {schema_name} or {id} into the template.",
        id="minio_router.W003",
    )


def hook_opens(target: object) -> Warning:
    which = f"bucket {target!r}" if isinstance(target, str) else f"buckets of {target!r}"
    return Warning(
        f"MINIO_POLICY_HOOKS lets everybody into the private {which}.",
        hint="Add a Principal or a Condition to the policy, or declare public what shall be: in "
        "MINIO_PUBLIC_BUCKETS, or by the strategy's public_read.",
        id="minio_router.W004",
    )


def public_uploads(strategy: Any) -> Warning:
    return Warning(
        f"Anybody may read the buckets of {strategy!r}, and most S3 servers let whoever asks choose the type "
        "of a file in them, so that a script in a visitor's file runs.",
        hint="Make them private, or serve them through a proxy that drops response-*, or from a domain of "
        "their own: see docs/files.md.",
        id="minio_router.W007",
    )


def not_installed(app: str) -> Warning:
    return Warning(
        f"Storages of {app!r} are used, and it is not in INSTALLED_APPS: a MinioRouter with a strategy "
        "raises at first use, and there are no other checks, no commands and no buckets for new tenants.",
        hint=f"Add {app!r} to INSTALLED_APPS.",
        id="minio_router.W008",
    )


def shared_thumbnails(library: str, remedy: str) -> Warning:
    return Warning(
        f"{library!r} remembers by name which thumbnails there are, and tenants share that memory, so they "
        "get links to thumbnails that nobody made.",
        hint=remedy,
        id="minio_router.W006",
    )


def misspelt_setting(name: str, similar: str) -> Warning:
    return Warning(
        f"{name} is not a setting, so it does nothing.",
        hint=f"Did you mean {similar}? docs/settings.md has all names.",
        id="minio_router.W005",
    )


def nothing_is_kept() -> Warning:
    return Warning(
        "MINIO_ENDPOINT is 'memory:', so files are gone when the process ends, and each process has its own.",
        hint="Give it the host and port of an S3 server.",
        id="minio_router.W010",
    )


def no_cors() -> Warning:
    return Warning(
        "Direct upload is installed, and no hook in MINIO_BUCKET_HOOKS sets CORS, so browsers may not store.",
        hint="Add hooks.cors([origin of your site], methods=['GET', 'HEAD', 'PUT']). MinIO itself allows all "
        "origins unless MINIO_API_CORS_ALLOW_ORIGIN is set, and has no CORS of a bucket: silence this there.",
        id="minio_router.W020",
    )


def stores_in_incoming(where: str, upload_to: str) -> Warning:
    return Warning(
        f"The upload_to of {where} is {upload_to!r}, and what is below 'incoming/' is deleted after a day.",
        hint="Choose another folder: direct upload keeps there what no form has taken yet.",
        id="minio_router.W021",
    )


def no_upload_url() -> Warning:
    return Warning(
        "Direct upload is installed, and its view is in no URLs, so no form can be shown.",
        hint="Add path('uploads/', include('django_minio_router.direct.urls')) to the sites' URLs.",
        id="minio_router.W022",
    )
