"""Deleting a bucket with all its contents: versions, delete markers and unfinished uploads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from ..exceptions import BucketNotFound, ServerError
from ..naming import MARK_OBJECT
from .listing import Version, abort, current_versions, delete_versions, remove_bucket, uploads, versions

if TYPE_CHECKING:
    from .client import Client

# For a place where files are stored meanwhile. MinIO lists ``a/b`` only once ``a`` is gone, and ``a/b/c``
# only then; a name has at most 1024 bytes, so 512 folders.
_ATTEMPTS = 512


def empty_bucket(
    client: Client, bucket: str, prefix: str = "", report: Callable[[int], None] = lambda count: None
) -> None:
    """Delete everything below the prefix; without a prefix, also the bucket. Missing ones are not an error.

    ``report`` is called with the number of versions deleted since its last call. Raise ``ServerError`` if
    the server refuses to delete something. May be repeated.
    """
    try:
        for attempt in range(_ATTEMPTS):
            _delete_all(client, bucket, prefix, report, by_name=attempt > 0)
            if _is_gone(client, bucket, prefix):
                return
    except BucketNotFound:
        return
    raise ServerError(
        f"{bucket}/{prefix} is not empty after {_ATTEMPTS} attempts. "
        "Stop whatever stores files there, and try again."
    )


def _is_gone(client: Client, bucket: str, prefix: str) -> bool:
    """Return whether nothing is left. Without a prefix, remove the bucket."""
    if not prefix:
        return remove_bucket(client, bucket)
    lists = (versions(client, bucket, prefix), current_versions(client, bucket, prefix))
    return next(chain(*lists), None) is None


def _delete_all(
    client: Client, bucket: str, prefix: str, report: Callable[[int], None], *, by_name: bool
) -> None:
    """Delete uploads and versions; ``by_name``, also objects that the list of versions misnames."""
    for upload in uploads(client, bucket, prefix):
        abort(client, bucket, *upload)
    found = versions(client, bucket, prefix)
    if by_name:
        found = chain(found, current_versions(client, bucket, prefix))
    for _ in delete_versions(client, bucket, _with_mark_last(found)):
        report(1)


def _with_mark_last(found: Iterable[Version]) -> Iterator[Version]:
    """Yield the mark of the bucket last: without it, an interrupted run could not be completed."""
    marks = []
    for version in found:
        if version.name == MARK_OBJECT:
            marks.append(version)
        else:
            yield version
    yield from marks
