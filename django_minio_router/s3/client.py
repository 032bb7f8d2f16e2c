"""The clients: one per server and endpoint, for the life of the process.

Requests go directly through the pool with our own signature. Hooks and projects can get the SDK's client too.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

from django.core.signals import setting_changed
from django.utils.functional import cached_property

from ..caches import BoundedCache
from ..exceptions import ConfigurationError, ServerError
from ..naming import path_of, quote_object_name
from ..settings.declared import PREFIX
from ..settings.server import Server
from . import late
from .conditions import Conditions
from .content import Body
from .errors import bucket_not_found, clock_difference, not_s3, place_of, refused, unreachable, without_frames
from .keys import Keys, keys_of
from .memory import MemoryConnections
from .own_buckets import refuse_foreign_bucket, track
from .signing import EMPTY_PAYLOAD, UNSIGNED_PAYLOAD, Signer
from .xml import ParseError, parse

if TYPE_CHECKING:
    import urllib3
    from minio import Minio
    from urllib3.response import BaseHTTPResponse

    from .connections import Connections

logger = logging.getLogger(__name__)

Query: TypeAlias = "str | Callable[[str], str]"
_KNOWN_BUCKETS = 16_384
_SEEN_FOR = 30.0  # seconds for which a bucket that was seen is not requested again
_CACHED_LINKS = 8192
_KEYS_ACCEPTED = {"", "AccessDenied"}  # the second is for keys that may not list buckets
_UNKNOWN_HEADER = {"InvalidArgument", "NotImplemented"}
_SERVERS = ("AmazonS3", "MinIO", "SeaweedFS")


class Client:
    """Requests to one server, and links for it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._base_url, self._is_plain = server.base_url, server.is_plain
        self._keys = keys_of(server)
        self._signer = Signer(server.host, server.region, self._keys)
        self._seen: BoundedCache[str, bool] = BoundedCache(_KNOWN_BUCKETS, ttl=_SEEN_FOR)
        self.sends_checksums = server.checksums
        self.conditions = Conditions(self, server.conditional_writes)

    @cached_property
    def connections(self) -> Connections:
        """The connections, made by the first request: links do not need them."""
        made: Any
        if self.server.memory:
            made = MemoryConnections(self.server)
        else:
            made = late.connections().Connections(self.server, _registry.pool(self.server))
        return cast("Connections", made)

    @cached_property
    def sdk(self) -> Minio:
        """The SDK's client, made on first use."""
        made: Minio = late.sdk().make_sdk(self, self._keys)
        return made

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        stream: bool = False,
        repeat: bool = True,
        takes_long: bool = False,
    ) -> BaseHTTPResponse:
        """Send one signed request, repeated if the server cannot be reached or is busy.

        ``path`` is ``/bucket`` or ``/bucket/object`` in its quoted form, ``query`` quoted and sorted. For
        each repeated request, docs/design-notes.md says why it is safe with concurrent writers; one that is
        not, such as the deletion of an object, is sent without ``repeat``. Every response, errors included,
        is returned. Raise ``ServerError`` if there is none.
        """
        if self.server.test_prefix:
            refuse_foreign_bucket(self.server, path)
        payload = EMPTY_PAYLOAD if body is None else UNSIGNED_PAYLOAD
        host, wire_path = self.server.locate(path)
        headers = {} if headers is None else headers
        signed = self._signer.authorize(method, wire_path, query, headers, payload, host)
        response = self.connections.send(
            method, path, query, body, signed, stream=stream, repeat=repeat, takes_long=takes_long
        )
        if response.status in (400, 501) and self._refuses_checksums(response, headers):
            # Nothing was stored.
            headers = {k: v for k, v in headers.items() if not _is_checksum(k)}
            options: Any = {"stream": stream, "repeat": repeat, "takes_long": takes_long}
            return self.request(method, path, query, headers=headers, body=body, **options)
        return response

    def _refuses_checksums(self, response: BaseHTTPResponse, sent: Mapping[str, str]) -> bool:
        """Return whether the server does not support checksums. If so, stop sending them."""
        if not any(map(_is_checksum, sent)):
            return False
        code, message = _code_and_message(response)
        if code not in _UNKNOWN_HEADER or "checksum" not in message.lower():
            return False  # such as BadDigest: the checksum was compared, and differs
        if self.sends_checksums:
            self.sends_checksums = False
            logger.warning(
                "%s refuses checksums, so they are not sent. Set MINIO_CHECKSUMS to False.",
                self.server.endpoint,
            )
        return True

    def call(
        self,
        method: str,
        bucket: str,
        name: str | None = None,
        query: str = "",
        **options: Any,
    ) -> BaseHTTPResponse:
        """Send a request about a bucket or an object in it, with the options of ``request``.

        Raise what ``refuse`` does unless it succeeds.
        """
        response = self.request(method, path_of(bucket, name), query, **options)
        if response.status not in (200, 204):
            self.refuse(response, bucket, name or "", is_head=method == "HEAD")
        return response

    def head(self, path: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """Request the headers of an object, and again after a 404 that may not come from S3.

        The response may have been cut short: without a body, a HEAD does not show it.
        """
        response = self.request("HEAD", path, headers=headers)
        if response.status == 404 and not _is_from_s3(response.headers):
            response = self.request("HEAD", path, headers=headers)
        return response

    def send_once(self, time_limit: float, *, signed: bool = False) -> BaseHTTPResponse:
        """Send one request without retries, within ``time_limit`` seconds, signed or not."""
        if not signed:
            return self.connections.send_once(time_limit)
        query = "max-buckets=1"  # the list may be long
        headers = self._signer.authorize("GET", f"{self.server.path}/", query, {}, EMPTY_PAYLOAD)
        return self.connections.send_once(time_limit, f"?{query}", headers)

    def problem_with_keys(self, response: BaseHTTPResponse) -> str:
        """Return why the server refused the keys; empty if it accepted them, whatever their permissions."""
        code, message = _code_and_message(response)
        refused = response.status in (400, 401, 403) and code not in _KEYS_ACCEPTED
        return f"{code}: {message}".rstrip(".: ") if refused else ""

    def unreachable(self, error: Exception) -> ServerError:
        return unreachable(self.server, error)

    def not_s3(self, place: str, problem: str, *, status: int | None = None) -> ServerError:
        """Return the error for a response that does not come from an S3 server."""
        return not_s3(self.server, place, problem, status)

    @contextmanager
    def plain_errors(self, bucket: str) -> Iterator[None]:
        """Convert the SDK's errors about the bucket to ``ServerError`` and ``BucketNotFound``."""
        try:
            yield
        except late.sdk().ERRORS as error:
            plain: ServerError = late.sdk().plain_error(error, self.server, bucket)
            if plain.code == "NoSuchBucket":
                self.forget_bucket(bucket)
            raise plain from without_frames(error)

    def refuse(
        self, response: BaseHTTPResponse, bucket: str, name: str = "", *, is_head: bool = False
    ) -> NoReturn:
        """Raise the exception for an error response.

        Only S3 can say that something is missing: by its error code, or, since a response to HEAD has no
        body, by headers that a proxy's page does not have.
        """
        code, message = _code_and_message(response)
        place = place_of(bucket, name)
        missing = response.status == 404
        if missing and not code and not (is_head and _is_from_s3(response.headers)):
            raise self.not_s3(place, "its 404 does not come from S3", status=404)
        if code == "NoSuchBucket" or (missing and not code and not self.has_bucket(bucket)):
            self.forget_bucket(bucket)
            raise bucket_not_found(self.server, bucket)
        if missing and code in {"", "NoSuchKey"}:
            raise FileNotFoundError(f"There is no object {name!r} in the bucket {bucket!r}.")
        if response.status < 300 and not code:
            raise self.not_s3(place, "its response cannot be parsed")
        region = response.headers.get("x-amz-bucket-region", self.server.region)  # AWS sends it
        if region != self.server.region:
            message = f"{message} (the bucket is in {region!r}, and MINIO_REGION is {self.server.region!r})"
        if code == "RequestTimeTooSkewed":
            message = f"{message.rstrip('.')} ({clock_difference(response.headers)})"
        permission = getattr(response, "permission", None)
        raise refused(self.server, place, response.status, code, message, permission)

    def saw_bucket(self, bucket: str) -> None:
        """Note that the bucket exists, after a response for one of its objects."""
        self._seen.set(bucket, True)

    def forget_bucket(self, bucket: str) -> None:
        """Request the bucket again the next time that its existence matters."""
        self._seen.discard(bucket)

    def has_bucket(self, bucket: str) -> bool:
        """Return whether the bucket exists: the 404 of a HEAD does not say what is missing.

        A bucket seen within the last 30 seconds is not requested again.
        """
        if self._seen.get(bucket):
            return True
        response = self.request("HEAD", f"/{bucket}")
        if response.status == 200:
            self.saw_bucket(bucket)
            return True
        if response.status != 404:
            self.refuse(response, bucket)
        if not _is_from_s3(response.headers):
            raise self.not_s3(bucket, "its 404 does not come from S3", status=404)
        return False

    def links_in(self, bucket: str) -> Callable[[str, int, int, Query], str]:
        """Return the function that makes links with which anybody can read an object of the bucket.

        Its arguments are a name and those of ``Signer.presign``; ``extra`` may be a function of the name,
        called only if the link is not cached.
        """
        keys, cached_link = self._keys, self._link

        def link(name: str, life: int, at: int, extra: Query = "") -> str:
            return cached_link(keys(), bucket, name, life, at, extra)

        return link

    @lru_cache(maxsize=_CACHED_LINKS)  # noqa: B019  clients live as long as the process
    def _link(self, keys: Keys, bucket: str, name: str, life: int, at: int, extra: Query) -> str:
        if extra and not isinstance(extra, str):
            extra = extra(str(name))
        path = f"/{bucket}/{quote_object_name(name)}"
        if self._is_plain:
            query = self._signer.presign("GET", path, expires=life, at=at, extra=extra)
            return f"{self._base_url}{path}?{query}"
        host, signed_path = self.server.locate(path)
        query = self._signer.presign("GET", signed_path, expires=life, at=at, extra=extra, host=host)
        return f"{self.server.url_of(bucket)}{path.removeprefix(f'/{bucket}')}?{query}"

    def signed_put(
        self, bucket: str, name: str, headers: Mapping[str, str], life: int, at: int, extra: str = ""
    ) -> str:
        """Return a URL to which anybody may PUT with exactly these headers; see ``Signer.presign_put``."""
        path = path_of(bucket, name)
        host, signed_path = self.server.locate(path)
        query = self._signer.presign_put(signed_path, headers, expires=life, at=at, extra=extra, host=host)
        return f"{self.server.url_of(bucket)}{path.removeprefix(f'/{bucket}')}?{query}"


def _is_checksum(header: str) -> bool:
    return header.startswith("x-amz-checksum-")


def _is_from_s3(headers: Mapping[str, str]) -> bool:
    """Return whether a response without a body comes from S3: all servers send a request id."""
    if headers.get("Server", "").startswith(_SERVERS):
        return True
    return any(header.lower().startswith(("x-amz-", "x-amzn-", "x-minio-")) for header in headers)


def _code_and_message(response: BaseHTTPResponse) -> tuple[str, str]:
    """Return the S3 error code and message of a response; those to HEAD have no body."""
    code = response.headers.get("x-minio-error-code", "")
    try:
        root = parse(response.data)
    except ParseError:
        return code, response.reason or ""
    except late.connections().BROKEN:  # cut short
        return code, response.reason or ""
    texts = {element.tag: element.text or "" for element in root.iter()}
    return texts.get("Code", code), texts.get("Message", "")


class _Registry:
    """The clients of this process. A forked child starts with an empty one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[Server, Client] = {}
        self._pools: dict[tuple[Any, ...], urllib3.PoolManager] = {}

    def get(self, server: Server) -> Client:
        with self._lock:
            if server not in self._clients:
                self._clients[server] = Client(server)
                track(self._clients[server])
            return self._clients[server]

    def pool(self, server: Server) -> urllib3.PoolManager:
        """Return the pool for servers with these settings: the project's own if it sets one."""
        given, make = server.http_client, late.connections()
        key = given, server.pool_size, server.use_https
        with self._lock:
            if key not in self._pools:
                if given is None:
                    given = make.make_pool(server)
                elif os.getpid() != _process:
                    given = make.without_sockets(given)
                self._pools[key] = given
            return self._pools[key]


_registry = _Registry()
_process = os.getpid()
_abandoned: list[_Registry] = []

# Changes when clients and settings must be looked up again: after a fork, and when a test changes settings.
epoch = 0


def get_client(server: Server) -> Client:
    """Return the client for the server: the same one for the life of the process."""
    return _registry.get(server)


def known_clients() -> list[Client]:
    """Return the clients that this process has."""
    return list(_registry._clients.values())


def client_of(sdk: Minio) -> Client:
    """Return the client whose ``sdk`` this is."""
    client: Client | None = getattr(sdk, "router_client", None)
    if client is None:
        raise ConfigurationError(
            "This SDK client was not made by this package. Pass the one that the hook received."
        )
    return client


def forget_clients(*, setting: str = PREFIX, **kwargs: object) -> None:
    """Drop the clients, and make storages look up their settings again."""
    global _registry, epoch
    if setting.startswith(PREFIX) or setting == "STORAGES":
        _registry = _Registry()
        epoch += 1


def _leave_parent_clients() -> None:
    # Parent and child share the sockets, so nothing is closed. The old clients are kept: collecting their
    # pools may wait for a lock of a thread that does not exist here.
    _abandoned.append(_registry)
    forget_clients()


setting_changed.connect(forget_clients)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_parent_clients)
