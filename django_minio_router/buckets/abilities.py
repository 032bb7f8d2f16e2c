"""The features of a server, tested in a temporary bucket."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..exceptions import ServerError
from ..naming import path_of
from ..s3.client import Client
from ..s3.content import MIN_PART_SIZE, Block
from ..s3.emptying import empty_bucket
from ..s3.listing import remove_bucket, uploads, versions
from ..s3.multipart import begin, completion, query_of
from ..s3.uploads import CHECKSUM_HEADER
from ..s3.xml import element, fetch, parse, send
from .ensure import make_bucket
from .policies import public_policy, write_policy

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_LARGEST_SKEW = 15 * 60  # seconds, which S3 allows
_KEY = "a folder/object.txt"
_TAKEN = (409, 412)


class Finding(NamedTuple):
    """A feature and whether the server has it; ``details`` are its response, or a measurement."""

    name: str
    is_there: bool
    details: str = ""


@dataclass(frozen=True)
class Scratch:
    """A temporary bucket for tests."""

    client: Client
    bucket: str

    def send(
        self, method: str, key: str | None = None, query: str = "", body: bytes | None = None, **headers: str
    ) -> BaseHTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, path_of(self.bucket, key), query, headers=named, body=body)

    def send_checked(
        self, method: str, key: str | None = None, *args: Any, **headers: Any
    ) -> BaseHTTPResponse:
        """Send the request, and raise ``ServerError`` if it is refused."""
        response = self.send(method, key, *args, **headers)
        if response.status >= 300:
            self.client.refuse(response, self.bucket, key or "", is_head=method == "HEAD")
        return response

    def anonymous(self, key: str) -> int:
        """Return the status of a request without keys."""
        path = path_of(self.bucket, key)
        answer = self.client.connections.send("GET", path, "", None, {}, stream=False, repeat=True)
        return answer.status

    def begin(self, key: str) -> str:
        return begin(self.client, self.bucket, key, {})[0]

    def put_in_a_part(self, key: str, body: bytes, **headers: str) -> BaseHTTPResponse:
        """Store the object by a multipart upload; the headers are those of the last request."""
        upload_id = self.begin(key)
        etag = self.send_checked("PUT", key, query_of(upload_id, 1), body).headers["ETag"]
        return self.complete(key, upload_id, etag, **headers)

    def complete(self, key: str, upload_id: str, etag: str, **headers: str) -> BaseHTTPResponse:
        return self.send("POST", key, query_of(upload_id), completion([(etag, "")]), **headers)


Probe: TypeAlias = Callable[[Scratch], "bool | str"]


def _conditional_put(scratch: Scratch) -> bool:
    scratch.send_checked("PUT", "conditional", body=b"1")
    answer = scratch.send("PUT", "conditional", body=b"2", If_None_Match="*")
    return answer.status in _TAKEN and scratch.send_checked("GET", "conditional").data == b"1"


def _conditional_complete(scratch: Scratch) -> bool:
    scratch.send_checked("PUT", "completed", body=b"1")
    answer = scratch.put_in_a_part("completed", b"22", If_None_Match="*")
    refused = answer.status in _TAKEN or b"PreconditionFailed" in answer.data
    return refused and scratch.send_checked("GET", "completed").data == b"1"


def _conditional_delete(scratch: Scratch) -> bool:
    scratch.send_checked("PUT", "kept", body=b"1")
    scratch.send("DELETE", "kept", If_Match='"00000000000000000000000000000000"')
    return scratch.send("HEAD", "kept").status == 200


def _checksums(scratch: Scratch) -> bool:
    right, other = Block(), Block()
    right.add(b"content")
    other.add(b"other")
    scratch.send_checked("PUT", "checked", body=b"content", **{CHECKSUM_HEADER: right.checksum})
    return scratch.send("PUT", "checked", body=b"content", **{CHECKSUM_HEADER: other.checksum}).status == 400


def _multipart(scratch: Scratch) -> bool:
    scratch.put_in_a_part(_KEY, b"part")
    return scratch.send_checked("GET", _KEY).data == b"part"


def _multipart_copy(scratch: Scratch) -> bool:
    scratch.send_checked("PUT", "source", body=bytes(MIN_PART_SIZE))
    upload_id = scratch.begin("copy")
    source = {"x-amz-copy-source": f"/{scratch.bucket}/source"}
    answer = scratch.send_checked("PUT", "copy", query_of(upload_id, 1), **source)
    etag = parse(answer.data).findtext("ETag") or ""
    scratch.complete("copy", upload_id, etag)
    return int(scratch.send_checked("HEAD", "copy").headers["Content-Length"]) == MIN_PART_SIZE


def _listed_uploads(scratch: Scratch) -> bool:
    upload_id = scratch.begin(_KEY)
    found = {upload.upload_id for upload in uploads(scratch.client, scratch.bucket, "a folder/")}
    return upload_id in found


def _range(scratch: Scratch) -> bool:
    scratch.send_checked("PUT", "range", body=b"0123456789")
    answer = scratch.send("GET", "range", Range="bytes=2-4")
    return answer.status == 206 and answer.data == b"234"


def _policies(scratch: Scratch) -> bool | str:
    scratch.send_checked("PUT", "public", body=b"1")
    if scratch.anonymous("public") == 200:
        return "anybody can read private objects"
    write_policy(scratch.client, scratch.bucket, public_policy(scratch.bucket, listing=False))
    status = scratch.anonymous("public")
    return status == 200 or f"the policy was accepted, but a visitor gets {status}"


def _configuration(query: str, root: Any, part: str) -> Probe:
    """Return a probe that writes a configuration of the bucket and reads it back."""

    def probe(scratch: Scratch) -> bool:
        send(scratch.client, "PUT", scratch.bucket, f"{query}=", root)
        return fetch(scratch.client, scratch.bucket, f"{query}=").find(f".//{part}") is not None

    return probe


def _versioning(scratch: Scratch) -> bool:
    root = element("VersioningConfiguration", Status="Enabled")
    send(scratch.client, "PUT", scratch.bucket, "versioning=", root)
    for _ in range(2):
        scratch.send_checked("PUT", "versions", body=b"1")
    return len(list(versions(scratch.client, scratch.bucket, "versions"))) == 2


def _object_lock(scratch: Scratch) -> bool:
    locked = Scratch(scratch.client, f"{scratch.bucket}-lock")
    locked.send_checked("PUT", body=b"", **{"x-amz-bucket-object-lock-enabled": "true"})
    try:
        return fetch(locked.client, locked.bucket, "object-lock=").findtext("ObjectLockEnabled") == "Enabled"
    finally:
        remove_bucket(locked.client, locked.bucket)


def _clock(scratch: Scratch) -> bool | str:
    date = scratch.send("HEAD").headers.get("Date", "")
    if not date:
        return "its responses have no Date"
    difference = parsedate_to_datetime(date).timestamp() - time.time()
    return abs(difference) < _LARGEST_SKEW or f"{difference:+.0f} s"


_CORS = element("CORSConfiguration", element("CORSRule", AllowedOrigin="*", AllowedMethod="GET"))
_RULE = element(
    "Rule", element("Filter", Prefix="old/"), element("Expiration", Days="1"), ID="1", Status="Enabled"
)
_SSE = element(
    "ServerSideEncryptionConfiguration",
    element("Rule", element("ApplyServerSideEncryptionByDefault", SSEAlgorithm="AES256")),
)
_TAGS = element("Tagging", element("TagSet", element("Tag", Key="a", Value="b")))

# The last ones change how the bucket stores objects.
PROBES: Mapping[str, Probe] = {
    "clock": _clock,
    "conditional PUT": _conditional_put,
    "conditional complete": _conditional_complete,
    "conditional DELETE": _conditional_delete,
    "checksums": _checksums,
    "range": _range,
    "multipart": _multipart,
    "multipart copy": _multipart_copy,
    "list of uploads": _listed_uploads,
    "policies": _policies,
    "CORS": _configuration("cors", _CORS, "CORSRule"),
    "lifecycle": _configuration("lifecycle", element("LifecycleConfiguration", _RULE), "Rule"),
    "tags": _configuration("tagging", _TAGS, "Tag"),
    "object lock": _object_lock,
    "encryption": _configuration("encryption", _SSE, "Rule"),
    "versioning": _versioning,
}


def find_features(client: Client) -> Iterator[Finding]:
    """Test each feature in a temporary bucket. ``ServerError`` if it cannot be created."""
    scratch = Scratch(client, f"check-server-{secrets.token_hex(6)}")
    make_bucket(client, scratch.bucket)
    try:
        for name, probe in PROBES.items():
            yield _finding(name, probe, scratch)
    finally:
        empty_bucket(client, scratch.bucket)


def _finding(name: str, probe: Probe, scratch: Scratch) -> Finding:
    try:
        answer = probe(scratch)
    except (ServerError, FileNotFoundError, KeyError) as error:
        code = getattr(error, "code", "") or type(error).__name__
        return Finding(name, False, f"{getattr(error, 'status', '') or ''} {code}".strip())
    return Finding(name, answer is True, answer if isinstance(answer, str) else "")
