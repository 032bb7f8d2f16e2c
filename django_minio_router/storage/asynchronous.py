"""The same calls for async code: the bucket is decided where the caller stands, a thread does the rest."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.core.files.storage import Storage
from django.db import close_old_connections

from ..s3.limits import called_off

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

T = TypeVar("T")

_THREADS = 32  # as many calls of async code are under way at once; more wait for their turn
PIECE = 512 * 1024  # bytes of a file that a thread hands over at once


class AsyncMethods(Storage):
    """Each call decides on its bucket at once, before the coroutine that it returns is awaited.

    A call that is cancelled leaves nothing behind: a save that is under way is called off, and one that was
    done is deleted, as nobody knows its name.
    """

    links_take_requests = False
    replace_existing: bool

    def settled(self) -> Self:
        """Return the storage as it is for this caller now, for use in another thread."""
        return self

    def asave(
        self, name: str | None, content: Any, max_length: int | None = None
    ) -> Coroutine[Any, Any, str]:
        """Do the same as ``save``."""
        storage = self.settled()
        # What replaced something cannot be taken back.
        undo = None if storage.replace_existing else storage.delete
        return in_thread(partial(storage.save, name, content, max_length=max_length), undo)

    def aopen(self, name: str, mode: str = "rb", **text: Any) -> AsyncOpening:
        """Open a file for reading. Await it, or enter it with ``async with``; see ``AsyncFile``."""
        if mode not in {"rb", "r", "rt"}:
            raise ValueError(f"{name!r} can be opened for reading only in async code. Store it with asave().")
        return AsyncOpening(partial(self.settled().open, name, mode, **text))

    def adelete(self, name: str) -> Coroutine[Any, Any, None]:
        return in_thread(partial(self.settled().delete, name))

    def aexists(self, name: str) -> Coroutine[Any, Any, bool]:
        return in_thread(partial(self.settled().exists, name))

    def asize(self, name: str) -> Coroutine[Any, Any, int]:
        return in_thread(partial(self.settled().size, name))

    def alistdir(self, path: str = "") -> Coroutine[Any, Any, tuple[list[str], list[str]]]:
        return in_thread(partial(self.settled().listdir, path))

    def aget_modified_time(self, name: str) -> Coroutine[Any, Any, datetime]:
        return in_thread(partial(self.settled().get_modified_time, name))

    def aurl(self, name: str | None, **options: Any) -> Coroutine[Any, Any, str]:
        """Do the same as ``url``, without a thread unless it has to look up where the file is."""
        storage = self.settled()
        if storage.links_take_requests:
            return in_thread(partial(storage.url, name, **options))
        return _known(storage.url(name, **options))


async def _known(value: T) -> T:
    return value


class AsyncFile:
    """An open file for async code, one task at a time.

    ``aread`` and ``achunks`` return bytes, or text if it was opened as such. ``file`` is the same file for
    other code. After a read that was cancelled its position is unknown.
    """

    def __init__(self, file: Any) -> None:
        self.file = file
        self._lock = threading.Lock()  # a read that was cancelled may still be under way

    @property
    def name(self) -> str:
        return str(self.file.name)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return int(self.file.size)

    def aread(self, size: int = -1) -> Coroutine[Any, Any, Any]:
        """Return as many bytes or characters, or all that is left."""
        return in_thread(partial(self._alone, self.file.read, size))

    def achunks(self, chunk_size: int = PIECE) -> AsyncGenerator[Any, None]:
        """Yield what is left of the file, and read the next chunk meanwhile."""
        return one_ahead(partial(self._alone, self.file.read, chunk_size))

    def aclose(self) -> Coroutine[Any, Any, None]:
        return in_thread(partial(self._alone, self.file.close))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.shield(self.aclose())

    def _alone(self, method: Callable[..., T], *arguments: Any) -> T:
        with self._lock:
            return method(*arguments)


class AsyncOpening:
    """A file that is about to be opened: ``await`` it, or enter it with ``async with``."""

    def __init__(self, open_file: Callable[[], Any]) -> None:
        self._open = open_file
        self._file: AsyncFile | None = None

    def __await__(self) -> Generator[Any, Any, AsyncFile]:
        return self._opened().__await__()

    async def _opened(self) -> AsyncFile:
        return AsyncFile(await in_thread(self._open, lambda file: file.close()))

    async def __aenter__(self) -> AsyncFile:
        self._file = await self
        return self._file

    async def __aexit__(self, *error: object) -> None:
        if self._file is not None:
            await self._file.__aexit__(*error)


# Threads


async def one_ahead(take: Callable[[], T]) -> AsyncGenerator[T, None]:
    """Yield what ``take`` returns until that is empty; from the second on, it is taken while the one before
    is used. The first is for somebody who waits, and nothing may come between."""
    # Without all that ``in_thread`` does, which takes longer than to read a piece.
    hop = partial(asyncio.get_running_loop().run_in_executor, _executor(), take)
    piece = await hop()
    under_way: asyncio.Future[T] | None = None
    try:
        while piece:
            yield piece
            piece = await (under_way or hop())
            under_way = hop() if piece else None
    finally:
        if under_way is not None and not (under_way.cancel() or under_way.cancelled()):
            under_way.exception()  # which nobody waits for


async def in_thread(call: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Return what the call returns, from a thread that has the caller's context variables.

    If the caller is cancelled, the call ends by itself; ``undo`` is then called with what it returned.
    """
    job = _Job(call, undo)
    try:
        return await sync_to_async(job.run, thread_sensitive=False, executor=_executor())()
    except asyncio.CancelledError:
        if job.call_off():
            in_background(job.take_back)
        raise


def in_background(call: Callable[[], object]) -> None:
    """Let a thread make the call, for which nobody waits."""
    _executor().submit(call)


class _Job(Generic[T]):
    """A call in a thread, which may be called off from another one."""

    def __init__(self, call: Callable[[], T], undo: Callable[[T], object] | None) -> None:
        self._call, self._undo = call, undo
        self._called_off = threading.Event()
        self._lock = threading.Lock()
        self._results: list[T] = []

    def run(self) -> T:
        token = called_off.set(self._called_off)
        close_old_connections()  # of signal receivers that look into the database, such as the quota
        try:
            result = self._call()
        finally:
            close_old_connections()
            called_off.reset(token)
        with self._lock:
            self._results.append(result)
            is_wanted = not self._called_off.is_set()
        if not is_wanted:
            self.take_back()
        return result

    def call_off(self) -> bool:
        """Let the call end, and tell whether it has ended already with something that nobody takes."""
        with self._lock:
            self._called_off.set()
            return bool(self._results)

    def take_back(self) -> None:
        if self._undo is None:
            return
        try:
            self._undo(self._results.pop())
        except Exception as error:
            logger.warning("What a cancelled call did stays on the server: %s", error)


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="minio-router")


if hasattr(os, "register_at_fork"):  # a child has none of the threads
    os.register_at_fork(after_in_child=_executor.cache_clear)
