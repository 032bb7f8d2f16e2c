"""MariaDB for tests, as a database that ignores case: of Debian's mariadb-server-core."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.servers.process import HOST, Process, free_ports

PROGRAM = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")


@contextmanager
def mariadb(folder: Path) -> Iterator[int]:
    """Yield the port of a server that starts here; everybody may log in as root."""
    data, (port,) = folder / "data", free_ports(1)
    data.mkdir()

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    command = [str(PROGRAM), "--no-defaults", f"--datadir={data}", "--user=root", "--skip-grant-tables"]
    command += [f"--port={port}", f"--bind-address={HOST}", f"--socket={folder}/mariadb.sock"]
    server = Process("MariaDB", [*command, "--skip-networking=0"], answers, log=folder / "mariadb.log")
    server.start()
    try:
        yield port
    finally:
        server.stop()
