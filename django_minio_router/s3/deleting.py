"""Deleting exactly the object that was meant, even if a response is lost.

After a lost response, the object may be gone, and another writer may have taken its name. So a request is not
repeated before a check: the object is deleted only if it existed before this call began.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ..exceptions import ServerError
from ..naming import path_of
from .errors import is_outcome_unknown
from .tokens import TOKEN_HEADER, stored_at

if TYPE_CHECKING:
    from .client import Client

_PAUSE = 0.1  # seconds, doubled each time
# An object counts as older than this call if it is older by this margin: times are in whole seconds, and
# those of the response and of the object may come from different clocks.
_MARGIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Deletion:
    """The deletion of one object. ``target`` are the headers of the object to delete, if it was described."""

    client: Client
    bucket: str
    name: str
    target: Mapping[str, str] | None = None
    key_headers: Mapping[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Delete the object, if it exists. ``ServerError`` if the outcome is unknown."""
        tag = self.target["ETag"] if self.target else ""
        retries = self.client.server.retries
        for number in range(retries + 1):
            failure = self._send(tag, is_repeat=number > 0)
            if failure is None:
                return
            found = self._current_headers(max(1, retries - number), failure)
            if found is None or not self._is_target(found, failure):
                return
            if number == retries:
                raise failure
            tag = found["ETag"]
            time.sleep(_PAUSE * 2**number)

    def _send(self, tag: str, *, is_repeat: bool) -> ServerError | None:
        """Return the error that leaves the outcome unknown, or None if the object was deleted."""
        condition = {"If-Match": tag} if tag else {}
        try:
            path = path_of(self.bucket, self.name)
            response = self.client.request("DELETE", path, headers=condition, repeat=False)
            if response.status == 204 or (response.status == 200 and not response.data):
                return None
            self.client.refuse(response, self.bucket, self.name)
        except FileNotFoundError:
            return None
        except ServerError as error:
            if is_repeat and error.status == 412:
                return None  # the object that was meant is gone
            if not is_outcome_unknown(error):
                raise
            return error

    def _current_headers(self, tries: int, failure: ServerError) -> Mapping[str, str] | None:
        """Return the headers of the current object, or None. Raise the failure if the server does not say."""
        for number in range(tries):
            time.sleep(_PAUSE * 2**number if number else 0)
            try:
                path = path_of(self.bucket, self.name)
                response = self.client.request("HEAD", path, headers=self.key_headers, repeat=False)
                if response.status == 200 and "ETag" in response.headers:
                    return response.headers
                self.client.refuse(response, self.bucket, self.name, is_head=True)
            except FileNotFoundError:
                return None
            except ServerError:
                continue
        raise failure

    def _is_target(self, found: Mapping[str, str], failure: ServerError) -> bool:
        """Return whether the current object is the one to delete, and was not stored since."""
        if self.target is not None:
            return _identity(found) == _identity(self.target)
        known = stored_at(found.get(TOKEN_HEADER, ""))
        if known is not None:
            return known < self.began
        if self._is_older(found):
            return True
        raise ServerError(
            f"It is unknown whether {self.name!r} in the bucket {self.bucket!r} was deleted: the response "
            "was lost, and the current object was stored at about that time, so it was kept. Check it, and "
            f"delete it again if it is the same file. ({failure})",
            status=failure.status,
            code=failure.code,
        ) from failure

    def _is_older(self, found: Mapping[str, str]) -> bool:
        try:
            now, stored = (parsedate_to_datetime(found[header]) for header in ("Date", "Last-Modified"))
        except (KeyError, ValueError):
            return False
        return stored + _MARGIN <= now - timedelta(seconds=time.monotonic() - self.began)


def _identity(found: Mapping[str, str]) -> tuple[str | None, ...]:
    """Return what identifies a stored object: the entity tag alone depends on the content only."""
    return tuple(found.get(header) for header in ("ETag", TOKEN_HEADER, "Last-Modified"))
