"""What a project's tests do to the files of its development server: nothing."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from minio import Minio

from tests.support.server import names_in
from tests.support.sites import PER_TENANT, QuickSite

TESTS = """
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage
    from django_tenants.test.cases import FastTenantTestCase, TenantTestCase
    from django_minio_router.testing import FilesInMemory

    class Leaving:
        @classmethod
        def setup_tenant(cls, tenant):
            tenant.auto_create_schema = True
            tenant.auto_drop_schema = True

        def test_a_file(self):
            name = default_storage.save("letter.txt", ContentFile(b"test"))
            self.assertEqual(name, "letter.txt")
            self.assertEqual(default_storage.open(name).read(), b"test")

    class LeavingTests(Leaving, TenantTestCase):
        @classmethod
        def get_test_schema_name(cls):
            return "acme"

    class FastLeavingTests(Leaving, FilesInMemory, FastTenantTestCase):
        def tearDown(self):
            default_storage.delete("letter.txt")

        test_another_file = Leaving.test_a_file
"""


@pytest.mark.parametrize("where", ["memory", "prefix"])
def test_a_tenant_that_a_test_removes_keeps_its_files_on_the_real_server(
    tmp_path: Path, bare: Minio, new_name: Callable[[str], str], where: str
) -> None:
    """Its schema is called as one of the development database is, and so is its bucket."""
    template = new_name("dev")[:40]
    site = QuickSite(
        tmp_path,
        PER_TENANT,
        f"""
        STRATEGY["OPTIONS"]["template"] = "{template}-{{schema_name}}"
        MINIO_PURGE_DELETED_TENANTS = True
        DATABASES["default"]["TEST"] = {{"NAME": "test_{template.replace("-", "_")}"}}
        MINIO_TESTING = "{where}"
        """,
    )
    bucket = f"{template}-acme"
    bare.make_bucket(bucket_name=bucket)
    bare.put_object(bucket_name=bucket, object_name="letter.txt", data=io.BytesIO(b"real"), length=4)
    (tmp_path / "test_leaving.py").write_text(textwrap.dedent(TESTS))

    run = site.manage("test", "test_leaving", "--noinput")

    assert "Ran 3 tests" in run.stderr, run.stderr
    assert bare.bucket_exists(bucket_name=bucket), "The test deleted the bucket of a real tenant."
    assert names_in(bare, bucket) == ["letter.txt"]
    assert [found.name for found in bare.list_buckets() if template in found.name] == [bucket]
    assert run.returncode == 0, run.stderr
