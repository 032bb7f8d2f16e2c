"""Many threads for a while leave nothing behind, and the interpreter ends without a word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scale import scale

ROOT = Path(__file__).parents[2]
SECONDS = scale(6, 90)  # a third of it to fill pools and caches
THREADS = 64
MEGABYTE = 1024


def run(bucket: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "BUCKET": bucket, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what the process holds")
def test_threads_leak_no_sockets_threads_or_memory(bucket: str) -> None:
    done = run(bucket, "-m", "tests.reliability.soak", str(SECONDS), str(THREADS))
    assert (done.stderr, done.returncode) == ("", 0)

    told = json.loads(done.stdout)

    assert told["operations"] > 10 * SECONDS
    first, last = told["first"], told["last"]
    assert last["threads"] == first["threads"] == 1
    assert last["sockets"] <= THREADS + 5
    assert last["kilobytes"] < first["kilobytes"] + 8 * MEGABYTE, told


ENDINGS = {
    "after saving and reading": "fill(); save_and_read(1)",
    "with files open": """
fill()
files = [storage.open(name) for name in KNOWN]
files[0].read(10)
""",
    "while threads are at work": """
import threading, time
fill()
def work():
    while True:
        save_and_read(1)
for number in range(8):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
""",
    "after an upload in parts": """
from django.core.files.base import ContentFile
storage.save("large.bin", ContentFile(bytes(20_000_000)))
""",
    "in an error": "fill(); storage.open('absent.bin')",
    "in the middle of an upload": """
import os, signal, threading
from django.core.files.base import ContentFile
class Slow(ContentFile):
    def chunks(self, chunk_size=None):
        yield bytes(chunk_size)
        yield bytes(chunk_size)
        os.kill(os.getpid(), signal.SIGINT)
        yield bytes(chunk_size)
try:
    storage.save("large.bin", Slow(b""))
except KeyboardInterrupt:
    pass
""",
}


@pytest.mark.parametrize("how", ENDINGS)
def test_the_interpreter_ends_without_a_word(how: str, bucket: str) -> None:
    code = f"from tests.reliability.program import KNOWN, fill, save_and_read, storage\n{ENDINGS[how]}"

    done = run(bucket, "-X", "dev", "-c", code)

    told = done.stderr.strip().splitlines()
    if how == "in an error":
        assert told[-1].startswith("FileNotFoundError")
        assert not [line for line in told if line.startswith("Exception ignored")]
    else:
        assert (told, done.returncode) == ([], 0)
