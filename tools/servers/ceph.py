"""Ceph's RADOS Gateway as the S3 server, of Debian's packages: a monitor, a store in memory, the gateway."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from .process import DOMAIN, HOST, Process, ServerError, free_ports, http_status

PACKAGES = "apt-get install radosgw ceph-mon ceph-osd"
_CONF = """\
[global]
fsid = {fsid}
mon host = [v2:{host}:{mon},v1:{host}:{mon_v1}]
mon initial members = a
public addr = {host}
run dir = {data}
admin socket = {data}/$name.asok
log file = {data}/$name.log
pid file =
keyring = {data}/keyring
mon data = {data}/mon
osd data = {data}/osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd max object name len = 1024
mon allow pool size one = true
mon max pg per osd = 1000
rgw dns name = {domain}
rgw thread pool size = 64
rgw frontends = beast endpoint={host}:{port}
rgw enable gc threads = false
"""


class Ceph:
    """A whole cluster, of one process each; it needs root."""

    def __init__(self, data: Path) -> None:
        self._data = data / "ceph"
        missing = [name for name in ("ceph-mon", "ceph-osd", "radosgw", "ceph") if not shutil.which(name)]
        if missing:
            raise ServerError(f"{', '.join(missing)} is not on this machine: {PACKAGES}")
        mon, mon_v1, self._port = free_ports(3)
        self.endpoint = f"{HOST}:{self._port}"
        self.access_key = secrets.token_hex(10)
        self.secret_key = secrets.token_hex(20)
        self._fsid = str(uuid.uuid4())
        self._monitors = f"[v2:{HOST}:{mon},v1:{HOST}:{mon_v1}]"
        self._conf = _CONF.format(
            fsid=self._fsid,
            host=HOST,
            mon=mon,
            mon_v1=mon_v1,
            port=self._port,
            data=self._data,
            domain=DOMAIN,
        )
        self._processes: list[Process] = []

    def start(self) -> None:
        """Create a new cluster, since its store is in memory."""
        for folder in "mon", "osd":
            (self._data / folder).mkdir(parents=True, exist_ok=True)
        (self._data / "ceph.conf").write_text(self._conf)
        for number, name in enumerate(("mon.", "client.admin", "client.rgw", "osd.0")):
            new = [] if number else ["--create-keyring"]
            caps = [word for kind in ("mon", "osd") for word in ("--cap", kind, "allow *")]
            self._run("ceph-authtool", "keyring", *new, "--gen-key", "-n", name, *caps)
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", self._monitors, "monmap")
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
        self._begin("ceph-mon", "-i", "a", answers=lambda: self._says("mon", "stat"))
        store = str(uuid.uuid4())
        self._run("ceph", "osd", "new", store)
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", store)
        self._begin("ceph-osd", "-i", "0", answers=lambda: "1 up" in self._answer("osd", "stat"))
        self._begin("radosgw", "-n", "client.rgw", answers=lambda: http_status(self._port) == 200)
        keys = [f"--access-key={self.access_key}", f"--secret={self.secret_key}"]
        self._run("radosgw-admin", "user", "create", "--uid=tests", "--display-name=tests", *keys)

    def stop(self) -> None:
        while self._processes:
            self._processes.pop().stop()

    def _begin(self, program: str, *arguments: str, answers: Callable[[], bool]) -> None:
        command = [program, "-f", "-c", self._data / "ceph.conf", *arguments]
        process = Process(program, command, answers, log=self._data / f"{program}.out")
        process.start()
        self._processes.append(process)

    def _says(self, *question: str) -> bool:
        return bool(self._answer(*question))

    def _answer(self, *question: str) -> str:
        try:
            return self._run("ceph", "--connect-timeout=5", *question)
        except ServerError:
            return ""

    def _run(self, program: str, *arguments: str) -> str:
        conf = [] if program in {"monmaptool", "ceph-authtool"} else ["-c", "ceph.conf"]
        command = [program, *conf, *arguments]
        done = subprocess.run(command, cwd=self._data, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise ServerError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        return done.stdout
