"""The demo's steps: two tenants who cannot reach each other's files, before, during and after their time."""

from __future__ import annotations

from io import StringIO

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from django_minio_router import RoutingError

from .account import Account
from .customers.models import Client
from .leaving import BOTH_FILES, counted, guest, usage_of
from .letters import COUNT, EVERY_LETTER, LABEL, put_into_archive, readers
from .samples import SAMPLES, Kept, make_login, make_tenant, store_files, store_logo
from .visitors import SAME, Visitors, browser, bucket_of

# What a server that is away, a wrong key or a wrong setting ends in; their messages say enough.
FAILURES = (
    CommandError, DatabaseError, HTTPError, ImproperlyConfigured, MinioException, OSError, RoutingError
)  # fmt: skip


def tell(account: Account, port: int) -> None:
    """Run all steps and print the results. `port` is the site's."""
    _servers(account)
    tenants = _tenants(account)
    _buckets(account)
    logos = list(map(store_logo, tenants, SAMPLES))
    files = list(map(store_files, tenants, SAMPLES))  # all, since each asks for the other's
    _files(account, files[0], tenants[0], tenants[1], port)
    _files(account, files[1], tenants[1], tenants[0], port)
    _logos(account, tenants, logos)
    _adopting(account, tenants, port)
    _usage(account, tenants)
    _purging(account, tenants)


def _servers(account: Account) -> None:
    account.heading("Servers")
    database = settings.DATABASES["default"]
    print(f"    PostgreSQL       {database['HOST']}:{database['PORT']}, database {database['NAME']}")
    print(f"    S3               {settings.MINIO_ENDPOINT}")


def _tenants(account: Account) -> list[Client]:
    account.heading("Tenants")
    call_command("migrate_schemas", shared=True, verbosity=0)
    made = [make_tenant(sample) for sample in SAMPLES]
    call_command("migrate_schemas", tenant=True, verbosity=0)
    make_login()
    for client, is_new in made:
        places = f"schema {client.schema_name}, bucket {bucket_of(client)}"
        print(f"    {client.name:<16} {places} ({_new(is_new)})")
    return [client for client, _ in made]


def _buckets(account: Account) -> None:
    account.heading("Buckets: manage.py initialize_buckets --all-tenants")
    output = StringIO()
    call_command("initialize_buckets", all_tenants=True, stdout=output, stderr=output, no_color=True)
    for line in output.getvalue().splitlines():
        print(f"    {line}")
    account.check("The same with --check", _check_buckets(), "nothing differs")


def _check_buckets() -> str:
    try:
        call_command("initialize_buckets", all_tenants=True, check=True, silenced=True)
    except CommandError as error:
        return str(error)
    return "nothing differs"


def _files(account: Account, files: list[Kept], owner: Client, other: Client, port: int) -> None:
    account.heading(f"Files of {owner}")
    for stored, content, is_new in files:
        ask = Visitors(owner, other, stored, content, port)
        account.subject(
            f"{stored.filename} -> bucket {bucket_of(owner)}, {stored.file.name} ({_new(is_new)})",
            f"{ask.link.partition('?')[0]}?X-Amz-Signature=...",
            f"http://{owner.schema_name}.localhost:{port}{ask.page}",
        )
        check = account.check
        check("A bare S3 client, in that bucket", ask.bare_client(), SAME)
        check(f"{owner}, signed link", ask.with_signed_link(), f"200, {SAME}")
        check(f"{owner}, its site", ask.on_site_of(owner), f"200, {SAME}, saved as {stored.filename}")
        check(f"{owner}, read after a change of tenant", ask.slow_response(), SAME)
        check(f"{other}, its site", ask.on_site_of(other), "404")
        check(f"{other}, that name in its code", ask.code_of_other(), ask.code_of_other_may_get())
        check(f"{other}, its bucket in that link", ask.with_link_to_other_bucket(), "403")
        check("Anonymous, link without signature", ask.anonymous(), "403")
        check("Code without a tenant", ask.code_without_tenant(), "TenantRequired")


def _logos(account: Account, tenants: list[Client], logos: list[tuple[bytes, bool]]) -> None:
    account.heading("Emblems, for everybody to see")
    for client, (content, is_new) in zip(tenants, logos, strict=True):
        bucket = client.logo.storage.backend.bucket
        account.subject(f"{client.logo.name} -> bucket {bucket} ({_new(is_new)})", client.logo.url)
        unsigned = client.logo.url.partition("?")[0]
        account.check("Anonymous, link without signature", browser(unsigned, content), f"200, {SAME}")
        list_of_names = unsigned.rpartition("/logos/")[0]
        account.check("Anonymous, list of the bucket", browser(list_of_names, b""), "403")


def _adopting(account: Account, tenants: list[Client], port: int) -> None:
    account.heading("Adopting: letters of both tenants, moved from one bucket while they are read")
    stored, check, all_of_them = list(map(put_into_archive, tenants)), account.check, f"{COUNT} letters"
    for letters in stored:
        check(f"{letters.owner}, in the bucket of all", letters.in_archive(), all_of_them)
    with readers(stored, port) as reading:
        _move_letters()
    check("On their pages, at any time", reading.said(), EVERY_LETTER)
    for letters in stored:
        check(f"{letters.owner}, in its bucket", letters.in_own_bucket(), all_of_them)
    _move_letters("--delete-source", "--no-input")
    for letters in stored:
        check(f"{letters.owner}, in the bucket of all", letters.in_archive(), "0 letters")
        check(f"{letters.owner}, on its page", letters.on_page(port), all_of_them)


def _move_letters(*further: str) -> None:
    _manage("move_objects", "--from=demo-archive", "--all-tenants", f"--model={LABEL}", *further)


def _usage(account: Account, tenants: list[Client]) -> None:
    account.heading("Usage: objects and bytes, by tenant, bucket and model")
    _manage("bucket_usage", "--all-tenants", "--bytes")
    for client in tenants:
        account.check(f"{client}, as a bare S3 client counts", counted(bucket_of(client)), usage_of(client))


def _purging(account: Account, tenants: list[Client]) -> None:
    account.heading("Purging: a third tenant comes with two files, and leaves")
    check = account.check
    before = [counted(bucket_of(client)) for client in tenants]
    with guest() as leaving:
        check(f"{leaving.client}, in its bucket", leaving.in_bucket(), BOTH_FILES)
        _manage("purge_tenant", leaving.client.schema_name, "--dry-run")
        check(f"{leaving.client}, after the dry run", leaving.in_bucket(), BOTH_FILES)
        _manage("purge_tenant", leaving.client.schema_name, "--no-input")
        check(f"{leaving.client}, in its bucket", leaving.in_bucket(), "no such bucket")
        check("A link that was given away before", leaving.with_old_link(), "404")
    for client, kept in zip(tenants, before, strict=True):
        check(f"{client}, in its bucket", counted(bucket_of(client)), kept)


def _manage(command: str, *arguments: str) -> None:
    """Run the command and print its output."""
    print(f"\n  manage.py {command} {' '.join(arguments)}")
    output = StringIO()
    call_command(command, *arguments, stdout=output, stderr=output, no_color=True)
    for line in output.getvalue().splitlines():
        print(f"    {line.rstrip()}")


def _new(is_new: bool) -> str:
    return "new" if is_new else "there already"
