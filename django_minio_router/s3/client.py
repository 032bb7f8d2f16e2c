"""One client per server and audience, on one connection pool, for the life of the process.

The only module, beside the credentials in ``signing``, that knows the SDK. Data goes straight through
the pool with our own signature, since the SDK cannot say "only if absent", reads each part twice and
signs a link in 100 µs; everything about buckets goes through the SDK.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import re
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

import urllib3
from django.core.signals import setting_changed
from minio import Minio
from minio.credentials.providers import Provider, StaticProvider
from minio.error import MinioException, S3Error
from urllib3.exceptions import ClosedPoolError, HTTPError
from urllib3.response import BaseHTTPResponse

from ..caches import BoundedCache
from ..exceptions import BucketNotFound, ConfigurationError, ServerError
from ..naming import quote_object_name
from ..settings.config import Server
from ..settings.declared import PREFIX
from .connections import POOL_CLASSES
from .signing import EMPTY_PAYLOAD, UNSIGNED_PAYLOAD, Keys, Signer

logger = logging.getLogger(__name__)

_RETRY_STATUSES = (429, 500, 502, 503, 504)
_WHERE = re.compile(r"\A\w+\(host=[^)]*\): ")
PIECE = 256 * 1024  # bytes a body is sent in; the 16 KiB of http.client cost a third of the speed
Body: TypeAlias = "bytes | Sequence[bytes | memoryview]"
Query: TypeAlias = "str | Callable[[str], str]"
_KNOWN_BUCKETS = 16_384
_KEPT_LINKS = 8192


class Client:
    """Requests to, and links for, one server as one audience sees it."""

    def __init__(self, server: Server, pool: urllib3.PoolManager) -> None:
        self.server = server
        self.pool = pool
        self.credentials: Provider = server.credentials or StaticProvider(
            server.access_key, server.secret_key
        )
        # Kept as long as this client: its __del__ clears the pool.
        self.sdk = Minio(
            endpoint=server.endpoint,
            credentials=self.credentials,
            secure=server.use_https,
            region=server.region,
            http_client=pool,
        )
        self._signer = Signer(self._host_header(), server.region, self.credentials)
        self._origin = f"{'https' if server.use_https else 'http'}://{server.endpoint}"
        self._connections = pool.connection_from_url(self._origin)
        # A proxy for plain HTTP is asked for the whole URL.
        self._prefix = self._origin if pool.proxy and not server.use_https else ""
        # A project's own pool may say how long to wait and how often to try.
        self._retries = pool.connection_pool_kw.get("retries", _retries(server))
        self._timeout = pool.connection_pool_kw.get("timeout", _timeout(server))
        self.known_buckets: BoundedCache[str, bool] = BoundedCache(_KNOWN_BUCKETS)
        self.honours_conditions = server.conditional_writes  # None until it is known
        self._condition_lock = threading.Lock()

    def _host_header(self) -> str:
        default_port = ":443" if self.server.use_https else ":80"
        return self.server.endpoint.removesuffix(default_port)

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
    ) -> BaseHTTPResponse:
        """Send one signed request, repeated where the server could not be reached or was busy.

        ``path`` is ``/bucket`` or ``/bucket/object`` in its quoted form, ``query`` quoted and sorted.
        Repeats are safe for all that is sent here: a save that was repeated is settled by its token.
        Raise ``ServerError`` when no answer comes; every answer, errors included, is returned.
        """
        signed = self._signer.authorize(
            method, path, query, headers or {}, EMPTY_PAYLOAD if body is None else UNSIGNED_PAYLOAD
        )
        target = f"{path}?{query}" if query else path
        options = {"preload_content": not stream, "retries": self._retries if repeat else False}
        try:
            try:
                return self._send(method, target, body, signed, options)
            except ClosedPoolError:  # a project's own pool dropped ours in favour of other hosts
                self._connections = self.pool.connection_from_url(self._origin)
                return self._send(method, target, body, signed, options)
        except HTTPError as error:
            raise self.unreachable(error) from _without_frames(error)

    def _send(
        self,
        method: str,
        target: str,
        body: Body | None,
        headers: dict[str, str],
        options: Mapping[str, Any],
    ) -> BaseHTTPResponse:
        if body is not None and not (isinstance(body, bytes) and len(body) <= PIECE):
            # In pieces, since the time limit holds for each then, and not for the whole body.
            body = list(_pieces(body))
            headers["Content-Length"] = str(sum(map(len, body)))
        return self._connections.urlopen(
            method,
            self._prefix + target,
            body=body,  # type: ignore[arg-type]  # a memoryview is sent as bytes are
            headers=headers,
            timeout=self._timeout,
            pool_timeout=self.server.read_timeout,  # type: ignore[arg-type]  # a project's own pool may block
            redirect=False,
            assert_same_host=not self._prefix,
            decode_content=False,
            **options,
        )

    def unreachable(self, error: Exception) -> ServerError:
        return ServerError(
            f"No answer from the S3 server at {self.server.endpoint}: {cause_of(error)}. Check that it runs "
            "and that MINIO_ENDPOINT and MINIO_USE_HTTPS are right."
        )

    @contextmanager
    def plain_errors(self, bucket: str) -> Iterator[None]:
        """Turn what the SDK raises about the bucket into ``ServerError`` and ``BucketNotFound``."""
        try:
            yield
        except S3Error as error:
            status = error.response.status if error.response else None
            if error.code == "NoSuchBucket":
                raise self._bucket_not_found(bucket) from _without_frames(error)
            refused = self._refused(bucket, status, error.code or "", error.message or "")
            raise refused from _without_frames(error)
        except MinioException as error:
            refused = self._refused(bucket, None, type(error).__name__, str(error))
            raise refused from _without_frames(error)
        except (ElementTree.ParseError, json.JSONDecodeError) as error:
            raise self.nonsense(bucket, f"its answer cannot be read ({error})") from _without_frames(error)
        except HTTPError as error:
            raise self.unreachable(error) from _without_frames(error)

    def refuse(self, response: BaseHTTPResponse, bucket: str, name: str = "") -> NoReturn:
        """Raise the error that the server's answer stands for."""
        code, message = _error_of(response)
        missing = response.status == 404
        if code == "NoSuchBucket" or (missing and not code and not self.has_bucket(bucket)):
            raise self._bucket_not_found(bucket)
        if missing and code in {"", "NoSuchKey"}:
            raise FileNotFoundError(f"There is no object {name!r} in the bucket {bucket!r}.")
        place = f"{bucket}/{name}" if name else bucket
        if response.status < 300 and not code:
            raise self.nonsense(place, "its answer cannot be read")
        region = response.headers.get("x-amz-bucket-region", self.server.region)  # AWS tells it
        if region != self.server.region:
            message = f"{message} (the bucket is in {region!r}, and MINIO_REGION is {self.server.region!r})"
        raise self._refused(place, response.status, code, message)

    def nonsense(self, place: str, problem: str) -> ServerError:
        """Return the error for an answer that no S3 server would give."""
        return ServerError(
            f"What answers at {self.server.endpoint} for {place!r} is no S3 server: {problem}. Check "
            "MINIO_ENDPOINT, and any proxy before it."
        )

    def check_object(self, response: BaseHTTPResponse, place: str) -> None:
        """Raise ``ServerError`` unless the answer has what S3 says of every object; a web page has not."""
        for header in ("Content-Length", "ETag", "Last-Modified"):
            if header not in response.headers:
                raise self.nonsense(place, f"there is no {header} in its answer")

    def _bucket_not_found(self, bucket: str) -> BucketNotFound:
        self.known_buckets.discard(bucket)
        return BucketNotFound(
            f"The bucket {bucket!r} does not exist at {self.server.endpoint}. "
            "Create it with 'manage.py initialize_buckets'.",
            status=404,
            code="NoSuchBucket",
        )

    def _refused(self, place: str, status: int | None, code: str, message: str) -> ServerError:
        remedy = " Check MINIO_ACCESS_KEY and MINIO_SECRET_KEY." if status == 403 else ""
        answer = " ".join(str(part) for part in (status, code, message) if part).rstrip(".")
        return ServerError(
            f"The S3 server at {self.server.endpoint} refused {place!r}: {answer}.{remedy}",
            status=status,
            code=code,
        )

    def has_bucket(self, bucket: str) -> bool:
        """Tell whether the bucket exists; asks once, as the 404 of a HEAD does not say what is missing."""
        if self.known_buckets.get(bucket):
            return True
        response = self.request("HEAD", f"/{bucket}")
        if response.status == 200:
            self.known_buckets.set(bucket, True)
            return True
        if response.status != 404:
            self.refuse(response, bucket)
        return False

    def link(self, bucket: str, name: str, life: int, at: int, extra: Query = "") -> str:
        """Return a link that shows an object to anybody; see ``Signer.presign``.

        ``extra`` may be a function of the name: it is called for a link that is not kept.
        """
        return self._link(self._signer.keys(), bucket, name, life, at, extra)

    @lru_cache(maxsize=_KEPT_LINKS)  # noqa: B019  clients live as long as the process
    def _link(self, keys: Keys, bucket: str, name: str, life: int, at: int, extra: Query) -> str:
        path = f"/{bucket}/{quote_object_name(name)}"
        if extra and not isinstance(extra, str):
            extra = extra(str(name))
        query = self._signer.presign("GET", path, expires=life, at=at, extra=extra)
        return f"{self.server.base_url}{path}?{query}"

    def try_conditions(self, bucket: str, name: str, headers: Mapping[str, str]) -> bool:
        """Find out once whether the server keeps ``If-None-Match: *``, with an object of that name.

        It is written twice, empty, with these headers, and removed. A server that takes the second write
        ignores conditions; one that takes it only without a condition has none.
        """
        # Others wait for the answer, but not one after the other for a server that gives none.
        locked = self._condition_lock.acquire(timeout=self.server.read_timeout)
        try:
            if self.honours_conditions is None:
                self.honours_conditions = self._try_condition(bucket, name, headers)
        finally:
            if locked:
                self._condition_lock.release()
        return self.honours_conditions

    def _try_condition(self, bucket: str, name: str, headers: Mapping[str, str]) -> bool:
        path = f"/{bucket}/{quote_object_name(name)}"
        answers: list[int] = []
        try:
            for known in (200, 412, 501), (200, 412):
                condition = {} if 501 in answers else {"If-None-Match": "*"}
                answer = self.request("PUT", path, headers={**headers, **condition}, body=b"")
                answers.append(answer.status)
                if answer.status not in known:
                    self.refuse(answer, bucket)
        finally:
            if 200 in answers or 412 in answers:
                self._remove_trial(path)
        honoured = 412 in answers  # perhaps the first: when its answer is lost it is repeated
        if not honoured:
            logger.warning(
                "%s does not keep conditional writes, so every saved name gets a random suffix.",
                self.server.endpoint,
            )
        return honoured

    def _remove_trial(self, path: str) -> None:
        with suppress(ServerError):
            if self.request("DELETE", path).status in (200, 204):
                return
        logger.warning(
            "The empty object %s stays at %s. Where the key may not delete, set MINIO_CONDITIONAL_WRITES, "
            "and no server is tried.",
            path,
            self.server.endpoint,
        )


