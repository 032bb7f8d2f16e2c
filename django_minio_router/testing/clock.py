"""Run code at another time."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

from django.utils import timezone

_YEAR = datetime.timedelta(days=366)


class _AcceptsReal(type):
    """Accept real dates as instances: only the current time differs."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.__mro__[1])


class _Date(datetime.date, metaclass=_AcceptsReal):
    @classmethod
    def today(cls) -> Any:
        return datetime.date.fromtimestamp(time.time())


class _DateTime(datetime.datetime, metaclass=_AcceptsReal):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.datetime.fromtimestamp(time.time(), tz)

    @classmethod
    def today(cls) -> Any:
        return cls.now()

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)


@contextmanager
def in_a_year(project: str) -> Iterator[None]:
    """Move the clock of Django and of the modules of ``project`` forward by a year."""
    later = time.time() + _YEAR.total_seconds()
    other_of: dict[int, Any] = {  # by identity: comparing a lazy object, such as admin.site, would set it up
        id(datetime.date): _Date,
        id(datetime.datetime): _DateTime,
        id(time.time): lambda: later,
        id(time.gmtime): lambda at=later, _real=time.gmtime: _real(at),
        id(time.localtime): lambda at=later, _real=time.localtime: _real(at),
    }
    loaded = [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
    own = [module for module in loaded if module.__name__.partition(".")[0] == project]
    with ExitStack() as stack:
        for module in (time, datetime, timezone, *own):
            for name, value in list(vars(module).items()):
                if id(value) in other_of:
                    stack.enter_context(mock.patch.object(module, name, other_of[id(value)]))
        yield
