"""Files are moved while somebody else deletes, saves, makes rows or runs the command too."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.files import transfer as transfers
from django_minio_router.s3.bucket import ObjectInfo
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import Contents, Put, Run, bucket_of, name_in_rows
from tests.support.proxy import Exchange, Proxy, Request

pytestmark = pytest.mark.django_db


@pytest.fixture
def new(receipts: PerTenant, old: str, put: Put, north: Client) -> str:
    """The new bucket of a tenant whose row names a file in the old one."""
    put(old, "a.txt", b"old")
    name_in_rows(north, "a.txt")
    return bucket_of(receipts, north)


def delete(tenant: Client) -> None:
    """Delete the file as the site does, in a process of its own that reads in both places."""
    with tenant_context(tenant):
        Receipt._meta.get_field("file").storage.delete("a.txt")


def is_copy(request: Request) -> bool:
    return "x-amz-copy-source" in {name.lower() for name in request.headers}


# Deleted while it is copied


@pytest.mark.parametrize("claimed", [False, True], ids=["alone", "beside another run"])
@pytest.mark.parametrize("step", ["_copy_over_claim", "_stream"])
def test_a_file_that_is_deleted_while_it_is_copied_does_not_come_back(
    new: str, old: str, move: Run, put: Put, contents: Contents, north: Client, step: str, claimed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if claimed:
        put(new, "a.txt", b"", metadata={"being-moved": "1"})
    if step == "_stream":
        monkeypatch.setattr(transfers.BucketFiles, "_can_copy_from", lambda *places: False)
    original = getattr(transfers.BucketFiles, step)

    def deleted_now(self: transfers.BucketFiles, *arguments: object) -> None:
        delete(north)
        original(self, *arguments)

    monkeypatch.setattr(transfers.BucketFiles, step, deleted_now)
    done = move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)

    assert "it was deleted" in done.output
    assert contents(new)["a.txt"] == b""
    assert contents(old) == {"a.txt": b"old"}


def test_both_marks_are_hidden(
    new: str, old: str, move: Run, north: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = transfers.BucketFiles._copy_over_claim

    def deleted_now(self: transfers.BucketFiles, *arguments: object) -> None:
        delete(north)
        copy(self, *arguments)

    monkeypatch.setattr(transfers.BucketFiles, "_copy_over_claim", deleted_now)
    move(f"--from={old}", "--all-tenants")

    storage = Receipt._meta.get_field("file").storage
    with tenant_context(north):
        assert storage.listdir("") == ([], [])
        assert not storage.exists("a.txt")
    assert "1 missing" in move(f"--from={old}", "--all-tenants").output


def test_a_copy_whose_answer_is_lost_does_not_replace_what_took_the_name_since(
    new: str, old: str, move: Run, contents: Contents, settings
) -> None:
    """The file was there, was deleted, and its name was given to another one."""
    site = MinioBackend(new, public=False)

    def lose_the_answer(exchange: Exchange) -> None:
        for _ in exchange.forward().body():
            pass
        site.delete("a.txt")
        assert site.save("a.txt", ContentFile(b"another")) == "a.txt"
        exchange.reset()

    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        proxy.when(lose_the_answer, where=is_copy)
        settings.MINIO_ENDPOINT = proxy.endpoint
        move(f"--from=bucket:{old}", "--all-tenants")
        assert sum(map(is_copy, proxy.requests)) == 1

    assert contents(new) == {"a.txt": b"another"}


def test_a_copy_that_did_not_get_through_is_sent_again(
    new: str, old: str, move: Run, contents: Contents, settings
) -> None:
    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        proxy.when(lambda exchange: exchange.reset(), where=is_copy, times=2)
        settings.MINIO_ENDPOINT = proxy.endpoint
        assert "1 copied" in move(f"--from=bucket:{old}", "--all-tenants").output

    assert contents(new) == {"a.txt": b"old"}


# Between the look and the deletion from the old place


def test_a_row_that_is_made_while_the_prompt_waits_keeps_its_file(
    new: str, old: str, move: Run, contents: Contents, south: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def yes(question: str) -> str:
        name_in_rows(south, "a.txt")
        return "yes"

    monkeypatch.setattr("builtins.input", yes)
    done = move(f"--from={old}", "--all-tenants", "--delete-source")

    assert "kept: a.txt: a row that was not moved refers to it now" in done.output
    assert contents(old) == {"a.txt": b"old"}


def test_what_is_stored_in_the_old_place_after_the_last_look_stays(
    new: str, old: str, move: Run, put: Put, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = transfers.BucketFiles.remove

    def stored_now(self: transfers.BucketFiles, *arguments: str) -> None:
        put(old, "a.txt", b"second")
        remove(self, *arguments)

    monkeypatch.setattr(transfers.BucketFiles, "remove", stored_now)
    done = move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)

    assert "kept: a.txt: it was replaced after it was copied" in done.output
    assert contents(old) == {"a.txt": b"second"}


def test_a_run_that_moves_back_meanwhile_and_this_one_do_not_lose_both_copies(
    new: str, old: str, move: Run, contents: Contents, bare: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def yes(question: str) -> str:
        bare.remove_object(bucket_name=new, object_name="a.txt")  # as it is in the old place
        return "yes"

    monkeypatch.setattr("builtins.input", yes)
    done = move(f"--from={old}", "--all-tenants", "--delete-source")

    assert f"kept: a.txt: {new} no longer has it" in done.output
    assert contents(old) == {"a.txt": b"old"}


def test_a_claim_that_becomes_the_file_just_now_is_not_cleared(
    new: str, old: str, move: Run, put: Put, contents: Contents, bare: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source was deleted before this run looked, and the other run had read it."""
    bare.remove_object(bucket_name=old, object_name="a.txt")
    put(new, "a.txt", b"", metadata={"being-moved": "1"})
    look = transfers.BucketFiles.find

    def just_before_the_other_ends(self: transfers.BucketFiles, name: str) -> ObjectInfo | None:
        found = look(self, name)
        if found is not None and transfers.is_claim(found.headers):
            put(new, name, b"old")
        return found

    monkeypatch.setattr(transfers.BucketFiles, "find", just_before_the_other_ends)
    move(f"--from={old}", "--all-tenants")

    assert contents(new) == {"a.txt": b"old"}
