"""Tests of a project on real servers: in buckets of their own, and never in those of others."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.utils import timezone
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.exceptions import ConfigurationError
from django_minio_router.files.orphans import Orphan, Sweep, delete_orphans
from django_minio_router.files.purge import purge
from django_minio_router.files.transfer import BucketFiles
from django_minio_router.hooks import tags
from django_minio_router.inventory.places import Place
from django_minio_router.s3.own_buckets import remove_test_buckets
from django_minio_router.settings import testing
from django_minio_router.settings.testing import prefix_of_tests, with_prefix
from django_minio_router.strategies import PerTenant
from django_minio_router.tenancy import get_tenancy
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract
from tests.support.server import names_in
from tests.support.sites import MANAGE, SERVER, QuickSite


@pytest.fixture
def prefix(settings) -> Iterator[str]:
    settings.MINIO_TESTING = "prefix"
    settings.MINIO_PRIVATE_BUCKETS = ["papers"]
    settings.MINIO_PUBLIC_BUCKETS = ["logos"]
    yield prefix_of_tests()
    remove_test_buckets()


def put(storage: MinioBackend | MinioRouter, content: bytes = b"content") -> str:
    return storage.save("a.txt", ContentFile(content))


def get(link: str) -> bytes:
    return urllib3.request("GET", link, retries=False).data


class TestBuckets:
    def test_get_a_name_of_their_own_at_first_use(self, prefix: str, bare: Minio) -> None:
        storage = MinioBackend("papers")
        assert not storage.exists("a.txt")
        put(storage)

        assert storage.bucket == "papers"
        assert names_in(bare, f"{prefix}papers") == ["a.txt"]
        assert storage.listdir("") == ([], ["a.txt"])
        assert get(storage.url("a.txt")) == b"content"

    def test_keep_their_policies_and_hooks(self, prefix: str, settings, bare: Minio) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": ["*"]},
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::papers/open/*"],
        }
        settings.MINIO_POLICY_HOOKS = [("papers", {"Version": "2012-10-17", "Statement": [statement]})]
        settings.MINIO_BUCKET_HOOKS = [tags({"kind": "test"})]
        call_command("initialize_buckets", stdout=io.StringIO())
        put(MinioBackend("logos"))

        assert get(MinioBackend("logos").url("a.txt")) == b"content"
        assert f"arn:aws:s3:::{prefix}papers/open/*" in bare.get_bucket_policy(bucket_name=f"{prefix}papers")
        assert bare.get_bucket_tags(bucket_name=f"{prefix}papers")["kind"] == "test"

    def test_are_removed_at_the_end(self, prefix: str, bare: Minio) -> None:
        put(MinioBackend("papers"))
        assert bare.bucket_exists(bucket_name=f"{prefix}papers")
        remove_test_buckets()
        assert not bare.bucket_exists(bucket_name=f"{prefix}papers")

    def test_have_names_that_are_not_too_long(self) -> None:
        long, other = "a" * 60 + "-b", "a" * 60 + "-c"
        assert len(with_prefix("test-0123456789-", long)) <= 63
        assert with_prefix("test-0123456789-", long) != with_prefix("test-0123456789-", other)
        assert with_prefix("test-", with_prefix("test-", "papers")) == "test-papers"


class TestOtherBuckets:
    """Those of a development server, with the same names."""

    @pytest.fixture(autouse=True)
    def as_in_a_project(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(testing, "servers_hold_only_tests", False)

    @pytest.fixture
    def real(self, bare: Minio, new_name: Callable[[str], str]) -> str:
        name = new_name("real")
        bare.make_bucket(bucket_name=name)
        bare.put_object(bucket_name=name, object_name="a.txt", data=io.BytesIO(b"real"), length=4)
        return name

    def test_are_out_of_reach(self, prefix: str, bare: Minio, real: str) -> None:
        storage = MinioBackend(real, public=False)
        assert not storage.exists("a.txt")
        storage.delete("a.txt")

        with pytest.raises(ConfigurationError, match=f"cannot use the bucket {real!r}"):
            storage.client.remove_object(bucket_name=real, object_name="a.txt")
        with pytest.raises(ConfigurationError, match=f"cannot use the bucket {real!r}"):
            storage.objects.client.request("DELETE", f"/{real}/a.txt")
        assert names_in(bare, real) == ["a.txt"]

    def test_are_not_purged(self, prefix: str, bare: Minio, settings, north: Client, use) -> None:
        use(Contract, MinioRouter(strategy=PerTenant("real-{schema_name}")))
        place = f"real-{north.schema_name}"
        settings.MINIO_TESTING = "real"
        call_command("initialize_buckets", "--all-tenants", stdout=io.StringIO())
        settings.MINIO_TESTING = "prefix"
        with get_tenancy().context(north):
            put(Contract._meta.get_field("file").storage)
        assert bare.bucket_exists(bucket_name=with_prefix(prefix, place))
        purge(north)
        assert bare.bucket_exists(bucket_name=place)
        assert not bare.bucket_exists(bucket_name=with_prefix(prefix, place))

        settings.MINIO_TESTING = "real"
        with pytest.raises(ConfigurationError, match="MINIO_TESTING = 'real'"):
            purge(north)
        assert bare.bucket_exists(bucket_name=place)

    def test_keep_their_orphans_and_the_source_of_a_move(self, bare: Minio, settings, real: str) -> None:
        settings.MINIO_TESTING = "real"
        storage = MinioBackend(real, public=False)
        orphan = Orphan(Place.of(storage), "a.txt", 4, storage.objects.head("a.txt").etag)
        with pytest.raises(ConfigurationError, match="MINIO_TESTING = 'real'"):
            list(delete_orphans(Sweep([], set()), [orphan], timezone.now()))
        with pytest.raises(ConfigurationError, match="MINIO_TESTING = 'real'"):
            BucketFiles(storage).remove("a.txt", orphan.etag)
        assert names_in(bare, real) == ["a.txt"]


TESTS = """
    import os
    from pathlib import Path
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage
    from django.test import TestCase
    from notes.models import Note

    class Keeps:
        def test_a_file(self):
            Note.objects.create()
            default_storage.save("letter.txt", ContentFile(b"test"))
            bucket = default_storage.objects.name
            Path("made", f"{bucket}.{self.__class__.__name__}").write_text(str(os.getpid()))

    class OneTests(Keeps, TestCase):
        pass

    class OtherTests(Keeps, TestCase):
        pass
