"""Starts the servers before pytest-django reads the settings, and stops them after the run.

Under pytest-xdist only the controller starts them: its workers inherit their addresses.

It also sorts the tests: which hold on any S3 server alike, which files are begun first, and which stay in
one process.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tools import servers

TESTS = Path(__file__).parents[1]

pytest.register_assert_rewrite("tests.isolation", "tests.reliability")  # their helpers assert, too

# What holds on any S3 server alike, or asks none: marked "any_server". A new test runs on each server, unless
# its folder or file is here or it has the mark itself. "each_server" takes a test of these out again.
ON_ANY_SERVER = (
    "budget/",
    "contrib/",
    "direct/test_bundle.py",
    "direct/test_serializers.py",
    "direct/test_upkeep.py",
    "doc_examples/",
    "examples/",
    "files/orphans/test_any_project.py",
    "files/orphans/test_foreign_storages.py",  # which rows count
    "files/orphans/test_plain_projects.py",
    "files/moving/test_adopting.py",  # a page of the docs
    "files/moving/test_mending.py",
    "files/moving/test_needed.py",  # which rows need a file
    "files/test_quota.py",
    "files/test_usage.py",
    "identity/",
    "inventory/",
    "isolation/",
    "management/",
    "provisioning/test_clones.py",
    "provisioning/test_new_tenant.py",
    "provisioning/test_plan.py",
    "reliability/test_forks.py",
    "reliability/test_secrets.py",
    "reliability/test_threads.py",
    "reliability/test_tls.py",
    "repository/",
    "s3/test_memory.py",
    "storage/test_libraries.py",
    "s3/test_request_log.py",
    "s3/test_signing.py",
    "settings/",
    "storage/rows/",  # whose a row is
    "storage/test_any_answer.py",
    "storage/test_async.py",
    "storage/test_binding.py",
    "storage/test_headers.py",
    "storage/test_installed.py",
    "storage/test_migrations.py",
    "storage/test_responses.py",
    "storage/test_router.py",
    "storage/test_signals.py",
    "storage/test_streaming.py",
    "storage/test_tracing.py",
    "strategies/",
    "takeover/",
    "tasks/",
    "tenancy/",
    "testing/",
    "test_caches.py",
    "test_checks.py",
    "test_dates.py",
    "test_naming.py",
    "test_startup.py",
    "test_views.py",
)

# Each worker takes a file at a time, so the long ones come first, and the short ones fill up the end. These
# take more than some ten seconds, `pytest --durations=0` says how long.
LONG = (
    "reliability/test_faults.py",
    "examples/test_demo.py",
    "examples/test_browser.py",  # with all that looks at the demo
    "s3/test_errors.py",
    "identity/",
    "reliability/test_forks.py",
    "doc_examples/test_examples.py",
    "reliability/test_races.py",
    "reliability/test_restarts.py",
    "reliability/test_stored_xss.py",
    "takeover/",
    "storage/test_names.py",
    "s3/test_concurrency.py",
    "reliability/",
    "tasks/test_celery.py",
    "isolation/",
    "budget/",
    "tasks/test_workers.py",
    "files/orphans/test_plain_projects.py",
    "provisioning/test_new_tenant.py",
    "test_startup.py",
    "files/moving/test_moving.py",
    "test_naming.py",
    "storage/test_streaming.py",
    "examples/",
    "testing/",
    "management/",
)

# These share one demo: a second one in another worker would use the same buckets.
OF_THE_DEMO = tuple(f"tests/examples/test_{name}.py" for name in ("browser", "direct_upload", "site"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        choices=list(servers.S3_SERVERS),
        default="seaweedfs",
        help="the S3 server to start, unless MINIO_ENDPOINT names one",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # A run in the background ignores Ctrl-C, and so would each process that a test stops with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stack = ExitStack()
    early_config.add_cleanup(stack.close)
    try:
        addresses = stack.enter_context(servers.running(early_config.known_args_namespace.server))
    except servers.ServerError as error:
        raise pytest.UsageError(str(error)) from error
    os.environ.update(addresses)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is collected, which stays to the end, out of each search for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        if where(item.path).startswith(ON_ANY_SERVER) and not item.get_closest_marker("each_server"):
            item.add_marker("any_server")  # before -m chooses
    yield
    # After pytest-django, which puts all that needs no database at the end.
    items.sort(key=lambda item: rank(item.path))


def pytest_runtest_setup() -> None:
    """Raise the time limit of full-scale tests."""
    if "full" in (os.environ.get("RELIABILITY"), os.environ.get("ISOLATION")):
        faulthandler.cancel_dump_traceback_later()


class OneDemo(LoadFileScheduling):  # type: ignore[misc]
    """Give each worker one file at a time, and all files of the demo to the same worker."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return OF_THE_DEMO[0] if file in OF_THE_DEMO else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneDemo:
    return OneDemo(config, log)


@cache
def where(path: Path) -> str:
    return path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""


@cache
def rank(path: Path) -> int:
    starts = [number for number, start in enumerate(LONG) if where(path).startswith(start)]
    return min(starts, default=len(LONG))
