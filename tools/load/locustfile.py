"""The behaviour of the visitors, who compare each response with what they sent."""

from __future__ import annotations

import itertools
import os
import random
import re
import struct
import zlib
from dataclasses import dataclass
from hashlib import sha256

from locust import HttpUser, between, task
from locust.exception import RescheduleTask
from requests import Response

TENANTS = os.environ["LOAD_TENANTS"].split()
KEPT_BY_EACH = 12
KIB = 1024
SMALL, MIDDLE, LARGE = (1, 100 * KIB), (200 * KIB, 2048 * KIB), (9000 * KIB, 9500 * KIB)  # the last in parts

_turns = itertools.cycle(TENANTS)
_numbers = itertools.count(1)
_paths: dict[str, set[str]] = {tenant: set() for tenant in TENANTS}
"""The current files of each tenant, which visitors of other tenants request."""


@dataclass(frozen=True)
class Kept:
    title: str
    path: str
    digest: bytes


class Visitor(HttpUser):
    wait_time = between(1, 3)

    def on_start(self) -> None:
        self.tenant = next(_turns)
        self.kept: list[Kept] = []
        self.add("document", "film.bin", os.urandom(LARGE[0]))  # so that workers grow at the start

    def on_stop(self) -> None:
        """Check that every acknowledged file exists."""
        for kept in self.kept:
            self.fetch(self.link_to(kept), kept, "S3: file, at the end")

    @task(4)
    def add_document(self) -> None:
        (sizes,) = random.choices([SMALL, MIDDLE, LARGE], [80, 17, 3])
        # All visitors upload under the same names at the same time.
        self.add("document", random.choice(["report.txt", "scan.bin"]), os.urandom(random.randint(*sizes)))

    @task(2)
    def add_photo(self) -> None:
        self.add("photo", "photo.png", picture(random.randint(16, 200)))

    @task(4)
    def look_around(self) -> None:
        """Open the page, with its pictures, as a browser does."""
        page = self.page()
        images = dict(re.findall(r'<img src="([^"]+)" alt="([^"]+)"', page))
        titles = {title: link.replace("&amp;", "&") for link, title in images.items()}
        for kept in self.kept:
            if kept.title in titles:
                self.fetch(titles[kept.title], kept, "S3: picture")

    @task(6)
    def download(self) -> None:
        kept = self.one_of_mine()
        self.fetch(self.link_to(kept), kept, "S3: file")

    @task(3)
    def delete(self) -> None:
        self.remove(self.one_of_mine())

    @task(1)
    def ask_for_a_file_of_another_tenant(self) -> None:
        paths = [path for tenant in self.others() for path in _paths[tenant]]
        if paths:
            self.ask("GET", random.choice(paths), "another tenant's file", 404)

    @task(1)
    def put_the_bucket_of_another_tenant_into_a_link(self) -> None:
        link = self.link_to(self.one_of_mine())
        link = link.replace(f"/demo-{self.tenant}/", f"/demo-{random.choice(self.others())}/")
        self.ask_server(link, "S3: another tenant's bucket", 403)

    @task(1)
    def take_the_signature_from_a_link(self) -> None:
        link = self.link_to(self.one_of_mine())
        self.ask_server(link.partition("?")[0], "S3: no signature", 403)

    def others(self) -> list[str]:
        return [tenant for tenant in TENANTS if tenant != self.tenant]

    def one_of_mine(self) -> Kept:
        if not self.kept:
            self.add_photo()
        return random.choice(self.kept)

    def add(self, kind: str, filename: str, content: bytes) -> None:
        if len(self.kept) == KEPT_BY_EACH:
            self.remove(self.kept[0])
        title = f"{self.tenant} {kind} {next(_numbers)}"
        fields = {f"{kind}-title": title, "add": kind, "csrfmiddlewaretoken": self.token()}
        files = {f"{kind}-file": (filename, content)}
        self.ask("POST", "/", f"add {kind}, {how_large(content)}", 302, data=fields, files=files)
        found = re.search(rf'<h3>{title}</h3>.*?href="(/{kind}s/[0-9a-f-]+)"', self.page(), re.DOTALL)
        if found is None:
            return self.fail("the page after an upload", "it does not show the file")
        self.kept.append(Kept(title, found[1], sha256(content).digest()))
        _paths[self.tenant].add(found[1])
        return None

    def remove(self, kept: Kept) -> None:
        self.kept.remove(kept)
        _paths[self.tenant].discard(kept.path)
        fields = {"csrfmiddlewaretoken": self.token()}
        self.ask("POST", f"{kept.path}/delete", "delete", 302, data=fields)
        self.ask("GET", kept.path, "deleted file", 404)

    def page(self) -> str:
        """Return the tenant's page, after checking that it shows no file of another tenant."""
        page = self.ask("GET", "/", "page").text
        for title in re.findall(r"<h3>(.*?)</h3>", page):
            if not title.startswith(f"{self.tenant} "):
                self.fail("page", f"it shows {title} to {self.tenant}")
        return page

    def token(self) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.page())
        return found[1] if found else ""

    def link_to(self, kept: Kept) -> str:
        """Return the URL that the site redirects to for the file."""
        return self.ask("GET", kept.path, "link to a file", 302).headers["Location"]

    def fetch(self, link: str, kept: Kept, name: str) -> None:
        content = self.ask_server(link, name, 200).content
        if sha256(content).digest() != kept.digest:
            self.fail(name, f"{kept.title} holds other bytes")

    def ask(self, method: str, path: str, name: str, expected: int = 200, **options: object) -> Response:
        host = {"Host": f"{self.tenant}.localhost"}
        return self._request(method, path, name, expected, headers=host, **options)

    def ask_server(self, link: str, name: str, expected: int) -> Response:
        return self._request("GET", link, name, expected)

    def _request(self, method: str, url: str, name: str, expected: int, **options: object) -> Response:
        with self.client.request(
            method, url, name=name, allow_redirects=False, catch_response=True, timeout=60, **options
        ) as response:
            if response.status_code == expected:
                response.success()
                return response
            response.failure(f"{response.error or response.status_code}, and not {expected}")
        raise RescheduleTask

    def fail(self, name: str, problem: str) -> None:
        """Record a failure that has no HTTP status."""
        error = AssertionError(problem)
        self.environment.events.request.fire(
            request_type="CHECK", name=name, response_time=0, response_length=0, exception=error, context={}
        )
        raise RescheduleTask


def how_large(content: bytes) -> str:
    return "small" if len(content) <= SMALL[1] else "middle" if len(content) <= MIDDLE[1] else "large"


def picture(side: int) -> bytes:
    """Return a unique PNG."""
    rows = b"".join(b"\0" + os.urandom(3 * side) for _ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
