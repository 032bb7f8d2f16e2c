"""Does a server keep ``If-None-Match: *``? Found out by writing an empty object twice, and removing it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..exceptions import ServerError
from ..naming import quote_object_name

if TYPE_CHECKING:
    from .client import Client

logger = logging.getLogger(__name__)


def keeps_conditions(client: Client, bucket: str, name: str, headers: Mapping[str, str]) -> bool:
    """Try it with an object of that name and these headers.

    A server that takes the second write ignores conditions; one that takes it only without a condition has
    none.
    """
    path = f"/{bucket}/{quote_object_name(name)}"
    answers: list[int] = []
    made: set[str] = set()  # the versions of the object, if the bucket keeps them
    try:
        for known in (200, 412, 501), (200, 412):
            condition = {} if 501 in answers else {"If-None-Match": "*"}
            answer = client.request("PUT", path, headers={**headers, **condition}, body=b"")
            answers.append(answer.status)
            made.add(answer.headers.get("x-amz-version-id", ""))
            if answer.status not in known:
                client.refuse(answer, bucket)
    finally:
        if 200 in answers or 412 in answers:
            _remove(client, path, made - {"", "null"})
    kept = 412 in answers  # perhaps the first: when its answer is lost it is repeated
    if not kept:
        logger.warning(
            "%s does not keep conditional writes, so every saved name gets a random suffix.",
            client.server.endpoint,
        )
    return kept


def _remove(client: Client, path: str, made: Collection[str]) -> None:
    """Remove what was written: by its versions, or a trial leaves one, with a marker that hides it."""
    by_version = [f"versionId={quote(version, safe='')}" for version in made]
    for queries in filter(None, (by_version, [""])):  # the key may not be allowed to remove versions
        with suppress(ServerError):
            if all(client.request("DELETE", path, query).status in (200, 204) for query in queries):
                return
    logger.warning(
        "The empty object %s stays at %s. Where the key may not delete, set MINIO_CONDITIONAL_WRITES, "
        "and no server is tried.",
        path,
        client.server.endpoint,
    )
