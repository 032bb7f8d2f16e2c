"""The one view: a POST of JSON for each step of an upload. docs/direct-upload.md has the protocol."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.csrf import csrf_protect

from ..exceptions import RoutingError, ServerError
from . import uploads
from .conf import direct_upload
from .tokens import Receipt, Refused, Signed, Ticket, Upload

T = TypeVar("T", bound=Signed)

logger = logging.getLogger(__name__)

_MOST = 1024 * 1024  # bytes of a request: the entity tags of 10,000 parts take half of it


@method_decorator(csrf_protect, name="dispatch")
class DirectUploadView(View):
    """400 with a message for a person, 403 for what does not hold, 404 for parts that are gone, 503 without
    a server."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> JsonResponse:
        try:
            asked = _asked(request)
            step = _STEPS.get(str(asked.get("step")))
            if step is None:
                raise Refused("The request names no step.")
            return JsonResponse(step(request, asked))
        except ValidationError as error:
            return _answer(400, " ".join(error.messages), error.code)
        except (Refused, RoutingError) as error:
            logger.warning("A direct upload was refused: %s", error)
            return _answer(403, _("This upload is not allowed, or no longer. Please reload the page."))
        except ServerError as error:
            if uploads.is_gone(error):
                return _answer(404, _("The upload is incomplete. Please upload the file again."))
            logger.error("A direct upload failed: %s", error)
            return _answer(503, _("The file server is out of reach. Please try again."))


def _answer(status: int, message: str, code: str | None = None) -> JsonResponse:
    return JsonResponse({"error": message, "code": code or "refused"}, status=status)


def _asked(request: HttpRequest) -> Mapping[str, Any]:
    if len(request.body) > _MOST:
        raise Refused("The request is too large.")
    try:
        asked = json.loads(request.body)
    except ValueError as error:
        raise Refused("The request is not JSON.") from error
    if not isinstance(asked, dict):
        raise Refused("The request is not a JSON object.")
    return asked


def _begin(request: HttpRequest, asked: Mapping[str, Any]) -> dict[str, Any]:
    ticket = _allowed(request, Ticket.read(asked.get("ticket"), request))
    return uploads.begin(ticket, asked.get("name"), asked.get("size"), asked.get("type"))


def _sign(request: HttpRequest, asked: Mapping[str, Any]) -> dict[str, Any]:
    return uploads.sign(_upload(request, asked), asked.get("parts"))


def _parts(request: HttpRequest, asked: Mapping[str, Any]) -> dict[str, Any]:
    return uploads.stored_parts(_upload(request, asked))


def _complete(request: HttpRequest, asked: Mapping[str, Any]) -> dict[str, Any]:
    return uploads.complete(_upload(request, asked), asked.get("etags"))


def _abort(request: HttpRequest, asked: Mapping[str, Any]) -> dict[str, Any]:
    if "receipt" in asked:
        return uploads.abort(Receipt.read(asked["receipt"], request))
    return uploads.abort(Upload.read(asked.get("upload"), request))


def _upload(request: HttpRequest, asked: Mapping[str, Any]) -> Upload:
    return _allowed(request, Upload.read(asked.get("upload"), request))


def _allowed(request: HttpRequest, token: T) -> T:
    """Ask for the permission at each step: it may have been taken away."""
    if not direct_upload().permission(request, token.model_field):
        raise Refused(f"The permission for {token.field} is denied.")
    return token


_STEPS: dict[str, Callable[[HttpRequest, Mapping[str, Any]], dict[str, Any]]] = {
    "begin": _begin,
    "sign": _sign,
    "parts": _parts,
    "complete": _complete,
    "abort": _abort,
}