def _without_frames(error: BaseException) -> BaseException:
    """Return the error as a cause without the frames of the SDK and of urllib3: their variables are keys and
    signed headers, which debug pages show."""
    below = error.__cause__ or error.__context__
    if below is not None:
        _without_frames(below)
    return error.with_traceback(None)


def _pieces(body: Body) -> Iterator[memoryview]:
    for part in [body] if isinstance(body, bytes) else body:
        view = memoryview(part)
        yield from (view[at : at + PIECE] for at in range(0, len(view), PIECE))


def _pool(server: Server) -> urllib3.PoolManager:
    pool = urllib3.PoolManager(
        num_pools=1000,
        maxsize=server.pool_size,
        block=False,
        blocksize=PIECE,
        timeout=_timeout(server),
        retries=_retries(server),  # the SDK's requests too are repeated, and not redirected
    )
    pool.pool_classes_by_scheme = POOL_CLASSES
    return pool


def _timeout(server: Server) -> urllib3.Timeout:
    return urllib3.Timeout(connect=server.connect_timeout, read=server.read_timeout)


def _retries(server: Server) -> urllib3.Retry:
    return urllib3.Retry(
        total=server.retries,
        backoff_factor=0.1,
        status_forcelist=_RETRY_STATUSES,
        allowed_methods=None,
        redirect=False,
        raise_on_status=False,
        respect_retry_after_header=False,
    )


