"""VersityGW as the S3 server, on a folder: found on this machine, or built once with Go."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from .go import go_program
from .process import DOMAIN, HOST, Process, free_ports, http_status

SOURCE = "github.com/versity/versitygw/cmd/versitygw@latest"


class VersityGW:
    """A server that stores objects as files, with their metadata in a second folder."""

    def __init__(self, data: Path) -> None:
        self._data = data / "versitygw"
        (self._port,) = free_ports(1)
        self.endpoint = f"{HOST}:{self._port}"
        self.access_key = secrets.token_hex(10)
        self.secret_key = secrets.token_hex(20)
        program = go_program("versitygw", SOURCE, variable="VERSITYGW_BIN")
        self._folders = {name: self._data / name for name in ("objects", "versions", "sidecar")}
        self._process = Process(
            "VersityGW",
            [
                program,
                f"--port={self.endpoint}",
                f"--virtual-domain={DOMAIN}",
                "--keep-alive",
                "--quiet",
                "--health=/health",
                "posix",
                f"--versioning-dir={self._folders['versions']}",
                *self._metadata(),
                self._folders["objects"],
            ],
            answers=lambda: http_status(self._port, "/health") == 200,
            log=self._data / "versitygw.log",
            env={
                "HOME": str(self._data),
                "ROOT_ACCESS_KEY": self.access_key,
                "ROOT_SECRET_KEY": self.secret_key,
            },
        )

    def _metadata(self) -> list[str]:
        """Keep it in attributes of the files, where these can have some.

        In files beside them it changes before the content does, so a reader may get an empty file with the
        metadata of the next one.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        try:
            os.setxattr(self._data, "user.django_minio_router", b"1")
        except (AttributeError, OSError):
            return [f"--sidecar={self._folders['sidecar']}"]
        return []

    def start(self) -> None:
        for folder in self._folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        self._process.start()

    def stop(self) -> None:
        self._process.stop()
