"""Where our time above the floor goes: layer by layer beside the floor, and a profile of the code."""

from __future__ import annotations

import base64
import cProfile
import pstats
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .operations import PAIRS
from .subjects import PRIVATE
from .workbench import BODY, Call, Workbench, duration

_HEADERS = {
    "save": {
        "Content-Type": "application/pdf",
        "If-None-Match": "*",
        "x-amz-meta-upload-token": "0" * 32,
        "x-amz-checksum-crc32": base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode(),
    },
    "read": {"Range": "bytes=0-196607"},
    "exists": {},
}
_METHODS = {"save": "PUT", "read": "GET", "exists": "HEAD"}
_WAITING = ("recv_into", "sendall", "poll", "connect")
_PLACES = {"django_minio_router": "this package", "urllib3": "urllib3", "django": "Django"}


def layers(bench: Workbench, kind: str, count: int) -> dict[str, list[tuple[int, int]]]:
    """Return (layer, floor) in nanoseconds for each layer of an operation, all in one loop."""
    timed: dict[str, list[tuple[int, int]]] = {}
    for _, calls in zip(range(count), _layers(bench, kind), strict=False):
        floor = duration(calls.pop("floor"))
        for label, call in calls.items():
            timed.setdefault(label, []).append((duration(call), floor))
    return timed


def _layers(bench: Workbench, kind: str) -> Iterator[dict[str, Call]]:
    """Yield calls that do the same, each with one layer more."""
    client = bench.private._route().internal
    method, headers, body = _METHODS[kind], _HEADERS[kind], BODY if kind == "save" else None
    payload = "UNSIGNED-PAYLOAD"
    stored = bench.stored()
    for package, floor in PAIRS[kind](bench):
        names = [bench.new_name() if kind == "save" else stored for _ in range(3)]
        target = bench.floor.target(method, PRIVATE, names[0])
        ready, signed = (f"/{PRIVATE}/{name}" for name in names[1:])
        ready_headers = client._signer.authorize(method, ready, "", headers, payload)
        calls: dict[str, Call] = {"floor": floor}
        if kind == "save":
            condition = {"If-None-Match": "*"}
            calls["the condition, kept by the server"] = partial(
                bench.floor.request, method, target, body, condition
            )
        calls |= {
            "our headers, made beforehand": partial(bench.floor.request, method, ready, body, ready_headers),
            "signed by our client": partial(client.request, method, signed, headers=headers, body=body),
            "the whole call": package,
        }
        yield calls


def profile(bench: Workbench, kind: str, count: int) -> dict[str, dict[str, float]]:
    """Return seconds by place of the code, for the package and the floor; waiting for the server left out."""
    pairs = [pair for _, pair in zip(range(count), PAIRS[kind](bench), strict=False)]
    return {
        "ours": _profile([package for package, _ in pairs]),
        "floor": _profile([floor for _, floor in pairs]),
    }


def _profile(calls: list[Call]) -> dict[str, float]:
    profiler = cProfile.Profile()
    profiler.enable()
    for call in calls:
        call()
    profiler.disable()
    places: Counter[str] = Counter()
    for (path, _, function), row in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        if not any(name in function for name in _WAITING):
            places[_place(path)] += row[2]  # the time in the function itself
    return dict(places)


def _place(path: str) -> str:
    if path == "~":
        return "built-in functions"
    return next((place for part, place in _PLACES.items() if part in Path(path).parts), "standard library")
