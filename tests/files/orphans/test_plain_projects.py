"""Commands in projects without tenants, on the models and databases that they have."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio

from tests.support.sites import SERVER, QuickSite

SETTINGS = """
    INSTALLED_APPS = ["django_minio_router", "shelf"]
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    DATABASES = {
        alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER + "/" + alias} for alias in ALIASES
    }
    MINIO_PRIVATE_BUCKETS = [BUCKET]
"""

MODELS = """
    from django.conf import settings
    from django.db import models
    from django_minio_router import MinioBackend

    class Kept(models.Manager):
        def get_queryset(self):
            return super().get_queryset().filter(deleted=False)

    class Paper(models.Model):
        file = models.FileField(storage=MinioBackend(settings.BUCKET))
        deleted = models.BooleanField(default=False)
        objects = Kept()

    class Signed(Paper):
        scan = models.FileField(storage=MinioBackend(settings.BUCKET))

    class Shown(Paper):
        class Meta:
            proxy = True

    class Attached(models.Model):
        file = models.FileField(storage=MinioBackend(settings.BUCKET))

        class Meta:
            abstract = True

    class Letter(Attached):
        pass

    class Parcel(Attached):
        class Meta:
            db_table = "parcels"
"""

STORE = """
    from django.core.files.base import ContentFile
    from shelf import models

    def store(model, name, field="file", using="default", **values):
        row = model(**values)
        getattr(row, field).save(name, ContentFile(b"kept"), save=False)
        row.save(using=using)
