"""Leftovers of direct uploads below ``incoming/``: files that no form took, and unfinished uploads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..exceptions import BucketNotFound, ServerError
from ..inventory.places import Place
from ..naming import INCOMING, is_incoming
from ..s3.bucket import Bucket
from ..s3.client import get_client
from ..s3.listing import abort, uploads
from ..settings.testing import refuse_in_tests


def clean(place: Place, before: datetime) -> Iterator[str]:
    """Remove leftovers older than this (aware) time, and yield their keys. A missing bucket is not an error.

    An object that is replaced meanwhile is kept. The age of an unfinished upload is that of the date in its
    key.
    """
    refuse_in_tests(place.server, place.address)
    client = get_client(place.server)
    bucket = Bucket(client, place.on_server, client)
    prefix = f"{place.prefix}{INCOMING}"
    try:
        for found in bucket.list(prefix):
            is_old = found.modified is not None and found.modified < before
            if is_incoming(found.key) and is_old and _remove(bucket, found.key, found.etag):
                yield found.key
        for upload in list(uploads(client, bucket.name, prefix)):
            if is_incoming(upload.name) and upload.name.split("/")[-2] < f"{before:%Y-%m-%d}":
                abort(client, bucket.name, *upload)
                yield upload.name
    except BucketNotFound:
        return


def _remove(bucket: Bucket, key: str, etag: str) -> bool:
    try:
        bucket.delete(key, if_match=etag)
    except ServerError as error:
        if error.status != 412:
            raise
        return False
    return True
