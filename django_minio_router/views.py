"""Protected downloads: a view that checks a permission before it serves a file."""

from __future__ import annotations

import inspect
import posixpath
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from django.core.exceptions import PermissionDenied, SuspiciousFileOperation, ValidationError
from django.core.files.storage import Storage, storages
from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.utils.cache import add_never_cache_headers, patch_cache_control
from django.views.generic import View
from django.views.generic.detail import SingleObjectMixin

from .exceptions import ConfigurationError
from .storage.active_content import is_safe_to_display
from .storage.backend import MinioBackend
from .storage.content_types import guess_type
from .storage.links import ResponseOverrides, seconds_of
from .storage.responses import ObjectResponse
from .storage.router import MinioRouter

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

_MODES = ("redirect", "stream", "accel")
_LINK_LIFE = 60  # seconds
_NOT_FOUND = "There is no such file."


def serve_object(
    request: HttpRequest,
    file: FieldFile | Storage,
    name: str | None = None,
    *,
    mode: str = "redirect",
    expires: timedelta | int = _LINK_LIFE,
    filename: str | None = None,
    as_attachment: bool | None = None,
    accel_location: str = "/_minio/",
) -> HttpResponseBase:
    """Return a response with the file of a row or of a storage. Check permissions before you call this.

    ``mode`` is ``"redirect"`` to a signed link that is valid for ``expires`` (a ``timedelta`` or seconds),
    ``"stream"`` through Django, or ``"accel"``, where nginx gets the file from the S3 server through the
    internal location ``accel_location``. Django answers HEAD in every mode, as a link is signed for GET only.
    ``filename`` and ``as_attachment`` are those of ``ObjectResponse``. Raise ``FileNotFoundError`` if the row
    has no file, or the server does not have the object, which ``"redirect"`` does not check.
    """
    _check_mode(mode)
    if isinstance(file, FieldFile):
        name, file = file.name, file.storage
    if not name:
        raise FileNotFoundError(_NOT_FOUND)
    if mode == "redirect" and request.method != "HEAD":
        return _redirect(file, name, expires, filename, as_attachment)
    target = _behind_proxy(file, name, expires, filename, as_attachment) if mode == "accel" else None
    if target is not None and request.method != "HEAD":
        target = accel_location.rstrip("/") + target
        response: HttpResponseBase = HttpResponse(headers={"X-Accel-Redirect": target})
        del response.headers["Content-Type"]  # nginx takes the object's own
    else:
        response = ObjectResponse(file, name, request=request, filename=filename, as_attachment=as_attachment)
    patch_cache_control(response, private=True, **({} if "Cache-Control" in response else {"no_cache": True}))
    return response


def _check_mode(mode: str) -> None:
    if mode not in _MODES:
        raise ConfigurationError(f"{mode!r} is not a mode for downloads. Use one of {', '.join(_MODES)}.")


def _redirect(
    storage: Storage, name: str, expires: Any, filename: str | None, as_attachment: bool | None
) -> HttpResponse:
    options = {"expires": expires, "filename": filename, "disposition": _disposition(as_attachment)}
    ours = isinstance(storage, MinioRouter | MinioBackend)
    link = cast("Any", storage).url(name, **(options if ours else {}))
    response = HttpResponseRedirect(link)
    add_never_cache_headers(response)
    return response


def _disposition(as_attachment: bool | None) -> str | None:
    return None if as_attachment is None else "attachment" if as_attachment else "inline"


