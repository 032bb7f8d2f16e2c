"""For a project's own tests: the contract that every strategy has to keep.

::

    class TestPerYear(StrategyContract):
        def make_strategy(self):
            return PerYear("archive", 2024)

It runs under pytest as it is, and under Django's test runner with ``TestCase`` as a second base. It needs
no S3 server, and no database unless ``make_tenants`` does.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import combinations
from typing import TYPE_CHECKING, Any, NoReturn
from unittest import mock

from django.conf import settings
from django.core.checks import CheckMessage
from django.db import connections
from django.db.migrations.writer import MigrationWriter
from django.utils.module_loading import import_string

from ..exceptions import ModelRequired, RoutingError, TenantRequired
from ..naming import bucket_name_problem, check_object_name
from ..strategies import BucketStrategy, Location
from ..tenancy import get_tenancy
from .clock import in_a_year

if TYPE_CHECKING:
    from django.db.models import Model

_SECRETS = ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ENDPOINT")


class StrategyContract:
    """Tests that every strategy must pass. Inherit from it and say how to make your strategy.

    ``models`` are the models whose fields use it. If the strategy cannot route without a tenant or a model,
    set ``needs_tenant`` or ``needs_model``; the tests then require it to raise. The tenants of
    ``make_tenants`` must be kept apart, from each other and from no tenant, unless ``keeps_tenants_apart`` is
    False.
    """

    models: Collection[type[Model]] = ()
    needs_tenant = False
    needs_model = False
    keeps_tenants_apart = True

    def make_strategy(self) -> BucketStrategy:
        """Return the strategy: a new object on each call, always equal to the others."""
        raise NotImplementedError("Say how the strategy is made: return it from make_strategy().")

    def make_different(self) -> Iterable[BucketStrategy]:
        """Return strategies of the same class that must not be equal to it."""
        return ()

    def make_tenants(self) -> Iterable[Any]:
        """Return tenants to route for; unsaved rows will do. The more hostile their names, the better."""
        return ()

    def make_contexts(self) -> Iterable[AbstractContextManager[Any]]:
        """Return contexts for the calls, if the strategy depends on more than tenant and model.

        For example, one for a user who is logged in, or for a request. ``initialize_buckets`` runs in none of
        them.
        """
        return ()

    # Routing

    def test_routes_only_to_buckets_that_it_names(self) -> None:
        strategy = self.make_strategy()
        for tenant, model in self._situations():
            with get_tenancy().context(tenant):
                routed = Location.of(strategy.bucket_for(model))
                named = self._buckets(strategy)
            assert _bucket(routed) in named, (
                f"{strategy!r} routes {_words(tenant, model)} to {routed!r}, which is not among {named!r}. "
                "initialize_buckets would not create it."
            )

    def test_names_outside_of_a_request_what_it_routes_to_within(self) -> None:
        strategy = self.make_strategy()
        for tenant, model in self._situations():
            with get_tenancy().context(tenant):
                named = self._buckets(strategy)
                for context in self.make_contexts():
                    with context:
                        routed = Location.of(strategy.bucket_for(model))
                    assert _bucket(routed) in named, (
                        f"{strategy!r} routes {_words(tenant, model)} to {routed!r} in {context!r}, "
                        f"and names {named!r} outside of it. initialize_buckets would not create it."
                    )

    def test_routes_to_the_same_place_in_a_year(self) -> None:
        strategy = self.make_strategy()
        before = list(self._routes(strategy))
        with in_a_year(type(strategy).__module__.partition(".")[0]):
            after = list(self._routes(strategy))
        for (tenant, model, now), (_, _, then) in zip(before, after, strict=True):
            assert now == then, (
                f"{strategy!r} routes {_words(tenant, model)} to {now!r}, and in a year to {then!r}. Rows "
                "keep only the name, so the files of today would be missing. Put the date into the name: see "
                "iso_date_prefix."
            )

    def test_names_follow_the_rules_of_s3(self) -> None:
        strategy = self.make_strategy()
        routed = [place for _, _, place in self._routes(strategy)]
        for place in [*routed, *self._named(strategy)]:
            problem = bucket_name_problem(place.bucket)
            assert problem is None, f"{strategy!r} gives {place!r}, whose bucket {problem}."
            if place.prefix:
                check_object_name(place.prefix.rstrip("/"))

    def test_raises_without_the_tenant_or_model_that_it_needs(self) -> None:
        strategy = self.make_strategy()
        for tenant, model in self._situations(routable=False):
            expected: list[type[RoutingError]] = [TenantRequired] if tenant is None else []
            expected += [ModelRequired] if model is None else []
            with get_tenancy().context(tenant):
                try:
                    answer = strategy.bucket_for(model)
                except tuple(expected):
                    continue
            raise AssertionError(
                f"{strategy!r} routes {_words(tenant, model)} to {answer!r} instead of raising "
                f"{expected[0].__name__}."
            )

    def test_tenants_share_no_place(self) -> None:
        if not self.keeps_tenants_apart:
            return
        strategy = self.make_strategy()
        for (one, model, here), (other, its_model, there) in combinations(self._routes(strategy), 2):
            assert one is other or _apart(here, there), (
                f"{strategy!r} routes {_words(one, model)} to {here!r}, and {_words(other, its_model)} to "
                f"{there!r}: one can read what the other stores."
            )

    def test_sends_no_query_and_no_request(self) -> None:
        strategy = self.make_strategy()
        for tenant, model in self._situations():
            with get_tenancy().context(tenant):
                strategy.bucket_for(model)  # may read the tenant's row, once
                with _isolated():
                    strategy.bucket_for(model)
                    list(strategy.buckets_for(self.models))
        with _isolated():
            list(strategy.check(self.models))

    # Comparing, and migrations

    def test_equal_strategies_are_equal_and_stay_so(self) -> None:
        strategy, twin = self.make_strategy(), self.make_strategy()
        assert strategy is not twin, "make_strategy() must make a strategy at each call."
        assert (strategy, hash(strategy)) == (twin, hash(twin)), f"{strategy!r} is not equal to its twin."
        list(self._routes(strategy))
        assert (strategy, hash(strategy)) == (twin, hash(twin)), (
            f"{strategy!r} changes as it routes. Keep nothing in its attributes but its arguments."
        )

    def test_different_strategies_differ(self) -> None:
        strategy = self.make_strategy()
        others = [*self.make_different(), object(), None]
        equal = [other for other in others if strategy == other or other == strategy]
        assert not equal, f"{strategy!r} is equal to {equal!r}."

    def test_is_made_again_from_its_deconstruction(self) -> None:
        strategy = self.make_strategy()
        path, args, kwargs = strategy.deconstruct()  # type: ignore[attr-defined]
        again = import_string(path)(*args, **kwargs)
        assert again == strategy, f"{strategy!r} deconstructs into {again!r}."

    def test_is_written_into_migrations_without_secrets(self) -> None:
        strategy = self.make_strategy()
        text, imports = MigrationWriter.serialize(strategy)
        names: dict[str, Any] = {}
        exec("\n".join(imports), names)  # noqa: S102
        again = eval(text, names)  # noqa: S307
        assert again == strategy, f"{strategy!r} is written as {text}, which makes {again!r}."
        for setting, secret in _secrets():
            assert secret not in text + repr(strategy), f"{strategy!r} shows the value of {setting}."

    def test_check_yields_messages(self) -> None:
        for message in self.make_strategy().check(self.models):
            assert isinstance(message, CheckMessage), f"{message!r} is no CheckMessage."

    # What there is to try

    def _tenants(self) -> list[Any]:
        """Return None for "no tenant", and the tenants."""
        return [None, *self.make_tenants()]

    def _situations(self, *, routable: bool = True) -> Iterator[tuple[Any, type[Model] | None]]:
        """Yield each tenant with each model, those that can be routed or those that must not be."""
        for tenant in self._tenants():
            for model in [None, *self.models]:
                lacks = (self.needs_tenant and tenant is None) or (self.needs_model and model is None)
                if lacks != routable:
                    yield tenant, model

    def _routes(self, strategy: BucketStrategy) -> Iterator[tuple[Any, type[Model] | None, Location]]:
        for tenant, model in self._situations():
            with get_tenancy().context(tenant):
                answer = strategy.bucket_for(model)
            yield tenant, model, Location.of(answer)

    def _buckets(self, strategy: BucketStrategy) -> list[tuple[str, str, str]]:
        """Return the buckets that there are for the active tenant."""
        return [_bucket(Location.of(answer)) for answer in strategy.buckets_for(self.models)]

    def _named(self, strategy: BucketStrategy) -> Iterator[Location]:
        for tenant in self._tenants():
            with get_tenancy().context(tenant):
                try:
                    answers = list(strategy.buckets_for(self.models))
                except TenantRequired:
                    if tenant is not None or not self.needs_tenant:
                        raise
                    continue
            yield from map(Location.of, answers)


def _words(tenant: Any, model: type[Model] | None) -> str:
    whose = "no tenant" if tenant is None else f"the tenant {get_tenancy().key(tenant)!r}"
    return f"{whose} and {'no model' if model is None else model._meta.label}"


def _apart(one: Location, other: Location) -> bool:
    """Return whether no object can be in both; a folder holds those below it."""
    if _bucket(one) != _bucket(other):
        return True
    return not (one.folder.startswith(other.folder) or other.folder.startswith(one.folder))


def _bucket(place: Location) -> tuple[str, str, str]:
    """Return the server, by its name and its address, and the bucket."""
    return place.server, place.endpoint, place.bucket


def _secrets() -> Iterator[tuple[str, str]]:
    """Yield the settings that no migration may show, with their values."""
    flat = {name: getattr(settings, name, "") for name in _SECRETS}
    for values in (flat, *getattr(settings, "MINIO_SERVERS", {}).values()):
        yield from ((name, values[name]) for name in _SECRETS if values.get(name))


@contextmanager
def _isolated() -> Iterator[None]:
    """Fail on any query and on any connection to a server."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise AssertionError("A strategy sends no query and no request; it is asked at each call.")

    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(refuse))
        stack.enter_context(mock.patch("urllib3.connectionpool.HTTPConnectionPool.urlopen", refuse))
        stack.enter_context(mock.patch.object(socket.socket, "connect", refuse))
        yield
