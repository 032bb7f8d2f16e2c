"""One tenant, who is active in all that a suite does."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

ACTIVE = "one"


def active_tenant() -> str:
    return ACTIVE


class SuitesConfig(AppConfig):
    name = "tools.suites"
    default_auto_field = "django.db.models.AutoField"

    def ready(self) -> None:
        post_migrate.connect(self.create_tenant, sender=self)  # also after a test that empties its tables

    def create_tenant(self, using: str, **kwargs: Any) -> None:
        self.get_model("Tenant")._default_manager.using(using).get_or_create(slug=ACTIVE)
