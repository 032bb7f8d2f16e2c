"""What a run must leave in the old place, since a row that it did not move needs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, storages
from django.db import connection
from django_tenants.files.storage import TenantFileSystemStorage
from django_tenants.utils import tenant_context

from django_minio_router import MinioRouter
from django_minio_router.strategies import FixedBucket, PerTenant, PerTenantPrefix
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import Contents, Put, Run, name_in_rows, store
from tests.support.schemas import Clean, Use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("north", "south")]


class ByConnection(InMemoryStorage):
    """A storage as other packages have them: a place for each tenant, and no folder that we could tell."""

    def _resolve(self, name: str, **options: Any) -> Any:
        return super()._resolve(f"{connection.schema_name}/{name}", **options)


@pytest.fixture
def folders(use: Use, old: str) -> None:
    """The new place is a folder for each tenant, in the very bucket that the files are in."""
    use(Receipt, MinioRouter(strategy=PerTenantPrefix(old)), "file", "scan")


def test_a_model_that_is_named_twice_is_moved_once(
    receipts: PerTenant,
    old: str,
    put: Put,
    move: Run,
    contents: Contents,
    north: Client,
    south: Client,
) -> None:
    put(old, "a.txt")
    name_in_rows(north, "a.txt")
    name_in_rows(south, "a.txt")
    model = f"--model={Receipt._meta.label}"

    move(f"--from={old}", f"--tenant={north.schema_name}", model, model, "--delete-source", interactive=False)

    assert contents(old).keys() == {"a.txt"}


@pytest.mark.usefixtures("folders")
def test_what_was_moved_within_a_bucket_is_no_orphan(
    old: str,
    put: Put,
    move: Run,
    north: Client,
) -> None:
    put(old, "a.txt")
    name_in_rows(north, "a.txt")

    assert "0 orphaned" in move(f"--from=bucket:{old}", "--all-tenants").output


@pytest.mark.usefixtures("folders")
def test_a_new_file_within_the_bucket_is_not_deleted_as_an_old_one(
    old: str,
    move: Run,
    contents: Contents,
    north: Client,
    south: Client,
) -> None:
    with tenant_context(north):
        store(Receipt, "new.txt")
    name_in_rows(south, f"{north.schema_name}/new.txt")

    move(f"--from=bucket:{old}", "--all-tenants", "--delete-source", interactive=False)

    assert f"{north.schema_name}/new.txt" in contents(old)


@pytest.mark.usefixtures("receipts")
@pytest.mark.parametrize("lacking", ["", "scan"])
def test_a_file_stays_for_a_row_in_the_schema_that_a_deleted_tenant_left(
    old: str,
    put: Put,
    move: Run,
    contents: Contents,
    north: Client,
    south: Client,
    lacking: str,
) -> None:
    put(old, "a.txt")
    put(old, "b.txt")
    name_in_rows(south, "a.txt")
    name_in_rows(north, "a.txt", "b.txt")
    if lacking:  # as the schema is not migrated any more
        with tenant_context(south), connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {Receipt._meta.db_table} DROP COLUMN {lacking}")
    Client.objects.filter(pk=south.pk).delete()

    move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)

    assert contents(old).keys() == {"a.txt"}


@pytest.mark.usefixtures("receipts")
def test_a_storage_that_asks_for_the_tenant_deletes_the_file_of_that_tenant(
    move: Run,
    north: Client,
    south: Client,
    settings,
) -> None:
    settings.STORAGES = settings.STORAGES | {"theirs": {"BACKEND": f"{__name__}.ByConnection"}}
    theirs = storages["theirs"]
    for tenant in (north, south):
        with tenant_context(tenant):
            theirs.save("a.txt", ContentFile(b"a"))
    name_in_rows(north, "a.txt")

    move("--from=theirs", "--all-tenants", "--delete-source", interactive=False)

    with tenant_context(north):
        assert not theirs.exists("a.txt")
    with tenant_context(south):
        assert theirs.exists("a.txt")


@pytest.mark.parametrize("otherwise", [{"MINIO_RETRIES": 1}, {"MINIO_ENDPOINT": "localhost:{port}"}])
def test_the_only_file_stays_where_the_old_place_is_the_new_one_by_another_name(
    use: Use,
    old: str,
    put: Put,
    move: Run,
    contents: Contents,
    north: Client,
    settings,
    otherwise: dict[str, object],
) -> None:
    names = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_USE_HTTPS")
    options = {name: getattr(settings, name) for name in names} | otherwise
    port = settings.MINIO_ENDPOINT.rpartition(":")[2]
    options["MINIO_ENDPOINT"] = options["MINIO_ENDPOINT"].format(port=port)
    backend = "django_minio_router.models.MinioBackend"
    settings.STORAGES = settings.STORAGES | {
        "older": {"BACKEND": backend, "OPTIONS": {**options, "MINIO_DEFAULT_BUCKET": old}}
    }
    use(Receipt, MinioRouter(strategy=FixedBucket(old)), "file", "scan")
    put(old, "a.txt")
    name_in_rows(north, "a.txt")

    output = move("--from=older", "--all-tenants", "--delete-source", interactive=False).output

    assert contents(old).keys() == {"a.txt"}
    assert "0 were deleted" in output


@pytest.mark.usefixtures("receipts")
def test_a_claim_in_the_old_place_is_no_file(
    old: str,
    put: Put,
    move: Run,
    north: Client,
) -> None:
    put(old, "a.txt", b"", metadata={"being-moved": "1"})
    name_in_rows(north, "a.txt")

    assert "0 copied, 0 already there, 1 missing" in move(f"--from={old}", "--all-tenants").output


@pytest.mark.usefixtures("receipts")
def test_a_local_file_stays_for_a_row_that_writes_its_name_otherwise(
    tmp_path: Path,
    settings,
    move: Run,
    north: Client,
) -> None:
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "a.txt").write_text("a")
    name_in_rows(north, "a.txt", "./a.txt")

    move("--from=media", "--all-tenants", "--delete-source", interactive=False)

    assert (tmp_path / "a.txt").exists()


def test_a_local_file_is_moved_for_a_row_that_writes_its_whole_path(
    tmp_path: Path, settings, move: Run, north: Client, receipts: PerTenant
) -> None:
    """The slash at its start is not part of the name in the bucket, for the move as for the row."""
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "a.txt").write_text("a")
    name_in_rows(north, "a.txt", f"{tmp_path}/a.txt")

    move("--from=media", "--all-tenants", "--delete-source", interactive=False)

    with tenant_context(north):
        storage = MinioRouter(strategy=receipts)
        assert [storage.open(name).read() for name in ("a.txt", f"{tmp_path}/a.txt")] == [b"a", b"a"]


@pytest.mark.usefixtures("receipts")
def test_a_local_name_that_is_no_text_is_reported(
    tmp_path: Path,
    settings,
    move: Run,
) -> None:
    settings.MEDIA_ROOT = tmp_path
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.txt")).touch()

    assert r"orphaned: \xe9.txt" in move("--from=media", "--all-tenants").output


@pytest.mark.usefixtures("receipts")
def test_an_old_place_that_cannot_be_read_is_named_without_a_traceback(
    tmp_path: Path,
    settings,
    move: Run,
) -> None:
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "loop").symlink_to("loop")

    assert f"{tmp_path}/loop'. Start it again" in (move("--from=media", "--all-tenants").error or "")


def test_what_is_missing_is_told_for_each_tenant_in_a_fallback_that_asks_the_connection(
    use: Use,
    per_tenant: PerTenant,
    tmp_path: Path,
    settings,
    clean: Clean,
    north: Client,
    south: Client,
) -> None:
    settings.MEDIA_ROOT = tmp_path
    use(Receipt, MinioRouter(strategy=per_tenant, fallback=TenantFileSystemStorage()), "file", "scan")
    with tenant_context(north):
        TenantFileSystemStorage().save("a.txt", ContentFile(b"north"))
    name_in_rows(north, "a.txt")
    name_in_rows(south, "a.txt")

    output = clean("--all-tenants", "--check-missing", dry_run=True)

    assert "1 rows refer to a missing object." in output
    assert f"in the schema {south.schema_name!r} of the row" in output