"""


class TestRunners:
    @pytest.fixture
    def site(self, tmp_path: Path, new_name: Callable[[str], str]) -> QuickSite:
        for folder in ("notes", "made"):
            (tmp_path / folder).mkdir()
        (tmp_path / "notes" / "__init__.py").touch()
        (tmp_path / "notes" / "models.py").write_text(
            "from django.db import models\nclass Note(models.Model):\n    pass\n"
        )
        (tmp_path / "test_notes.py").write_text(textwrap.dedent(TESTS))
        self.bucket = new_name("dev")
        return QuickSite(
            tmp_path,
            SERVER,
            f"""
            INSTALLED_APPS += ["notes"]
            DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
            DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "dev.sqlite3"}}}}
            MINIO_TESTING = "prefix"
            MINIO_PRIVATE_BUCKETS = ["{self.bucket}"]
            STORAGES = {{
                "default": {{
                    "BACKEND": "django_minio_router.MinioBackend",
                    "OPTIONS": {{"bucket_name": "{self.bucket}"}},
                }}
            }}
            """,
        )

    @pytest.mark.parametrize(
        ("command", "workers"),
        [
            ("-c MANAGE test --parallel 2", 2),
            ("-c MANAGE test", 1),
            ("-m pytest -q -p no:cacheprovider --ds=site_settings -n 2 --dist=loadscope", 2),
        ],
        ids=["in parallel", "one process", "xdist"],
    )
    def test_use_a_bucket_for_each_worker_and_remove_it(
        self, site: QuickSite, bare: Minio, command: str, workers: int
    ) -> None:
        bare.make_bucket(bucket_name=self.bucket)
        run = site.interpreter(*[MANAGE if word == "MANAGE" else word for word in command.split()])

        assert run.returncode == 0, run.stdout + run.stderr
        made = {file.name.rpartition(".")[0] for file in (site.folder / "made").iterdir()}
        assert len(made) == workers, run.stdout + run.stderr
        assert all(re.fullmatch(rf"test-[0-9a-f]{{10}}-{self.bucket}", name) for name in made)
        assert not [name for name in made if bare.bucket_exists(bucket_name=name)], "They are still there."
        assert names_in(bare, self.bucket) == []
