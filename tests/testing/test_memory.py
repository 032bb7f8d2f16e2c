"""A project's storages and commands while its files are kept in memory, as they are in its tests."""

from __future__ import annotations

import os
import threading
import unittest
from collections.abc import Callable
from io import StringIO
from unittest import mock

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.test import Client as Browser
from django.test import SimpleTestCase
from django.test import utils as test_utils

from django_minio_router import MinioBackend, MinioRouter, TenantRequired
from django_minio_router.exceptions import ConfigurationError
from django_minio_router.files.purge import purge
from django_minio_router.s3.bucket import NO_COPY
from django_minio_router.strategies import FixedBucket, PerTenant
from django_minio_router.tenancy import get_tenancy
from django_minio_router.testing import FilesInMemory, stored_files
from django_minio_router.testing import assert_stored as check_stored
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract
from tests.support.processes import in_children

Buckets = Callable[[], dict[str, dict[str, bytes]]]


@pytest.fixture(autouse=True)
def in_memory(settings, minio_memory: None) -> None:
    settings.MINIO_TESTING = "memory"
    settings.MINIO_ENDPOINT = "127.0.0.1:9"  # nothing listens there
    settings.MINIO_PRIVATE_BUCKETS = ["papers"]
    settings.MINIO_PUBLIC_BUCKETS = ["logos"]
    settings.ROOT_URLCONF = "django_minio_router.testing.urls"
    settings.MIDDLEWARE = []


def put(storage: MinioBackend | MinioRouter, name: str = "a.txt", content: bytes = b"content") -> str:
    return storage.save(name, ContentFile(content))


