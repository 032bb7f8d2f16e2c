"""Folders by date: the day in UTC, as the original documents it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from django.db.models import FileField
from django.test import override_settings

from django_minio_router import get_iso_date, iso_date_prefix
from django_minio_router.models import iso_date_prefix as moved


def today() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d")


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_date_is_that_of_utc_with_zeros(zone: str) -> None:
    with override_settings(TIME_ZONE=zone):
        before, date, after = today(), get_iso_date(), today()
    assert date in {before, after}
    assert len(date) == 10


def test_names_lie_in_a_folder_of_the_day() -> None:
    assert moved is iso_date_prefix
    assert iso_date_prefix(None, "a b.txt") in {f"{today()}/a b.txt", f"{get_iso_date()}/a b.txt"}
    name = FileField(upload_to=iso_date_prefix).generate_filename(None, "a b.txt")
    assert name.endswith("/a_b.txt")
    assert len(name) == len("2026-01-01/a_b.txt")
