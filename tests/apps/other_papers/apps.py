from __future__ import annotations

from django.apps import AppConfig


class PapersConfig(AppConfig):
    name = "tests.apps.other_papers"
    label = "papers"