"""

Names = Callable[[], set[str]]


@pytest.fixture
def site(tmp_path: Path, bucket: str) -> QuickSite:
    """A project whose tables are not there yet."""
    return make_site(tmp_path, bucket, "default")


def make_site(folder: Path, bucket: str, *aliases: str, more: str = "") -> QuickSite:
    constants = f"BUCKET, FOLDER, ALIASES = {bucket!r}, {str(folder)!r}, {aliases!r}"
    (folder / "shelf").mkdir(exist_ok=True)
    (folder / "shelf" / "__init__.py").touch()
    (folder / "shelf" / "models.py").write_text(textwrap.dedent(MODELS))
    return QuickSite(folder, constants, SERVER, SETTINGS, more)


def run(site: QuickSite, code: str) -> None:
    done = site.python(textwrap.dedent(STORE) + textwrap.dedent(code))
    assert done.returncode == 0, done.stderr


def migrate(site: QuickSite, *arguments: str) -> None:
    done = site.manage("migrate", "--run-syncdb", "--verbosity=0", *arguments)
    assert done.returncode == 0, done.stderr


def clean(site: QuickSite, *arguments: str) -> str:
    done = site.manage("clean_orphaned_minio_files", "--no-input", "--min-age=0", "--max-share=1", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def put(bare: Minio, bucket: str) -> Callable[..., None]:
    def put_one(name: str) -> None:
        bare.put_object(bucket_name=bucket, object_name=name, data=BytesIO(b"x"), length=1)

    def put(*names: str) -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(put_one, names))

    return put


@pytest.fixture
def names(bare: Minio, bucket: str) -> Names:
    return lambda: {stored.object_name for stored in bare.list_objects(bucket_name=bucket, recursive=True)}


def test_models_of_each_kind_protect_their_files(site: QuickSite, put, names: Names) -> None:
    migrate(site)
    put("lost")
    run(
        site,
        """
        store(models.Paper, "paper")
        store(models.Paper, "soft-deleted", deleted=True)
        store(models.Signed, "of-a-child", field="scan", file="")
        store(models.Signed, "of-its-parent")
        store(models.Shown, "of-a-proxy")
        store(models.Letter, "of-an-abstract-model")
        store(models.Parcel, "of-another")
        """,
    )
    kept = names() - {"lost"}
    assert len(kept) == 7

    assert "1 deleted, 0 spared, 0 failed." in clean(site)
    assert names() == kept


def test_a_listing_of_several_pages_is_cleaned_to_its_end(site: QuickSite, put, names: Names) -> None:
    """A server lists a thousand at a time."""
    migrate(site)
    put(*(f"{number:04}" for number in range(1050)))
    run(
        site,
        """
        rows = (models.Letter(file=f"{number:04}") for number in range(0, 1050, 3))
        models.Letter.objects.bulk_create(rows, batch_size=200)
        """,
    )

    assert "700 deleted, 0 spared, 0 failed." in clean(site)
    assert names() == {f"{number:04}" for number in range(0, 1050, 3)}


def test_rows_in_another_database_protect_their_files(tmp_path: Path, bucket: str, put, names: Names) -> None:
    site = make_site(tmp_path, bucket, "default", "archive", "unrelated")
    migrate(site)
    migrate(site, "--database=archive")
    put("lost")
    run(site, 'store(models.Letter, "letter")\nstore(models.Letter, "archived", using="archive")')

    clean(site)

    assert names() == {"letter", "archived"}


def test_a_database_that_cannot_be_read_stops_the_command(
    tmp_path: Path, bucket: str, put, names: Names
) -> None:
    gone = 'DATABASES["archive"]["NAME"] = FOLDER + "/no-such-folder/archive"'
    site = make_site(tmp_path, bucket, "default", "archive", more=gone)
    migrate(site)
    put("precious")

    done = site.manage("clean_orphaned_minio_files", "--no-input", "--min-age=0")

    assert done.returncode == 1
    assert "The database 'archive' cannot be read" in done.stderr
    assert names() == {"precious"}


def test_all_tenants_of_a_project_in_which_none_are_known_is_an_error(
    site: QuickSite, put, names: Names
) -> None:
    """They may be those of a package that we do not know, and every file of theirs would be an orphan."""
    migrate(site)
    put("precious")

    done = site.manage("clean_orphaned_minio_files", "--no-input", "--min-age=0", "--all-tenants")

    assert done.returncode == 1
    assert "--all-tenants cannot find the tenants: the database engine is" in done.stderr
    assert names() == {"precious"}


def test_a_database_without_the_table_deletes_nothing(site: QuickSite, put, names: Names) -> None:
    """As when the command runs on a new database, before the migrations."""
    put("precious")

    done = site.manage("clean_orphaned_minio_files", "--no-input", "--min-age=0")

    assert done.returncode == 1
    assert "no such table" in done.stderr
    assert names() == {"precious"}


@pytest.mark.parametrize(
    ("command", "who"),
    [
        ("clean_orphaned_minio_files --check-missing", ""),
        ("bucket_usage", ""),
        ("bucket_usage", "--all-tenants"),
        ("move_objects", ""),
        ("move_objects", "--all-tenants"),
    ],
)
def test_nothing_needs_django_tenants(site: QuickSite, bucket: str, command: str, who: str) -> None:
    site.at_start("import sys; sys.modules['django_tenants'] = None")
    migrate(site)
    run(site, 'store(models.Letter, "letter")')
    moved = ["--from", bucket, "--model", "shelf.Letter"] if command == "move_objects" else []

    done = site.manage(*command.split(), *who.split(), *moved)

    assert done.returncode == 0, done.stderr


@pytest.fixture
def lacking(tmp_path: Path, bucket: str) -> QuickSite:
    """A project with a second bucket, and without the table of one of its models."""
    site = make_site(tmp_path, bucket, "default", more='MINIO_PUBLIC_BUCKETS = [f"{BUCKET}-more"]')
    migrate(site)
    run(site, "from django.db import connection; connection.cursor().execute('DROP TABLE parcels')")
    return site


def test_a_table_that_is_missing_stops_no_other_count(lacking: QuickSite, bucket: str, put) -> None:
    put("a.txt")

    done = lacking.manage("bucket_usage", "--format=csv")

    assert done.returncode == 1
    assert f"{bucket}: no such table: parcels" in done.stderr
    assert "1 places could not be read" in done.stderr
    assert f",{bucket}-more,,,0,0" in done.stdout


def test_a_table_that_is_missing_stops_no_other_move(
    lacking: QuickSite, bucket: str, bare: Minio, names: Names
) -> None:
    old = f"{bucket}-more"
    bare.make_bucket(bucket_name=old)
    bare.put_object(bucket_name=old, object_name="a.txt", data=BytesIO(b"x"), length=1)
    run(lacking, 'models.Letter.objects.create(file="a.txt")')

    done = lacking.manage("move_objects", f"--from={old}", "--model=shelf.Parcel", "--model=shelf.Letter")

    assert done.returncode == 1
    assert "failed: shelf.Parcel.file: no such table: parcels" in done.stderr
    assert names() == {"a.txt"}


def test_the_bucket_of_a_field_that_was_removed_is_not_touched(
    site: QuickSite, tmp_path: Path, bucket: str, put, names: Names
) -> None:
    migrate(site)
    run(site, 'store(models.Letter, "letter")')
    models = tmp_path / "shelf" / "models.py"
    models.write_text("from django.db import models\nclass Letter(models.Model):\n    pass\n")

    assert "0 orphans" in clean(site)
    assert names() == {"letter"}
