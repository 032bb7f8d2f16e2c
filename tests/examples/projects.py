"""The example projects as processes of their own, and a visitor who knows nothing but HTTP."""

from __future__ import annotations

import http.cookies
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import urllib3

from tests.support.quick_python import quick_python

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
DEMO = "examples.multi_tenant.demo"
SITE_IS_UP = "Ctrl-C stops it."


def environment(**changes: str) -> dict[str, str]:
    """The servers of the test run, for another project than that of the tests."""
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"} | changes


def run(command: Sequence[str | Path], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a module, or a file, to its end: as a fork of a process that has Django imported."""
    module = [] if str(command[0]).endswith(".py") else ["-m"]
    return quick_python().run(*module, *command, folder=ROOT, environment=env, timeout=300)


@contextmanager
def started(module: Sequence[str | Path], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, as a terminal would have it, which Ctrl-C reaches as one."""
    command = [sys.executable, "-m", *module]
    with subprocess.Popen(
        command, env=env, cwd=ROOT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate()


def output_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what the process printed up to the line that holds these words."""
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"It ended without {words!r}, having printed:\n{''.join(lines)}")


def log_in(page: Page) -> None:
    """Fill in the log-in of the admin, as the demo prints it."""
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()


class Visitor:
    """Somebody at one host of a site, with a cookie jar. Browsers know that *.localhost is this machine;
    the host goes into a header, since other programs may not."""

    def __init__(self, port: int, host: str = "localhost") -> None:
        self.host = f"{host}:{port}"
        self._address = f"http://127.0.0.1:{port}"
        self._pool = urllib3.PoolManager(retries=False, timeout=30)
        self._cookies = http.cookies.SimpleCookie()

    def request(self, method: str, path: str, **options: object) -> urllib3.BaseHTTPResponse:
        cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in self._cookies.items())
        headers = {"Host": self.host, "Cookie": cookies}
        response = self._pool.request(
            method, self._address + path, headers=headers, redirect=False, **options
        )
        for cookie in response.headers.getlist("Set-Cookie"):
            self._cookies.load(cookie)
        return response

    def page(self, path: str = "/") -> str:
        response = self.request("GET", path)
        assert response.status == 200
        return response.data.decode()

    def submit(self, path: str, fields: Mapping[str, object]) -> urllib3.BaseHTTPResponse:
        """Send a form with the token of the page that it is on."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.page())
        assert token, "the page has no form with a CSRF token"
        return self.request("POST", path, fields={"csrfmiddlewaretoken": token[1], **fields})
