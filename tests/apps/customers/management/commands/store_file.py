from __future__ import annotations

from typing import Any

from django.core.files.base import ContentFile
from django.core.management.base import BaseCommand, CommandParser

from tests.apps.brands.models import router


class Command(BaseCommand):
    help = "Store a file for the active tenant, as a project's own command would."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        router.save(name, ContentFile(b"by a command"))
