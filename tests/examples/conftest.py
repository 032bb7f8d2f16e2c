"""The multi-tenant example, up on the servers of the test run and in a database of its own."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
import pytest

from .projects import DEMO, SITE_IS_UP, Visitor, environment, output_until, started

PART = 5 * 1024 * 1024  # bytes, the least that S3 takes


@dataclass(frozen=True)
class Site:
    port: int
    account: str

    def visitor(self, tenant: str) -> Visitor:
        return Visitor(self.port, f"{tenant}.localhost")

    def url(self, tenant: str) -> str:
        return f"http://{tenant}.localhost:{self.port}/"


@pytest.fixture(scope="package")
def new_database() -> Iterator[Callable[[], str]]:
    """Return a function that makes an empty database and returns its URL."""
    server = os.environ["DATABASE_URL"]
    names = []

    def make() -> str:
        names.append(f"demo_{secrets.token_hex(6)}")
        connection.execute(f"CREATE DATABASE {names[-1]}")
        return urlsplit(server)._replace(path=f"/{names[-1]}").geturl()

    with psycopg.connect(server, autocommit=True) as connection:
        yield make
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="package")
def site(new_database: Callable[[], str]) -> Iterator[Site]:
    """The demo, after its account, on a free port."""
    env = environment(DATABASE_URL=new_database(), MINIO_MULTIPART_PART_SIZE=str(PART))
    with started([DEMO, "--port", "0"], env) as process:
        account = output_until(process, SITE_IS_UP)
        port = re.search(r"http://localhost:(\d+)/", account)
        assert port
        yield Site(int(port[1]), account)
