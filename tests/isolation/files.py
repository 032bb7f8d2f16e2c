"""A machine that does anything with files of tenants in any context, and looks at all files after each step.

What it runs on says how a tenant is made active, and where each file must be: see ``Project``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from django.core.files.base import ContentFile
from django.db import connection
from django.test import AsyncRequestFactory
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from django_minio_router import ObjectResponse, RoutingError
from django_minio_router.strategies import BucketStrategy
from django_minio_router.tenancy import get_tenancy, tenant_bucket_context
from django_minio_router.testing import files, stored_files

OFTEN = settings(
    max_examples=30,
    stateful_step_count=30,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
    database=None,
)
UNTIL_FOUND = settings(OFTEN, max_examples=200, derandomize=True)
TENANTS = st.integers(0, 2)
NAMES = st.sampled_from(["a.txt", "a.txt", "d/a.txt"])  # of all tenants, so that they meet

Make = Callable[[Any], AbstractContextManager[Any]]

# What a context changes: what the project says, for whom the package acts, or both.
OF_THE_PACKAGE: dict[str, tuple[str, Make]] = {
    "a bucket context of a row": ("acting", tenant_bucket_context),
    "a bucket context of a key": ("acting", lambda tenant: tenant_bucket_context(get_tenancy().key(tenant))),
}
NOBODY = ("nobody", "a context without a tenant")


@dataclass
class Project:
    """Three tenants, the kinds of fields that store for them, and what is true of it all.

    ``file`` returns the file of a row that is not saved; of kinds that are ``owned``, the row says whose it
    is. ``place`` returns bucket and folder. With ``model``, rows of it are apart by tenant. Where nobody
    ``hears`` what the project says, only the package's own contexts count. What it says ``follows`` a copied
    context, or belongs to a thread. ``of_a_task`` lets async code say for itself who is active.
    """

    tenants: list[Any]
    contexts: dict[str, tuple[str, Make]]
    kinds: list[str]
    owned: Collection[str]
    file: Callable[[str, Any, str], Any]
    place: Callable[[str, Any], tuple[str, str]]
    hears: bool = True
    follows: bool = True
    of_a_task: Make | None = None
    model: Any = None
    kind_of_model: str = ""


def here(operation: Callable[[], Any], pool: ThreadPoolExecutor) -> Any:
    return operation()


def elsewhere(operation: Callable[[], Any], pool: ThreadPoolExecutor) -> Any:
    return pool.submit(_closing, operation).result()


def elsewhere_with_context(operation: Callable[[], Any], pool: ThreadPoolExecutor) -> Any:
    return pool.submit(copy_context().run, _closing, operation).result()


def _closing(operation: Callable[[], Any]) -> Any:
    try:
        return operation()
    finally:
        connection.close()


RUNNERS = st.sampled_from([here, here, elsewhere, elsewhere_with_context])
REFUSED = object()


class Files(RuleBasedStateMachine):
    """Nobody reaches another tenant's file: an operation finds what is that tenant's, or is refused."""

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project, self.tenants = project, project.tenants
        self.stack: list[tuple[ExitStack, str, int | None]] = []
        self.pool = ThreadPoolExecutor(1)
        self.kept = ExitStack()
        self.kept.enter_context(files.memory_files(empty=True))
        self.expected: dict[str, dict[str, bytes]] = {}
        self.rows: list[tuple[int, Any]] = []

    def teardown(self) -> None:
        while self.stack:
            self.leave()
        self.pool.shutdown()
        self.kept.close()

    @rule(data=st.data(), tenant=TENANTS)
    @precondition(lambda self: len(self.stack) < 4)
    def enter(self, data: Any, tenant: int) -> None:
        how = data.draw(st.sampled_from(list(self.project.contexts)))
        kind, make = self.project.contexts[how]
        stack = ExitStack()
        stack.enter_context(make(self.tenants[tenant]))
        whom = None if how in NOBODY else tenant
        self.stack.append((stack, kind, whom))

    @rule()
    @precondition(lambda self: self.stack)
    def leave(self) -> None:
        self.stack.pop()[0].close()

    def active(self, runner: Callable[..., Any]) -> Any:
        """Return the tenant for whom a call without an owner acts, None, or ``REFUSED``."""
        said: int | None = None
        acting: tuple[int | None, int | None] | None = None  # for whom, and what was said then
        for _, kind, whom in self.stack if runner is not elsewhere else ():
            if kind != "acting" and self.project.hears:
                said = whom
            if kind != "said":
                acting = whom, said
        if runner is elsewhere_with_context and not self.project.follows:
            said = None
        if acting is None:
            return said
        if said in {*acting, None}:
            return acting[0]
        return said if runner is here else REFUSED

    def place(self, kind: str, owner: int, runner: Callable[..., Any]) -> tuple[str, str] | None:
        """Return bucket and folder of a file, or None if the call must be refused."""
        whose = owner if kind in self.project.owned else self.active(runner)
        if whose is None or whose is REFUSED:
            return None
        return self.project.place(kind, self.tenants[whose])

    def kind(self, data: Any) -> str:
        return str(data.draw(st.sampled_from(self.project.kinds)))

    def file(self, kind: str, owner: int, name: str = "") -> Any:
        return self.project.file(kind, self.tenants[owner], name)

    def run(self, runner: Callable[..., Any], operation: Callable[[], Any]) -> Any:
        try:
            return runner(operation, self.pool)
        except (RoutingError, FileNotFoundError) as error:
            return type(error)

    def held(self, kind: str, owner: int, runner: Callable[..., Any], name: str) -> Any:
        place = self.place(kind, owner, runner)
        if place is None:
            return RoutingError
        return self.expected.get(place[0], {}).get(place[1] + name, FileNotFoundError)

    @rule(data=st.data(), owner=TENANTS, name=NAMES, runner=RUNNERS)
    def save(self, data: Any, owner: int, name: str, runner: Callable[..., Any]) -> None:
        kind, content = self.kind(data), secrets.token_bytes(8)
        file = self.file(kind, owner)

        def save() -> str:
            file.save(name, ContentFile(content), save=False)
            return str(file.name)

        saved, place = self.run(runner, save), self.place(kind, owner, runner)
        if place is None:
            assert isinstance(saved, type)
            assert issubclass(saved, RoutingError)
        else:
            self.expected.setdefault(place[0], {})[place[1] + saved] = content

    @rule(data=st.data(), owner=TENANTS, name=NAMES, runner=RUNNERS)
    def read(self, data: Any, owner: int, name: str, runner: Callable[..., Any]) -> None:
        kind = self.kind(data)
        file = self.file(kind, owner, name)
        got, held = self.run(runner, lambda: file.open().read()), self.held(kind, owner, runner, name)
        if isinstance(held, type):
            assert isinstance(got, type)
            assert issubclass(got, held)
        else:
            assert got == held

    @rule(data=st.data(), owner=TENANTS, name=NAMES, runner=RUNNERS)
    def delete(self, data: Any, owner: int, name: str, runner: Callable[..., Any]) -> None:
        kind = self.kind(data)
        file, place = self.file(kind, owner, name), self.place(kind, owner, runner)
        done = self.run(runner, lambda: file.delete(save=False))
        if place is None:
            assert isinstance(done, type)
            assert issubclass(done, RoutingError)
        else:
            self.expected.get(place[0], {}).pop(place[1] + name, None)

    @rule(tenant=TENANTS, name=NAMES)
    @precondition(lambda self: self.project.model is not None and len(self.rows) < 3)
    def keep_a_row(self, tenant: int, name: str) -> None:
        """Store a row with its file as one tenant, and keep what is read back."""
        content = secrets.token_bytes(8)
        with get_tenancy().context(self.tenants[tenant]):
            made = self.project.model.objects.create(file=ContentFile(content, name=name))
            row = self.project.model.objects.get(pk=made.pk)
        bucket, folder = self.project.place(self.project.kind_of_model, self.tenants[tenant])
        self.expected.setdefault(bucket, {})[folder + row.file.name] = content
        self.rows.append((tenant, row))

    @rule(runner=RUNNERS)
    @precondition(lambda self: self.rows)
    def read_the_file_of_a_kept_row(self, runner: Callable[..., Any]) -> None:
        """Whoever is active by now, it is that of the tenant whose row it is, unless it was deleted."""
        tenant, row = self.rows.pop(0)
        bucket, folder = self.project.place(self.project.kind_of_model, self.tenants[tenant])
        held = self.expected[bucket].get(folder + row.file.name, FileNotFoundError)
        assert self.run(runner, lambda: row.file.open().read()) == held

    @rule(data=st.data(), tenants=st.permutations([0, 1, 2]), name=NAMES, deletes=st.booleans())
    def take_turns(self, data: Any, tenants: list[int], name: str, deletes: bool) -> None:
        """Tasks of two tenants in one event loop, each of whose calls lets the other one go on."""
        kind, makes = self.kind(data), [tenant_bucket_context]
        # Within a context of the package, what the project says counts only once it says something else.
        if self.project.hears and self.project.of_a_task and all(how == "said" for _, how, _ in self.stack):
            makes.append(self.project.of_a_task)
        make = data.draw(st.sampled_from(makes))

        async def both() -> None:
            await asyncio.gather(*(self.act(kind, tenant, name, make, deletes) for tenant in tenants[:2]))

        asyncio.run(both())

    async def act(self, kind: str, tenant: int, name: str, make: Make, deletes: bool) -> None:
        """Make each call within the context, and await it when that has been left."""
        content, (bucket, folder) = secrets.token_bytes(8), self.project.place(kind, self.tenants[tenant])
        files, storage = self.expected.setdefault(bucket, {}), self.file(kind, tenant).storage

        async def ask(call: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
            with make(self.tenants[tenant]):
                coming = call(*arguments, **options)
            return await coming

        saved = await ask(storage.asave, name, ContentFile(content))
        files[folder + saved] = content
        assert await ask(storage.aexists, name)
        async with await ask(storage.aopen, name) as file:
            assert await file.aread() == files.get(folder + name)
        assert await ask(storage.asize, saved) == len(content)
        response = await ask(ObjectResponse.acreate, storage, saved, request=AsyncRequestFactory().get("/"))
        assert b"".join([piece async for piece in response]) == content
        assert f"/{bucket}/{folder}{saved}" in await ask(storage.aurl, saved)
        if deletes:
            await ask(storage.adelete, name)
            del files[folder + name]

    @invariant()
    def nothing_is_anywhere_else(self) -> None:
        held = {bucket: found for bucket, found in stored_files().items() if found}
        assert held == {bucket: found for bucket, found in self.expected.items() if found}


class FirstCome(BucketStrategy):
    """Leaks, as storages do that decide on their bucket once: all go where the first one went."""

    def __init__(self, own: BucketStrategy) -> None:
        self.own = own
        self.found: list[Any] = []

    def bucket_for(self, model: Any) -> Any:
        if not self.found:
            self.found.append(self.own.bucket_for(model))
        return self.found[0]

    def buckets_for(self, models: Any) -> Any:
        return self.own.buckets_for(models)


class OnlyTurns(Files):
    """Nothing but async calls."""

    save = read = delete = keep_a_row = read_the_file_of_a_kept_row = None  # type: ignore[assignment]


def run(
    project: Project,
    leaks: Collection[FirstCome] = (),
    how: settings = OFTEN,
    machine: type[Files] = Files,
) -> None:
    """Run the machine; each example finds leaks as a new process does."""

    def begin() -> Files:
        for leak in leaks:
            leak.found.clear()
        return machine(project)

    run_state_machine_as_test(begin, settings=how)
