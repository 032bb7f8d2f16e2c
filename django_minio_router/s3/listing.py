"""The contents of a server: buckets, objects, versions, delete markers and unfinished uploads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote, unquote_plus

from ..exceptions import BucketNotFound, ServerError
from .multipart import query_of
from .xml import Element, can_hold, element, fetch, parsed, send

if TYPE_CHECKING:
    from .client import Client

T = TypeVar("T")

_PAGE = 1000  # the limit of S3 for a listing and for a bulk deletion
_QUOTED = {"Key", "Prefix", "NextKeyMarker"}
_ALREADY_GONE = {"NoSuchBucket", "NoSuchKey", "NoSuchVersion"}  # deleted by another run


class Version(NamedTuple):
    """One version of an object, ``size`` in bytes; a delete marker has none."""

    name: str
    version_id: str
    size: int
    is_marker: bool


class Upload(NamedTuple):
    """An unfinished multipart upload."""

    name: str
    upload_id: str


def bucket_names(client: Client) -> Iterator[str]:
    """Yield the names of the server's buckets, one page per request.

    AWS requires a page size for accounts that may have more than 10,000 buckets.
    """
    token: str | None = ""
    while token is not None:
        after = f"continuation-token={_quoted(token)}&" if token else ""
        root = _list_buckets(client, f"{after}max-buckets={_PAGE}")
        for bucket in root.iter("Bucket"):
            yield bucket.findtext("Name") or ""
        token = root.findtext("ContinuationToken") or None


def _list_buckets(client: Client, query: str) -> Element:
    """Return a page. ``ServerError`` if the endpoint is a bucket, which would pass for an empty server."""
    with suppress(BucketNotFound):
        root = fetch(client, "", query)
        if root.tag != "ListBucketResult":
            return root
    raise ServerError(
        f"{client.server.endpoint} is a bucket, not an S3 server. Remove the name from MINIO_ENDPOINT: the "
        "package adds the bucket."
    )


def versions(client: Client, bucket: str, prefix: str = "") -> Iterator[Version]:
    """Yield every version below the prefix, one page per request.

    Raise ``BucketNotFound`` if the bucket is missing.
    """
    try:
        yield from map(_version, _all_versions(client, bucket, prefix))
    except ServerError as error:
        if error.status != 501:
            raise
        yield from current_versions(client, bucket, prefix)  # the server has no versions


def current_versions(client: Client, bucket: str, prefix: str = "") -> Iterator[Version]:
    """Yield the current objects, one page per request. ``BucketNotFound`` if the bucket is missing."""
    return map(_version, objects(client, bucket, prefix))


def _version(entry: Element) -> Version:
    return Version(
        entry.findtext("Key") or "",
        entry.findtext("VersionId") or "",
        int(entry.findtext("Size") or 0),
        is_marker=entry.tag == "DeleteMarker",
    )


def objects(client: Client, bucket: str, prefix: str = "", *, recursive: bool = True) -> Iterator[Element]:
    """Yield the server's entry for each object below the prefix, one page per request.

    Entries are ``Contents`` elements; without ``recursive``, ``CommonPrefixes`` for folders as well.
    """
    rest = f"delimiter={'' if recursive else '%2F'}&encoding-type=url&list-type=2&max-keys={_PAGE}"
    rest += f"&prefix={_quoted(prefix)}"
    token: str | None = None
    while True:
        after = f"continuation-token={_quoted(token)}&" if token else ""
        root = _list(client, bucket, f"{after}{rest}")
        yield from (entry for entry in root if entry.tag in ("Contents", "CommonPrefixes"))
        last, token = token, root.findtext("NextContinuationToken") or None
        if root.findtext("IsTruncated") != "true":
            return
        if token in (None, last):
            raise client.not_s3(bucket, "it truncates a listing without a continuation token")


def _all_versions(client: Client, bucket: str, prefix: str) -> Iterator[Element]:
    after, last = ("", ""), None
    while after != last:
        last, (key, version_id) = after, after
        markers = f"key-marker={_quoted(key)}&max-keys={_PAGE}&prefix={_quoted(prefix)}&version-id-marker="
        root = _list(client, bucket, f"delimiter=&encoding-type=url&{markers}{_quoted(version_id)}&versions=")
        yield from (entry for entry in root if entry.tag in ("Version", "DeleteMarker"))
        if root.findtext("IsTruncated") == "true":
            after = root.findtext("NextKeyMarker") or "", root.findtext("NextVersionIdMarker") or ""


def _list(client: Client, bucket: str, query: str) -> Element:
    """Return a page with decoded names.

    Raise ``ServerError`` if it is not a listing: a web page would pass for an empty bucket.
    """
    root = fetch(client, bucket, query)
    if root.tag not in ("ListBucketResult", "ListVersionsResult"):
        raise client.not_s3(bucket, f"it answered a list request with {root.tag!r}")
    if root.findtext("EncodingType") == "url":  # a server may ignore the request for it
        for part in root.iter():
            if part.tag in _QUOTED:
                part.text = unquote_plus(part.text or "")
    return root


def uploads(client: Client, bucket: str, prefix: str = "") -> Iterator[Upload]:
    """Yield the unfinished uploads below the prefix."""
    key, upload_id = "", ""
    while True:
        query = f"encoding-type=url&key-marker={_quoted(key)}&prefix={_quoted(prefix)}"
        root = fetch(client, bucket, f"{query}&upload-id-marker={_quoted(upload_id)}&uploads=")
        for upload in root.iter("Upload"):
            name = unquote_plus(upload.findtext("Key") or "")
            # SeaweedFS takes an object below ".uploads/" for an upload without a name.
            if name and name.startswith(prefix):
                yield Upload(name, upload.findtext("UploadId") or "")
        last = key, upload_id
        key = unquote_plus(root.findtext("NextKeyMarker") or "")
        upload_id = root.findtext("NextUploadIdMarker") or ""
        if root.findtext("IsTruncated") != "true" or (key, upload_id) == last:
            return


def delete_versions(client: Client, bucket: str, found: Iterable[Version]) -> Iterator[Version]:
    """Delete these versions, a thousand per request, and yield the deleted ones.

    Raise ``ServerError`` for the first that the server refuses, such as a locked one, after the rest of its
    page.
    """
    for page in pages(found, _PAGE):
        batch = [version for version in page if can_hold(version.name)]
        refused = _delete_page(client, bucket, batch) if batch else {}
        for version in page:
            if not can_hold(version.name):
                query = f"versionId={_quoted(version.version_id)}" if version.version_id else ""
                _send_delete(client, bucket, version.name, query)
        yield from (version for version in page if version[:2] not in refused)
        for (name, _), cause in refused.items():
            raise ServerError(
                f"The server did not delete {bucket}/{name}: {cause}. Remove what protects it, and try again."
            )


def _delete_page(client: Client, bucket: str, page: list[Version]) -> dict[tuple[str, str], str]:
    """Delete them in one request, and return the cause for each that the server refused."""
    entries = [
        element(
            "Object", Key=version.name, **({"VersionId": version.version_id} if version.version_id else {})
        )
        for version in page
    ]
    answer = send(client, "POST", bucket, "delete=", element("Delete", *entries, Quiet="true"))
    return {
        (error.findtext("Key") or "", error.findtext("VersionId") or ""): " ".join(
            filter(None, (error.findtext("Code"), error.findtext("Message")))
        )
        for error in parsed(client, bucket, answer).iter("Error")
        if error.findtext("Code") not in _ALREADY_GONE
    }


def abort(client: Client, bucket: str, name: str, upload_id: str) -> None:
    """Remove an unfinished upload and its parts. A missing one is not an error."""
    _send_delete(client, bucket, name, query_of(upload_id))


def _send_delete(client: Client, bucket: str, name: str, query: str) -> None:
    response = client.request("DELETE", f"/{bucket}/{quote(name, safe='/~')}", query)
    if response.status not in (200, 204, 404):
        client.refuse(response, bucket, name)


def remove_bucket(client: Client, bucket: str) -> bool:
    """Remove the bucket and return True, or return False if it is not empty."""
    client.forget_bucket(bucket)
    try:
        client.call("DELETE", bucket)
    except ServerError as error:
        if error.code != "BucketNotEmpty":
            raise
        return False
    return True


def pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page


def _quoted(text: str) -> str:
    return quote(text, safe="")