class TestStorages:
    def test_keep_the_contract_of_django(self, minio_buckets: Buckets) -> None:
        storage = MinioBackend("papers")
        put(storage, "letters/a.txt", b"one")

        assert put(storage, "letters/a.txt", b"two") != "letters/a.txt"
        assert storage.exists("letters/a.txt")
        assert storage.size("letters/a.txt") == 3
        assert storage.open("letters/a.txt").read() == b"one"
        assert storage.listdir("")[0] == ["letters"]
        storage.delete("letters/a.txt")
        assert not storage.exists("letters/a.txt")
        assert [*minio_buckets()["papers"].values()] == [b"two"]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_are_used_by_children_that_fork_beside_busy_threads(self) -> None:
        storage = MinioBackend("papers")
        done = threading.Event()

        def save_until_done() -> None:
            while not done.is_set():
                put(storage)

        threads = [threading.Thread(target=save_until_done) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            in_children(20, lambda number: put(storage, f"{number}.txt"))
        finally:
            done.set()
            for thread in threads:
                thread.join()

    def test_are_apart_by_server_bucket_and_prefix(self, settings) -> None:
        settings.MINIO_SERVERS = {"eu": {"MINIO_ENDPOINT": "eu.example"}, "us": {"MINIO_ENDPOINT": ""}}
        storages = [
            MinioBackend("papers"),
            MinioBackend("logos"),
            MinioBackend("papers", prefix="acme"),
            MinioBackend("papers", server="eu"),
            MinioBackend("papers", server="us"),
            MinioBackend("papers", MINIO_ENDPOINT="other.example"),
        ]
        for number, storage in enumerate(storages):
            put(storage, content=str(number).encode())
        assert [storage.open("a.txt").read() for storage in storages] == [b"0", b"1", b"2", b"3", b"4", b"5"]

    def test_need_no_bucket_that_was_made_before(self) -> None:
        assert not MinioBackend("papers").exists("a.txt")
        assert MinioBackend("logos").listdir("") == ([], [])

    def test_are_used_by_a_router_on_a_field_too(self, monkeypatch, minio_buckets: Buckets) -> None:
        field = Contract._meta.get_field("file")
        monkeypatch.setattr(field, "storage", MinioRouter(strategy=FixedBucket("papers")).bind(field))
        put(field.storage)
        assert minio_buckets() == {"papers": {"a.txt": b"content"}}

    def test_that_reached_a_server_before_do_not_do_so_in_tests(self, monkeypatch) -> None:
        """As a start-up check does, before Django's runner has set up the test environment."""
        storage = MinioBackend("papers", MINIO_ACCESS_KEY="a", MINIO_SECRET_KEY="b")
        with monkeypatch.context() as before:
            before.delattr(test_utils._TestState, "saved_data")
            assert storage.url("a.txt").startswith("http://127.0.0.1:9/")
        assert storage.url("a.txt").startswith("/minio-memory/")

    def test_say_that_the_server_is_there(self) -> None:
        assert MinioBackend("papers").is_minio_available()


class TestLinks:
    def test_to_private_files_are_followed_by_the_test_client(self) -> None:
        storage = MinioBackend("papers")
        put(storage, "ä b/c.txt")
        link = storage.url("ä b/c.txt", filename="report.txt")

        answer = Browser().get(link)
        assert answer.content == b"content"
        assert answer["Content-Type"] == "text/plain"
        assert answer["Content-Disposition"].endswith('"report.txt"')
        assert Browser().get(link, headers={"Range": "bytes=0-2"}).content == b"con"

    def test_that_nobody_signed_or_that_are_over_show_nothing(self) -> None:
        storage = MinioBackend("papers")
        put(storage)
        link = storage.url("a.txt", expires=60)
        assert Browser().get(link.partition("?")[0]).status_code == 403
        assert Browser().get(link.replace("a.txt", "b.txt")).status_code == 403
        with mock.patch("time.time", return_value=1_600_000_000):
            old = storage.url("a.txt", expires=60)
        assert Browser().get(old).status_code == 403

    def test_to_store_a_file_are_followed_too(self, settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2
        storage = MinioBackend("papers")
        put(storage, "old.txt")
        link = storage.url("a.txt", method="PUT")
        browser = Browser(enforce_csrf_checks=True)

        assert browser.put(link, b"new", headers=NO_COPY).status_code == 200
        assert storage.open("a.txt").read() == b"new"
        assert browser.put(link, b"else").status_code == 403
        assert browser.get(link).status_code == 403
        for method in browser.put, browser.delete, browser.post:
            assert method(storage.url("old.txt")).status_code == 403
        assert storage.open("old.txt").read() == b"content"

    def test_to_public_files_are_plain(self) -> None:
        storage = MinioBackend("logos")
        put(storage)
        assert "?" not in storage.url("a.txt")
        assert Browser().get(storage.url("a.txt")).content == b"content"


class TestTenants:
    @pytest.fixture
    def router(self, settings) -> MinioRouter:
        router = MinioRouter(strategy=PerTenant())
        settings.STORAGES = {
            **settings.STORAGES,
            "default": {"BACKEND": "django_minio_router.MinioRouter", "OPTIONS": {"strategy": PerTenant()}},
        }
        return router

    def test_do_not_see_the_files_of_others(
        self, router: MinioRouter, north: Client, south: Client, assert_stored: Callable[..., None]
    ) -> None:
        with get_tenancy().context(north):
            put(router)
        assert_stored(north, "a.txt", content=b"content", storage=router)
        with pytest.raises(AssertionError, match=r"no 'a\.txt'"):
            assert_stored(south, "a.txt", storage=router)
        with pytest.raises(AssertionError, match="holds b'content'"):
            assert_stored(north, "a.txt", content="other")
        with pytest.raises(TenantRequired):
            put(router)

    def test_get_their_buckets_and_lose_them(self, router: MinioRouter, north: Client, south: Client) -> None:
        out = StringIO()
        call_command("initialize_buckets", "--all-tenants", stdout=out)
        assert len(stored_files()) >= 2
        for tenant in (north, south):
            with get_tenancy().context(tenant):
                put(router)

        purge(north)

        check_stored(south, "a.txt")
        assert [files for files in stored_files().values() if files] == [{"a.txt": b"content"}]


def test_nothing_is_left_from_the_test_before() -> None:
    assert stored_files() == {}


class TestTheMixin:
    def test_undoes_what_each_test_and_the_class_did(self) -> None:
        class Tests(FilesInMemory, SimpleTestCase):
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                put(MinioBackend("papers"), "class.txt")

            def test_one(self) -> None:
                put(MinioBackend("papers"), "one.txt")
                self.assertStored(None, "class.txt", "content", storage=MinioBackend("papers"))

            def test_other(self) -> None:
                assert sorted(stored_files()["papers"]) == ["before.txt", "class.txt"]

        put(MinioBackend("papers"), "before.txt")
        result = unittest.TextTestRunner(stream=StringIO()).run(
            unittest.defaultTestLoader.loadTestsFromTestCase(Tests)
        )
        assert (result.testsRun, result.errors, result.failures) == (2, [], [])
        assert sorted(stored_files()["papers"]) == ["before.txt"]


class TestTheSetting:
    def test_real_uses_the_server(self, settings) -> None:
        settings.MINIO_TESTING = "real"
        assert MinioBackend("papers").url("a.txt").startswith("http://127.0.0.1:9/")

    def test_of_another_value_is_refused(self, settings) -> None:
        settings.MINIO_TESTING = "none"
        with pytest.raises(ConfigurationError, match="MINIO_TESTING is 'none'"):
            MinioBackend("papers").exists("a.txt")

    def test_that_no_server_is_there_holds_without_tests_too(self, settings) -> None:
        settings.MINIO_TESTING, settings.MINIO_ENDPOINT = "real", "memory:"
        storage = MinioBackend("papers")
        put(storage)
        assert storage.open("a.txt").read() == b"content"

    def test_links_without_a_server_are_below_the_path_of_the_site(self, settings) -> None:
        settings.FORCE_SCRIPT_NAME = "/office/"
        assert MinioBackend("papers").url("a.txt").startswith("/minio-memory/")
        settings.MINIO_TESTING, settings.MINIO_ENDPOINT = "real", "memory:"
        link = MinioBackend("papers").url("a.txt")
        assert link.startswith("/office/minio-memory/")
