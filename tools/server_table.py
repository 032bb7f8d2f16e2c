"""The table of server features in docs/servers.md, as check_server finds them.

python3 dev.py run tools.server_table    # renews it; a server that is not on this machine keeps its column
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import django
from django.conf import settings

from .servers import S3_SERVERS, ServerError, new_s3

PAGE = Path(__file__).parents[1] / "docs" / "servers.md"
TITLES = {
    "seaweedfs": "SeaweedFS",
    "minio": "MinIO",
    "versitygw": "VersityGW",
    "ceph": "Ceph RGW",
    "moto": "moto",
}
_TABLE = re.compile(r"(?<=<!-- tools.server_table -->\n\n).*?(?=\n<!-- end -->)", re.DOTALL)

Columns = dict[str, dict[str, str]]  # a server's title: an ability, and what is in its cell


def main() -> None:
    settings.configure(INSTALLED_APPS=["django_minio_router"], MINIO_TESTING="real")
    django.setup()
    columns = written()
    for name in S3_SERVERS:
        try:
            columns[TITLES[name]] = asked(name)
        except ServerError as error:
            print(f"{name} keeps its column: {error}", file=sys.stderr)
    PAGE.write_text(_TABLE.sub(lambda _: table(columns), PAGE.read_text()))


def asked(name: str) -> dict[str, str]:
    """Start a server, and return its features."""
    from django_minio_router.provisioning.server_check import check_server
    from django_minio_router.settings.config import Config

    with TemporaryDirectory() as folder, new_s3(name, Path(folder)) as address:
        config = Config({**address, "MINIO_USE_HTTPS": False})
        return {
            found.name: "yes" if found.is_there else f"no {found.details}".strip()
            for found, _ in check_server(config)
        }


def written() -> Columns:
    """Return the columns of the current page."""
    rows = [line.strip("| ").split(" | ") for line in _TABLE.findall(PAGE.read_text())[0].splitlines()]
    if not rows:
        return {}
    return {title: {row[0]: row[at] for row in rows[2:]} for at, title in enumerate(rows[0]) if at}


def table(columns: Columns) -> str:
    columns = {title: columns[title] for title in TITLES.values() if title in columns}
    head = ["ability", *columns]
    abilities = next(iter(columns.values()))
    rows = [head, ["---"] * len(head), *([a, *(c.get(a, "?") for c in columns.values())] for a in abilities)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    main()
