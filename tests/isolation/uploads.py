"""The machine for direct uploads: tickets, links and receipts, which anybody may bring in any context."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.test import RequestFactory
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from django_minio_router.direct import uploads
from django_minio_router.direct.tokens import make_ticket
from django_minio_router.direct.views import DirectUploadView
from django_minio_router.exceptions import TenantRequired
from django_minio_router.s3 import memory

from .machine import DIVIDED, NAMES, RUNNERS, Isolation, here, http

PART = 64  # bytes, where the server takes parts of that size; more than other rules save
UNTIL = st.sampled_from(["begun", "sent", "complete", "complete"])
WHOM = st.sampled_from([None, 0, 1, 2])
NUMBER = st.integers(0, 3)
view = DirectUploadView.as_view()


@dataclass
class Uploading:
    """An upload of a tenant: what its browser was handed so far, and what it sends."""

    kind: str
    tenant: int
    begun: dict[str, Any]
    content: bytes
    etags: list[str] = field(default_factory=list)
    receipt: str = ""
    is_stored: bool = False

    @property
    def key(self) -> str:
        said = signing.loads(self.begun["upload"], salt="django_minio_router.direct.upload")
        return str(said["key"])


def request(**asked: Any) -> HttpRequest:
    """A request of a user who has the same number with each tenant."""
    made = RequestFactory().post("/uploads/", json.dumps(asked), content_type="application/json")
    made.user = SimpleNamespace(pk=1, is_authenticated=True)
    made._dont_enforce_csrf_checks = True
    return made


def put(link: dict[str, Any], content: bytes) -> str:
    """Send it as a browser does, and return the entity tag."""
    parts = urlsplit(link["url"])
    if parts.path.startswith("/minio-memory/"):
        _, _, host, target = parts._replace(scheme="", netloc="").geturl().split("/", 3)
        answer: Any = memory.answer(host, "PUT", f"/{target}", link["headers"], content)
    else:
        answer = http.request("PUT", link["url"], body=content, headers=link["headers"])
    assert answer.status == 200
    return str(answer.headers["ETag"])


class Uploads(Isolation):
    """Whatever a tenant's browser was handed is of use to that tenant alone."""

    # An upload takes several steps, so few others come between them.
    save = read = follow_the_link = delete = look = try_to_get_out = None  # type: ignore[assignment]
    open_and_keep = read_what_was_kept = fail_inside = take_turns = None  # type: ignore[assignment]
    read_a_row = write_a_row = use_a_row = copy_a_row = None  # type: ignore[assignment]
    delete_the_file_of_a_row = delete_after_the_commit = rename = None  # type: ignore[assignment]

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self.uploads: list[Uploading] = []

    @contextmanager
    def within(self, whom: int | None) -> Iterator[None]:
        """Enter a tenant, too, so that some steps have one more often than not."""
        if whom is not None:
            self.enter("context of the tenancy", whom)
        yield
        if whom is not None:
            self.leave()

    def ask(self, runner: Callable[..., Any], step: str, **asked: Any) -> tuple[int, dict[str, Any]]:
        answer = self.run(runner, lambda: view(request(step=step, **asked)))
        return answer.status_code, json.loads(answer.content)

    def chosen(self, number: int, runner: Callable[..., Any]) -> tuple[Uploading, bool]:
        """Return an upload, and whether it is that of whoever is active."""
        upload = self.uploads[number % len(self.uploads)]
        return upload, self.active(runner) == upload.tenant

    def note_incoming(self, upload: Uploading) -> None:
        prefix = self.world.place(self.world.kinds[upload.kind], upload.tenant).prefix
        name = upload.key.removeprefix(prefix)
        self.world.files[upload.kind, upload.tenant][name] = upload.content
        self.world.note_folder(upload.kind, upload.tenant, name)

    def forget_incoming(self, upload: Uploading) -> None:
        prefix = self.world.place(self.world.kinds[upload.kind], upload.tenant).prefix
        self.world.files[upload.kind, upload.tenant].pop(upload.key.removeprefix(prefix), None)

    @rule(kind=DIVIDED, shown_to=WHOM, whom=WHOM, runner=RUNNERS, is_large=st.booleans(), until=UNTIL)
    @precondition(lambda self: len(self.uploads) < 3)
    def begin_an_upload(
        self,
        kind: str,
        shown_to: int | None,
        whom: int | None,
        runner: Callable[..., Any],
        is_large: bool,
        until: str,
    ) -> None:
        """Show the form to one, and begin for another; perhaps the browser sends the file at once."""
        content = secrets.token_bytes(8) * ((2 * PART // 8 + 1) if is_large else 1)
        with self.within(shown_to):
            ticket, owner = self.run(here, lambda: self.ticket(kind)), self.active(here)
        if owner is None:
            assert ticket is TenantRequired
            return
        asked = {"ticket": ticket, "name": "a.txt", "type": "text/plain", "size": len(content)}
        with self.within(whom):
            status, begun = self.ask(runner, "begin", **asked)
            assert status == (200 if self.active(runner) == owner else 403)
            if status == 200:
                self.uploads.append(Uploading(kind, owner, begun, content))
                self.send_until(until, runner)

    def ticket(self, kind: str) -> str:
        return str(make_ticket(request(), self.world.kinds[kind].model._meta.get_field("file")))

    def send_until(self, until: str, runner: Callable[..., Any]) -> None:
        if until != "begun":
            self.send_an_upload(-1)
        if until == "complete":
            self.complete_an_upload(-1, runner)

    @rule(number=NUMBER, runner=RUNNERS)
    @precondition(lambda self: self.uploads)
    def sign_parts(self, number: int, runner: Callable[..., Any]) -> None:
        upload, is_theirs = self.chosen(number, runner)
        status, _ = self.ask(runner, "sign", upload=upload.begun["upload"], parts=[1])
        assert status == (200 if is_theirs and "parts" in upload.begun and not upload.receipt else 403)

    @rule(number=NUMBER)
    @precondition(lambda self: self.uploads)
    def send_an_upload(self, number: int) -> None:
        """A link needs nobody to be active, and leads into the bucket of whoever began."""
        upload = self.uploads[number % len(self.uploads)]
        if upload.etags:
            return
        parts = upload.begun.get("parts")
        if parts is None:
            upload.etags = [put(upload.begun, upload.content)]
            self.note_incoming(upload)
            return
        size = upload.begun["part_size"]
        upload.etags = [
            put(part, upload.content[number * size : (number + 1) * size])
            for number, part in enumerate(parts)
        ]

    @rule(number=NUMBER, runner=RUNNERS)
    @precondition(lambda self: self.uploads)
    def complete_an_upload(self, number: int, runner: Callable[..., Any]) -> None:
        upload, is_theirs = self.chosen(number, runner)
        status, answer = self.ask(runner, "complete", upload=upload.begun["upload"], etags=upload.etags)
        assert status == (403 if not is_theirs else 200 if upload.etags and not upload.is_stored else 400)
        if status == 200:
            upload.receipt = answer["receipt"]
            self.note_incoming(upload)

    @rule(number=NUMBER, whom=WHOM, name=NAMES, runner=RUNNERS)
    @precondition(lambda self: any(upload.receipt for upload in self.uploads))
    def post_a_form(self, number: int, whom: int | None, name: str, runner: Callable[..., Any]) -> None:
        uploaded = [at for at, upload in enumerate(self.uploads) if upload.receipt]
        with self.within(whom):
            self.claim_an_upload(uploaded[number % len(uploaded)], name, runner)

    def claim_an_upload(self, number: int, name: str, runner: Callable[..., Any]) -> None:
        """The file is stored once, by whoever uploaded it."""
        upload, is_theirs = self.chosen(number, runner)
        file = self.file(self.world.kinds[upload.kind], "", upload.tenant)

        def claim() -> str:
            try:
                receipt = uploads.read_receipt(upload.receipt, request(), file.field)
                file.save(name, uploads.claim(receipt), save=False)
            except ValidationError as error:
                return str(error.code)
            return f"stored as {file.name}"

        said = self.run(runner, claim)
        if not is_theirs or upload.is_stored:
            assert said in {"receipt", TenantRequired}
            return
        assert said.startswith("stored as ")
        upload.is_stored = True
        self.forget_incoming(upload)
        self.world.files[upload.kind, upload.tenant][str(file.name)] = upload.content
        self.world.note_folder(upload.kind, upload.tenant, str(file.name))

    @rule(number=NUMBER, runner=RUNNERS)
    @precondition(lambda self: self.uploads)
    def abort_an_upload(self, number: int, runner: Callable[..., Any]) -> None:
        upload, is_theirs = self.chosen(number, runner)
        status, _ = self.ask(runner, "abort", upload=upload.begun["upload"])
        assert status == (200 if is_theirs else 403)
        if is_theirs:
            self.forget_incoming(upload)
            self.uploads.remove(upload)
