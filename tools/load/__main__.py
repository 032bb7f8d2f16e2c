"""Visitors of several tenants at the demo's site for a while: `python3 dev.py load`.

Fails when a request got another answer than it should, when a file was lost or holds other bytes, and when
the site's processes grew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import django

from tools.servers.process import HOST, Process, free_ports, http_status

from . import report, watch

ROOT = Path(__file__).resolve().parents[2]
GUNICORN = [
    "--preload",
    "--worker-class=gthread",
    "--workers=3",
    "--threads=4",
    "--keep-alive=75",  # as behind a proxy: after the default of 2 s it closes what a visitor is about to use
    "--no-control-socket",
]
WARM_UP = 20  # seconds before the time that counts, in which a slow machine fills pools and caches
STOPS_WITHIN = 120  # seconds, in which each visitor ends what it does and reads all its files again


def main() -> int | str:
    """Return the exit code, or a message about what failed."""
    options = parse()
    os.environ |= {"DJANGO_SETTINGS_MODULE": "examples.multi_tenant.settings", "SECRET_KEY": "only for load"}
    django.setup()
    from . import tenants

    clients = tenants.make(options.tenants)
    names = [client.schema_name for client in clients]
    with TemporaryDirectory() as folder, site(Path(folder)) as (port, master):
        visit = Visit(Path(folder), port, names, options)
        samples = visit.watched(master)
        problems = [*visit.problems(), *watch.growth(samples), *tenants.differences(clients)]
        print(report.text(visit.statistics(), samples, tenants.count(clients)))
    return "\n".join(["", *problems]) if problems else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.load", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=int, default=60, metavar="N", help="how long (default: 60)")
    add("--visitors", type=int, default=12, metavar="N", help="how many at once (default: 12)")
    add("--tenants", type=int, default=6, metavar="N", help="of how many tenants (default: 6)")
    add("--locust", required=True, metavar="PYTHON", help="of an environment that has locust")
    return parser.parse_args()


@contextmanager
def site(folder: Path) -> Iterator[tuple[int, int]]:
    """Serve the project as in production. Yield the port, and the master process of the workers."""
    (port,) = free_ports(1)
    process = Process(
        "gunicorn",
        [sys.executable, "-m", "gunicorn", *GUNICORN, f"--bind={HOST}:{port}", "tools.load.site"],
        answers=lambda: http_status(port) == 200,
        log=folder / "gunicorn.log",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    process.start()
    try:
        yield port, process.pid
    finally:
        process.stop()


class Visit:
    """The visitors, in a separate process."""

    def __init__(self, folder: Path, port: int, tenants: list[str], options: argparse.Namespace) -> None:
        self._told, self._log = folder / "told.json", folder / "locust.log"
        self._site = folder / "gunicorn.log"
        self._seconds = WARM_UP + options.seconds
        command = [options.locust, "-m", "locust", "--locustfile", ROOT / "tools" / "load" / "locustfile.py"]
        command += ["--headless", "--json", f"--host=http://{HOST}:{port}", f"--run-time={self._seconds}s"]
        command += [f"--users={options.visitors}", "--spawn-rate=4", f"--stop-timeout={STOPS_WITHIN}"]
        with self._told.open("wb") as told, self._log.open("wb") as log:
            env = {**os.environ, "LOAD_TENANTS": " ".join(tenants)}
            self._process = subprocess.Popen(command, cwd=folder, env=env, stdout=told, stderr=log)

    def watched(self, master: int) -> list[watch.Sample]:
        """Return the memory of the workers for each second from the warm-up until the visitors stop."""
        samples: list[watch.Sample] = []
        begun = time.monotonic()
        end = begun + self._seconds + STOPS_WITHIN + 30
        try:
            while self._process.poll() is None and time.monotonic() < end:
                if time.monotonic() > begun + WARM_UP:
                    samples.append(watch.sample(master))
                time.sleep(1)
        finally:
            self._process.kill()
            self._process.wait()
        return samples

    def problems(self) -> Iterator[str]:
        if self._process.returncode:
            yield f"Locust ended with exit code {self._process.returncode}:"
            yield self._log.read_text().rpartition("Error report")[2].strip()[-5000:]
        errors = self._site.read_text()
        if "Traceback" in errors or "[CRITICAL]" in errors:
            yield f"The site's log tells of errors:\n{errors[-5000:]}"

    def statistics(self) -> list[dict[str, Any]]:
        return json.loads(self._told.read_text() or "[]")


if __name__ == "__main__":
    sys.exit(main())
