"""Copies made by the server: in one request, or in parts for a large object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from .content import MAX_PARTS, Source
from .multipart import query_of
from .tokens import TOKEN_HEADER, new_token
from .uploads import Upload
from .xml import parsed

COPY_LIMIT = 5 * 1024**3  # bytes; a larger object is copied in parts
COPY_PART = 512 * 1024**2


@dataclass
class Copy(Upload):
    """An object that the server copies from another one, which the ``source`` headers name."""

    source: Mapping[str, str] = field(default_factory=dict)

    def copy(self, size: int, *, keeps_metadata: bool) -> None:
        """Copy an object of this size, with new headers unless ``keeps_metadata``.

        A copy in one request is not repeated: the copy may have been deleted, and its name taken.
        """
        if size > COPY_LIMIT:
            self.run(cast("Source", _Ranges(size)))
            return
        changed = {} if keeps_metadata else {"x-amz-metadata-directive": "REPLACE", **self.headers}
        if self.if_match:
            changed["If-Match"] = f'"{self.if_match}"'
        headers = {**self.source, **changed}
        response = self.client.call(
            "PUT", self.bucket, self.name, headers=headers, takes_long=True, repeat=False
        )
        if b"<ETag>" not in response.data:  # S3 may answer 200 before it copies, and then send an error
            self.client.refuse(response, self.bucket, self.name)

    def copy_new(self, size: int) -> None:
        """Copy an object of this size, with these headers. ``FileExistsError`` if the name is taken.

        The name is claimed first: MinIO ignores ``If-None-Match`` for a copy.
        """
        if size > COPY_LIMIT:
            self.run(cast("Source", _Ranges(size)))
        elif self.only_new:
            with self._claimed():
                self._copy_over()
        else:
            self._copy_over()

    def _copy_over(self) -> None:
        token = new_token()
        replaced = {"x-amz-metadata-directive": "REPLACE", **self.headers, TOKEN_HEADER: token}
        self._store("PUT", "", {**self.source, **replaced}, None, token, only_new=False)

    @property
    def _checks_parts(self) -> bool:
        """The server reads its own bytes, and MinIO has no checksum for objects stored without one."""
        return False

    def _send_part(self, upload_id: str, number: int, part: Any) -> tuple[str, str]:
        headers = {**self.source, "x-amz-copy-source-range": f"bytes={part.start}-{part.stop - 1}"}
        query = query_of(upload_id, number)
        response = self.client.call("PUT", self.bucket, self.name, query, headers=headers, takes_long=True)
        answer = parsed(self.client, self.bucket, response.data)
        return answer.findtext("ETag") or "", ""


@dataclass(frozen=True)
class _Ranges:
    """A stand-in for ``Source`` whose parts are byte ranges, since the server reads the content."""

    size: int

    def only_block(self) -> None:
        return None

    def blocks(self) -> Iterator[range]:
        part = max(COPY_PART, -(-self.size // MAX_PARTS))
        for start in range(0, self.size, part):
            yield range(start, min(start + part, self.size))
