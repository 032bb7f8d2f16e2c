"""The contract itself: each way to break it fails the test that is there for it, and no other."""

from __future__ import annotations

import time
import unittest
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import date
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import CheckMessage
from django.db import connection
from django.test import SimpleTestCase
from django.utils import timezone

from django_minio_router import MinioBackend, ModelRequired, TenantRequired
from django_minio_router.strategies import BucketStrategy, Location, PerTenant
from django_minio_router.tenancy import current_key, current_tenant
from django_minio_router.testing import StrategyContract
from tests.apps.customers.models import Client
from tests.apps.docs.models import Invoice, Receipt


class Sound(BucketStrategy):
    """A bucket for each tenant and model, and what the broken ones below change."""

    def __init__(self, prefix: str = "sound") -> None:
        self.prefix = prefix

    def bucket_for(self, model: Any) -> str | Location:
        schema_name = current_key()
        if schema_name is None:
            raise TenantRequired("no tenant")
        if model is None:
            raise ModelRequired("no model")
        return f"{self.prefix}-{schema_name}-{model._meta.model_name}"

    def buckets_for(self, models: Any) -> Iterable[str | Location]:
        return [self.bucket_for(model) for model in models]


class RoutesElsewhere(Sound):
    def buckets_for(self, models: Any) -> Iterable[str | Location]:
        return [f"{bucket}-x" for bucket in super().buckets_for(models)]


class RoutesToAnotherServer(Sound):
    def bucket_for(self, model: Any) -> Location:
        return Location(str(super().bucket_for(model)), server="eu")

    def buckets_for(self, models: Any) -> Iterable[str | Location]:
        return [self.bucket_for(model).bucket for model in models]


class RoutesToAnotherEndpoint(RoutesToAnotherServer):
    def bucket_for(self, model: Any) -> Location:
        return super().bucket_for(model)._replace(server="", endpoint="eu.example.com")


class OneNameOnServersOfTheirOwn(Sound):
    def bucket_for(self, model: Any) -> Location:
        return Location("media", endpoint=f"{super().bucket_for(model)}.example.com")


class GivesInvalidNames(Sound):
    def bucket_for(self, model: Any) -> str:
        return f"{super().bucket_for(model)}_"


class NamesAnInvalidBucket(Sound):
    def buckets_for(self, models: Any) -> Iterable[str | Location]:
        return [*super().buckets_for(models), "never_routed_to"]


class NamesNothingForATenant(Sound):
    def buckets_for(self, models: Any) -> Iterable[str | Location]:
        raise TenantRequired("although there is one")


class LeavesItsFolder(Sound):
    def bucket_for(self, model: Any) -> Location:
        return Location(str(super().bucket_for(model)), prefix="../")


class FallsBackWithoutATenant(Sound):
    def bucket_for(self, model: Any) -> str | Location:
        return super().bucket_for(model) if current_key() else "fallback"


class FallsBackWithoutAModel(Sound):
    def bucket_for(self, model: Any) -> str | Location:
        return super().bucket_for(model or Invoice)


class RaisesSomethingElse(Sound):
    def bucket_for(self, model: Any) -> str | Location:
        if model is None:
            raise ValueError("which Django may swallow")
        return super().bucket_for(model)


class MixesTenants(Sound):
    def bucket_for(self, model: Any) -> str:
        return str(super().bucket_for(model)).replace("--", "-")


class NestsFolders(Sound):
    def bucket_for(self, model: Any) -> Location:
        super().bucket_for(model)
        return Location("one-for-all", prefix=str(current_key()).replace("a-b", "a/b"))

    def buckets_for(self, models: Any) -> Iterable[str | Location]:
        return ["one-for-all"]


class Queries(Sound):
    def bucket_for(self, model: Any) -> str | Location:
        answer = super().bucket_for(model)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return answer


class Requests(Sound):
    def bucket_for(self, model: Any) -> str | Location:
        answer = super().bucket_for(model)
        MinioBackend(str(answer), public=False).client.bucket_exists(bucket_name="sound")
        return answer


class ChecksOnTheServer(Sound):
    def check(self, models: Any) -> Iterator[CheckMessage]:
        MinioBackend("sound", public=False).client.bucket_exists(bucket_name="sound")
        yield from ()


class Remembers(Sound):
    def bucket_for(self, model: Any) -> str | Location:
        self.last = super().bucket_for(model)
        return self.last


class NeverEqual(Sound):
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


class AlwaysEqual(Sound):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


class ByYear(Sound):
    """Names what it routes to, and routes elsewhere next year."""

    def bucket_for(self, model: Any) -> str | Location:
        return f"{super().bucket_for(model)}-{date.today().year}"


class ByYearOfDjango(Sound):
    def bucket_for(self, model: Any) -> str | Location:
        return f"{super().bucket_for(model)}-{timezone.now():%Y}"


class ByYearOfTheSystem(Sound):
    def bucket_for(self, model: Any) -> str | Location:
        return f"{super().bucket_for(model)}-{time.strftime('%Y', time.gmtime(time.time()))}"


user: ContextVar[str] = ContextVar("user", default="nobody")


