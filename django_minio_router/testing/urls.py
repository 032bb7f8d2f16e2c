"""URLs that serve links to files in memory. Include them at the root, for tests or a first look.

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

from ..buckets.policies import is_open_to_everybody
from ..naming import quote_object_name
from ..s3 import memory
from ..s3.client import known_clients

_OMITTED_HEADERS = ("Content-Length", "Content-Type")


def show(request: HttpRequest, host: str, bucket: str, key: str) -> HttpResponse:
    """Serve a link as the server would: a valid signed one, or an unsigned one to a public bucket."""
    target = f"/{bucket}/{quote_object_name(key)}"
    query = request.META.get("QUERY_STRING", "")
    allowed = _is_signed(host, bucket, key, query) if query else _is_public(host, bucket)
    if not allowed:
        return HttpResponse("AccessDenied", status=403, content_type="text/plain")
    given = {"Range": request.headers["Range"]} if "Range" in request.headers else {}
    found = memory.answer(host, str(request.method), f"{target}?{query}", given)
    response = HttpResponse(found.body, status=found.status, content_type=found.headers.get("content-type"))
    for name, value in found.headers.items():
        if name.title() not in _OMITTED_HEADERS:
            response[name] = value
    return response


def _is_signed(host: str, bucket: str, key: str, query: str) -> bool:
    """Return whether one of our clients generates exactly this link, and it has not expired."""
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
        client.links_in(bucket)(key, life, at, extra)
        for client in known_clients()
        if client.server.memory and client.server.endpoint == host
    )
    return any(link.partition("?")[2] == query for link in ours)


def _is_public(host: str, bucket: str) -> bool:
    found = memory.answer(host, "GET", f"/{bucket}?policy=")
    policy: Mapping[str, object] = json.loads(found.body) if found.status == 200 else {}
    return is_open_to_everybody(policy)


urlpatterns = [path("minio-memory/<str:host>/<str:bucket>/<path:key>", show)]
