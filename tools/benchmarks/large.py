"""A large file: time, memory and temporary files."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .environments import CACHE
from .subjects import PRIVATE
from .workbench import MIB, Call, Workbench, duration

Result = dict[str, float]


def save(bench: Workbench, mebibytes: int, floor_first: bool) -> Result:
    """Compare a save from a file on disk with one PUT that streams it."""
    bench.stored()  # what is set up once is not what is measured
    name = bench.new_name()
    target = bench.floor.target("PUT", PRIVATE, bench.new_name())
    with _large_file(mebibytes) as path:
        result = compare(
            partial(_save_file, bench, path, name), partial(_send_file, bench, path, target), floor_first
        )
    bench.private.delete(name)
    return result


def put(bench: Workbench, mebibytes: int) -> str:
    """Store an object that ``read`` can read; return its name."""
    name = bench.new_name()
    with _large_file(mebibytes) as path:
        _save_file(bench, path, name)
    return name


def read(bench: Workbench, name: str, floor_first: bool) -> Result:
    """Compare reading through ``chunks()`` with one GET that is read in blocks."""
    bench.read(bench.stored())
    target = bench.floor.target("GET", PRIVATE, name)
    return compare(
        partial(_read_chunks, bench, name), lambda: sum(map(len, bench.floor.blocks(target))), floor_first
    )


@contextmanager
def _large_file(mebibytes: int) -> Iterator[Path]:
    CACHE.mkdir(parents=True, exist_ok=True)  # not in the system's folder, which may be memory
    with tempfile.NamedTemporaryFile(dir=CACHE) as file:
        for _ in range(mebibytes):
            file.write(random.randbytes(MIB))
        file.flush()
        yield Path(file.name)


def _save_file(bench: Workbench, path: Path, name: str) -> None:
    from django.core.files import File

    with path.open("rb") as file:
        bench.private.save(name, File(file))


def _send_file(bench: Workbench, path: Path, target: str) -> None:
    with path.open("rb") as file:
        bench.floor.send(target, file, path.stat().st_size)


def _read_chunks(bench: Workbench, name: str) -> None:
    with bench.private.open(name) as file:
        for _ in file.chunks():
            pass


def compare(package: Call, floor: Call, floor_first: bool) -> Result:
    """Return both times, the growth of the peak memory in bytes, and the number of temporary files."""
    before = duration(floor) if floor_first else 0
    with _Watch() as watch:
        time = duration(package)
    return {
        "time": time,
        "growth": watch.growth,
        "files": watch.files,
        "floor": before or duration(floor),
    }


class _Watch:
    """The growth of the process's peak memory, and the temporary files opened, within the block."""

    _watching: _Watch | None = None

    def __enter__(self) -> _Watch:
        self.files = 0
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak to the current use
        self._before = _memory("VmRSS")
        _Watch._watching = self
        return self

    def __exit__(self, *failure: object) -> None:
        _Watch._watching = None
        self.growth = _memory("VmHWM") - self._before

    @classmethod
    def audit(cls, event: str, arguments: tuple[Any, ...]) -> None:
        if cls._watching is not None and event == "open" and _is_temporary(*arguments):
            cls._watching.files += 1


_TEMPORARY = tempfile.gettempdir()


def _is_temporary(path: object, mode: object, flags: int) -> bool:
    return isinstance(path, str) and path.startswith(_TEMPORARY) and bool(flags & (os.O_WRONLY | os.O_RDWR))


sys.addaudithook(_Watch.audit)


def _memory(field: str) -> int:
    """Return a figure of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
