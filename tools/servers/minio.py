"""MinIO's community server as the S3 server: found on this machine, or built once with Go."""

from __future__ import annotations

import secrets
from base64 import b64encode
from pathlib import Path

from .go import go_program
from .process import DOMAIN, HOST, Process, free_ports, http_status

SOURCE = "github.com/minio/minio@latest"
_ENCRYPTION_KEY = b"only-for-the-demo-and-for-tests!"  # 32 bytes


class MinIO:
    """A server that keeps its objects in a folder."""

    def __init__(self, data: Path) -> None:
        self._data = data / "minio"
        self._port, console = free_ports(2)
        self.endpoint = f"{HOST}:{self._port}"
        self.access_key = secrets.token_hex(10)
        self.secret_key = secrets.token_hex(20)
        self._process = Process(
            "MinIO",
            [
                minio_binary(),
                "server",
                self._data / "objects",
                f"--address={self.endpoint}",
                f"--console-address={HOST}:{console}",
            ],
            answers=lambda: http_status(self._port, "/minio/health/cluster") == 200,
            log=self._data / "minio.log",
            # Isolated from the user's own MINIO_* variables and ~/.minio.
            env={
                "HOME": str(self._data),
                "MINIO_ROOT_USER": self.access_key,
                "MINIO_ROOT_PASSWORD": self.secret_key,
                # Without a key it encrypts nothing. The same one at each start, for data that stays.
                "MINIO_KMS_SECRET_KEY": f"key-1:{b64encode(_ENCRYPTION_KEY).decode()}",
                "MINIO_DOMAIN": DOMAIN,
                "MINIO_UPDATE": "off",
                "MINIO_BROWSER": "off",
            },
        )

    def start(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        self._process.start()

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        """End the server at once, as a crash would; `start` brings it back."""
        self._process.kill()


def minio_binary() -> str:
    """Return the path of a MinIO server: $MINIO_BIN, `minio` on PATH, or one built with Go."""
    return go_program("minio", SOURCE, variable="MINIO_BIN")
