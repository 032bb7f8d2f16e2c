"""moto as the S3 server: an AWS mock for tests, in memory and without signature checks."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

from .process import HOST, Process, ServerError, free_ports, http_status


class Moto:
    """A server in memory, which shows which requests it supports."""

    access_key = secret_key = "any-key-will-do"  # noqa: S105

    def __init__(self, data: Path) -> None:
        self._data = data / "moto"
        (port,) = free_ports(1)
        self.endpoint = f"{HOST}:{port}"
        program = shutil.which("moto_server", path=sysconfig.get_path("scripts"))
        program = program or shutil.which("moto_server")
        if program is None:
            raise ServerError("moto is not installed: pip install 'moto[s3,server]'")
        self._process = Process(
            "moto",
            [program, f"--host={HOST}", f"--port={port}"],
            answers=lambda: http_status(port) == 200,
            log=self._data / "moto.log",
        )

    def start(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        self._process.start()

    def stop(self) -> None:
        self._process.stop()
