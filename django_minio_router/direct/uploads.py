"""The steps of an upload in the view: begin, sign, list, complete, abort; and in the form: claim."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from ..exceptions import ServerError
from ..files.quota import quota, refuse_over_limit
from ..naming import INCOMING, check_object_name
from ..s3.content import MAX_PARTS
from ..storage.content_types import guess_type
from ..storage.uploaded import UploadedObject
from .conf import direct_upload
from .tokens import Receipt, Refused, Ticket, Upload, new_key

if TYPE_CHECKING:
    from django.db.models import FileField
    from django.http import HttpRequest

    from ..storage.backend import MinioBackend

SIGNED_AHEAD = 50  # links to parts in one response

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_UNKNOWN = "application/octet-stream"
_DONE = "minio_router.direct.done:"


def begin(ticket: Ticket, name: object, size: object, content_type: object) -> dict[str, Any]:
    """Start an upload, and return its token with the link, or the first links.

    Raise ``ValidationError`` if this file must not be uploaded.
    """
    if type(size) is not int or size < 1:
        raise ValidationError(_("The submitted file is empty."), code="empty")
    name, content_type = _checked_name(name), _checked_type(content_type, str(name))
    check_size(size, ticket.max_size)
    check_accepted(name, content_type, ticket.accept)
    backend = ticket.backend
    _refuse_over_quota(backend, size)
    whose = {field: getattr(ticket, field) for field in ("field", "tenant", "place", "user")}
    upload = Upload(**whose, key=new_key(backend), name=name, size=size, content_type=content_type)
    part_size, threshold = backend.objects.multipart
    if size <= max(part_size, threshold):
        link = upload.stored.link(size, content_type, direct_upload().life)
        return {"upload": str(upload), **link._asdict()}
    part_size = max(part_size, -(-size // MAX_PARTS))
    upload_id = upload.stored.begin(content_type)
    upload = replace(upload, upload_id=upload_id, part_size=part_size)
    first = range(1, min(upload.part_count, SIGNED_AHEAD) + 1)
    return {"upload": str(upload), "part_size": part_size, **sign(upload, list(first))}


def sign(upload: Upload, numbers: object) -> dict[str, Any]:
    """Return a link for each of these parts.

    Raise ``Refused`` if there is no such part, or the upload is complete.
    """
    _refuse_done(upload)
    if not isinstance(numbers, list) or len(numbers) > SIGNED_AHEAD:
        raise Refused(f"The parts to sign are {str(numbers)[:100]}.")
    life, stored = direct_upload().life, upload.stored
    parts = []
    for number in numbers:
        if type(number) is not int or not 1 <= number <= upload.part_count:
            raise Refused(f"The upload has no part {str(number)[:100]}.")
        link = stored.part_link(upload.upload_id, number, upload.size_of_part(number), life)
        parts.append({"number": number, **link._asdict()})
    return {"parts": parts}


def stored_parts(upload: Upload) -> dict[str, Any]:
    """Return the stored parts, to resume an upload."""
    _refuse_done(upload)
    return {"parts": [part._asdict() for part in upload.stored.parts(upload.upload_id)]}


def complete(upload: Upload, etags: object) -> dict[str, Any]:
    """Complete the upload, and return the receipt. May be repeated if the response was lost.

    Raise ``ValidationError`` if parts are missing.
    """
    etag = (_complete(upload, _etags(upload, etags)) if upload.upload_id else "") or _stored_etag(upload)
    cache.set(_DONE + upload.key, True, direct_upload().life)
    receipt = Receipt(**asdict(upload), etag=etag)
    return {"receipt": str(receipt), "name": upload.name, "size": upload.size}


def _complete(upload: Upload, etags: list[str]) -> str:
    """Return the entity tag of the object; empty if the server omits it or has no such upload any more."""
    try:
        return upload.stored.complete(upload.upload_id, etags)
    except ServerError as error:
        if error.code != "NoSuchUpload":
            raise
        return ""


def _stored_etag(upload: Upload) -> str:
    try:
        return upload.backend.objects.head(upload.key).etag
    except FileNotFoundError as error:
        raise _incomplete() from error


def _etags(upload: Upload, etags: object) -> list[str]:
    if not isinstance(etags, list) or len(etags) != upload.part_count:
        raise _incomplete()
    found = [str(etag).strip('"') for etag in etags]
    if not all(re.fullmatch(r"[\w+/=-]{1,128}", etag) for etag in found):
        raise _incomplete()
    return found


def abort(upload: Upload) -> dict[str, Any]:
    """Remove the uploaded object or parts."""
    upload.stored.discard(upload.upload_id)
    return {}


def claim(receipt: Receipt) -> UploadedObject:
    """Return the uploaded file of a receipt. ``ValidationError`` if it is refused."""
    backend = receipt.backend
    try:
        info = backend.objects.head(receipt.key)
    except FileNotFoundError as error:
        raise ValidationError(
            _("The uploaded file is no longer there. Please upload it again."), code="receipt"
        ) from error
    if (info.size, info.etag) != (receipt.size, receipt.etag):
        raise _incomplete()
    uploaded = UploadedObject(backend.objects, info, receipt.name, receipt.content_type)
    scan = direct_upload().scan
    if scan is not None and not scan(uploaded):
        raise ValidationError(_("This file was refused after a look at its content."), code="scan")
    return uploaded


def read_receipt(token: str, request: HttpRequest, field: FileField) -> Receipt:
    """Return the receipt. ``ValidationError`` if it is not valid for this request and model field."""
    try:
        receipt = Receipt.read(token, request)
        if receipt.model_field != field:
            raise Refused(f"The receipt is for {receipt.field}, but the form is for {field}.")
        return receipt
    except Refused as error:
        raise ValidationError(
            _("The upload is no longer valid. Please upload the file again."), code="receipt"
        ) from error


def check_size(size: int, max_size: int) -> None:
    if size > max_size:
        raise ValidationError(
            _("This file takes %(size)s, and at most %(max_size)s are accepted."),
            code="too_large",
            params={"size": filesizeformat(size), "max_size": filesizeformat(max_size)},
        )


def check_accepted(name: str, content_type: str, accept: Iterable[str]) -> None:
    """Raise ``ValidationError`` unless the list, as in HTML, has the declared extension or content type."""
    allowed = [entry.strip().lower() for entry in accept]
    kind = content_type.partition("/")[0]
    known = {content_type, f"{kind}/*", "*/*"}
    if allowed and not any(
        name.lower().endswith(entry) if entry.startswith(".") else entry in known for entry in allowed
    ):
        raise ValidationError(
            _("Files of this type are not accepted. Choose one of: %(accept)s."),
            code="type",
            params={"accept": ", ".join(allowed)},
        )


def _checked_name(name: object) -> str:
    """Return the last part of the name, as Django does for uploaded files."""
    try:
        last = UploadedFile(name=str(name).replace("\\", "/")).name or ""
        return check_object_name(last)
    except Exception as error:
        raise ValidationError(_("The file has no usable name. Rename it."), code="name") from error


def _checked_type(content_type: object, name: str) -> str:
    """Return the content type that the browser declares, else a guess from the name."""
    plain = str(content_type).partition(";")[0].strip().lower()
    known = plain if _TYPE.fullmatch(plain) and plain != _UNKNOWN else guess_type(name)
    return known or _UNKNOWN


def _refuse_over_quota(backend: MinioBackend, size: int) -> None:
    """Check the quota, including the objects below ``incoming/``, which forms do not count."""
    if quota() is not None:
        waiting = sum(info.size for info in backend.objects.list(f"{backend.prefix}{INCOMING}"))
        refuse_over_limit(None, backend, waiting + size)


def _refuse_done(upload: Upload) -> None:
    """Refuse parts of a completed upload early: the server would refuse them as well."""
    if cache.get(_DONE + upload.key):
        raise Refused("The upload is complete.")


def _incomplete() -> ValidationError:
    return ValidationError(_("The upload is incomplete. Please upload the file again."), code="incomplete")


def is_gone(error: Exception) -> bool:
    """Return whether the server does not know the upload, or its parts; Ceph says there is no object."""
    codes = {"NoSuchUpload", "InvalidPart", "InvalidPartOrder", "EntityTooSmall"}
    return isinstance(error, FileNotFoundError) or getattr(error, "code", "") in codes