class ByUser(Sound):
    """Names the bucket of whoever is logged in, so that a command, with nobody, creates none of them."""

    def bucket_for(self, model: Any) -> str | Location:
        return f"{super().bucket_for(model)}-{user.get()}"


class ForgetsItsArguments(Sound):
    def deconstruct(self) -> Any:
        return f"{__name__}.ForgetsItsArguments", (), {}


class ShowsAKey(Sound):
    def __init__(self, prefix: str = "sound", key: str = "") -> None:
        super().__init__(prefix)
        self.key = key


class ChecksWithStrings(Sound):
    def check(self, models: Any) -> Any:
        return ["something is wrong"]


ROUTES = "test_routes_only_to_buckets_that_it_names"
NAMES = "test_names_follow_the_rules_of_s3"
RAISES = "test_raises_without_the_tenant_or_model_that_it_needs"
CONTEXTS = "test_names_outside_of_a_request_what_it_routes_to_within"
LATER = "test_routes_to_the_same_place_in_a_year"
APART = "test_tenants_share_no_place"
QUIET = "test_sends_no_query_and_no_request"
EQUAL = "test_equal_strategies_are_equal_and_stay_so"
DIFFER = "test_different_strategies_differ"
AGAIN = "test_is_made_again_from_its_deconstruction"
WRITTEN = "test_is_written_into_migrations_without_secrets"
CHECKS = "test_check_yields_messages"

BROKEN = {
    Sound: set(),
    RoutesElsewhere: {ROUTES, CONTEXTS},
    RoutesToAnotherServer: {ROUTES, CONTEXTS},
    RoutesToAnotherEndpoint: {ROUTES, CONTEXTS},
    OneNameOnServersOfTheirOwn: set(),
    GivesInvalidNames: {NAMES},
    NamesAnInvalidBucket: {NAMES},
    NamesNothingForATenant: {NAMES, ROUTES, QUIET, CONTEXTS},
    LeavesItsFolder: {NAMES},
    FallsBackWithoutATenant: {RAISES},
    FallsBackWithoutAModel: {RAISES},
    RaisesSomethingElse: {RAISES},
    MixesTenants: {APART},
    NestsFolders: {APART},
    ByYear: {LATER},
    ByYearOfDjango: {LATER},
    ByYearOfTheSystem: {LATER},
    ByUser: {CONTEXTS},
    Queries: {QUIET},
    Requests: {QUIET},
    ChecksOnTheServer: {QUIET},
    Remembers: {EQUAL},
    NeverEqual: {EQUAL, AGAIN, WRITTEN},
    AlwaysEqual: {DIFFER},
    ForgetsItsArguments: {AGAIN, WRITTEN},
    ShowsAKey: {WRITTEN},
    ChecksWithStrings: {CHECKS},
}


@contextmanager
def logged_in(name: str) -> Iterator[None]:
    token = user.set(name)
    try:
        yield
    finally:
        user.reset(token)


def contract_for(strategy_class: type[BucketStrategy]) -> StrategyContract:
    class Contract(StrategyContract):
        needs_tenant = True
        needs_model = True
        models = (Invoice, Receipt)

        def make_strategy(self) -> BucketStrategy:
            if strategy_class is ShowsAKey:
                return ShowsAKey("acme", key=settings.MINIO_SECRET_KEY)
            return strategy_class("acme")

        def make_different(self) -> Iterable[BucketStrategy]:
            return [strategy_class("other")]

        def make_tenants(self) -> list[Client]:
            return [Client(schema_name=name) for name in ("north", "a-b", "a--b", "a")]

        def make_contexts(self) -> list[AbstractContextManager[None]]:
            return [logged_in("ann"), logged_in("bob")]

    return Contract()


def clauses() -> list[str]:
    return [name for name in dir(StrategyContract) if name.startswith("test_")]


@pytest.mark.parametrize("strategy_class", BROKEN, ids=lambda strategy_class: strategy_class.__name__)
def test_a_broken_strategy_fails_the_clause_that_it_breaks(
    strategy_class: type[BucketStrategy], db: None
) -> None:
    contract = contract_for(strategy_class)
    failed = set()
    for clause in clauses():
        try:
            getattr(contract, clause)()
        except Exception:
            failed.add(clause)
    assert failed == BROKEN[strategy_class]


def test_every_clause_can_fail() -> None:
    assert set().union(*BROKEN.values()) == set(clauses())


def test_the_contract_runs_under_unittest() -> None:
    class PerTenantTest(StrategyContract, SimpleTestCase):
        needs_tenant = True

        def make_strategy(self) -> BucketStrategy:
            return PerTenant("{id}")

        def make_tenants(self) -> list[Client]:
            return [Client(pk=number, schema_name=f"tenant{number}") for number in (1, 2)]

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(PerTenantTest).run(result)
    assert (result.testsRun, result.errors, result.failures) == (len(clauses()), [], [])


def test_a_contract_that_makes_no_strategy_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="make_strategy"):
        StrategyContract().test_check_yields_messages()


def test_the_contract_leaves_no_tenant_behind() -> None:
    contract = contract_for(Sound)
    for clause in clauses():
        getattr(contract, clause)()
        assert current_key() is None
        with pytest.raises(TenantRequired):
            current_tenant()
