"""Saving: one conditional request for what fits into a part, parallel parts for what does not.

Nothing is visible before it is whole: a part that fails aborts the upload, and the last step carries the
condition too. Where a server does not check and store in one, the name is claimed first, by an empty object
that the parts replace at once. Memory stays at the parts under way, whatever the size of the file.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.utils.functional import cached_property

from ..exceptions import ServerError
from .content import MAX_PARTS, Block, Body, Source
from .deleting import Deletion
from .limits import not_counted
from .tokens import TOKEN_HEADER, new_token, remember
from .xml import document, element, parsed

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from .client import Client

logger = logging.getLogger(__name__)

PARALLEL_PARTS = 2
CHECKSUM_HEADER = "x-amz-checksum-crc32"
KEPT_HEADERS = frozenset(  # those that S3 keeps with an object and answers with, beside user metadata
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    }
)

# The servers whose last step looks for the name and stores under one lock. SeaweedFS 4.48 does one after
# the other: of 8 uploads completed at the same moment up to 8 succeeded, and one was left.
_SAFE_LAST_STEP = ("AmazonS3", "MinIO")

# What a repeat is told if the first try did it: half of an answer, no such upload any more, a taken name.
_PERHAPS_STORED = (200, 404, 409, 412)

_TAKEN = (b"<Code>ConditionalRequestConflict<", b"<Code>PreconditionFailed<")


def checksum_of(block: Block, client: Client) -> dict[str, str]:
    """Return the header by which the server refuses what changed on the way.

    Even for nothing at all: a bucket of AWS that keeps objects for some time refuses all without it.
    """
    return {CHECKSUM_HEADER: block.checksum} if client.sends_checksums else {}


@dataclass(frozen=True)
class Upload:
    """One save of one object. With ``only_new`` an object of that name must not be there yet; with
    ``if_match`` it must be there, and have that entity tag.

    ``claim_headers`` tell the empty object that holds the name for a moment from an empty file.
    """

    client: Client
    bucket: str
    name: str
    path: str
    headers: Mapping[str, str]
    only_new: bool
    progress: Any = None
    claim_headers: Mapping[str, str] = field(default_factory=dict)
    if_match: str = ""

    def run(self, source: Source) -> None:
        """Send the content. Raise ``FileExistsError`` when the name is taken; nothing is stored then."""
        if self.progress is not None:
            self.progress.set_meta(object_name=self.name, total_length=source.size)
        with not_counted():
            block = source.only_block()
        if block is not None:
            self._put(block)
        else:
            self._put_parts(source)

    def _put(self, block: Block) -> None:
        token = new_token()
        headers = {**self.headers, TOKEN_HEADER: token, **checksum_of(block, self.client)}
        self._store("PUT", "", headers, block.pieces, token, only_new=self.only_new)
        self._advance(len(block))

    def _put_parts(self, source: Source) -> None:
        if self.only_new and self._head().status == 200:
            raise self._taken()  # the last step would say so too, after all parts were sent
        token = new_token()
        upload_id, server = self._begin(token)
        try:
            with not_counted(), ThreadPoolExecutor(PARALLEL_PARTS) as threads:
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
        """Return the id of the upload, and the name of the server's software."""
        headers = {**self.headers, TOKEN_HEADER: token}
        if self._checks_parts:
            headers["x-amz-checksum-algorithm"] = "CRC32"
        response = self.client.request("POST", self.path, "uploads=", headers=headers)
        if response.status != 200:
            self.client.refuse(response, self.bucket, self.name)
        place = f"{self.bucket}/{self.name}"
        upload_id = parsed(self.client, place, response.data).findtext("UploadId")
        if not upload_id:
            raise self.client.not_s3(place, "there is no UploadId in its answer")
        return upload_id, response.headers.get("Server", "")

    @property
    def _checks_parts(self) -> bool:
        return self.client.sends_checksums

    def _send_parts(
        self, threads: ThreadPoolExecutor, upload_id: str, parts: Iterator[Block]
    ) -> Iterator[tuple[str, str]]:
        """Send each part, at most ``PARALLEL_PARTS`` at a time; yield entity tag and checksum in order."""
        under_way: deque[tuple[int, Future[tuple[str, str]]]] = deque()
        for number, part in enumerate(parts, 1):
            if number > MAX_PARTS:
                raise ServerError(
                    f"{self.name!r} has more than {MAX_PARTS} parts of {len(part)} bytes. "
                    "Raise MINIO_MULTIPART_PART_SIZE, or give the file a size."
                )
            under_way.append((len(part), threads.submit(self._send_part, upload_id, number, part)))
            del part
            if len(under_way) == PARALLEL_PARTS:
                yield self._finish(*under_way.popleft())
        while under_way:
            yield self._finish(*under_way.popleft())

    def _send_part(self, upload_id: str, number: int, part: Block) -> tuple[str, str]:
        headers = {**self._key_headers, **checksum_of(part, self.client)}
        query = f"partNumber={number}&uploadId={quote(upload_id, safe='')}"
        response = self.client.request("PUT", self.path, query, headers=headers, body=part.pieces)
        if response.status != 200:
            self.client.refuse(response, self.bucket, self.name)
        self._compare(response, headers)
        # None if the server has just refused it.
        checksum = headers.get(CHECKSUM_HEADER, "") if self.client.sends_checksums else ""
        return response.headers.get("ETag", ""), checksum

    def _compare(self, response: BaseHTTPResponse, sent: Mapping[str, str]) -> None:
        """Raise ``ServerError`` if the server says that it stored other bytes than were sent."""
        stored = response.headers.get(CHECKSUM_HEADER)
        if stored and stored != sent.get(CHECKSUM_HEADER, stored):
            raise ServerError(
                f"{self.name!r} in the bucket {self.bucket!r} has the checksum {stored} at "
                f"{self.client.server.endpoint}, and {sent[CHECKSUM_HEADER]} was sent: the content changed "
                "on the way. Save it again."
            )

    def _finish(self, length: int, part: Future[tuple[str, str]]) -> tuple[str, str]:
        result = part.result()
        self._advance(length)
        return result

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Hold the name with an empty object of our own, which goes when the block fails."""
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
        parts = [
            element(
                "Part",
                PartNumber=str(number),
                ETag=etag,
                **({"ChecksumCRC32": checksum} if checksum else {}),
            )
            for number, (etag, checksum) in enumerate(done, 1)
        ]
        body = document(element("CompleteMultipartUpload", *parts))
        query = f"uploadId={quote(upload_id, safe='')}"
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
        """Send the request that makes the object visible; settle what a lost answer leaves open.

        An object may be stored although the answer was lost, or was an error of a proxy on the way, and
        then a repeat of the request finds the name taken. The token in the object tells whose it is.
        """
        headers = {**headers, **self._condition(only_new)}
        takes_long = method == "POST" or body is None  # the server puts parts together, or copies
        try:
            response = self.client.request(
                method,
                self.path,
                query,
                headers=headers,
                body=body,
                takes_long=takes_long,
            )
        except ServerError:
            if self._is_stored(token):
                return
            raise
        if _says_stored(response):
            self._compare(response, headers)
            self.client.known_buckets.set(self.bucket, True)
            remember(token)
            return
        in_doubt = _was_repeated(response) or response.status == 200 or response.status >= 500
        if in_doubt and self._is_stored(token, answers=response.status in _PERHAPS_STORED):
            return
        try:
            self.client.refuse(response, self.bucket, self.name)
        except ServerError as error:
            if only_new and _says_taken(response):
                raise self._taken() from error
            raise

    def _condition(self, only_new: bool) -> dict[str, str]:
        if only_new:
            return {"If-None-Match": "*"}
        return {"If-Match": f'"{self.if_match}"'} if self.if_match else {}

    def _is_stored(self, token: str, *, answers: bool = False) -> bool:
        """Tell whether the object with this token is there; False also if that cannot be found out.

        A server that ``answers`` is asked again until it tells. ``ServerError`` if it does not: a save that
        took another name then would leave a copy that no row names.
        """
        try:
            found = self._look(repeat=answers)
        except ServerError as error:
            if answers:
                raise self._in_doubt(error) from error
            return False
        if found.get(TOKEN_HEADER) != token:
            return False
        remember(token)
        return True

    def _look(self, *, repeat: bool) -> Mapping[str, str]:
        """Return how the server describes what has the name now, nothing if it is free."""
        response = self._head(repeat=repeat)
        if response.status not in (200, 404):
            self.client.refuse(response, self.bucket, self.name, is_head=True)
        return response.headers if response.status == 200 else {}

    def _head(self, *, repeat: bool = True) -> BaseHTTPResponse:
        return self.client.request("HEAD", self.path, headers=self._key_headers, repeat=repeat)

    def _abort(self, upload_id: str) -> None:
        """Remove the parts. A failure is only logged: it must not hide the one that led here."""
        try:
            response = self.client.request("DELETE", self.path, f"uploadId={quote(upload_id, safe='')}")
            if response.status not in (200, 204, 404):
                self.client.refuse(response, self.bucket, self.name)
        except OSError as error:
            self._log_what_stays("parts", error)

    def _remove_claim(self, token: str) -> None:
        """Remove our empty claim and nothing else, and do not hide the error that led here."""
        try:
            found = self._look(repeat=True)
            if found.get(TOKEN_HEADER) == token:
                Deletion(self.client, self.bucket, self.name, self.path, found, self._key_headers).run()
        except OSError as error:
            self._log_what_stays("empty claim", error)

    def _log_what_stays(self, what: str, error: OSError) -> None:
        logger.warning("The %s of %r in %r stay on the server: %s", what, self.name, self.bucket, error)

    def _taken(self) -> FileExistsError:
        return FileExistsError(f"{self.name!r} is taken in the bucket {self.bucket!r}.")

    def _in_doubt(self, error: ServerError) -> ServerError:
        return ServerError(
            f"It cannot be told whether {self.name!r} was stored in {self.bucket!r}: the answer was lost, "
            "and the server does not say whose the object is that has this name now. Save it again; "
            f"clean_orphaned_minio_files removes what no row names. ({error})",
            status=error.status,
            code=error.code,
        )

    @cached_property
    def _key_headers(self) -> dict[str, str]:
        """A key of the customer's own goes with every request for the object."""
        return {k: v for k, v in self.headers.items() if "-customer-" in k.lower()}

    def _advance(self, length: int) -> None:
        if self.progress is not None:
            self.progress.update(length)


def _says_stored(response: BaseHTTPResponse) -> bool:
    """Tell whether the answer names the object. A completed upload says 200 before the work is done, and
    then perhaps an error, with the entity tag of a part; a page of something else says 200 too."""
    if response.status != 200 or b"<Error" in response.data:
        return False
    return "ETag" in response.headers or b"<ETag>" in response.data


def _says_taken(response: BaseHTTPResponse) -> bool:
    """Tell whether a condition was not met. A completed upload may say so within a 200."""
    return response.status in (409, 412) or any(code in response.data for code in _TAKEN)


def _was_repeated(response: BaseHTTPResponse) -> bool:
    return response.retries is not None and bool(response.retries.history)
