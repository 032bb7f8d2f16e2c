"""Moving from django-storages: the printed settings read what it stored, and it reads what we store."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils.module_loading import import_string
from storages.backends.s3 import S3Storage

from django_minio_router.management.translation import RULES, translations
from django_minio_router.settings.declared import DEFAULTS, OPTIONS

PAGE = Path(__file__).parents[2] / "docs" / "from-django-storages.md"
NAMES = ["report.txt", "2026/räume & küche/a+b c.txt", "deep/er/x.bin"]
STORAGES = {"default": {"BACKEND": "storages.backends.s3.S3Storage"}}


def aws(bucket: str, **others: Any) -> dict[str, Any]:
    """The settings of a project that keeps its files with django-storages."""
    return {
        "STORAGES": STORAGES,
        "AWS_S3_ENDPOINT_URL": f"http://{os.environ['MINIO_ENDPOINT']}",
        "AWS_S3_ACCESS_KEY_ID": os.environ["MINIO_ACCESS_KEY"],
        "AWS_S3_SECRET_ACCESS_KEY": os.environ["MINIO_SECRET_KEY"],
        "AWS_S3_REGION_NAME": "us-east-1",
        "AWS_STORAGE_BUCKET_NAME": bucket,
        **others,
    }


def printed(project: dict[str, Any]) -> str:
    out = io.StringIO()
    with override_settings(**project):
        call_command("translate_settings", stdout=out)
    return out.getvalue()


def executed(project: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the project has after what was printed is put at the end of its own."""
    after = dict(project)
    exec(printed(project), after)
    return {name: value for name, value in after.items() if name.isupper()}


def storage_of(settings: dict[str, Any], alias: str = "default") -> Any:
    storage = settings["STORAGES"][alias]
    return import_string(storage["BACKEND"])(**storage["OPTIONS"])


@pytest.mark.parametrize("location", ["", "uploads", "a/b/"])
def test_each_reads_what_the_other_stored(bucket: str, location: str) -> None:
    project = aws(bucket, AWS_LOCATION=location)
    with override_settings(**project):
        theirs = S3Storage()
        for name in NAMES:
            assert theirs.save(name, ContentFile(name.encode())) == name

    with override_settings(MINIO_USE_HTTPS=None, **executed(project)):
        ours = storage_of(executed(project))
        for name in NAMES:
            assert ours.open(name).read() == name.encode()
            assert urllib3.request("GET", ours.url(name)).data == name.encode()
        assert ours.listdir("") == (["2026", "deep"], ["report.txt"])
        assert ours.save("report.txt", ContentFile(b"new")) == "report.txt"  # as AWS_S3_FILE_OVERWRITE says
        assert ours.save("ours/ü.txt", ContentFile(b"ours")) == "ours/ü.txt"

    with override_settings(**project):
        theirs = S3Storage()
        assert theirs.open("report.txt").read() == b"new"
        assert theirs.open("ours/ü.txt").read() == b"ours"


def test_a_name_is_not_overwritten_where_it_was_not_before(bucket: str) -> None:
    project = aws(bucket, AWS_S3_FILE_OVERWRITE=False)

    with override_settings(MINIO_USE_HTTPS=None, **executed(project)):
        ours = storage_of(executed(project))
        first, second = (ours.save("a.txt", ContentFile(content)) for content in (b"1", b"2"))

    assert first == "a.txt" != second


def test_no_key_is_printed(bucket: str) -> None:
    options = {"bucket_name": bucket, "access_key": "own-access", "secret_key": "own-secret"}
    storages = {**STORAGES, "static": {"BACKEND": "storages.backends.s3.S3StaticStorage", "OPTIONS": options}}
    text = printed(aws("media", STORAGES=storages))

    assert "own-secret" not in text
    assert os.environ["MINIO_SECRET_KEY"] not in text
    assert "MINIO_SECRET_KEY = AWS_S3_SECRET_ACCESS_KEY" in text
    assert "django_minio_router.MinioBackendStatic" in text
    assert f"['media', '{bucket}']" in text


def test_other_aliases_stay() -> None:
    local = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings = executed(aws("media", STORAGES={**STORAGES, "staticfiles": local}))

    assert settings["STORAGES"]["staticfiles"] == local
    assert settings["STORAGES"]["default"]["BACKEND"] == "django_minio_router.MinioBackend"


def test_where_an_older_setting_names_the_storage_all_aliases_are_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Django 4.2 makes STORAGES of them; settings that end with what is printed must not name it before."""
    local = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    project = aws("media", STORAGES={**STORAGES, "staticfiles": local})
    made = SimpleNamespace(**project, is_overridden=lambda name: False)
    monkeypatch.setattr("django_minio_router.management.commands.translate_settings.settings", made)
    out = io.StringIO()
    call_command("translate_settings", stdout=out)
    after = {name: value for name, value in project.items() if name != "STORAGES"}
    exec(out.getvalue(), after)

    assert after["STORAGES"]["staticfiles"] == local
    assert "Remove DEFAULT_FILE_STORAGE" in out.getvalue()


def test_public_buckets_headers_and_periods_are_translated(bucket: str) -> None:
    project = aws(
        bucket,
        AWS_QUERYSTRING_AUTH=False,
        AWS_QUERYSTRING_EXPIRE=600,
        AWS_S3_OBJECT_PARAMETERS={"CacheControl": "max-age=60", "Metadata": {"team": "web"}},
    )
    settings = executed(project)

    assert settings["MINIO_PUBLIC_BUCKETS"] == [bucket]
    assert settings["MINIO_URL_EXPIRY_HOURS"].total_seconds() == 600
    assert settings["STORAGES"]["default"]["OPTIONS"]["metadata"] == {
        "Cache-Control": "max-age=60",
        "x-amz-meta-team": "web",
    }


def test_aws_without_keys_is_asked_as_the_machine_s_role() -> None:
    project = SimpleNamespace(STORAGES=STORAGES, AWS_S3_REGION_NAME="eu-central-1")
    (found,) = translations(project)

    assert found.settings["MINIO_ENDPOINT"] == "'https://s3.eu-central-1.amazonaws.com'"
    assert found.settings["MINIO_CREDENTIALS"] == "'minio.credentials.IamAwsProvider'"


def test_what_has_no_counterpart_is_named() -> None:
    assert "# - AWS_DEFAULT_ACL: a bucket is public as a whole" in printed(
        aws("media", AWS_DEFAULT_ACL="public-read")
    )


def test_a_project_without_django_storages_is_told_so() -> None:
    with pytest.raises(CommandError, match="nothing to translate"):
        call_command("translate_settings")


def test_each_counterpart_exists() -> None:
    assert {rule.here for rule in RULES.values() if rule.here} <= {*DEFAULTS, *OPTIONS}


def test_the_page_has_a_row_for_each_setting() -> None:
    rows = {
        name: row
        for row in PAGE.read_text().splitlines()
        for name in re.findall(r"`([A-Z0-9_]+)`", row.split("|")[1] if "|" in row else "")
    }
    for rule in RULES.values():
        for name in rule.settings:
            assert f"`{rule.here}`" in rows[name] if rule.here else "–" in rows[name], name
