"""A machine that does anything with anybody's files in any context, and asks the server after each step."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from contextvars import copy_context
from typing import Any, NamedTuple

import urllib3
from asgiref.sync import sync_to_async
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.base import ContentFile
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction
from django.db.models import Model
from django.db.models.fields.files import FieldFile
from django.test import AsyncRequestFactory
from django_tenants.utils import schema_context
from django_tenants.utils import tenant_context as tenant_context_of_django_tenants
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from django_minio_router import ObjectResponse, RoutingError, TenantRequired, tenant_bucket_context
from django_minio_router.s3 import memory
from django_minio_router.tenancy import get_tenancy
from tests.apps.customers.models import Client

from .world import ALL, REPLICA, Kind, World

PUBLIC = None
KINDS = st.sampled_from(["contracts", "letters", "reports", "receipts", "invoices", "fonts", "notices"])
TENANTS = st.integers(0, 2)
NAMES = st.sampled_from(["a.txt", "a.txt", "b.txt", "d/a.txt"])  # of all tenants, so that they meet
ROWS = st.sampled_from(["contracts", "letters", "reports", "receipts", "invoices", "notices"])
DIVIDED = st.sampled_from(["contracts", "letters", "reports", "receipts"])  # a place for each tenant
OUTSIDE = st.sampled_from(["..", "../", "../a.txt", "d/../../a.txt", "./a.txt", "d//a.txt", "\\..\\a.txt"])

Operation = Callable[[], Any]
http = urllib3.PoolManager(retries=False)
logger = logging.getLogger(__name__)


def fetch(link: str) -> tuple[int, bytes]:
    """Follow a link as a browser does; one to a server in memory leads to a view of the project."""
    if link.startswith("/minio-memory/"):
        _, _, host, target = link.split("/", 3)
        found = memory.answer(host, "GET", f"/{target}")
        return found.status, found.body
    answer = http.request("GET", link)
    return answer.status, answer.data


class Entered(NamedTuple):
    """A context, and whom it makes active: for the connection, for the package, or for both."""

    stack: ExitStack
    for_connection: bool
    for_package: bool


class Kept(NamedTuple):
    """A row of a tenant, as it was read, and the name of its file."""

    kind: str
    tenant: int
    name: str
    row: Any


def _pickled(model: type[Model], made: Model) -> Model:
    return pickle.loads(pickle.dumps(model.objects.get(pk=made.pk)))


def _from_a_replica(model: type[Model], made: Model) -> Model:
    """Through another connection, while the usual one is on public."""
    connections[REPLICA].set_schema(connection.schema_name)
    with get_tenancy().context(None):
        row = model.objects.using(REPLICA).get(pk=made.pk)
    row._state.db = DEFAULT_DB_ALIAS  # where a project with a replica writes
    return row


# How a row comes to be in somebody's hands.
READINGS: dict[str, Callable[[type[Model], Any], Any]] = {
    "made": lambda model, made: made,
    "read": lambda model, made: model.objects.get(pk=made.pk),
    "only": lambda model, made: model.objects.only("file").get(pk=made.pk),
    "copied": lambda model, made: copy.copy(model.objects.get(pk=made.pk)),
    "pickled": _pickled,
    "from a replica": _from_a_replica,
}


def _public_of(make: Callable[[str], AbstractContextManager[Any]]) -> Callable[[Client], Any]:
    return lambda tenant: make("public")


# How to make a tenant active, and for whom that holds: the connection, the package's own context.
CONTEXTS: dict[str, tuple[Callable[[Client], AbstractContextManager[Any]], bool, bool]] = {
    "schema_context": (lambda tenant: schema_context(tenant.schema_name), True, False),
    "tenant_context of django-tenants": (tenant_context_of_django_tenants, True, False),
    "with tenant": (lambda tenant: tenant, True, False),
    "tenant_bucket_context of a row": (tenant_bucket_context, False, True),
    "tenant_bucket_context of a name": (
        lambda tenant: tenant_bucket_context(tenant.schema_name),
        False,
        True,
    ),
    "context of the tenancy": (lambda tenant: get_tenancy().context(tenant), True, True),
    "schema_context of public": (_public_of(schema_context), True, False),
    "tenant_bucket_context of public": (_public_of(tenant_bucket_context), False, True),
}


# Where the operation runs, and what of the active contexts holds there.


def here(operation: Operation, pool: ThreadPoolExecutor) -> Any:
    return operation()


def in_new_thread(operation: Operation, pool: ThreadPoolExecutor) -> Any:
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(_finished(operation)))
    thread.start()
    thread.join()
    return result[0]()


def in_pool(operation: Operation, pool: ThreadPoolExecutor) -> Any:
    return pool.submit(_finished, operation).result()()


def in_pool_with_context(operation: Operation, pool: ThreadPoolExecutor) -> Any:
    return pool.submit(copy_context().run, _finished, operation).result()()


def in_async_code(operation: Operation, pool: ThreadPoolExecutor) -> Any:
    async def view() -> Any:
        return await sync_to_async(_finished)(operation)

    return asyncio.run(view())()


def _finished(operation: Operation) -> Callable[[], Any]:
    """Run it, let go of the thread's connection, and return what gives the result or raises the error."""
    try:
        result = operation()
    except Exception as error:
        return lambda error=error: _raise(error)
    else:
        return lambda: result
    finally:
        connection.close()


