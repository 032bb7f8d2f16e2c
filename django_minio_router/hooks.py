"""Bucket hooks for ``MINIO_BUCKET_HOOKS``: versioning, encryption, tags, lifecycle and CORS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from .buckets.hooks import BucketHook, required
from .buckets.tags import read_tags, write_tags
from .exceptions import ConfigurationError
from .naming import INCOMING
from .s3.client import client_of
from .s3.xml import Element, element, fetch_or_none, send

if TYPE_CHECKING:
    from minio import Minio

__all__ = [
    "cors",
    "encryption",
    "expire",
    "expire_incoming",
    "kms_encryption",
    "required",
    "tags",
    "versioning",
]


def versioning(client: Minio, bucket: str) -> bool:
    """Enable versioning: keep old versions of replaced and deleted objects."""
    current = _read(client, bucket, "versioning")
    if current is not None and current.findtext("Status") == "Enabled":
        return False
    _write(client, bucket, "versioning", element("VersioningConfiguration", Status="Enabled"))
    return True


def encryption(client: Minio, bucket: str) -> bool:
    """Let the server encrypt objects with its own keys (SSE-S3)."""
    return _set_encryption(client, bucket, SSEAlgorithm="AES256")


def kms_encryption(key_id: str) -> BucketHook:
    """Let the server encrypt objects with this key from its key management service (SSE-KMS)."""

    def kms_encryption(client: Minio, bucket: str) -> bool:
        return _set_encryption(client, bucket, SSEAlgorithm="aws:kms", KMSMasterKeyID=key_id)

    return kms_encryption


def _set_encryption(client: Minio, bucket: str, **default: str) -> bool:
    target = element(
        "ServerSideEncryptionConfiguration",
        element("Rule", element("ApplyServerSideEncryptionByDefault", **default)),
    )
    return _replace(client, bucket, "encryption", target, ".//ApplyServerSideEncryptionByDefault")


def tags(values: Mapping[str, str]) -> BucketHook:
    """Set these tags on the bucket; keep its other tags."""
    target = dict(values)

    def tags(client: Minio, bucket: str) -> bool:
        existing = read_tags(client_of(client), bucket)
        if target.items() <= existing.items():
            return False
        write_tags(client_of(client), bucket, {**existing, **target})
        return True

    return tags


def expire(days: int | None = None, *, prefix: str = "", old_versions: int | None = None) -> BucketHook:
    """Delete objects below ``prefix`` after ``days``, and old versions after ``old_versions`` days.

    Rules of other hooks with another prefix, and rules that others set, stay.
    """
    if days is None and old_versions is None:
        raise ConfigurationError("expire() needs days=… or old_versions=…. Set one of them.")
    actions = [] if days is None else [element("Expiration", Days=str(days))]
    if old_versions is not None:
        actions.append(element("NoncurrentVersionExpiration", NoncurrentDays=str(old_versions)))
    return _lifecycle("expire", prefix, actions)


def expire_incoming(days: int = 1) -> BucketHook:
    """Remove what direct uploads left behind: files that no form accepted, and unfinished uploads.

    If tenants have folders in one bucket, run ``clean_incoming_uploads`` instead.
    """
    unfinished = element("AbortIncompleteMultipartUpload", DaysAfterInitiation=str(days))
    return _lifecycle("expire_incoming", INCOMING, [element("Expiration", Days=str(days)), unfinished])


def _lifecycle(name: str, prefix: str, actions: Sequence[Element]) -> BucketHook:
    rule = element(
        "Rule", element("Filter", Prefix=prefix), *actions, ID=f"minio-router:{prefix}", Status="Enabled"
    )

    def expire(client: Minio, bucket: str) -> bool:
        current = _read(client, bucket, "lifecycle")
        existing = [] if current is None else list(current.iter("Rule"))
        others = [other for other in existing if other.findtext("ID") != rule.findtext("ID")]
        if any(_content(other) == _content(rule) for other in existing):
            return False
        _write(client, bucket, "lifecycle", element("LifecycleConfiguration", *others, rule))
        return True

    expire.__name__ = name
    return expire


def cors(
    origins: Sequence[str],
    *,
    methods: Sequence[str] = ("GET", "HEAD"),
    headers: Sequence[str] = ("*",),
    exposed: Sequence[str] = ("ETag",),
    max_age: int = 3600,
) -> BucketHook:
    """Let scripts of these origins read objects, and store them if PUT is among the methods.

    ``max_age`` is in seconds. Other CORS rules are replaced.
    """
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


def _replace(client: Minio, bucket: str, query: str, target: Element, part: str) -> bool:
    """Write the configuration unless its relevant part is already set, and nothing else."""
    current = _read(client, bucket, query)
    if current is not None and list(map(_content, current.iterfind(part))) == [
        _content(element) for element in target.iterfind(part)
    ]:
        return False
    _write(client, bucket, query, target)
    return True


def _content(element: Element) -> list[tuple[str, str]]:
    """Return an element's content for comparison: servers reorder it, omit empty leaves and may add an ID."""
    return sorted(set(_leaves(element, "")))


def _leaves(element: Element, path: str) -> Iterator[tuple[str, str]]:
    for child in element:
        child_path = f"{path}/{child.tag}".replace("/Filter/Prefix", "/Prefix")
        if len(child):
            yield from _leaves(child, child_path)
        elif child.text and child.tag != "ID":
            yield child_path, child.text


def _read(sdk: Minio, bucket: str, query: str) -> Element | None:
    """Return a configuration of the bucket, or None."""
    return fetch_or_none(client_of(sdk), bucket, f"{query}=")


def _write(sdk: Minio, bucket: str, query: str, root: Element) -> None:
    send(client_of(sdk), "PUT", bucket, f"{query}=", root)
