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
from django.views.decorators.csrf import csrf_exempt

from ..buckets.policies import is_open_to_everybody
from ..naming import quote_object_name
from ..s3 import memory
from ..s3.client import Client, known_clients

_METHODS = ("GET", "HEAD", "PUT")
_OMITTED_HEADERS = ("Content-Length", "Content-Type")


@csrf_exempt  # the signature is the permission, as on a server
def show(request: HttpRequest, host: str, bucket: str, key: str) -> HttpResponse:
    """Answer a link as the server would: a valid signed one, or an unsigned one to a public bucket."""
    target = f"/{bucket}/{quote_object_name(key)}"
    query = request.META.get("QUERY_STRING", "")
    if not (_is_signed(request, host, bucket, key, query) if query else _is_public(request, host, bucket)):
        return HttpResponse("AccessDenied", status=403, content_type="text/plain")
    # Not request.body: DATA_UPLOAD_MAX_MEMORY_SIZE is for requests to Django.
    body = request.read() if request.method == "PUT" else b""
    found = memory.answer(host, str(request.method), f"{target}?{query}", _sent_headers(request), body)
    response = HttpResponse(found.body, status=found.status, content_type=found.headers.get("content-type"))
    for name, value in found.headers.items():
        if name.title() not in _OMITTED_HEADERS:
            response[name] = value
    return response


def _sent_headers(request: HttpRequest) -> dict[str, str]:
    if request.method == "PUT":
        return dict(request.headers)
    return {"Range": request.headers["Range"]} if "Range" in request.headers else {}


def _is_signed(request: HttpRequest, host: str, bucket: str, key: str, query: str) -> bool:
    """Return whether one of our clients generates exactly this link, and it has not expired."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    try:
        life, signed = int(given["X-Amz-Expires"]), given["X-Amz-SignedHeaders"].split(";")
        begin = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except (KeyError, ValueError):
        return False
    if datetime.now(timezone.utc) > begin + timedelta(seconds=life):
        return False
    extra = "&".join(part for part in query.split("&") if not part.startswith("X-Amz-"))
    at = int(begin.timestamp())
    headers = {name: request.headers.get(name, "") for name in signed if name != "host"}

    def link_of(client: Client) -> str:
        if request.method == "PUT":
            return client.signed_put(bucket, key, headers, life, at, extra)
        return client.links_in(bucket)(key, life, at, extra)

    servers = ((client, client.server) for client in known_clients())
    ours = (link_of(client) for client, server in servers if server.memory and server.endpoint == host)
    return request.method in _METHODS and any(link.partition("?")[2] == query for link in ours)


def _is_public(request: HttpRequest, host: str, bucket: str) -> bool:
    if request.method not in ("GET", "HEAD"):
        return False
    found = memory.answer(host, "GET", f"/{bucket}?policy=")
    policy: Mapping[str, object] = json.loads(found.body) if found.status == 200 else {}
    return is_open_to_everybody(policy)


urlpatterns = [path("minio-memory/<str:host>/<str:bucket>/<path:key>", show)]
