from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_minio_router.exceptions import ServerError


class ServerErrorMiddleware:
    """Say that the S3 server is out of reach, instead of an empty page of an error."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, ServerError):
            return render(request, "503.html", {"cause": exception}, status=503)
        return None