def _behind_proxy(
    storage: Storage, name: str, expires: Any, filename: str | None, as_attachment: bool | None
) -> str | None:
    """Return path and query of a link on the internal endpoint; None if finding the file needs a request."""
    backend = storage.backend if isinstance(storage, MinioRouter) else storage
    if not isinstance(backend, MinioBackend) or backend.links_take_requests:
        return None
    client = backend.objects.client
    if not client.server.is_plain:
        raise ConfigurationError(
            "The mode 'accel' needs an endpoint without a path and MINIO_ADDRESSING = 'path', because nginx "
            "selects the bucket by path. Use the mode 'stream'."
        )
    content_type = None
    if as_attachment is None:
        # On the site's own origin, use the type from the name, whatever was declared.
        content_type = guess_type(name) or "application/octet-stream"
        as_attachment = not is_safe_to_display(name)
    overrides = ResponseOverrides(
        filename or posixpath.basename(name), content_type, _disposition(as_attachment)
    )
    key, life, query = backend.object_name(name), seconds_of(expires), overrides.query(name, False)
    link = client.links_in(backend.objects.name)(key, life, int(time.time()), query)
    return link.removeprefix(client.server.origin)


class ObjectView(SingleObjectMixin, View):  # type: ignore[type-arg]
    """Serve a file to those whom ``permission`` allows: ``path("<int:pk>/", ObjectView.as_view(...))``.

    The file is the ``field`` of a row, which ``model`` or ``queryset`` and the URL find as in a
    ``DetailView``; or the URL's ``name`` in ``storage``, which is an alias of ``STORAGES`` or a storage.
    ``permission`` is called with the request and the row, or the name. All other options go to
    ``serve_object``. The tenant is the row's or the active one; the URL cannot choose it.

    A file that does not exist and a file that the visitor may not read give the same 404, before any request
    to the S3 server.
    """

    http_method_names = ["get", "head", "options"]
    permission: Callable[[HttpRequest, Any], bool] | None = None
    field = "file"
    storage: Storage | str | None = None
    name_url_kwarg = "name"
    mode = "redirect"
    expires: timedelta | int = _LINK_LIFE
    filename: str | None = None
    as_attachment: bool | None = None
    accel_location = "/_minio/"

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view. Raise ``ConfigurationError`` without a ``permission``."""
        view = super().as_view(**initkwargs)
        _check_mode(initkwargs.get("mode", cls.mode))
        if (
            initkwargs.get("permission", cls.permission) is None
            and cls.has_permission is ObjectView.has_permission
        ):
            raise ConfigurationError(
                f"{cls.__name__} has no permission, so anybody could download anything. Give as_view() a "
                "permission(request, row) that returns True or False, or override has_permission()."
            )
        return view

    def has_permission(self, request: HttpRequest, subject: Any) -> bool:
        """Return whether the visitor may read the file of this row, or of this name."""
        permission: Any = inspect.getattr_static(self, "permission")  # a class attribute must not be bound
        return permission(request, subject)  # type: ignore[no-any-return]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return self.respond(request)
        except (Http404, FileNotFoundError, PermissionDenied, SuspiciousFileOperation):
            raise Http404(_NOT_FOUND) from None

    def respond(self, request: HttpRequest) -> HttpResponseBase:
        """Find the file, check permissions, and serve it."""
        subject = self.get_subject()
        allowed = self.has_permission(request, subject)
        if inspect.isawaitable(allowed):  # it would be truthy
            raise ConfigurationError(
                f"The permission of {type(self).__name__} is async, which is not supported. Use a plain "
                "function."
            )
        if not allowed:
            raise PermissionDenied
        return serve_object(
            request,
            *self.get_file(subject),
            mode=self.mode,
            expires=self.expires,
            filename=self.get_filename(subject),
            as_attachment=self.as_attachment,
            accel_location=self.accel_location,
        )

    def get_subject(self) -> Any:
        """Return the row, or the name in the storage."""
        if self.storage is not None:
            return self.kwargs[self.name_url_kwarg]
        try:
            return self.get_object()
        except (ValueError, ValidationError):  # the URL's value cannot be a key
            raise Http404 from None

    def get_filename(self, subject: Any) -> str | None:
        """Return the name under which browsers save the file; None means the last part of its name."""
        return self.filename

    def get_file(self, subject: Any) -> tuple[Any, ...]:
        """Return the file of the row, or the storage and the name."""
        if self.storage is None:
            return (getattr(subject, self.field),)
        storage = self.storage
        return storages[storage] if isinstance(storage, str) else storage, subject
