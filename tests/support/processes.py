"""Run work in forked children, wait for them, and report their errors."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import NoReturn

LIMIT = 120  # seconds after which a hanging child is ended, with a traceback of each thread


def in_children(count: int, work: Callable[[int], object]) -> None:
    """Fork ``count`` children that call ``work(number)``, and fail with their errors.

    They begin when all are there.
    """
    closed, gate = os.pipe()

    def begin(number: int) -> None:
        os.close(gate)
        os.read(closed, 1)  # returns at the end of the pipe, when nobody holds the gate
        work(number)

    children = [_fork(begin, number) for number in range(count)]
    os.close(gate)
    os.close(closed)
    errors = [error for error in map(_error_of, children) if error]
    assert not errors, "\n\n".join(errors)


def _fork(work: Callable[[int], object], number: int) -> tuple[int, int]:
    """Return the child's process id, and a file descriptor for its error."""
    read, write = os.pipe()
    # A child waits for good if a thread that it does not have held the lock in which coverage keeps its data.
    tracer = sys.gettrace()
    sys.settrace(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is what is tested
        process = os.fork()
    if process:
        sys.settrace(tracer)
        os.close(write)
        return process, read
    os.close(read)
    _run(work, number, write)


def _run(work: Callable[[int], object], number: int, write: int) -> NoReturn:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.register(signal.SIGALRM, file=write, chain=True)
    signal.alarm(LIMIT)
    threading.settrace(None)  # type: ignore[arg-type]  # see _fork
    try:
        work(number)
    except BaseException:
        os.write(write, f"in child {number}: {traceback.format_exc()}".encode()[:60_000])
        os._exit(1)
    finally:
        sys.stdout.flush()
    os._exit(0)


def _error_of(child: tuple[int, int]) -> str:
    process, read = child
    with open(read, encoding="utf-8", errors="replace") as pipe:
        error = pipe.read()
    _, status = os.waitpid(process, 0)
    return error or (f"a child ended with {status}: it crashed" if status else "")
