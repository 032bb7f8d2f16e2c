"""Where the package spends its time above the floor: by layer, and as a profile of the code."""

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

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

_READY = {
    "save": {
        "signed in the headers": {"Content-Type": "application/pdf"},
        "the condition, kept by the server": {"If-None-Match": "*"},
        "our token and checksum": {
            "x-amz-meta-upload-token": "0" * 32,
            "x-amz-checksum-crc32": base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode(),
        },
    },
    "read": {"signed in the headers": {}, "the first range": {"Range": "bytes=0-196607"}},
    "exists": {"signed in the headers": {}},
}
"""What the floor's request has in its headers, made beforehand, layer by layer."""
_METHODS = {"save": "PUT", "read": "GET", "exists": "HEAD"}
_WAITING = ("recv_into", "sendall", "poll", "connect")
_PLACES = {"django_minio_router": "this package", "urllib3": "urllib3", "django": "Django"}


def layers(bench: Workbench, kind: str, count: int) -> dict[str, list[tuple[int, int]]]:
    """Return (layer, floor) in nanoseconds for each layer of an operation, all in one loop, each first in
    its turn."""
    timed: dict[str, list[tuple[int, int]]] = {}
    for number, calls in zip(range(count), _layers(bench, kind), strict=False):
        labels = list(calls)
        start = number % len(labels)
        times = {label: duration(calls[label]) for label in labels[start:] + labels[:start]}
        floor = times.pop("floor")
        for label in labels[1:]:
            timed.setdefault(label, []).append((times[label], floor))
    return timed


def _layers(bench: Workbench, kind: str) -> Iterator[dict[str, Call]]:
    """Yield calls that do the same, each with one layer more."""
    client = bench.private.objects.client
    method, body = _METHODS[kind], BODY if kind == "save" else None
    stored = bench.stored()

    def path() -> str:
        return f"/{PRIVATE}/{bench.new_name() if kind == 'save' else stored}"

    for package, floor in PAIRS[kind](bench):
        calls: dict[str, Call] = {"floor": floor}
        headers: dict[str, str] = {}
        for label, more in _READY[kind].items():
            headers = {**headers, **more}
            target = path()
            signed = client._signer.authorize(method, target, "", headers, UNSIGNED_PAYLOAD)
            calls[label] = partial(bench.floor.request, method, target, body, signed)
        calls["signed and sent by our client"] = partial(
            client.request, method, path(), headers=headers, body=body
        )
        calls["the whole call"] = package
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
