"""Print the servers' addresses for a shell, and keep the servers running until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import threading

NAMES = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "DATABASE_URL")


def main() -> None:
    for name in NAMES:
        print(f"export {name}={shlex.quote(os.environ[name])}")
    print("# Ctrl-C stops the servers.", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