def _raise(error: Exception) -> None:
    raise error


SAME_THREAD = {here}
SAME_CONTEXT = {here, in_pool_with_context, in_async_code}
RUNNERS = st.sampled_from([here, here, here, in_new_thread, in_pool, in_pool_with_context, in_async_code])


class Isolation(RuleBasedStateMachine):
    """Whoever is active, an operation finds what that tenant's dictionary holds, or ``TenantRequired``."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.pool = ThreadPoolExecutor(2)
        self.contexts: list[tuple[Entered, int | None]] = []
        self.opened: list[tuple[File, bytes]] = []
        self.rows: list[Kept] = []

    @initialize()
    def begin(self) -> None:
        self.world.empty()

    def teardown(self) -> None:
        while self.contexts:
            self.leave()
        for file, _ in self.opened:
            file.close()
        self.pool.shutdown()

    # Contexts

    @rule(how=st.sampled_from(list(CONTEXTS)), tenant=TENANTS)
    @precondition(lambda self: len(self.contexts) < 4)
    def enter(self, how: str, tenant: int) -> None:
        make, for_connection, for_package = CONTEXTS[how]
        stack = ExitStack()
        stack.enter_context(make(self.world.tenants[tenant]))
        whom = PUBLIC if how.endswith("public") else tenant
        self.contexts.append((Entered(stack, for_connection, for_package), whom))

    @rule()
    @precondition(lambda self: self.contexts)
    def leave(self) -> None:
        entered, _ = self.contexts.pop()
        entered.stack.close()

    @rule(how=st.sampled_from(list(CONTEXTS)), tenant=TENANTS, kind=KINDS, name=NAMES)
    def fail_inside(self, how: str, tenant: int, kind: str, name: str) -> None:
        self.enter(how, tenant)
        entered, _ = self.contexts[-1]
        try:
            with entered.stack:
                self.read(kind, tenant, name, here)
                raise ZeroDivisionError
        except ZeroDivisionError:
            self.contexts.pop()

    def active(self, runner: Callable[..., Any]) -> int | None:
        """Return the tenant for whom an operation acts that runs like this; None if there is none."""
        return self.connected_and_active(runner)[1]

    def connected_and_active(self, runner: Callable[..., Any]) -> tuple[int | None, int | None]:
        """Return whose rows the operation reads and writes, and for whom it acts."""
        connection: int | None = PUBLIC
        acting: tuple[int | None, int | None] | None = None  # for whom, and what the connection said then
        for entered, tenant in self.contexts if runner in SAME_CONTEXT else ():
            if entered.for_connection:
                connection = tenant
            if entered.for_package:
                acting = tenant, connection
        if runner not in SAME_THREAD:
            connection = PUBLIC
        if acting is None or connection not in {*acting, PUBLIC}:
            return connection, connection  # a tenant that was entered within comes first
        return connection, acting[0]

    # Operations

    def file(self, kind: Kind, name: str, owner: int) -> FieldFile:
        return kind.file(name, self.world.tenants[owner])

    def whose(self, kind: str, owner: int, runner: Callable[..., Any]) -> int | None:
        """Return for whom the operation acts; None where it must be refused."""
        what = self.world.kinds[kind]
        return ALL if what.shared else owner if what.owned else self.active(runner)

    def files(self, kind: str, owner: int, runner: Callable[..., Any]) -> dict[str, bytes] | None:
        """Return the dictionary that the operation is about; None where it must be refused."""
        whose = self.whose(kind, owner, runner)
        return None if whose is None else self.world.files[kind, whose]

    def run(self, runner: Callable[..., Any], operation: Operation) -> Any:
        """Return what came of it: a value, or the class of what was raised."""
        try:
            return runner(operation, self.pool)
        except (FileNotFoundError, TenantRequired, SuspiciousFileOperation) as error:
            return type(error)

    @rule(kind=KINDS, owner=TENANTS, name=NAMES, runner=RUNNERS)
    def save(self, kind: str, owner: int, name: str, runner: Callable[..., Any]) -> None:
        content = f"{kind} {secrets.token_hex(8)}".encode()
        files = self.files(kind, owner, runner)
        file = self.file(self.world.kinds[kind], "", owner)

        def save() -> str:
            file.save(name, ContentFile(content), save=False)
            return str(file.name)

        saved = self.run(runner, save)
        if files is None:
            assert saved is TenantRequired
        else:
            assert saved not in files
            assert saved == name if name not in files else saved != name
            files[saved] = content
            self.world.note_folder(kind, self.whose(kind, owner, runner), saved)

    @rule(kind=KINDS, owner=TENANTS, name=NAMES, runner=RUNNERS)
    def read(self, kind: str, owner: int, name: str, runner: Callable[..., Any]) -> None:
        file = self.file(self.world.kinds[kind], name, owner)
        got = self.run(runner, lambda: (file.open().read(), file.size))
        content = self.expected(kind, owner, name, runner)
        assert got == ((content, len(content)) if isinstance(content, bytes) else content)

    def expected(self, kind: str, owner: int, name: str, runner: Callable[..., Any]) -> Any:
        files = self.files(kind, owner, runner)
        return TenantRequired if files is None else files.get(name, FileNotFoundError)

    @rule(kind=KINDS, owner=TENANTS, name=NAMES, runner=RUNNERS)
    def follow_the_link(self, kind: str, owner: int, name: str, runner: Callable[..., Any]) -> None:
        file = self.file(self.world.kinds[kind], name, owner)
        link = self.run(runner, lambda: file.url)
        content = self.expected(kind, owner, name, runner)
        if content is TenantRequired:
            assert link is TenantRequired
        else:
            status, found = fetch(link)
            assert (status, found) == (200, content) if isinstance(content, bytes) else status == 404

    @rule(kind=KINDS, owner=TENANTS, name=NAMES, runner=RUNNERS)
    def delete(self, kind: str, owner: int, name: str, runner: Callable[..., Any]) -> None:
        file = self.file(self.world.kinds[kind], name, owner)
        done = self.run(runner, lambda: file.delete(save=False))
        files = self.files(kind, owner, runner)
        assert done is (TenantRequired if files is None else None)
        if files is not None:
            files.pop(name, None)

    @rule(kind=KINDS, owner=TENANTS, name=NAMES, runner=RUNNERS)
    def look(self, kind: str, owner: int, name: str, runner: Callable[..., Any]) -> None:
        storage = self.file(self.world.kinds[kind], name, owner).storage
        files = self.files(kind, owner, runner)
        exists = self.run(runner, lambda: storage.exists(name))
        listed = self.run(runner, lambda: [set(found) for found in storage.listdir("")])
        if files is None:
            assert exists is listed is TenantRequired
        else:
            assert exists is (name in files)
            folders, found = listed
            assert found == {file for file in files if "/" not in file}
            # SeaweedFS goes on listing a folder whose last file was deleted.
            in_use = {file.partition("/")[0] for file in files if "/" in file}
            assert in_use <= folders <= self.world.folders_ever(kind, self.whose(kind, owner, runner))

    @rule(kind=KINDS, owner=TENANTS, name=OUTSIDE)
    def try_to_get_out(self, kind: str, owner: int, name: str) -> None:
        """The tenant is known or not: neither reads, deletes or lists what is outside."""
        storage = self.file(self.world.kinds[kind], name, owner).storage
        refused = {SuspiciousFileOperation, TenantRequired}
        for operation in (storage.open, storage.delete, storage.url, storage.exists):
            assert self.run(here, lambda operation=operation: operation(name)) in refused, operation

    @rule(kind=KINDS, owner=TENANTS, name=NAMES)
    @precondition(lambda self: len(self.opened) < 3)
    def open_and_keep(self, kind: str, owner: int, name: str) -> None:
        storage = self.file(self.world.kinds[kind], name, owner).storage
        file = self.run(here, lambda: storage.open(name))
        content = self.expected(kind, owner, name, here)
        if isinstance(content, bytes):
            self.opened.append((file, content))
        else:
            assert file is content

    @rule(runner=RUNNERS)
    @precondition(lambda self: self.opened)
    def read_what_was_kept(self, runner: Callable[..., Any]) -> None:
        """Whoever is active by now, it is still the file of the tenant for whom it was opened."""
        file, content = self.opened.pop(0)
        assert self.run(runner, file.read) == content
        file.close()

    # Rows, which outlive the call that read them

    @rule(kind=ROWS, tenant=TENANTS, name=NAMES, how=st.sampled_from(list(READINGS)), by_name=st.booleans())
    @precondition(lambda self: len(self.rows) < 4)
    def read_a_row(self, kind: str, tenant: int, name: str, how: str, by_name: bool) -> None:
        """Store a row with its file as one tenant, and keep what was read back."""
        model, content = self.world.kinds[kind].model, secrets.token_bytes(8)
        entered = self.world.tenants[tenant]
        with get_tenancy().context(entered.schema_name if by_name else entered):
            made = model.objects.create(file=ContentFile(content, name=name))
            row = READINGS[how](model, made)
        self.own_files(kind, tenant)[made.file.name] = content
        self.note(kind, tenant, made.file.name)
        self.rows.append(Kept(kind, tenant, made.file.name, row))

    @rule(kind=ROWS, name=NAMES)
    @precondition(lambda self: len(self.rows) < 4)
    def write_a_row(self, kind: str, name: str) -> None:
        """In whatever contexts are active: row and file go to one tenant, or neither is written."""
        what, content = self.world.kinds[kind], secrets.token_bytes(8)
        connected, active = self.connected_and_active(here)
        if connected is PUBLIC and kind == "invoices":
            return  # whose bucket is everybody's, so that only the table is missing
        try:
            row = what.model.objects.create(file=ContentFile(content, name=name))
        except (RoutingError, DatabaseError):
            assert not what.on_public
            assert connected is PUBLIC or connected != active
            return
        if not what.on_public:
            assert connected is not PUBLIC
            assert connected == active
        tenant = 0 if connected is PUBLIC else connected
        self.own_files(kind, tenant)[row.file.name] = content
        self.note(kind, tenant, row.file.name)
        self.rows.append(Kept(kind, tenant, row.file.name, row))

    def own_files(self, kind: str, tenant: int) -> dict[str, bytes]:
        return self.world.files[kind, ALL if self.world.kinds[kind].shared else tenant]

    def note(self, kind: str, tenant: int, name: str) -> None:
        self.world.note_folder(kind, ALL if self.world.kinds[kind].shared else tenant, name)

    @rule(number=st.integers(0, 3), runner=RUNNERS)
    @precondition(lambda self: self.rows)
    def use_a_row(self, number: int, runner: Callable[..., Any]) -> None:
        """Whoever is active by now, and wherever: it is still the file of the tenant whose row it is."""
        kept = self.rows[number % len(self.rows)]
        content = self.own_files(kept.kind, kept.tenant).get(kept.name, FileNotFoundError)
        assert self.run(runner, lambda: kept.row.file.storage.open(kept.name).read()) == content
        status, found = fetch(self.run(runner, lambda: kept.row.file.url))
        assert found == content if isinstance(content, bytes) else status == 404

    @rule(number=st.integers(0, 3), runner=RUNNERS)
    @precondition(lambda self: self.rows)
    def delete_the_file_of_a_row(self, number: int, runner: Callable[..., Any]) -> None:
        """As django-cleanup does, after the commit and perhaps in another tenant."""
        kept = self.rows.pop(number % len(self.rows))
        self.run(runner, lambda: kept.row.file.delete(save=False))
        self.own_files(kept.kind, kept.tenant).pop(kept.name, None)

    @rule(number=st.integers(0, 3), tenant=TENANTS)
    @precondition(lambda self: self.rows)
    def delete_after_the_commit(self, number: int, tenant: int) -> None:
        """Which comes when another tenant is active."""
        kept = self.rows.pop(number % len(self.rows))
        own, other = (get_tenancy().context(self.world.tenants[number]) for number in (kept.tenant, tenant))
        with other, transaction.atomic(), own:
            transaction.on_commit(lambda: kept.row.file.delete(save=False))
        self.own_files(kept.kind, kept.tenant).pop(kept.name, None)

    @rule(number=st.integers(0, 3), tenant=TENANTS)
    @precondition(lambda self: self.rows)
    def copy_a_row(self, number: int, tenant: int) -> None:
        """To another tenant, with ``pk=None``: the file is copied, and the first one stays."""
        kept = self.rows.pop(number % len(self.rows))
        row, files = kept.row, self.own_files(kept.kind, kept.tenant)
        if kept.name not in files or row.get_deferred_fields():  # deleted by another row, or not whole
            return
        row.pk = None
        with get_tenancy().context(self.world.tenants[tenant]):
            row.save(force_insert=True)
        self.own_files(kept.kind, tenant)[row.file.name] = files[kept.name]
        self.note(kept.kind, tenant, row.file.name)

    @rule(kind=DIVIDED, tenants=st.permutations([0, 1, 2]), name=NAMES, deletes=st.booleans())
    def take_turns(self, kind: str, tenants: list[int], name: str, deletes: bool) -> None:
        """Tasks of two tenants in one event loop, each of whose calls lets the other one go on."""

        async def both() -> None:
            await asyncio.gather(*(self.act(kind, tenant, name, deletes) for tenant in tenants[:2]))

        asyncio.run(both())

    async def act(self, kind: str, tenant: int, name: str, deletes: bool) -> None:
        content = f"{kind} of {tenant}: {secrets.token_hex(8)}".encode()
        files, storage = self.world.files[kind, tenant], self.world.kinds[kind].file("").storage
        with tenant_bucket_context(self.world.tenants[tenant]):
            saved = await storage.asave(name, ContentFile(content))
            assert saved not in files
            files[saved] = content
            self.world.note_folder(kind, tenant, saved)
            assert name in files
            assert await storage.aexists(name)
            async with storage.aopen(name) as file:
                assert await file.aread() == files[name]
            assert await storage.asize(saved) == len(content)
            assert set((await storage.alistdir(""))[1]) == {file for file in files if "/" not in file}
            response = await ObjectResponse.acreate(storage, saved, request=AsyncRequestFactory().get("/"))
            assert b"".join([piece async for piece in response]) == content
            link = await storage.aurl(saved)
            if deletes:
                await storage.adelete(files.pop(name) and name)
        assert fetch(link)[0] == (404 if deletes and saved == name else 200)

    @rule(tenant=TENANTS, name=st.integers(0, 5))
    @precondition(lambda self: not self.contexts and not self.rows)
    def rename(self, tenant: int, name: int) -> None:
        """To a name that nobody has now; another tenant may have had it."""
        schema_name = self.world.names[name]
        if all(other.schema_name != schema_name for other in self.world.tenants):
            self.world.rename(tenant, schema_name)

    @invariant()
    def every_file_is_its_tenants(self) -> None:
        if self.world.files:
            self.world.check()
            self.world.steps += 1
            if self.world.steps % 1000 == 0:
                logger.info("%d steps", self.world.steps)
