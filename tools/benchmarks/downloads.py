"""A large file as a Django response, read as fast as it comes."""

from __future__ import annotations

import asyncio
from typing import Any

from .large import Result, compare
from .subjects import PRIVATE
from .workbench import Workbench


def stream(bench: Workbench, name: str, is_async: bool, floor_first: bool) -> Result:
    """Compare ``ObjectResponse`` with one GET that is read in blocks."""
    bench.read(bench.stored())
    target = bench.floor.target("GET", PRIVATE, name)
    take = _take_async if is_async else _take
    return compare(lambda: take(bench, name), lambda: sum(map(len, bench.floor.blocks(target))), floor_first)


def _response(bench: Workbench, name: str, request: Any) -> Any:
    from django_minio_router import ObjectResponse

    return ObjectResponse(bench.private, name, request=request)


def _take(bench: Workbench, name: str) -> None:
    from django.test import RequestFactory

    for _ in _response(bench, name, RequestFactory().get("/")):
        pass


def _take_async(bench: Workbench, name: str) -> None:
    from django.test import AsyncRequestFactory

    async def take() -> None:
        async for _ in _response(bench, name, AsyncRequestFactory().get("/")):
            pass

    asyncio.run(take())
