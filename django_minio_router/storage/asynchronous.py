"""Async variants of the storage methods: the caller's context decides the bucket, a thread does the rest."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.core.files.storage import Storage
from django.db import close_old_connections

from ..s3.limits import cancelled

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

T = TypeVar("T")

_THREADS = 32  # concurrent calls from async code; others wait
_AHEAD = 2  # pieces that wait for a visitor
PIECE = 512 * 1024  # bytes that a thread reads at once


class AsyncMethods(Storage):
    """Async methods that decide on the bucket when they are called, before the coroutine is awaited.

    A cancelled call leaves nothing behind: a save in progress is aborted, and a completed one is deleted,
    since nobody knows its name.
    """

    links_take_requests = False
    replace_existing: bool

    def settled(self) -> Self:
        """Return the storage with the bucket of this caller, for use in another thread."""
        return self

    def asave(
        self, name: str | None, content: Any, max_length: int | None = None
    ) -> Coroutine[Any, Any, str]:
        """Do the same as ``save``."""
        storage = self.settled()
        # A replacement cannot be undone.
        undo = None if storage.replace_existing else storage.delete
        return in_thread(partial(storage.save, name, content, max_length=max_length), undo)

    def aopen(self, name: str, mode: str = "rb", **text: Any) -> AsyncOpening:
        """Open a file for reading. Await it, or enter it with ``async with``; see ``AsyncFile``."""
        if mode not in {"rb", "r", "rt"}:
            raise ValueError(f"{name!r} cannot be opened for writing in async code. Store it with asave().")
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
        return _completed(storage.url(name, **options))


async def _completed(value: T) -> T:
    return value


class AsyncFile:
    """An open file for async code, one task at a time.

    ``aread`` and ``achunks`` return bytes, or text if it was opened in a text mode. ``file`` is the
    underlying file for synchronous code. After a cancelled read, its position is unknown.
    """

    def __init__(self, file: Any) -> None:
        self.file = file
        self._lock = threading.Lock()  # a cancelled read may still be running

    @property
    def name(self) -> str:
        return str(self.file.name)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return int(self.file.size)

    def aread(self, size: int = -1) -> Coroutine[Any, Any, Any]:
        """Return up to ``size`` bytes or characters, or all the rest."""
        return in_thread(partial(self._locked, self.file.read, size))

    def achunks(self, chunk_size: int = PIECE) -> AsyncGenerator[Any, None]:
        """Yield the rest of the file, reading one chunk ahead."""
        return read_ahead(partial(self._locked, self.file.read, chunk_size))

    def aclose(self) -> Coroutine[Any, Any, None]:
        return in_thread(partial(self._locked, self.file.close))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.shield(self.aclose())

    def _locked(self, method: Callable[..., T], *arguments: Any) -> T:
        with self._lock:
            return method(*arguments)


class AsyncOpening:
    """A file to open: ``await`` it, or use it with ``async with``."""

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


async def read_ahead(take: Callable[[], T]) -> AsyncGenerator[T, None]:
    """Yield the results of ``take`` until one is empty, while a thread calls it for the next ones."""
    reader = _Reader(take)
    try:
        while piece := await reader.next():
            yield piece
    finally:
        reader.stop()


class _Reader(Generic[T]):
    """The results of a call that one thread at a time repeats, as long as fewer than ``_AHEAD`` wait.

    While somebody takes them as fast as they come and nobody waits for a thread, it stays: to hand over each
    call takes longer than to read a piece.
    """

    def __init__(self, take: Callable[[], T]) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._lock = threading.Lock()
        self._results: deque[Future[T]] = deque()
        self._is_reading = self._is_over = False

    async def next(self) -> T:
        """Return the next result, or raise the exception of the call."""
        while not self._results:
            self._came.clear()
            self._start()
            await self._came.wait()
        result = self._results.popleft()
        self._start()
        return result.result()

    def stop(self) -> None:
        self._is_over = True

    def _start(self) -> None:
        with self._lock:
            if self._is_reading or self._is_over or len(self._results) >= _AHEAD:
                return
            self._is_reading = True
        _executor().submit(self._read)

    def _read(self) -> None:
        threads = _executor()
        while True:
            result: Future[T] = Future()
            try:
                result.set_result(self._take())
            except BaseException as error:
                result.set_exception(error)
            with self._lock:
                self._results.append(result)
                self._is_over = self._is_over or result.exception() is not None or not result.result()
                reads_on = self._is_reading = not self._is_over and len(self._results) < _AHEAD
            self._loop.call_soon_threadsafe(self._came.set)
            if not reads_on:
                return
            if not threads._work_queue.empty():  # others wait for a thread; that has no public name
                threads.submit(self._read)
                return


async def in_thread(call: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Make the call in a thread with the caller's context variables, and return its result.

    If the caller is cancelled, the call continues to its end, and ``undo`` is called with its result.
    """
    job = _Job(call, undo)
    try:
        return await sync_to_async(job.run, thread_sensitive=False, executor=_executor())()
    except asyncio.CancelledError:
        if job.cancel():
            in_background(job.undo)
        raise


def in_background(call: Callable[[], object]) -> None:
    """Make the call in a thread without waiting for it."""
    _executor().submit(call)


class _Job(Generic[T]):
    """A call in a thread that another thread may cancel."""

    def __init__(self, call: Callable[[], T], undo: Callable[[T], object] | None) -> None:
        self._call, self._undo = call, undo
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._results: list[T] = []

    def run(self) -> T:
        token = cancelled.set(self._cancelled)
        close_old_connections()  # signal receivers, such as the quota, may use the database
        try:
            result = self._call()
        finally:
            close_old_connections()
            cancelled.reset(token)
        with self._lock:
            self._results.append(result)
            is_wanted = not self._cancelled.is_set()
        if not is_wanted:
            self.undo()
        return result

    def cancel(self) -> bool:
        """Cancel the call, and return whether it already has a result, which must be undone."""
        with self._lock:
            self._cancelled.set()
            return bool(self._results)

    def undo(self) -> None:
        if self._undo is None:
            return
        try:
            self._undo(self._results.pop())
        except Exception as error:
            logger.warning("A cancelled call could not be undone on the server: %s", error)


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="minio-router")


if hasattr(os, "register_at_fork"):  # a child does not inherit threads
    os.register_at_fork(after_in_child=_executor.cache_clear)
