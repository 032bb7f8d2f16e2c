"""The commands as a person runs them: ``manage.py`` in a project of its own, on a terminal and without."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.support.sites import PER_TENANT, SERVER, QuickSite


class TestWithoutTenants:
    @pytest.fixture
    def names(self, new_name) -> list[str]:
        return [new_name(label) for label in ("one", "two", "three")]

    @pytest.fixture
    def site(self, tmp_path, names) -> QuickSite:
        return QuickSite(tmp_path, SERVER, f"MINIO_PRIVATE_BUCKETS = {names}")

    def test_plain_lines_and_exit_codes(self, site, names, bare):
        check = site.manage("initialize_buckets", "--check")
        assert check.returncode == 1
        assert "3 of 3 buckets differ" in check.stderr

        first = site.manage("initialize_buckets")
        assert first.returncode == 0
        assert first.stdout.splitlines() == [*(f"{name}: created (private)" for name in names), "3 created."]
        assert first.stderr == ""
        assert all(bare.bucket_exists(bucket_name=name) for name in names)

        assert site.manage("initialize_buckets", "--check").returncode == 0

    def test_a_bar_on_a_terminal_with_the_lines_above_it(self, site, names):
        drawn = site.manage_on_terminal("initialize_buckets", "--jobs", "1")

        for done in range(4):
            assert f"] {done}/3" in drawn
        left_standing = [line.rpartition("\r")[2].removeprefix("\x1b[K") for line in drawn.split("\r\n")]
        assert left_standing == [*(f"{name}: created (private)" for name in names), "3 created.", ""]
        assert f"[{'#' * 30}] 3/3" in drawn

    def test_no_bar_on_a_terminal_where_silence_is_asked_for(self, site):
        assert site.manage_on_terminal("initialize_buckets", "--silenced") == ""

    def test_a_failure_is_one_line_and_exit_code_1(self, tmp_path, names):
        site = QuickSite(tmp_path, SERVER, f"MINIO_PRIVATE_BUCKETS = {names}\nMINIO_SECRET_KEY = 'hush-hush'")

        failed = site.manage("initialize_buckets")

        assert failed.returncode == 1
        assert failed.stdout == ""
        assert failed.stderr.startswith("CommandError: Nothing was changed. ")
        assert "MINIO_SECRET_KEY" in failed.stderr
        assert "hush" not in failed.stderr
        assert "Traceback" not in failed.stderr

    def test_help_names_every_option(self, site):
        text = site.manage("initialize_buckets", "--help").stdout

        for option in (
            "--all-tenants",
            "--tenant",
            "--storage",
            "--dry-run",
            "--check",
            "--jobs",
            "--silenced",
        ):
            assert option in text

    def test_without_django_tenants_everything_but_tenants_works(self, site, names, bare):
        # None in sys.modules is how Python itself says that a module is not to be found.
        site.at_start("import sys; sys.modules['django_tenants'] = None")

        assert site.manage("check").returncode == 0
        assert site.manage("initialize_buckets").returncode == 0
        assert all(bare.bucket_exists(bucket_name=name) for name in names)

        refused = site.manage("initialize_buckets", "--all-tenants")
        assert refused.returncode == 1
        assert "pip install 'django-minio-router[tenants]'" in refused.stderr
        assert "Traceback" not in refused.stderr

    def test_in_a_project_that_does_not_use_django_tenants(self, site):
        refused = site.manage("initialize_buckets", "--tenant", "acme")

        assert refused.returncode == 1
        assert "the database engine is" in refused.stderr


@pytest.fixture(scope="module")
def schemas() -> list[str]:
    token = secrets.token_hex(4)
    return [f"acme{token}", f"north{token}"]


@pytest.fixture(scope="module")
def tenant_site(tmp_path_factory, schemas) -> Iterator[QuickSite]:
    """A project with a database of its own: these commands commit, and close their connection."""
    name = f"site_{secrets.token_hex(4)}"
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        site = QuickSite(tmp_path_factory.mktemp("site"), PER_TENANT)
        site.env["DATABASE_URL"] = urlsplit(server)._replace(path=f"/{name}").geturl()
        assert site.manage("migrate_schemas", "--shared").returncode == 0
        with psycopg.connect(site.env["DATABASE_URL"], autocommit=True) as tables:
            for schema in schemas:
                tables.execute(
                    "INSERT INTO customers_client (schema_name, name) VALUES (%s, %s)", (schema, schema)
                )
        yield site
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class TestWithTenants:
    def there(self, bare, schemas) -> list[bool]:
        return [bare.bucket_exists(bucket_name=f"media-{schema}") for schema in schemas]

    def test_tenant_command_then_all_tenants_command(self, tenant_site, schemas, bare):
        assert "Skipped PerTenant" in tenant_site.manage("initialize_buckets").stdout
        assert self.there(bare, schemas) == [False, False]

        one = tenant_site.manage("tenant_command", "initialize_buckets", f"--schema={schemas[0]}")
        assert one.returncode == 0, one.stderr
        assert self.there(bare, schemas) == [True, False]

        both = tenant_site.manage("all_tenants_command", "initialize_buckets", "--verbosity", "2")
        assert both.returncode == 0, both.stderr
        assert self.there(bare, schemas) == [True, True]
        assert f"media-{schemas[0]}: unchanged" in both.stdout
        assert f"media-{schemas[1]}: created (private)" in both.stdout

    def test_its_options_work_within_tenant_command(self, tenant_site, schemas):
        run = tenant_site.manage(
            "tenant_command", "initialize_buckets", f"--schema={schemas[0]}", "--dry-run"
        )

        assert run.returncode == 0
        assert f"media-{schemas[1]}" not in run.stdout


class TestIsMinioAvailable:
    def test_a_server_that_answers(self, tmp_path):
        run = QuickSite(tmp_path, SERVER).manage("is_minio_available")

        assert run.returncode == 0
        assert "available" in run.stdout
        assert os.environ["MINIO_ENDPOINT"] in run.stdout

    def test_one_that_does_not(self, tmp_path):
        run = QuickSite(tmp_path, SERVER, "MINIO_ENDPOINT = '127.0.0.1:9'").manage("is_minio_available")

        assert run.returncode == 1
        assert "NOT available" in run.stderr
        assert "127.0.0.1:9" in run.stderr
        assert "Traceback" not in run.stderr
