"""Bucket hooks: what a project sets on its buckets beyond the policy, and ready-made ones.

A hook is called with the SDK's client and the bucket, when the bucket is created and at each run of
``initialize_buckets``, which may be in a thread of its own, and for no tenant. So it can be repeated, and
returns True if it changed something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from django.utils.module_loading import import_string
from minio import Minio

from . import tenancy
from .conf import Config
from .exceptions import BucketNotFound, ConfigurationError, ServerError
from .s3.clients import Client, client_of
from .s3.xml import Element, element, fetch, send

BucketHook: TypeAlias = Callable[[Minio, str], "bool | None"]


# Running them


@dataclass(frozen=True)
class _Required:
    """A hook without which a bucket may not be used."""

    hook: BucketHook | str

    def __call__(self, client: Minio, bucket: str) -> bool | None:
        return _load(self.hook)(client, bucket)


def required(hook: BucketHook | str) -> BucketHook:
    """Let a bucket fail where the server lacks what this hook needs; else that is a warning."""
    return _Required(hook)


def bucket_hooks(config: Config) -> list[BucketHook]:
    """Return ``MINIO_BUCKET_HOOKS``, imported. ``ConfigurationError`` if one cannot be."""
    found = [_load(hook) for hook in config.get("MINIO_BUCKET_HOOKS")]
    for hook in found:
        if isinstance(hook, _Required):
            _load(hook.hook)
    return found


def _load(hook: BucketHook | str) -> BucketHook:
    return _imported(hook) if isinstance(hook, str) else hook


@lru_cache(maxsize=256)
def _imported(path: str) -> BucketHook:
    try:
        hook: BucketHook = import_string(path)
    except ImportError as error:
        raise ConfigurationError(
            f"MINIO_BUCKET_HOOKS names {path!r}, which cannot be imported: {error}. Correct the path."
        ) from error
    if not callable(hook):
        raise ConfigurationError(
            f"MINIO_BUCKET_HOOKS names {path!r}, which is not callable. Name a function of (client, bucket)."
        )
    return hook


@dataclass(frozen=True)
class HooksRun:
    """The names of the hooks that changed the bucket, and what the server lacks for others."""

    changed: list[str]
    lacking: list[str]


def run_hooks(client: Client, bucket: str, config: Config) -> HooksRun:
    """Run the hooks of the configuration on a bucket that exists. ``ServerError`` if one fails."""
    run = HooksRun([], [])
    for hook in bucket_hooks(config):
        try:
            with client.plain_errors(bucket), tenancy.context_of(None):
                changed = _told(hook(client.sdk, bucket))
        except Exception as error:
            if isinstance(hook, _Required) or not _is_missing_feature(error):
                raise ServerError(
                    f"The bucket hook {name_of(hook)} failed for {bucket!r}: {error}"
                ) from error
            run.lacking.append(f"the server does not implement what the bucket hook {name_of(hook)} needs")
        else:
            if changed:
                run.changed.append(name_of(hook))
    return run


def _told(changed: object) -> bool:
    """Refuse what a coroutine function or a generator gives: its code has not run."""
    if changed is None or isinstance(changed, bool):
        return bool(changed)
    raise TypeError(
        f"it returned {changed!r}. A hook returns True if it changed the bucket, else False or None"
    )


def _is_missing_feature(error: Exception) -> bool:
    return isinstance(error, ServerError) and (error.status == 501 or error.code == "NotImplemented")


def name_of(hook: BucketHook) -> str:
    if isinstance(hook, _Required):
        return name_of(_load(hook.hook))
    return getattr(hook, "__name__", None) or repr(hook)


# Ready-made ones


def versioning(client: Minio, bucket: str) -> bool:
    """Keep old versions of objects that are replaced or deleted."""
    current = _read(client, bucket, "versioning")
    if current is not None and current.findtext("Status") == "Enabled":
        return False
    _write(client, bucket, "versioning", element("VersioningConfiguration", Status="Enabled"))
    return True


def encryption(client: Minio, bucket: str) -> bool:
    """Let the server encrypt objects with keys of its own (SSE-S3)."""
    return _set_encryption(client, bucket, SSEAlgorithm="AES256")


def kms_encryption(key_id: str) -> BucketHook:
    """Let the server encrypt objects with this key of its key management (SSE-KMS)."""

    def kms_encryption(client: Minio, bucket: str) -> bool:
        return _set_encryption(client, bucket, SSEAlgorithm="aws:kms", KMSMasterKeyID=key_id)

    return kms_encryption


def _set_encryption(client: Minio, bucket: str, **default: str) -> bool:
    wanted = element(
        "ServerSideEncryptionConfiguration",
        element("Rule", element("ApplyServerSideEncryptionByDefault", **default)),
    )
    return _replace(client, bucket, "encryption", wanted, ".//ApplyServerSideEncryptionByDefault")


def tags(values: Mapping[str, str]) -> BucketHook:
    """Give buckets these tags; others that they have stay."""
    wanted = dict(values)

    def tags(client: Minio, bucket: str) -> bool:
        current = _read(client, bucket, "tagging")
        there = (
            {}
            if current is None
            else {tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in current.iter("Tag")}
        )
        if wanted.items() <= there.items():
            return False
        found = [element("Tag", Key=key, Value=value) for key, value in {**there, **wanted}.items()]
        _write(client, bucket, "tagging", element("Tagging", element("TagSet", *found)))
        return True

    return tags


def expire(days: int | None = None, *, prefix: str = "", old_versions: int | None = None) -> BucketHook:
    """Let objects below ``prefix`` be deleted after ``days``, and old versions after ``old_versions`` days.

    The rules of other hooks, with another prefix, and those that somebody else set, stay.
    """
    if days is None and old_versions is None:
        raise ConfigurationError("expire() was given no days. Give it days=… or old_versions=….")
    rule = element(
        "Rule",
        element("Filter", Prefix=prefix),
        *([element("Expiration", Days=str(days))] if days is not None else []),
        *(
            [element("NoncurrentVersionExpiration", NoncurrentDays=str(old_versions))]
            if old_versions is not None
            else []
        ),
        ID=f"minio-router:{prefix}",
        Status="Enabled",
    )

    def expire(client: Minio, bucket: str) -> bool:
        current = _read(client, bucket, "lifecycle")
        there = [] if current is None else list(current.iter("Rule"))
        others = [other for other in there if other.findtext("ID") != rule.findtext("ID")]
        if any(_content(other) == _content(rule) for other in there):
            return False
        _write(client, bucket, "lifecycle", element("LifecycleConfiguration", *others, rule))
        return True

    return expire


def cors(
    origins: Sequence[str],
    *,
    methods: Sequence[str] = ("GET", "HEAD"),
    headers: Sequence[str] = ("*",),
    exposed: Sequence[str] = ("ETag",),
    max_age: int = 3600,
) -> BucketHook:
    """Let scripts of these origins read objects; ``max_age`` in seconds. Other CORS rules are replaced."""
    rule = element("CORSRule")
    for name, values in [
        ("AllowedOrigin", origins),
        ("AllowedMethod", methods),
        ("AllowedHeader", headers),
        ("ExposeHeader", exposed),
        ("MaxAgeSeconds", [str(max_age)]),
    ]:
        rule.extend(element(name, text=value) for value in values)

    def cors(client: Minio, bucket: str) -> bool:
        return _replace(client, bucket, "cors", element("CORSConfiguration", rule), ".//CORSRule")

    return cors


def _replace(client: Minio, bucket: str, query: str, wanted: Element, part: str) -> bool:
    """Write the configuration unless the part of it that matters is there already, and alone."""
    current = _read(client, bucket, query)
    if current is not None and list(map(_content, current.iterfind(part))) == [
        _content(element) for element in wanted.iterfind(part)
    ]:
        return False
    _write(client, bucket, query, wanted)
    return True


def _content(element: Element) -> list[tuple[str, str]]:
    """Return what an element says: servers reorder it, leave out empty leaves and may add an ID."""
    return sorted(set(_leaves(element, "")))


def _leaves(element: Element, path: str) -> Iterator[tuple[str, str]]:
    for child in element:
        here = f"{path}/{child.tag}".replace("/Filter/Prefix", "/Prefix")
        if len(child):
            yield from _leaves(child, here)
        elif child.text and child.tag != "ID":
            yield here, child.text


def _read(sdk: Minio, bucket: str, query: str) -> Element | None:
    """Return a configuration of the bucket; None where there is none."""
    try:
        return fetch(client_of(sdk), bucket, f"{query}=")
    except FileNotFoundError:
        return None
    except ServerError as error:
        if error.status != 404 or isinstance(error, BucketNotFound):
            raise
        return None


def _write(sdk: Minio, bucket: str, query: str, root: Element) -> None:
    send(client_of(sdk), "PUT", bucket, f"{query}=", root)
