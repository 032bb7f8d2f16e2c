"""Where links to files in memory lead. Include it at the root of a project's URLs, for tests or a first look.

::

    urlpatterns = [path("", include("django_minio_router.testing.urls"))]
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse
from django.urls import path

from ..buckets.policies import opens_to_everybody
from ..naming import quote_object_name
from ..s3 import memory
from ..s3.client import known_clients

_NOT_OF_THE_LINK = ("Content-Length", "Content-Type")


def show(request: HttpRequest, host: str, bucket: str, key: str) -> HttpResponse:
    """Answer a link as the server would: who has one that is signed and not over, or plain and public."""
    target = f"/{bucket}/{quote_object_name(key)}"
    query = request.META.get("QUERY_STRING", "")
    allowed = _is_signed(host, bucket, key, query) if query else _is_public(host, bucket)
    if not allowed:
        return HttpResponse("AccessDenied", status=403, content_type="text/plain")
    given = {"Range": request.headers["Range"]} if "Range" in request.headers else {}
    found = memory.answer(host, str(request.method), f"{target}?{query}", given)
    response = HttpResponse(found.body, status=found.status, content_type=found.headers.get("content-type"))
    for name, value in found.headers.items():
        if name.title() not in _NOT_OF_THE_LINK:
            response[name] = value
    return response


def _is_signed(host: str, bucket: str, key: str, query: str) -> bool:
    """Tell whether one of our clients gives this very link, and its time is not over."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    try:
        life = int(given["X-Amz-Expires"])
        begin = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except (KeyError, ValueError):
        return False
    if datetime.now(timezone.utc) > begin + timedelta(seconds=life):
        return False
    extra = "&".join(part for part in query.split("&") if not part.startswith("X-Amz-"))
    at = int(begin.timestamp())
    ours = (
        client.link(bucket, key, life, at, extra)
        for client in known_clients()
        if client.server.memory and client.server.endpoint == host
    )
    return any(link.partition("?")[2] == query for link in ours)


def _is_public(host: str, bucket: str) -> bool:
    found = memory.answer(host, "GET", f"/{bucket}?policy=")
    policy: Mapping[str, object] = json.loads(found.body) if found.status == 200 else {}
    return opens_to_everybody(policy)


urlpatterns = [path("minio-memory/<str:host>/<str:bucket>/<path:key>", show)]
