"""Signed tokens for browsers: tickets, uploads and receipts.

A ticket allows a user to upload for a field of a tenant. It starts an upload, whose token has the key, the
size and the content type. A completed upload gives a receipt, which a form accepts as the file.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.apps import apps
from django.core import signing
from django.core.exceptions import FieldDoesNotExist
from django.db.models import FileField
from django.utils import timezone
from django.utils.crypto import salted_hmac

from ..exceptions import ConfigurationError
from ..inventory.places import Place
from ..naming import INCOMING
from ..s3.browser import BrowserUpload
from ..storage.backend import MinioBackend
from ..storage.router import MinioRouter
from ..tenancy import get_tenancy
from .conf import direct_upload

if TYPE_CHECKING:
    from django.http import HttpRequest

T = TypeVar("T", bound="Signed")


class Refused(Exception):
    """The token is not valid for this request. The message is for the log, not for the client."""


@dataclass(frozen=True)
class Signed:
    """The owner and the target of an upload. ``field`` is a label such as ``docs.Contract.file``."""

    field: str
    tenant: str | None
    place: str
    user: str

    kind: ClassVar[str] = ""

    def __str__(self) -> str:
        salt = f"django_minio_router.direct.{self.kind}"
        return signing.dumps(asdict(self), salt=salt, compress=True)

    @classmethod
    def read(cls: type[T], token: object, request: HttpRequest) -> T:
        """Return the content of the token. ``Refused`` if it is forged, expired, or not for this request."""
        try:
            content = signing.loads(
                str(token), salt=f"django_minio_router.direct.{cls.kind}", max_age=direct_upload().life
            )
            found = cls(**{field.name: content[field.name] for field in fields(cls)})
        except (signing.BadSignature, KeyError, TypeError, ValueError) as error:
            raise Refused(f"The {cls.kind} is not valid: {error}") from error
        actual = whose(request, found.model_field)
        if actual != (found.field, found.tenant, found.place, found.user):
            raise Refused(f"The {cls.kind} is for {found}, but the request is for {actual}.")
        return found

    @property
    def model_field(self) -> FileField:
        return model_field(self.field)

    @property
    def backend(self) -> MinioBackend:
        """The storage of the field's current bucket."""
        return backend_of(self.model_field)


@dataclass(frozen=True)
class Ticket(Signed):
    """The limits of an upload: ``max_size`` in bytes, and ``accept`` as in HTML."""

    max_size: int
    accept: list[str]

    kind: ClassVar[str] = "ticket"

    def keep(self) -> dict[str, Any]:
        """Return for whom the browser keeps a file until it is uploaded, for how long, and how large.

        Nobody else is offered it. Who has neither log-in nor session could be anybody, so no file is kept.
        """
        options = direct_upload()
        return {
            "owner": _digest(self.tenant, self.user),
            "upload": _digest(self.field, self.place),
            "life": options.life,
            "max_size": options.keep_max_size if self.user else 0,
        }


@dataclass(frozen=True)
class Upload(Signed):
    """One upload of ``size`` bytes: in one request, or in parts if it has an ``upload_id``."""

    key: str
    name: str
    size: int
    content_type: str
    upload_id: str = ""
    part_size: int = 0

    kind: ClassVar[str] = "upload"

    @property
    def stored(self) -> BrowserUpload:
        return BrowserUpload(self.backend.objects, self.key)

    @property
    def part_count(self) -> int:
        return -(-self.size // self.part_size) if self.upload_id else 0

    def size_of_part(self, number: int) -> int:
        return min(self.part_size, self.size - (number - 1) * self.part_size)


@dataclass(frozen=True)
class Receipt(Upload):
    """A completed upload; ``etag`` is that of the object."""

    etag: str = ""

    kind: ClassVar[str] = "receipt"


def make_ticket(
    request: HttpRequest, field: FileField, *, max_size: int | None = None, accept: list[str] | None = None
) -> Ticket | None:
    """Return a ticket for this user, tenant and model field; None if the user may not upload.

    Raise ``TenantRequired`` if the field's files need a tenant and none is active.
    """
    options = direct_upload()
    if not options.permission(request, field):
        return None
    limit = options.max_size if max_size is None else min(max_size, options.max_size)
    return Ticket(*whose(request, field), max_size=limit, accept=accept or [])


def whose(request: HttpRequest, field: FileField) -> tuple[str, str | None, str, str]:
    """Return the field, tenant, place and user of a request."""
    place = Place.of(backend_of(field)).address
    return str(field), get_tenancy().active_key(), place, _user_of(request)


def _digest(*said: str | None) -> str:
    """Return what stands for this on a computer that others may use."""
    digest = salted_hmac("django_minio_router.direct.keep", json.dumps(said), algorithm="sha256")
    return digest.hexdigest()[:32]


def _user_of(request: HttpRequest) -> str:
    """Return an id of the user or the session of the request; empty if there is neither."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    session = getattr(request, "session", None)
    if session is None:
        return ""
    if session.session_key is None:
        session.create()
    return f"session:{session.session_key}"


def model_field(label: str) -> FileField:
    """Return the field with a label such as ``docs.Contract.file``. ``ConfigurationError`` if not found."""
    model, _, name = label.rpartition(".")
    try:
        field = apps.get_model(model)._meta.get_field(name)
    except (LookupError, ValueError, FieldDoesNotExist) as error:
        raise ConfigurationError(
            f"There is no model field {label!r}. Use a label such as 'docs.Contract.file'."
        ) from error
    if not isinstance(field, FileField):
        raise ConfigurationError(f"{label} is not a file field. Name a FileField for direct upload.")
    return field


def backend_of(field: FileField) -> MinioBackend:
    """Return the storage of the field's current bucket. ``ConfigurationError`` if it is not ours."""
    storage: Any = field.storage
    if isinstance(storage, MinioRouter):
        return storage.backend
    if isinstance(storage, MinioBackend):
        return storage
    raise ConfigurationError(
        f"{field} is for direct upload, but its storage is {type(storage).__name__}. Use a "
        "MinioRouter or a MinioBackend."
    )


def new_key(backend: MinioBackend) -> str:
    """Return a key below ``incoming/`` that nobody can guess."""
    return f"{backend.prefix}{INCOMING}{timezone.now():%Y-%m-%d}/{secrets.token_hex(16)}"
