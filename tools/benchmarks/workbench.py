"""The workbench of a worker: the package, the floor, and new names."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from functools import partial
from time import perf_counter_ns
from typing import Any

from .floor import Floor, Presigner, Server
from .subjects import SUBJECTS

BODY = random.Random(0).randbytes(10 * 1024)
MIB = 1024 * 1024
Call = Callable[[], object]


class Workbench:
    """One package on the server of the run."""

    def __init__(self, name: str) -> None:
        self.server = Server.from_environment()
        self.subject = SUBJECTS[name](self.server)
        self.floor = Floor(self.server)
        self.presign = Presigner(self.server)
        self._run = secrets.token_hex(4)
        self._count = 0

    @property
    def private(self) -> Any:
        return self.subject.private

    def new_name(self) -> str:
        self._count += 1
        return f"documents/2026/11/{self._run}-{self._count:06}.pdf"

    def saving(self, name: str) -> Call:
        """Return the call that saves 10 KiB under the name, as a form with an upload would."""
        from django.core.files.base import ContentFile

        return partial(self.private.save, name, ContentFile(BODY))

    def read(self, name: str) -> bytes:
        with self.private.open(name) as file:
            return bytes(file.read())

    def stored(self) -> str:
        """Return the name of an existing object of 10 KiB."""
        name = self.new_name()
        self.saving(name)()
        return name


def duration(call: Call) -> int:
    """Return the nanoseconds that the call takes."""
    start = perf_counter_ns()
    call()
    return perf_counter_ns() - start
