"""``manage.py translate_settings``"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from django_minio_router.management.base import RouterCommand
from django_minio_router.management.translation import Translation, translations


class Command(RouterCommand):
    help = (
        "Print the settings that replace those of django-storages' S3 backend, and list those without a "
        "counterpart. Changes nothing and prints no key."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(translations(settings))
        if not found:
            raise CommandError(
                "There is nothing to translate: no alias of STORAGES has a BACKEND in storages.backends.s3."
            )
        self.stdout.write("\n".join(_lines(found)))


def _lines(found: list[Translation]) -> Iterator[str]:
    flat = {name: value for each in found for name, value in each.settings.items()}
    if "timedelta(" in f"{flat}{[each.options for each in found]}":
        yield "from datetime import timedelta\n"
    yield "STORAGES = {"
    yield from _others({each.alias for each in found})
    for each in found:
        yield from _alias(each)
    yield "}"
    yield from (f"{name} = {value}" for name, value in flat.items())
    for name, public in ("MINIO_PRIVATE_BUCKETS", False), ("MINIO_PUBLIC_BUCKETS", True):
        buckets = dict.fromkeys(each.bucket for each in found if each.bucket and each.public is public)
        if buckets:
            yield f"{name} = {list(buckets)}"
    if not settings.is_overridden("STORAGES"):
        yield "\n# Remove DEFAULT_FILE_STORAGE and STATICFILES_STORAGE: STORAGES replaces them."
    remarks = dict.fromkeys(remark for each in found for remark in each.remarks)
    if remarks:
        yield "\n# Not translated:"
        yield from (f"# - {remark}" for remark in remarks)


def _others(translated: set[str]) -> Iterator[str]:
    """Yield the aliases that stay as they are. Settings of before Django 4.2 name them elsewhere."""
    if settings.is_overridden("STORAGES"):
        yield "    **STORAGES,"
    else:
        kept = settings.STORAGES.items()
        yield from (f"    {alias!r}: {storage}," for alias, storage in kept if alias not in translated)


def _alias(translation: Translation) -> Iterator[str]:
    yield f"    {translation.alias!r}: {{"
    yield f'        "BACKEND": {translation.backend!r},'
    yield '        "OPTIONS": {'
    for name, value in translation.options.items():
        text, _, comment = value.partition("  # ")
        yield f'            "{name}": {text},' + (f"  # {comment}" if comment else "")
    yield "        },"
    yield "    },"
