"""The upload view: a JSON POST for each step. docs/direct-upload.md describes the protocol."""

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

_MAX_BYTES = 1024 * 1024  # maximum bytes of a request: the entity tags of 10,000 parts take half of it


@method_decorator(csrf_protect, name="dispatch")
class DirectUploadView(View):
    """The steps of an upload.

    Errors are 400 with a message for the user, 403 for an invalid token, 404 for missing parts, and 503 if
    the server is down.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> JsonResponse:
        try:
            payload = _payload(request)
            step = _STEPS.get(str(payload.get("step")))
            if step is None:
                raise Refused("The request has no valid step.")
            return JsonResponse(step(request, payload))
        except ValidationError as error:
            return _answer(400, " ".join(error.messages), error.code)
        except (Refused, RoutingError) as error:
            logger.warning("A direct upload was refused: %s", error)
            return _answer(403, _("This upload is not allowed, or no longer. Please reload the page."))
        except (ServerError, FileNotFoundError) as error:
            if uploads.is_gone(error):
                return _answer(404, _("The upload is incomplete. Please upload the file again."))
            logger.error("A direct upload failed: %s", error)
            return _answer(503, _("The file server is out of reach. Please try again."))


def _answer(status: int, message: str, code: str | None = None) -> JsonResponse:
    return JsonResponse({"error": message, "code": code or "refused"}, status=status)


def _payload(request: HttpRequest) -> Mapping[str, Any]:
    if len(request.body) > _MAX_BYTES:
        raise Refused("The request is too large.")
    try:
        payload = json.loads(request.body)
    except ValueError as error:
        raise Refused("The request is not JSON.") from error
    if not isinstance(payload, dict):
        raise Refused("The request is not a JSON object.")
    return payload


def _begin(request: HttpRequest, payload: Mapping[str, Any]) -> dict[str, Any]:
    ticket = _allowed(request, Ticket.read(payload.get("ticket"), request))
    begun = uploads.begin(ticket, payload.get("name"), payload.get("size"), payload.get("type"))
    return _with_whole_urls(request, begun)


def _sign(request: HttpRequest, payload: Mapping[str, Any]) -> dict[str, Any]:
    return _with_whole_urls(request, uploads.sign(_upload(request, payload), payload.get("parts")))


def _with_whole_urls(request: HttpRequest, answer: dict[str, Any]) -> dict[str, Any]:
    """Add the site to links to files in memory, which are paths: the script takes URLs only."""
    for link in (answer, *answer.get("parts", ())):
        if link.get("url", "").startswith("/"):
            link["url"] = request.build_absolute_uri(link["url"])
    return answer


def _parts(request: HttpRequest, payload: Mapping[str, Any]) -> dict[str, Any]:
    return uploads.stored_parts(_upload(request, payload))


def _complete(request: HttpRequest, payload: Mapping[str, Any]) -> dict[str, Any]:
    return uploads.complete(_upload(request, payload), payload.get("etags"))


def _abort(request: HttpRequest, payload: Mapping[str, Any]) -> dict[str, Any]:
    if "receipt" in payload:
        return uploads.abort(Receipt.read(payload["receipt"], request))
    return uploads.abort(Upload.read(payload.get("upload"), request))


def _upload(request: HttpRequest, payload: Mapping[str, Any]) -> Upload:
    return _allowed(request, Upload.read(payload.get("upload"), request))


def _allowed(request: HttpRequest, token: T) -> T:
    """Check the permission at each step: it may have been withdrawn."""
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
