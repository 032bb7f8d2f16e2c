"""nginx with the configuration of docs/downloads.md: it gets files from the S3 server, past Django."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
import urllib3
from django.core.files.base import ContentFile

from django_minio_router import MinioBackend
from tests.support.download_sites import download_site
from tests.support.pages import ROOT, blocks
from tests.support.storages import make, storage  # noqa: F401
from tools.servers.process import HOST, Process, free_ports, http_status

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port};
        location / {{ proxy_pass http://{host}:{site}; }}
        {location}
    }}
}}
"""
NAMES = ["a.txt", "docs/a b.txt", "Zoë/日本.pdf", "a+b&c=d?e#f%41.txt", "100%.png", "q'(1)~!*;,:@.txt"]
CONTENT = bytes(range(256)) * 8

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site behind nginx."""
    folder = tmp_path_factory.mktemp("nginx")
    (location,) = blocks((ROOT / "docs/downloads.md").read_text(), "nginx")
    location = location.replace("127.0.0.1:9000", os.environ["MINIO_ENDPOINT"])
    with download_site("gunicorn", folder) as site:
        (port,) = free_ports(1)
        text = CONFIGURATION.format(folder=folder, host=HOST, port=port, site=site.port, location=location)
        (folder / "nginx.conf").write_text(text)
        command = [str(NGINX), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        log = folder / "nginx.log"
        process = Process("nginx", command, lambda: http_status(port, "/") == 200, log=log)
        process.start()
        try:
            yield f"http://{HOST}:{port}"
        finally:
            process.stop()


def get(
    nginx: str,
    storage: MinioBackend,  # noqa: F811
    name: str,
    method: str = "GET",
    **headers: str,
) -> urllib3.BaseHTTPResponse:
    quoted = urllib3.util.parse_url(f"/accel/{storage.bucket}/" + "".join(f"%{b:02X}" for b in name.encode()))
    fields = {key.replace("_", "-"): value for key, value in headers.items()}
    return urllib3.request(method, f"{nginx}{quoted.url}", headers=fields, retries=False)


@pytest.mark.parametrize("name", NAMES)
def test_nginx_gets_the_file_past_django(nginx: str, storage: MinioBackend, name: str) -> None:  # noqa: F811
    storage.save(name, ContentFile(CONTENT))

    answer = get(nginx, storage, name, Authorization="Bearer of-the-site", Cookie="sessionid=1")

    assert (answer.status, answer.data) == (200, CONTENT)
    assert answer.headers.getlist("Cache-Control") == ["private, no-cache"]
    assert len(answer.headers.getlist("Content-Disposition")) == 1
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "x-amz-meta-upload-token" not in answer.headers


def test_ranges_and_conditions_are_the_servers(nginx: str, storage: MinioBackend) -> None:  # noqa: F811
    storage.save("a.txt", ContentFile(CONTENT))

    part = get(nginx, storage, "a.txt", Range="bytes=5-9")
    assert (part.status, part.data) == (206, CONTENT[5:10])
    assert get(nginx, storage, "a.txt", If_None_Match=part.headers["ETag"]).status == 304
    head = get(nginx, storage, "a.txt", "HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(CONTENT)))


def test_a_missing_object_is_nginxs_own_404(nginx: str, storage: MinioBackend) -> None:  # noqa: F811
    answer = get(nginx, storage, "missing.txt")

    assert answer.status == 404
    assert storage.bucket.encode() not in answer.data


def test_the_location_is_not_for_visitors(nginx: str, storage: MinioBackend) -> None:  # noqa: F811
    name = storage.save("a.txt", ContentFile(CONTENT))
    link = storage.url(name).partition(os.environ["MINIO_ENDPOINT"])[2]

    assert urllib3.request("GET", f"{nginx}/_minio{link}", retries=False).status == 404