def cause_of(error: Exception) -> str:
    """Return what went wrong, without the class and host with which ``urllib3`` begins."""
    return _WHERE.sub("", str(getattr(error, "reason", None) or error))


def _error_of(response: BaseHTTPResponse) -> tuple[str, str]:
    """Return the S3 error code and message of an answer; a HEAD has no body to hold them."""
    code = response.headers.get("x-minio-error-code", "")
    try:
        root = ElementTree.fromstring(response.data)  # noqa: S314  the server is trusted with the data itself
    except (ElementTree.ParseError, HTTPError):
        return code, response.reason or ""
    texts = {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter()}
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
                self._clients[server] = Client(server, self._pool(server))
            return self._clients[server]

    def of(self, sdk: Minio) -> Client:
        with self._lock:
            for client in self._clients.values():
                if client.sdk is sdk:
                    return client
        raise ConfigurationError(
            "This SDK client is not of this package. Pass on the one that the hook was given."
        )

    def _pool(self, server: Server) -> urllib3.PoolManager:
        """Return the pool that all servers with these settings share."""
        key = (
            server.http_client,
            server.pool_size,
            server.connect_timeout,
            server.read_timeout,
            server.retries,
        )
        if key not in self._pools:
            self._pools[key] = _own(server.http_client) if server.http_client else _pool(server)
        return self._pools[key]


_registry = _Registry()
_process = os.getpid()
_abandoned: list[_Registry] = []

# Changes when clients and settings must be looked up again: after a fork, and in tests that set settings.
epoch = 0


def get_client(server: Server) -> Client:
    """Return the client for the server, the same one for the life of the process."""
    return _registry.get(server)


def client_of(sdk: Minio) -> Client:
    """Return the client whose ``sdk`` this is."""
    return _registry.of(sdk)


def _own(pool: urllib3.PoolManager) -> urllib3.PoolManager:
    """Return the project's pool, in a forked child one of the same make without the parent's sockets."""
    if os.getpid() == _process:
        return pool
    own = copy.copy(pool)
    own.pools = type(pool.pools)(100)
    return own


def _forget_clients(*, setting: str = PREFIX, **kwargs: object) -> None:
    global _registry, epoch
    if setting.startswith(PREFIX) or setting == "STORAGES":
        _registry = _Registry()
        epoch += 1


def _forget_parent() -> None:
    # Parent and child share the sockets. Nothing is closed, and the old clients are kept: collecting them
    # would run the SDK's __del__, which may wait for a lock that no thread of this process holds.
    _abandoned.append(_registry)
    _forget_clients()


setting_changed.connect(_forget_clients)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
