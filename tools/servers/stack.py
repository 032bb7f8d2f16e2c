"""Run the servers for a demo, a test run or a benchmark within a `with` block."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from .ceph import Ceph
from .minio import MinIO
from .moto import Moto
from .postgres import Postgres
from .process import ServerError
from .seaweedfs import SeaweedFS
from .versitygw import VersityGW


class S3Server(Protocol):
    endpoint: str
    access_key: str
    secret_key: str

    def start(self) -> None: ...
    def stop(self) -> None: ...


S3_SERVERS: Mapping[str, Callable[[Path], S3Server]] = {
    "seaweedfs": SeaweedFS,
    "minio": MinIO,
    "versitygw": VersityGW,
    "ceph": Ceph,
    "moto": Moto,
}
S3_NAMES = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")


@contextmanager
def running(
    server: str = "seaweedfs", postgres: bool = True, data: Path | None = None
) -> Iterator[dict[str, str]]:
    """Yield the addresses of an S3 server and a PostgreSQL, by their names in the environment.

    Servers that the environment names already are taken as they are. The others start here, keep
    their data in `data` (none: a folder that goes with them), and stop at the end of the block,
    also on an error, Ctrl-C and SIGTERM. Call it from the main thread.
    """
    with ExitStack() as stack:
        stack.enter_context(_sigterm_as_ctrl_c())
        folder = stack.enter_context(_folder(data))
        addresses = _given_s3() or stack.enter_context(new_s3(server, folder))
        if postgres:
            addresses |= _given_postgres() or _start_postgres(stack, folder, durable=data is not None)
        yield addresses


@contextmanager
def new_s3(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """Yield the address of an S3 server that starts here, whatever the environment names."""
    server = S3_SERVERS[name](folder)
    try:
        server.start()
        values = (server.endpoint, server.access_key, server.secret_key)
        yield dict(zip(S3_NAMES, values, strict=True)) | {"MINIO_USE_HTTPS": "0"}
    finally:
        server.stop()


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """Yield a temporary folder, or the given one, which only one run may use at a time."""
    if data is None:
        with TemporaryDirectory(prefix="minio-router-") as temporary:
            yield Path(temporary)
        return
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServerError(
                f"The servers of another run keep their data in {data}. Stop that run, or name"
                " another folder."
            ) from error
        yield data.resolve()


def _given_s3() -> dict[str, str]:
    if not os.environ.get("MINIO_ENDPOINT"):
        return {}
    missing = [name for name in S3_NAMES if not os.environ.get(name)]
    if missing:
        raise ServerError(
            f"MINIO_ENDPOINT={os.environ['MINIO_ENDPOINT']} is set without {' and '.join(missing)}."
            " Set all of them to use that server, or none to start one here."
        )
    use_https = os.environ.get("MINIO_USE_HTTPS", "0")
    return {name: os.environ[name] for name in S3_NAMES} | {"MINIO_USE_HTTPS": use_https}


def _given_postgres() -> dict[str, str]:
    url = os.environ.get("DATABASE_URL")
    return {"DATABASE_URL": url} if url else {}


def _start_postgres(stack: ExitStack, folder: Path, *, durable: bool) -> dict[str, str]:
    server = Postgres(folder, durable=durable)
    stack.callback(server.stop)
    server.start()
    return {"DATABASE_URL": server.url}


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and a closed terminal raise KeyboardInterrupt, so that every `finally` runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in signals}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
