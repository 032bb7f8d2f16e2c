"""The lower bound: bare urllib3 requests, and links from a cached signing key."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

import urllib3

REGION = "us-east-1"
LIFE = 3600  # seconds
BLOCK = 256 * 1024  # bytes; what is sent and read at a time of a large body


class Server(NamedTuple):
    """The server that all workers of a run use."""

    endpoint: str
    access_key: str
    secret_key: str

    @classmethod
    def from_environment(cls) -> Server:
        names = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")
        return cls(*(os.environ[name] for name in names))


class Floor:
    """Presigned requests, on one persistent connection per thread."""

    def __init__(self, server: Server, *, threads: int = 64) -> None:
        self._connections = urllib3.connectionpool.connection_from_url(
            f"http://{server.endpoint}", maxsize=threads, blocksize=BLOCK, retries=False
        )
        self._presign = Presigner(server)

    def target(self, method: str, bucket: str, name: str) -> str:
        """Return the arguments of ``request``. Call it before the measurement."""
        return self._presign(method, f"/{bucket}/{quote(name)}").removeprefix(self._presign.origin)

    def request(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        response = self._connections.urlopen(method, target, body=body, headers=headers)
        if response.status not in (200, 204, 206):
            raise RuntimeError(f"{method} {target}: {response.status} {response.data[:300]!r}")
        return response.data

    def send(self, target: str, body: BinaryIO, length: int) -> None:
        headers = {"Content-Length": str(length)}
        response = self._connections.urlopen("PUT", target, body=body, headers=headers)
        if response.status != 200:
            raise RuntimeError(f"PUT {target}: {response.status} {response.data[:300]!r}")

    def blocks(self, target: str) -> Iterator[bytes]:
        response = self._connections.urlopen("GET", target, preload_content=False)
        yield from response.stream(BLOCK)
        response.release_conn()


class Presigner:
    """The least work for a signed link: one HMAC and one SHA-256, with everything else cached."""

    def __init__(self, server: Server) -> None:
        self.origin = f"http://{server.endpoint}"
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{date[:8]}/{REGION}/s3/aws4_request"
        key = f"AWS4{server.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._key = key
        self._query = (
            f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={quote(f'{server.access_key}/{scope}', '')}"
            f"&X-Amz-Date={date}&X-Amz-Expires={LIFE}&X-Amz-SignedHeaders=host"
        )
        self._head = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n"
        self._tail = f"\n{self._query}\nhost:{server.endpoint}\n\nhost\nUNSIGNED-PAYLOAD"

    def __call__(self, method: str, path: str) -> str:
        digest = sha256(f"{method}\n{path}{self._tail}".encode()).hexdigest()
        signature = hmac.digest(self._key, f"{self._head}{digest}".encode(), "sha256").hex()
        return f"{self.origin}{path}?{self._query}&X-Amz-Signature={signature}"


def plain_url(root: str, name: str) -> str:
    """The least work for a plain link."""
    return f"{root}{quote(name)}"
