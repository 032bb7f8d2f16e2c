from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_minio_router.exceptions import ServerError

logger = logging.getLogger(__name__)


class ServerErrorMiddleware:
    """Say that the files are out of reach, and leave the cause, which is for developers, to the log."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, ServerError):
            logger.error("The files are out of reach", exc_info=exception)
            return render(request, "503.html", status=503)
        return None
