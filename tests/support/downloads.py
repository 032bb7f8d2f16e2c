"""What uvicorn and gunicorn serve: files of any bucket, which a proxy to the S3 server may stand before.

Django without a database, in a process of its own, whose memory tells of nothing else.
"""

from __future__ import annotations

import os
from functools import cache

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path

if not settings.configured:
    settings.configure(
        SECRET_KEY="only for tests",
        INSTALLED_APPS=["django_minio_router"],
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"console": {"class": "logging.StreamHandler"}},
            "root": {"handlers": ["console"], "level": "WARNING"},
        },
        **{name: os.environ[name] for name in ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")},
    )
    django.setup()

from django_minio_router import MinioBackend, ObjectResponse
from django_minio_router.views import serve_object
from tests.support.storages import keys


@cache
def storage_at(endpoint: str, bucket: str) -> MinioBackend:
    """Through a proxy no time-out ends anything before its test does."""
    patience = {"MINIO_READ_TIMEOUT": 300, "MINIO_CALL_TIMEOUT": 300}
    options = {"MINIO_ENDPOINT": endpoint, **keys(), **patience} if endpoint else {}
    return MinioBackend(bucket, public=False, **options)


def storage(request: HttpRequest, bucket: str) -> MinioBackend:
    return storage_at(request.GET.get("endpoint", ""), bucket)


def sync(request: HttpRequest, bucket: str, name: str) -> ObjectResponse:
    return ObjectResponse(storage(request, bucket), name, request=request)


async def in_async_code(request: HttpRequest, bucket: str, name: str) -> ObjectResponse:
    return await ObjectResponse.acreate(storage(request, bucket), name, request=request)


def accel(request: HttpRequest, bucket: str, name: str) -> HttpResponseBase:
    return serve_object(request, storage(request, bucket), name, mode="accel")


urlpatterns = [
    path("", lambda request: HttpResponse("well")),
    path("sync/<str:bucket>/<path:name>", sync),
    path("accel/<str:bucket>/<path:name>", accel),
    path("async/<str:bucket>/<path:name>", in_async_code),
]
asgi = get_asgi_application()
wsgi = get_wsgi_application()
