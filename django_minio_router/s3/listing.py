"""All that a server holds: its buckets, and in them every version, delete marker and unfinished upload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote_plus

from ..exceptions import ServerError
from .client import Client
from .xml import can_hold, element, fetch, parsed, send

T = TypeVar("T")

_PAGE = 1000  # as many as S3 deletes in one request
_GONE = {"NoSuchBucket", "NoSuchKey", "NoSuchVersion"}  # another run was faster


class Version(NamedTuple):
    """One version of an object, ``size`` in bytes; a delete marker has none."""

    name: str
    version_id: str
    size: int
    is_marker: bool


class Upload(NamedTuple):
    """A multipart upload that was begun and not completed."""

    name: str
    upload_id: str


def bucket_names(client: Client) -> Iterator[str]:
    """Yield the buckets of the server, a page at a time; the SDK reads no more than the first.

    AWS refuses a list that names no size of a page to accounts that may have more than 10,000 buckets.
    """
    token: str | None = ""
    while token is not None:
        after = f"continuation-token={_quoted(token)}&" if token else ""
        root = fetch(client, "", f"{after}max-buckets={_PAGE}")
        for bucket in root.iter("Bucket"):
            yield bucket.findtext("Name") or ""
        token = root.findtext("ContinuationToken") or None


def versions(client: Client, bucket: str, prefix: str = "") -> Iterator[Version]:
    """Yield every version below the prefix, a page at a time. ``BucketNotFound`` if there is no bucket."""
    try:
        yield from _listing(client, bucket, prefix, all_versions=True)
    except ServerError as error:
        if error.status != 501:
            raise
        yield from current(client, bucket, prefix)  # a server without versions has only these


def current(client: Client, bucket: str, prefix: str = "") -> Iterator[Version]:
    """Yield the objects as they are now, a page at a time. ``BucketNotFound`` if there is no bucket."""
    return _listing(client, bucket, prefix, all_versions=False)


def _listing(client: Client, bucket: str, prefix: str, *, all_versions: bool) -> Iterator[Version]:
    with client.plain_errors(bucket):
        for entry in client.sdk.list_objects(
            bucket_name=bucket, prefix=prefix, recursive=True, include_version=all_versions
        ):
            stored: Any = entry
            marker = bool(stored.is_delete_marker)
            yield Version(stored.object_name, stored.version_id or "", stored.size or 0, marker)


def uploads(client: Client, bucket: str, prefix: str = "") -> Iterator[Upload]:
    """Yield the unfinished uploads below the prefix. The SDK has no public call for them."""
    key, upload_id = "", ""
    while True:
        query = f"encoding-type=url&key-marker={_quoted(key)}&prefix={_quoted(prefix)}"
        root = fetch(client, bucket, f"{query}&upload-id-marker={_quoted(upload_id)}&uploads=")
        for begun in root.iter("Upload"):
            name = unquote_plus(begun.findtext("Key") or "")
            # SeaweedFS takes an object below ".uploads/" for an upload without a name: the bucket's own path.
            if name and name.startswith(prefix):
                yield Upload(name, begun.findtext("UploadId") or "")
        last = key, upload_id
        key = unquote_plus(root.findtext("NextKeyMarker") or "")
        upload_id = root.findtext("NextUploadIdMarker") or ""
        if root.findtext("IsTruncated") != "true" or (key, upload_id) == last:
            return


def delete_versions(client: Client, bucket: str, found: Iterable[Version]) -> Iterator[Version]:
    """Delete these versions, a thousand in a request, and yield what was deleted.

    ``ServerError`` names the first that the server kept, such as a locked one, after the others of its page.
    """
    for page in pages(found, _PAGE):
        together = [version for version in page if can_hold(version.name)]
        refused = _delete_page(client, bucket, together) if together else {}
        for version in page:
            if not can_hold(version.name):
                _delete_one(client, bucket, version)
        yield from (version for version in page if version[:2] not in refused)
        for (name, _), cause in refused.items():
            raise ServerError(
                f"The server kept {bucket}/{name}: {cause}. Remove what protects it, and repeat."
            )


def _delete_page(client: Client, bucket: str, page: list[Version]) -> dict[tuple[str, str], str]:
    """Delete them in one request, and return why the server kept some."""
    named = [
        element(
            "Object", Key=version.name, **({"VersionId": version.version_id} if version.version_id else {})
        )
        for version in page
    ]
    answer = send(client, "POST", bucket, "delete=", element("Delete", *named, Quiet="true"))
    return {
        (error.findtext("Key") or "", error.findtext("VersionId") or ""): " ".join(
            filter(None, (error.findtext("Code"), error.findtext("Message")))
        )
        for error in parsed(client, bucket, answer).iter("Error")
        if error.findtext("Code") not in _GONE
    }


def _delete_one(client: Client, bucket: str, version: Version) -> None:
    query = f"versionId={_quoted(version.version_id)}" if version.version_id else ""
    _send_delete(client, bucket, version.name, query)


def abort(client: Client, bucket: str, upload: Upload) -> None:
    """Give up an unfinished upload; one that is gone is not an error."""
    _send_delete(client, bucket, upload.name, f"uploadId={_quoted(upload.upload_id)}")


def _send_delete(client: Client, bucket: str, name: str, query: str) -> None:
    response = client.request("DELETE", f"/{bucket}/{quote(name, safe='/~')}", query)
    if response.status not in (200, 204, 404):
        client.refuse(response, bucket, name)


def remove_bucket(client: Client, bucket: str) -> bool:
    """Remove an empty bucket, and tell whether it was: something may have been stored meanwhile."""
    client.known_buckets.discard(bucket)
    response = client.request("DELETE", f"/{bucket}")
    if response.status in (200, 204):
        return True
    try:
        client.refuse(response, bucket)
    except ServerError as error:
        if error.code != "BucketNotEmpty":
            raise
    return False


def pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page


def _quoted(text: str) -> str:
    return quote(text, safe="")
