"""What the tenants' sites do: store and read a file, in each of the ways in which a view can."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from django_minio_router import MinioRouter, ObjectResponse, ObjectView, tenant_bucket_context
from django_minio_router.strategies import PerTenant

router = MinioRouter(strategy=PerTenant("test-brands-{schema_name}"))

sync_views_meet = threading.Barrier(2)
PATIENCE = 30  # seconds


class Meeting:
    """Lets coroutines go on when two are there, so that requests are under way at the same time."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[None] | None = None

    async def __call__(self) -> None:
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
            await asyncio.wait_for(self._waiting, PATIENCE)
        else:
            waiting, self._waiting = self._waiting, None
            waiting.set_result(None)
            await asyncio.sleep(0)


meet = Meeting()


def store(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(router.save(name, ContentFile(request.body)))


def read(request: HttpRequest, name: str) -> FileResponse:
    return FileResponse(router.open(name))


def store_when_both_are_here(request: HttpRequest, name: str) -> HttpResponse:
    sync_views_meet.wait(PATIENCE)
    return store(request, name)


async def store_async(request: HttpRequest, name: str) -> HttpResponse:
    with tenant_bucket_context(request.tenant):
        await meet()
        saved = await sync_to_async(router.save, thread_sensitive=False)(name, ContentFile(request.body))
        await meet()
        return HttpResponse(await sync_to_async(_content)(saved))


async def store_as_django_does(request: HttpRequest, name: str) -> HttpResponse:
    """Without a context: thread-sensitive code runs in the thread of the request's middleware."""
    await meet()
    return HttpResponse(await sync_to_async(router.save)(name, ContentFile(request.body)))


async def store_in_any_thread(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(
        await sync_to_async(router.save, thread_sensitive=False)(name, ContentFile(request.body))
    )


async def store_at_once(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(router.save(name, ContentFile(request.body)))


async def stream_async(request: HttpRequest, name: str) -> StreamingHttpResponse:
    with tenant_bucket_context(request.tenant):
        file = await sync_to_async(router.open)(name)

    async def parts() -> AsyncIterator[bytes]:
        while part := await sync_to_async(file.read, thread_sensitive=False)(64 * 1024):
            yield part
            await asyncio.sleep(0)

    await meet()
    return StreamingHttpResponse(parts())


async def respond_async(request: HttpRequest, name: str) -> ObjectResponse:
    with tenant_bucket_context(request.tenant):
        response = ObjectResponse.acreate(router, name, request=request)
    return await response


download = ObjectView.as_view(storage=router, permission=lambda request, name: True, mode="stream")
download.__name__ = "download"


def _content(name: str) -> bytes:
    with router.open(name) as file:
        return bytes(file.read())


VIEWS = [
    store,
    read,
    store_when_both_are_here,
    store_async,
    store_as_django_does,
    store_in_any_thread,
    store_at_once,
    stream_async,
    respond_async,
    download,
]
urlpatterns = [path(f"{view.__name__}/<path:name>", view) for view in VIEWS]
