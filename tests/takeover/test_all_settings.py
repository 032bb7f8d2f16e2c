"""A project that sets every name that the originals document starts here, and stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from minio import Minio

from tests.support.sites import SERVER, QuickSite

COMMON = """
    import urllib3
    from datetime import timedelta
    INSTALLED_APPS = ["django.contrib.staticfiles", "django_minio_router.apps.DjangoMinioBackendConfig"]
    STATIC_URL = "static/"
    POOL = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=300, read=300),
        maxsize=10,
        retries=urllib3.Retry(total=5, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
    )
    KEYS = {
        "MINIO_ENDPOINT": MINIO_ENDPOINT,
        "MINIO_ACCESS_KEY": MINIO_ACCESS_KEY,
        "MINIO_SECRET_KEY": MINIO_SECRET_KEY,
        "MINIO_USE_HTTPS": MINIO_USE_HTTPS,
        "MINIO_REGION": "us-east-1",
        "MINIO_URL_EXPIRY_HOURS": timedelta(days=1),
        "MINIO_CONSISTENCY_CHECK_ON_START": True,
        "MINIO_STATIC_FILES_BUCKET": TOKEN + "-static",
    }
    POLICY = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{TOKEN}-hooked/*",
            }
        ],
    }
    MEDIA = {
        **KEYS,
        "MINIO_EXTERNAL_ENDPOINT": MINIO_ENDPOINT,
        "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS": MINIO_USE_HTTPS,
        "MINIO_PRIVATE_BUCKETS": [TOKEN + "-private", TOKEN + "-media"],
        "MINIO_PUBLIC_BUCKETS": [TOKEN + "-public", TOKEN + "-hooked"],
        "MINIO_POLICY_HOOKS": [(TOKEN + "-hooked", POLICY)],
        "MINIO_BUCKET_CHECK_ON_SAVE": True,
        "MINIO_HTTP_CLIENT": POOL,
    }
"""

OF_3 = """
    globals().update(MEDIA)
    MINIO_PUBLIC_BUCKETS.append(MINIO_STATIC_FILES_BUCKET)
    MINIO_MEDIA_FILES_BUCKET = TOKEN + "-media"
    STATICFILES_STORAGE = "django_minio_router.models.MinioBackendStatic"
    DEFAULT_FILE_STORAGE = "django_minio_router.models.MinioBackend"
    import django
    if django.VERSION >= (5, 1):
        STORAGES = {
            "default": {"BACKEND": DEFAULT_FILE_STORAGE},
            "staticfiles": {"BACKEND": STATICFILES_STORAGE},
        }
"""

OF_4 = """
    for name in KEYS:
        globals().pop(name, None)
    STORAGES = {
        "staticfiles": {"BACKEND": "django_minio_router.models.MinioBackendStatic", "OPTIONS": KEYS},
        "default": {
            "BACKEND": "django_minio_router.models.MinioBackend",
            "OPTIONS": {
                **MEDIA,
                "MINIO_DEFAULT_BUCKET": TOKEN + "-media",
                "MINIO_MULTIPART_UPLOAD": False,
                "MINIO_MULTIPART_THRESHOLD": 10 * 1024 * 1024,
                "MINIO_MULTIPART_PART_SIZE": 10 * 1024 * 1024,
                "MINIO_URL_CACHING_ENABLED": True,
                "MINIO_URL_CACHE_TIMEOUT": 60 * 60 * 8,
                "MINIO_URL_CACHE_PREFIX": "links_",
            },
        },
    }
    MINIO_URL_CACHING_ENABLED = True
    MINIO_URL_CACHE_TIMEOUT = 60 * 60 * 8
    MINIO_URL_CACHE_PREFIX = "links_"
"""

STORE = """
    from django.contrib.staticfiles.storage import staticfiles_storage
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage
    import urllib3
    for storage in (default_storage, staticfiles_storage):
        link = storage.url(storage.save("a.txt", ContentFile(b"content")))
        print(storage.bucket, "Signature" in link, urllib3.request("GET", link).data.decode())
"""


@pytest.mark.parametrize("layout", [OF_3, OF_4], ids=["3.x", "4.x"])
def test_every_documented_name_is_accepted(
    layout: str, tmp_path: Path, new_name: Callable[[str], str], bare: Minio
) -> None:
    token = new_name("all")
    site = QuickSite(tmp_path, f"TOKEN = {token!r}", SERVER, COMMON, layout)

    checked = site.manage("check")
    stored = site.python(STORE)

    assert checked.stdout.startswith("System check identified no issues"), checked.stderr
    assert (stored.returncode, stored.stderr) == (0, "")
    assert stored.stdout.splitlines() == [f"{token}-media True content", f"{token}-static False content"]
    made = {bucket.name.removeprefix(f"{token}-") for bucket in bare.list_buckets() if token in bucket.name}
    assert made == {"private", "media", "public", "hooked", "static"}
    assert "s3:ListBucket" not in bare.get_bucket_policy(bucket_name=f"{token}-hooked")
