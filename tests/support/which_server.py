"""The S3 server of this test run. docs/servers.md lists the differences between servers."""

from __future__ import annotations

import os
from functools import cache

import urllib3


@cache
def is_minio() -> bool:
    if os.environ["MINIO_ENDPOINT"] == "memory:":
        return False
    scheme = "https" if os.environ["MINIO_USE_HTTPS"] == "1" else "http"
    answer = urllib3.request("GET", f"{scheme}://{os.environ['MINIO_ENDPOINT']}/", retries=False)
    return answer.headers.get("Server") == "MinIO"
