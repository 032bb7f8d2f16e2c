from __future__ import annotations

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_minio_router.exceptions import ServerError

logger = logging.getLogger(__name__)


class ServerErrorMiddleware:
    """Show that files are unavailable; the cause, for developers, is in the log."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, ServerError):
            logger.error("The files are out of reach", exc_info=exception)
            return render(request, "503.html", status=503)
        return None


class ContentPolicyMiddleware:
    """Let pages run the site's own scripts alone, and speak with this site and the S3 server. Django 6 has
    `SECURE_CSP` for this."""

    def __init__(self, get_response):
        self.get_response = get_response
        s3 = f"{'https' if settings.MINIO_USE_HTTPS else 'http'}://{settings.MINIO_ENDPOINT}"
        self.policy = (
            f"default-src 'none'; script-src 'self'; connect-src 'self' {s3}; img-src 'self' data: {s3};"
            " style-src 'self'; style-src-attr 'unsafe-inline'; form-action 'self'; base-uri 'none';"
            " frame-ancestors 'none'"
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["Content-Security-Policy"] = self.policy
        return response
