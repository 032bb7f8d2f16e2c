"""The active organization: that of the logged-in user."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from .models import Organization

_organization: ContextVar[Organization | None] = ContextVar("organization", default=None)


def get_current_organization() -> Organization | None:
    return _organization.get()


class OrganizationMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _organization.set(organization_of(request))
        try:
            return self.get_response(request)
        finally:
            _organization.reset(token)


def organization_of(request: HttpRequest) -> Organization | None:
    if not request.user.is_authenticated:
        return None
    return Organization.objects.filter(membership__user=request.user).first()
