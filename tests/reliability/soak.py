"""Many threads at work for a while: what the process holds at the start and at the end, as JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from .program import fill, save_and_read

PAGE = os.sysconf("SC_PAGE_SIZE")


def held() -> dict[str, int]:
    return {
        "sockets": sum("socket:" in os.readlink(f"/proc/self/fd/{fd}") for fd in _descriptors()),
        "threads": threading.active_count(),
        "kilobytes": int(Path("/proc/self/statm").read_text().split()[1]) * PAGE // 1024,
    }


def _descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]


def work(seconds: float, threads: int) -> int:
    """Return how many operations were done."""
    end = time.monotonic() + seconds
    done = [0] * threads
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            while time.monotonic() < end:
                save_and_read(number + done[number])
                done[number] += 1
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    return sum(done) * 3


def main() -> None:
    seconds, threads = float(sys.argv[1]), int(sys.argv[2])
    fill()
    before = work(seconds / 3, threads)  # until pools and caches are full
    first = held()
    operations = before + work(seconds * 2 / 3, threads)
    print(json.dumps({"operations": operations, "first": first, "last": held()}))


if __name__ == "__main__":
    main()
