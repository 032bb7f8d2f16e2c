"""Which storages are found: those of the models as their files say, and those of STORAGES."""

from __future__ import annotations

import pytest

from django_minio_router import ConfigurationError, MinioBackend, MinioRouter
from django_minio_router.inventory.uses import configs, uses
from django_minio_router.strategies import PerModel, PerTenant


def found() -> dict[str, MinioBackend | MinioRouter]:
    return {use.where: use.storage for use in uses()}


def test_fields_of_all_installed_models_are_found():
    strategies = {where: getattr(storage, "strategy", None) for where, storage in found().items()}

    assert strategies["docs.Contract.file"] == PerTenant()
    assert isinstance(strategies["docs.Letter.file"], PerModel), "has its field from an abstract model"
    assert isinstance(strategies["docs.PaidInvoice.proof"], PerModel)
    assert strategies["docs.Logo.file"] is None, "a single bucket has no strategy"


def test_callable_storages_are_found():
    storage = found()["docs.Report.file"]

    assert isinstance(storage, MinioRouter)
    assert storage.strategy == PerModel({"docs.Report": "test-docs-reports"})


def test_a_field_is_found_once_and_not_again_with_proxies_and_children():
    wheres = [use.where for use in uses()]

    assert len(wheres) == len(set(wheres))
    assert "docs.InvoiceProxy.file" not in wheres
    assert "docs.PaidInvoice.file" not in wheres


def test_an_alias_is_known_by_the_field_that_uses_it(settings):
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "django_minio_router.MinioRouter"}}

    aliases = {use.where: use.alias for use in uses()}

    assert aliases["STORAGES['default']"] == "default"
    assert aliases["docs.Note.file"] == "default"
    assert aliases["docs.Contract.file"] is None


def test_storages_of_other_packages_are_not_made(settings):
    settings.STORAGES = {**settings.STORAGES, "other": {"BACKEND": f"{__name__}.Explosive"}}

    assert "STORAGES['other']" not in found()


class Explosive:
    def __init__(self) -> None:
        raise AssertionError("Looking for our storages must not make another package's.")


def test_a_backend_that_cannot_be_imported_is_named(settings):
    settings.STORAGES = {**settings.STORAGES, "other": {"BACKEND": "no.such.Storage"}}

    with pytest.raises(ConfigurationError, match=r"STORAGES\['other'\].*'no.such.Storage'"):
        uses()


def test_flat_settings_and_each_server_are_one_configuration(settings):
    settings.MINIO_SERVERS = {"eu": {"MINIO_ENDPOINT": "eu.example.com"}}

    endpoints = [config.get("MINIO_ENDPOINT") for config in configs(uses())]

    assert sorted(endpoints) == sorted([settings.MINIO_ENDPOINT, "eu.example.com"])
