"""The settings of django-storages' S3 backend and their counterparts here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

BACKENDS = "storages.backends.s3"  # and s3boto3, its older name
STORAGES = {
    "S3StaticStorage": "django_minio_router.MinioBackendStatic",
    "S3ManifestStaticStorage": "django_minio_router.static.MinioManifestStaticStorage",
}
HEADERS = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
    "ContentType": "Content-Type",
    "Expires": "Expires",
    "StorageClass": "x-amz-storage-class",
    "Tagging": "x-amz-tagging",
}


class Rule(NamedTuple):
    """One setting: its names there, its name here (empty if it has no counterpart), and a remark.

    A name in lower case is only an option of a storage, not a setting.
    """

    settings: tuple[str, ...]
    here: str
    remark: str = ""
    value: Callable[[Any], object] | None = None  # None: print the remark instead of a value
    secret: bool = False
    environment: bool = False


def same(value: Any) -> object:
    return value


def seconds(value: Any) -> object:
    return Code(f"timedelta(seconds={int(value)})")


def headers(value: Mapping[str, Any]) -> object:
    found = {HEADERS[name]: str(given) for name, given in value.items() if name in HEADERS}
    return found | {f"x-amz-meta-{name}": str(given) for name, given in value.get("Metadata", {}).items()}


def style(value: Any) -> object:
    return "virtual" if value == "virtual" else "path"


class Code(str):
    """Python source, printed without quotes."""

    def __repr__(self) -> str:
        return str(self)


_KEY = "read from its current place, never printed"
RULES: dict[str, Rule] = {
    "access_key": Rule(
        ("AWS_S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"), "MINIO_ACCESS_KEY", _KEY, same, True, True
    ),
    "secret_key": Rule(
        ("AWS_S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"), "MINIO_SECRET_KEY", _KEY, same, True, True
    ),
    "security_token": Rule(
        ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
        "MINIO_CREDENTIALS",
        'temporary keys come from a provider, such as "minio.credentials.EnvAWSProvider"',
        secret=True,
        environment=True,
    ),
    "session_profile": Rule(
        ("AWS_S3_SESSION_PROFILE",),
        "MINIO_CREDENTIALS",
        "set it to minio.credentials.AWSConfigProvider(profile=…)",
        environment=True,
    ),
    "bucket_name": Rule(("AWS_STORAGE_BUCKET_NAME",), "bucket_name", value=same),
    "location": Rule(("AWS_LOCATION",), "prefix", value=same),
    "file_overwrite": Rule(
        ("AWS_S3_FILE_OVERWRITE",), "replace_existing", "True by default in django-storages, False here", same
    ),
    "object_parameters": Rule(
        ("AWS_S3_OBJECT_PARAMETERS",),
        "metadata",
        "ACLs have no counterpart; for encryption, set the option sse",
        headers,
    ),
    "default_acl": Rule(
        ("AWS_DEFAULT_ACL",), "", "a bucket is public as a whole, by its policy: MINIO_PUBLIC_BUCKETS"
    ),
    "querystring_auth": Rule(
        ("AWS_QUERYSTRING_AUTH",),
        "MINIO_PUBLIC_BUCKETS",
        "False: the bucket is public and listed there; else it is listed in MINIO_PRIVATE_BUCKETS",
    ),
    "querystring_expire": Rule(
        ("AWS_QUERYSTRING_EXPIRE",), "MINIO_URL_EXPIRY_HOURS", "a timedelta instead of seconds", seconds
    ),
    "endpoint_url": Rule(
        ("AWS_S3_ENDPOINT_URL",), "MINIO_ENDPOINT", "by default, AWS in the region", value=same
    ),
    "region_name": Rule(("AWS_S3_REGION_NAME",), "MINIO_REGION", value=same),
    "use_ssl": Rule(("AWS_S3_USE_SSL",), "MINIO_USE_HTTPS", "set by the endpoint's scheme", value=None),
    "addressing_style": Rule(("AWS_S3_ADDRESSING_STYLE",), "MINIO_ADDRESSING", value=style),
    "verify": Rule(
        ("AWS_S3_VERIFY",),
        "MINIO_HTTP_CLIENT",
        "or SSL_CERT_FILE in the environment, for another certificate authority",
    ),
    "proxies": Rule(("AWS_S3_PROXIES",), "MINIO_HTTP_CLIENT", "set it to a urllib3.ProxyManager"),
    "client_config": Rule(
        ("AWS_S3_CLIENT_CONFIG",),
        "MINIO_CONNECT_TIMEOUT",
        "and MINIO_READ_TIMEOUT, MINIO_RETRIES, MINIO_POOL_SIZE",
    ),
    "transfer_config": Rule(
        ("AWS_S3_TRANSFER_CONFIG", "AWS_S3_FILE_BUFFER_SIZE"),
        "MINIO_MULTIPART_PART_SIZE",
        "two parts are sent at a time",
    ),
    "use_threads": Rule(("AWS_S3_USE_THREADS",), "", "not needed: a large file is sent in two threads"),
    "max_memory_size": Rule(
        ("AWS_S3_MAX_MEMORY_SIZE",), "", "not needed: files are read and written in pieces"
    ),
    "signature_version": Rule(
        ("AWS_S3_SIGNATURE_VERSION",), "", "not needed: requests are signed with version 4"
    ),
    "file_name_charset": Rule(("AWS_S3_FILE_NAME_CHARSET",), "", "not needed: names are UTF-8"),
    "gzip": Rule(
        ("AWS_IS_GZIPPED", "GZIP_CONTENT_TYPES"),
        "",
        "not supported: files are stored as given. Compress static files in a proxy",
    ),
}


_IMPLIED = {"querystring_auth", "use_ssl"}  # by the list that names the bucket, and by the endpoint


@dataclass
class Translation:
    """The translated flat settings, and the storage of one alias. Values are Python source."""

    alias: str
    backend: str
    bucket: str = ""
    public: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def translations(project: Any) -> Iterator[Translation]:
    """Yield a translation for each alias of ``STORAGES`` that uses the S3 backend of django-storages."""
    for alias, storage in project.STORAGES.items():
        module, _, name = str(storage["BACKEND"]).rpartition(".")
        if module.startswith(BACKENDS):
            backend = STORAGES.get(name, "django_minio_router.MinioBackend")
            yield _translated(Translation(alias, backend), project, storage.get("OPTIONS", {}))


def _translated(result: Translation, project: Any, options: Mapping[str, Any]) -> Translation:
    given = {name: _source(name, rule, project, options) for name, rule in RULES.items()}
    values = {name: found[1] for name, found in given.items() if found is not None}
    for name, found in given.items():
        if found is not None and name not in _IMPLIED:
            _translate(result, RULES[name], *found)
    result.bucket = values.get("bucket_name", "")
    result.public = not values.get("querystring_auth", True)
    if values.get("file_overwrite", True):
        result.options["replace_existing"] = "True"
    if "endpoint_url" not in values:
        region = values.get("region_name", "us-east-1")
        result.settings["MINIO_ENDPOINT"] = repr(f"https://s3.{region}.amazonaws.com")
    if not {"access_key", "security_token", "session_profile"} & values.keys():
        result.settings["MINIO_CREDENTIALS"] = repr("minio.credentials.IamAwsProvider")
    return result


def _source(name: str, rule: Rule, project: Any, options: Mapping[str, Any]) -> tuple[str, Any, bool] | None:
    """Return the source of a value as Python, the value, and whether it is an option of the alias."""
    if options.get(name) not in (None, ""):
        return f"the option {name!r}", options[name], True
    for setting in rule.settings:
        if getattr(project, setting, None) not in (None, ""):
            return setting, getattr(project, setting), False
        if rule.environment and os.environ.get(setting):
            return f'os.environ["{setting}"]', os.environ[setting], False
    return None


def _translate(result: Translation, rule: Rule, source: str, value: Any, own: bool) -> None:
    if rule.value is None or not rule.here:
        result.remarks.append(f"{source}: {f'{rule.here}, ' if rule.here else ''}{rule.remark}")
        return
    shown = f"...  # {source}" if own else source
    text = shown if rule.secret else repr(rule.value(value))
    if rule.here.islower() or own:
        result.options[rule.here] = text
    else:
        result.settings[rule.here] = text
