"""The time to create a link, which sends no request."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from statistics import median
from typing import Any

from .floor import plain_url
from .subjects import PRIVATE, PUBLIC, TENANT
from .workbench import Workbench, duration

Url = Callable[[Any], object]
ROWS = "per tenant, rows"
_BATCH = 20


def means(bench: Workbench, kind: str, count: int) -> list[float] | None:
    """Return (package, floor), nanoseconds a link. None where the package has no such links.

    ``kind`` is ``"new"`` (private, a new name each time), ``"same"`` (private, one name) or ``"public"``.
    """
    storage = bench.subject.public if kind == "public" else bench.private
    if storage is None:
        return None
    names = [bench.new_name() for _ in range(count)]
    asked = [names[0]] * count if kind == "same" else names
    storage.url(names[0] if kind == "same" else bench.new_name())
    floor = partial(plain_url, f"{bench.presign.origin}/{PUBLIC}/") if kind == "public" else _least(bench)
    return _alternately(storage.url, asked, floor, names)


def _least(bench: Workbench) -> Callable[[str], str]:
    presign, root = bench.presign, f"/{PRIVATE}/"
    return lambda name: presign("GET", plain_url(root, name))


def routing(bench: Workbench, kind: str, count: int) -> list[float]:
    """Return (router, backend), nanoseconds for a cached link: the cheapest call."""
    from django.conf import settings
    from django.contrib.contenttypes.models import ContentType
    from django.contrib.sessions.models import Session
    from django.core.signals import setting_changed
    from django.db import connection

    from django_minio_router import MinioRouter
    from django_minio_router.strategies import FixedBucket, PerModel, PerTenant

    strategies = {
        "fixed": FixedBucket(PRIVATE),
        "per tenant": PerTenant(),
        ROWS: PerTenant(),
        "per model": PerModel({"contenttypes.ContentType": PRIVATE}),
    }
    connection.set_schema(TENANT)  # sends no query
    row = Session(session_key=TENANT)  # a model of Django's with a key of text
    row._state.adding = False
    options = {"model": "sessions.Session", "key": "session_key", "current": lambda: row}
    rows = {"BACKEND": "django_minio_router.tenancy.RowTenancy", "OPTIONS": options}
    settings.MINIO_TENANCY = rows if kind == ROWS else None
    setting_changed.send(None, setting="MINIO_TENANCY", value=settings.MINIO_TENANCY, enter=True)
    router = MinioRouter(strategies[kind]).bind(ContentType._meta.get_field("model"))
    names = [bench.new_name()] * count
    router.url(names[0])
    return _alternately(router.url, names, router.backend.url, names)


def of_a_row(bench: Workbench, count: int) -> float:
    """Return nanoseconds for the link that is kept of a row's file, with the row read in a tenant."""
    from django.db import connection

    connection.set_schema(TENANT)  # sends no query
    row = _paper().from_db("default", ["id", "file"], [1, bench.new_name()])
    _batch(_link, [row])
    return median(_batch(_link, [row] * _BATCH) for _ in range(count // _BATCH))


@cache
def _paper() -> Any:
    from django.db import models

    from django_minio_router import MinioRouter
    from django_minio_router.strategies import PerTenant

    class Paper(models.Model):  # noqa: DJ008
        file = models.FileField(storage=MinioRouter(PerTenant()))

        class Meta:
            app_label = "contenttypes"

    return Paper


def _link(row: Any) -> object:
    return row.file.url


def _alternately(one: Url, its_names: list[str], other: Url, other_names: list[str]) -> list[float]:
    """Return nanoseconds a call for both: the median of small batches in turn, as one call is too short."""
    times = [
        (_batch(one, its_names[start : start + _BATCH]), _batch(other, other_names[start : start + _BATCH]))
        for start in range(0, len(its_names), _BATCH)
    ]
    return [median(batch) for batch in zip(*times, strict=True)]


def _batch(function: Url, names: list[Any]) -> float:
    def run() -> None:
        for name in names:
            function(name)

    return duration(run) / len(names)
