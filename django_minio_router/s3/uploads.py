"""Saving: one conditional request for content that fits into one part, else parallel parts.

An object is visible only when it is complete: a failing part aborts the upload, and the last step has the
condition too. If a server does not check and store atomically, the name is claimed first, with an empty
object that the completed upload replaces. Memory holds only the parts in progress, whatever the size of the
file.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils.functional import cached_property

from ..exceptions import ServerError
from ..naming import path_of
from .content import MAX_PARTS, Block, Body, Source
from .deleting import Deletion
from .limits import pause_limit
from .listing import abort
from .multipart import begin, completion, query_of
from .tokens import TOKEN_HEADER, new_token, remember

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from .client import Client

logger = logging.getLogger(__name__)

PARALLEL_PARTS = 2
CHECKSUM_HEADER = "x-amz-checksum-crc32"
KEPT_HEADERS = frozenset(  # headers that S3 stores with an object and returns, besides user metadata
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    }
)

# Servers that check for the name and complete the upload atomically. SeaweedFS 4.48 does not: of 8 uploads
# completed at the same time, up to 8 succeeded, and one object was left.
_SAFE_LAST_STEP = ("AmazonS3", "MinIO")

# Possible answers to a retry if the first attempt succeeded: a partial response, no such upload, a taken
# name.
_POSSIBLY_STORED = (200, 404, 409, 412)

_TAKEN = (b"<Code>ConditionalRequestConflict<", b"<Code>PreconditionFailed<")


def checksum_of(block: Block, client: Client) -> dict[str, str]:
    """Return the header that makes the server refuse content that changed in transit.

    Empty content has one too: AWS requires it in buckets with object lock.
    """
    return {CHECKSUM_HEADER: block.checksum} if client.sends_checksums else {}


@dataclass
class Upload:
    """One save of one object.

    With ``only_new``, no object of that name may exist yet; with ``if_match``, one must exist and have that
    entity tag.

    ``claim_headers`` distinguish the empty object that claims the name from an empty file.
    """

    client: Client
    bucket: str
    name: str
    headers: Mapping[str, str]
    only_new: bool
    progress: Any = None
    claim_headers: Mapping[str, str] = field(default_factory=dict)
    if_match: str = ""

    def run(self, source: Source) -> None:
        """Send the content. ``FileExistsError`` if the name is taken; nothing is stored then."""
        if self.progress is not None:
            self.progress.set_meta(object_name=self.name, total_length=source.size)
        with pause_limit():
            block = source.only_block()
        if block is not None:
            self._put(block)
        else:
            self._put_parts(source)

    def _put(self, block: Block) -> None:
        token = new_token()
        headers = {**self.headers, TOKEN_HEADER: token, **checksum_of(block, self.client)}
        self._store("PUT", "", headers, block.pieces, token, only_new=self.only_new)
        self._report_progress(len(block))

    def _put_parts(self, source: Source) -> None:
        if self.only_new and self._head().status == 200:
            raise self._name_taken()  # the last step would fail too, but after all parts were sent
        token = new_token()
        upload_id, server = self._begin(token)
        try:
            with pause_limit(), ThreadPoolExecutor(PARALLEL_PARTS) as threads:
                done = list(self._send_parts(threads, upload_id, source.blocks()))
            if self.only_new and not server.startswith(_SAFE_LAST_STEP):
                with self._claimed():
                    self._complete(upload_id, done, token, only_new=False)
            else:
                self._complete(upload_id, done, token, only_new=self.only_new)
        except BaseException:
            self._abort(upload_id)
            raise

    def _begin(self, token: str) -> tuple[str, str]:
        """Start the upload; return its id and the ``Server`` header."""
        headers = {**self.headers, TOKEN_HEADER: token}
        if self._checks_parts:
            headers["x-amz-checksum-algorithm"] = "CRC32"
        return begin(self.client, self.bucket, self.name, headers)

    @property
    def _checks_parts(self) -> bool:
        return self.client.sends_checksums

    def _send_parts(
        self, threads: ThreadPoolExecutor, upload_id: str, parts: Iterator[Block]
    ) -> Iterator[tuple[str, str]]:
        """Send the parts, at most ``PARALLEL_PARTS`` at a time; yield entity tags and checksums in order."""
        under_way: deque[tuple[int, Future[tuple[str, str]]]] = deque()
        for number, part in enumerate(parts, 1):
            if number > MAX_PARTS:
                raise ServerError(
                    f"{self.name!r} has more than {MAX_PARTS} parts of {len(part)} bytes. "
                    "Raise MINIO_MULTIPART_PART_SIZE, or use a file object that knows its size."
                )
            under_way.append((len(part), threads.submit(self._send_part, upload_id, number, part)))
            del part
            if len(under_way) == PARALLEL_PARTS:
                yield self._finish(*under_way.popleft())
        while under_way:
            yield self._finish(*under_way.popleft())

    def _send_part(self, upload_id: str, number: int, part: Block) -> tuple[str, str]:
        headers = {**self._key_headers, **checksum_of(part, self.client)}
        query = query_of(upload_id, number)
        response = self.client.call("PUT", self.bucket, self.name, query, headers=headers, body=part.pieces)
        self._check_checksum(response, headers)
        # Empty if the server has just refused checksums.
        checksum = headers.get(CHECKSUM_HEADER, "") if self.client.sends_checksums else ""
        return response.headers.get("ETag", ""), checksum

    def _check_checksum(self, response: BaseHTTPResponse, sent: Mapping[str, str]) -> None:
        """Raise ``ServerError`` if the server stored other bytes than were sent."""
        stored = response.headers.get(CHECKSUM_HEADER)
        if stored and stored != sent.get(CHECKSUM_HEADER, stored):
            raise ServerError(
                f"{self.name!r} in the bucket {self.bucket!r} has the checksum {stored} at "
                f"{self.client.server.endpoint}, but {sent[CHECKSUM_HEADER]} was sent: the content changed "
                "in transit. Save it again."
            )

    def _finish(self, length: int, part: Future[tuple[str, str]]) -> tuple[str, str]:
        result = part.result()
        self._report_progress(length)
        return result

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Claim the name with an empty object, which is removed if the block fails."""
        token = new_token()
        headers = {**self.headers, **self.claim_headers, TOKEN_HEADER: token}
        headers |= checksum_of(Block(), self.client)
        self._store("PUT", "", headers, b"", token, only_new=True)
        try:
            yield
        except BaseException:
            self._remove_claim(token)
            raise

    def _complete(self, upload_id: str, done: list[tuple[str, str]], token: str, *, only_new: bool) -> None:
        query, body = query_of(upload_id), completion(done)
        self._store("POST", query, self._key_headers, body, token, only_new=only_new)

    def _store(
        self,
        method: str,
        query: str,
        headers: Mapping[str, str],
        body: Body | None,
        token: str,
        *,
        only_new: bool,
    ) -> None:
        """Send the request that makes the object visible, and resolve the outcome of a lost response.

        An object may be stored although the response was lost, or was a proxy's error; then a retry finds the
        name taken. The token in the object shows whether it is ours.
        """
        headers = {**headers, **self._condition(only_new)}
        takes_long = method == "POST" or body is None  # the server combines parts, or copies
        try:
            response = self.client.request(
                method,
                path_of(self.bucket, self.name),
                query,
                headers=headers,
                body=body,
                takes_long=takes_long,
            )
        except ServerError:
            if self._is_stored(token):
                return
            raise
        if _is_success(response):
            self._check_checksum(response, headers)
            self.client.saw_bucket(self.bucket)
            remember(token)
            return
        outcome_unknown = _was_repeated(response) or response.status == 200 or response.status >= 500
        if outcome_unknown and self._is_stored(token, answers=response.status in _POSSIBLY_STORED):
            return
        try:
            self.client.refuse(response, self.bucket, self.name)
        except ServerError as error:
            if only_new and _is_conflict(response):
                raise self._name_taken() from error
            raise

    def _condition(self, only_new: bool) -> dict[str, str]:
        if only_new:
            return {"If-None-Match": "*"}
        return {"If-Match": f'"{self.if_match}"'} if self.if_match else {}

    def _is_stored(self, token: str, *, answers: bool = False) -> bool:
        """Return whether the object with this token exists; False also if the server does not respond.

        A server that ``answers`` gets retries. Raise ``ServerError`` if they fail: a save that then took
        another name would leave a copy that no row refers to.
        """
        try:
            found = self._current_headers(repeat=answers)
        except ServerError as error:
            if answers:
                raise self._outcome_unknown(error) from error
            return False
        if found.get(TOKEN_HEADER) != token:
            return False
        remember(token)
        return True

    def _current_headers(self, *, repeat: bool) -> Mapping[str, str]:
        """Return the headers of the object that has the name now; empty if it is free."""
        response = self._head(repeat=repeat)
        if response.status not in (200, 404):
            self.client.refuse(response, self.bucket, self.name, is_head=True)
        return response.headers if response.status == 200 else {}

    def _head(self, *, repeat: bool = True) -> BaseHTTPResponse:
        path = path_of(self.bucket, self.name)
        return self.client.request("HEAD", path, headers=self._key_headers, repeat=repeat)

    def _abort(self, upload_id: str) -> None:
        with self._cleaning_up("parts"):
            abort(self.client, self.bucket, self.name, upload_id)

    def _remove_claim(self, token: str) -> None:
        """Remove our empty claim and nothing else."""
        with self._cleaning_up("empty claim"):
            found = self._current_headers(repeat=True)
            if found.get(TOKEN_HEADER) == token:
                Deletion(self.client, self.bucket, self.name, found, self._key_headers).run()

    @contextmanager
    def _cleaning_up(self, what: str) -> Iterator[None]:
        """Only log a failure, so that it does not hide the original error."""
        try:
            yield
        except OSError as error:
            logger.warning("The %s of %r in %r could not be removed: %s", what, self.name, self.bucket, error)

    def _name_taken(self) -> FileExistsError:
        return FileExistsError(f"{self.name!r} is taken in the bucket {self.bucket!r}.")

    def _outcome_unknown(self, error: ServerError) -> ServerError:
        return ServerError(
            f"It is unknown whether {self.name!r} was stored in {self.bucket!r}: the response was lost, and "
            "the server does not say whether the object with this name is ours. Save it again; "
            f"clean_orphaned_minio_files removes what no row refers to. ({error})",
            status=error.status,
            code=error.code,
        )

    @cached_property
    def _key_headers(self) -> dict[str, str]:
        """A customer-provided key, which every request for the object needs."""
        return {k: v for k, v in self.headers.items() if "-customer-" in k.lower()}

    def _report_progress(self, length: int) -> None:
        if self.progress is not None:
            self.progress.update(length)


def _is_success(response: BaseHTTPResponse) -> bool:
    """Return whether the response confirms the object.

    Completing an upload may answer 200 first and then an error with the entity tag of a part. A proxy's page
    may have the status 200 too.
    """
    if response.status != 200 or b"<Error" in response.data:
        return False
    return "ETag" in response.headers or b"<ETag>" in response.data


def _is_conflict(response: BaseHTTPResponse) -> bool:
    """Return whether a condition failed. Completing an upload may report it within a 200."""
    return response.status in (409, 412) or any(code in response.data for code in _TAKEN)


def _was_repeated(response: BaseHTTPResponse) -> bool:
    return response.retries is not None and bool(response.retries.history)
