"""Deleting: once, and after an answer that leaves it open only what was meant.

Where an answer was lost, the object may be gone, and another writer may have taken its name. So nothing is
sent again before a look: what is there then is deleted only if it was there before this call began.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ..exceptions import ServerError
from .errors import is_in_doubt
from .tokens import TOKEN_HEADER, stored_at

if TYPE_CHECKING:
    from .client import Client

_PAUSE = 0.1  # seconds, doubled each time
# An object counts as older than this call if its time is so much earlier: times have whole seconds, and the
# one of the answer may come from another clock than that of the object.
_MARGIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Deletion:
    """The deletion of one object. ``meant`` are the headers of the one that was seen, if somebody looked."""

    client: Client
    bucket: str
    name: str
    path: str
    meant: Mapping[str, str] | None = None
    key_headers: Mapping[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Delete it; a missing one is not an error. ``ServerError`` if it cannot be told whether it was."""
        tag = self.meant["ETag"] if self.meant else ""
        retries = self.client.server.retries
        for number in range(retries + 1):
            failure = self._send(tag, is_repeat=number > 0)
            if failure is None:
                return
            found = self._look(max(1, retries - number), failure)
            if found is None or not self._is_meant(found, failure):
                return
            if number == retries:
                raise failure
            tag = found["ETag"]
            time.sleep(_PAUSE * 2**number)

    def _send(self, tag: str, *, is_repeat: bool) -> ServerError | None:
        """Return why it is not known whether the object was deleted; None if it was."""
        condition = {"If-Match": tag} if tag else {}
        try:
            response = self.client.request("DELETE", self.path, headers=condition, repeat=False)
            if response.status == 204 or (response.status == 200 and not response.data):
                return None
            self.client.refuse(response, self.bucket, self.name)
        except FileNotFoundError:
            return None
        except ServerError as error:
            if is_repeat and error.status == 412:
                return None  # what was meant is gone
            if not is_in_doubt(error):
                raise
            return error

    def _look(self, tries: int, failure: ServerError) -> Mapping[str, str] | None:
        """Describe what is there now. Raise the failure if that cannot be found out."""
        for number in range(tries):
            time.sleep(_PAUSE * 2**number if number else 0)
            try:
                response = self.client.request("HEAD", self.path, headers=self.key_headers, repeat=False)
                if response.status == 200 and "ETag" in response.headers:
                    return response.headers
                self.client.refuse(response, self.bucket, self.name, is_head=True)
            except FileNotFoundError:
                return None
            except ServerError:
                continue
        raise failure

    def _is_meant(self, found: Mapping[str, str], failure: ServerError) -> bool:
        """Tell whether what is there is what was to be deleted, and not what was stored since."""
        if self.meant is not None:
            return _identity(found) == _identity(self.meant)
        known = stored_at(found.get(TOKEN_HEADER, ""))
        if known is not None:
            return known < self.began
        if self._is_older(found):
            return True
        raise ServerError(
            f"It cannot be told whether {self.name!r} in the bucket {self.bucket!r} was deleted: the answer "
            "was lost, and what is there now was stored at about that time, so it was left alone. Look at "
            f"it, and delete it again if it is the same file. ({failure})",
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
    """An entity tag alone is the same for the same content, stored twice."""
    return tuple(found.get(header) for header in ("ETag", TOKEN_HEADER, "Last-Modified"))
