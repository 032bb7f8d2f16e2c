"""The SDK's own client for a server in memory, which knows nothing of this package."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from minio import Minio
from urllib3 import HTTPResponse, PoolManager

from django_minio_router.s3.memory import MemoryResponse, answer


class _Pool(PoolManager):
    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> HTTPResponse:
        parts = urlsplit(url)
        target = parts._replace(scheme="", netloc="").geturl()
        found = MemoryResponse(
            answer(parts.netloc, method, target, options["headers"], options["body"] or b"")
        )
        preload = options["preload_content"]
        return HTTPResponse(
            found, found.headers, found.status, preload_content=preload, request_method=method
        )


def bare_client() -> Minio:
    return Minio("memory", "memory", "memory", region="us-east-1", http_client=_Pool())
