"""The messages of ``manage.py check``: one function per id; the hint is the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.checks import Error, Warning

from .naming import bucket_name_problem

if TYPE_CHECKING:
    from django.db.models import Model


def bad_setting(error: Exception) -> Error:
    return Error(
        str(error),
        hint="Correct it where it is set: in the settings, in MINIO_SERVERS, in the OPTIONS of a storage or "
        "in the storage of a field.",
        id="minio_router.E001",
    )


def missing_endpoint() -> Error:
    return Error(
        "MINIO_ENDPOINT is not set.",
        hint="Set it to the host and port of the S3 server, such as '127.0.0.1:9000'.",
        id="minio_router.E002",
    )


def malformed_endpoint(setting: str, endpoint: str, problem: str) -> Error:
    return Error(
        f"{setting} {endpoint} {problem}.",
        hint="Use a host name or address, with a port if it is not the default, such as '127.0.0.1:9000'; or "
        "a URL such as 'https://s3.example.com'.",
        id="minio_router.E003",
    )


def missing_key(setting: str) -> Error:
    return Error(
        f"{setting} is not set.",
        hint="Set MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or set MINIO_CREDENTIALS to a provider.",
        id="minio_router.E004",
    )


def private_and_public(error: Exception) -> Error:
    return Error(
        str(error),
        hint="Remove each from MINIO_PRIVATE_BUCKETS or from MINIO_PUBLIC_BUCKETS, and declare it the same "
        "way in storages and strategies.",
        id="minio_router.E005",
    )


def invalid_bucket(name: object, source: Any) -> Iterator[Error]:
    """Yield the error if the name breaks a rule."""
    problem = bucket_name_problem(name)
    if problem:
        yield Error(
            f"{source} gives the bucket name {name!r}, which {problem}.",
            hint="Choose a name that follows the S3 naming rules.",
            id="minio_router.E006",
        )


def expiry_out_of_range(expiry: timedelta) -> Error:
    return Error(
        f"MINIO_URL_EXPIRY_HOURS is {expiry}, which is not between 1 second and 7 days.",
        hint="Set it to timedelta(days=7) or less: S3 does not accept links that live longer.",
        id="minio_router.E007",
    )


def incomplete_external_endpoint(missing: str) -> Error:
    return Error(
        f"The external endpoint is only half set: {missing} is not set.",
        hint="Set MINIO_EXTERNAL_ENDPOINT and MINIO_EXTERNAL_ENDPOINT_USE_HTTPS together.",
        id="minio_router.E008",
    )


def no_django_tenants(strategy: Any) -> Error:
    return Error(
        f"{strategy!r} needs tenants: MINIO_TENANCY is not set, and django-tenants is not installed.",
        hint="Name your tenant model in MINIO_TENANCY, or pip install 'django-minio-router[tenants]'.",
        id="minio_router.E009",
    )


def no_tenant_database(strategy: Any, problem: str) -> Error:
    return Error(
        f"{strategy!r} cannot find the active tenant: MINIO_TENANCY is not set, and {problem}.",
        hint="Name your tenant model in MINIO_TENANCY. If tenants are schemas of django-tenants, set "
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
        f"{strategy!r} maps {label!r}, which is not an installed model.",
        hint="Correct the label ('app_label.ModelName'), or remove it.",
        id="minio_router.E013",
    )


def colliding_templates(strategy: Any, other: Any) -> Error:
    return Error(
        f"{strategy!r} and {other!r} could store the files of two tenants in one place.",
        hint="Start each template with different text, such as 'media-{schema_name}' and "
        "'scans-{schema_name}'.",
        id="minio_router.E015",
    )


def unknown_tenant_field(name: str, model: type[Model], strategy: Any) -> Error:
    return Error(
        f"{strategy!r} uses the field {name!r}, which {model._meta.label} does not have, or not as a value.",
        hint="Correct the name, or add the field. For a relation, use its key, such as 'owner_id'.",
        id="minio_router.E014",
    )


def undeclared_bucket(name: str, where: str) -> Error:
    return Error(
        f"The bucket {name!r} of {where} is declared neither private nor public.",
        hint="Add it to MINIO_PRIVATE_BUCKETS or MINIO_PUBLIC_BUCKETS.",
        id="minio_router.E012",
    )


def missing_strategy(where: str, bucket: str) -> Error:
    return Error(
        f"The MinioRouter of {where} has no strategy, so all tenants store in one bucket, {bucket!r}.",
        hint="Give it a strategy, such as PerTenant(). If tenants are meant to share the bucket, use "
        f"FixedBucket({bucket!r}).",
        id="minio_router.E016",
    )


def shared_rows(where: str, strategy: Any, problem: str) -> Error:
    return Error(
        f"All tenants share the rows of {where}, and {strategy!r} {problem}.",
        hint="Use BucketFileField with an owner, give the strategy a bucket for public, or move the app to "
        "TENANT_APPS.",
        id="minio_router.E017",
    )


def bucket_in_endpoint(setting: str, path: str, bucket: str) -> Warning:
    return Warning(
        f"{setting} has the path {path!r}, which ends in the bucket {bucket!r}, so the bucket is looked for "
        f"at '{path}/{bucket}'.",
        hint=f"Remove {bucket!r} from {setting}: the package adds the bucket. Silence this check if a proxy "
        "serves the S3 server there.",
        id="minio_router.W009",
    )


def plain_http(setting: str, endpoint: str) -> Warning:
    return Warning(
        f"{setting} is off, so files and links of {endpoint} are sent unencrypted.",
        hint=f"Serve the S3 server over HTTPS, and set {setting} to True.",
        id="minio_router.W001",
    )


def unrouted_label(label: str, strategy: Any) -> Warning:
    return Warning(
        f"{strategy!r} maps {label!r}, but that model has no file field of its own that uses the strategy.",
        hint="Map the model that defines the field: the concrete model of a proxy, the parent of a "
        "multi-table child.",
        id="minio_router.W002",
    )


def shared_tenant_field(names: Iterable[str], model: type[Model], strategy: Any) -> Warning:
    return Warning(
        f"{strategy!r} names buckets by {', '.join(names)}, which is not unique in {model._meta.label}, "
        "so tenants may share a bucket.",
        hint="Set unique=True, or use {schema_name} or {id} in the template.",
        id="minio_router.W003",
    )


def hook_grants_access(target: object) -> Warning:
    which = f"bucket {target!r}" if isinstance(target, str) else f"buckets of {target!r}"
    return Warning(
        f"MINIO_POLICY_HOOKS gives everybody access to the private {which}.",
        hint="Add a Principal or a Condition to the policy. If everybody may read, declare it public: in "
        "MINIO_PUBLIC_BUCKETS, or with the strategy's public_read.",
        id="minio_router.W004",
    )


def public_uploads(strategy: Any) -> Warning:
    return Warning(
        f"Anybody may read the buckets of {strategy!r}, and most S3 servers let a visitor choose the content "
        "type of a response, so a script in an uploaded file can run in a browser.",
        hint="Make them private, or serve them through a proxy that drops response-*, or from a separate "
        "domain: see docs/files.md.",
        id="minio_router.W007",
    )


def not_installed(app: str) -> Warning:
    return Warning(
        f"Storages of {app!r} are used, but it is not in INSTALLED_APPS: a MinioRouter with a strategy "
        "raises on first use, and there are no other checks, no commands and no buckets for new tenants.",
        hint=f"Add {app!r} to INSTALLED_APPS.",
        id="minio_router.W008",
    )


def shared_thumbnails(library: str, remedy: str) -> Warning:
    return Warning(
        f"{library!r} caches by name which thumbnails exist, and tenants share that cache, so they get links "
        "to thumbnails that do not exist.",
        hint=remedy,
        id="minio_router.W006",
    )


def misspelt_setting(name: str, similar: str) -> Warning:
    return Warning(
        f"{name} is not a setting, so it does nothing.",
        hint=f"Did you mean {similar}? See docs/settings.md for all names.",
        id="minio_router.W005",
    )


def memory_endpoint() -> Warning:
    return Warning(
        "MINIO_ENDPOINT is 'memory:', so files are lost when the process ends, and each process has its own.",
        hint="Set it to the host and port of an S3 server.",
        id="minio_router.W010",
    )


def no_cors() -> Warning:
    return Warning(
        "Direct upload is installed, but no hook in MINIO_BUCKET_HOOKS sets CORS, so browsers cannot upload.",
        hint="Add hooks.cors([origin of your site], methods=['GET', 'HEAD', 'PUT']). On MinIO, silence this "
        "check: it has no CORS per bucket, and allows all origins unless MINIO_API_CORS_ALLOW_ORIGIN is set.",
        id="minio_router.W020",
    )


def stores_in_incoming(where: str, upload_to: str) -> Warning:
    return Warning(
        f"The upload_to of {where} is {upload_to!r}, but files below 'incoming/' are deleted after a day.",
        hint="Choose another folder: direct upload stores files there until a form takes them.",
        id="minio_router.W021",
    )


def no_upload_url() -> Warning:
    return Warning(
        "Direct upload is installed, but its view is not in the URLconf, so forms cannot be rendered.",
        hint="Add path('uploads/', include('django_minio_router.direct.urls')) to the URLconf.",
        id="minio_router.W022",
    )
