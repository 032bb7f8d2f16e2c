"""What stands before a server and has its buckets elsewhere: below a path, or each at a host of its own.

It takes a request only if that is signed for the place where it was sent to, as the SDK's own signatures
say, and signs it anew for the server behind it.
"""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import SplitResult, parse_qs, urlsplit

from minio.credentials import Credentials
from minio.signer import presign_v4, sign_v4_s3

from .proxy import Action, Exchange, answering, forward
from .storages import keys

BASE = "/storage/v1/s3"
DOMAIN = "s3.localhost"
REGION = "us-east-1"


def below_path(host: str, path: str) -> str | None:
    """Return the path of the bucket behind ``/storage/v1/s3``."""
    return path.removeprefix(BASE) if path.startswith(f"{BASE}/") else None


def at_host(host: str, path: str) -> str | None:
    """Return the path of the bucket that is at ``bucket.s3.localhost``."""
    name = host.partition(":")[0]
    if name == DOMAIN:
        return path
    return f"/{name.removesuffix(f'.{DOMAIN}')}{path}" if name.endswith(f".{DOMAIN}") else None


def gateway(place, upstream: str) -> Action:
    """Return a proxy action that serves buckets at ``place``, and nowhere else."""

    def action(exchange: Exchange) -> None:
        host, url = exchange.message.get("Host"), urlsplit(exchange.request.target)
        path = place(host, url.path)
        came, goes = (url._replace(scheme="http", netloc=at) for at in (host, upstream))
        if path is None or not _is_signed(exchange, came):
            answering(403)(exchange)
            return
        _sign(exchange, goes._replace(path=path))
        forward(exchange)

    return action


def _is_signed(exchange: Exchange, url: SplitResult) -> bool:
    if "X-Amz-Signature" in url.query:
        return url.query == _presigned(exchange, url).query
    given = exchange.message.get("Authorization")
    return bool(given) and given == _signed(exchange, url)["Authorization"]


def _sign(exchange: Exchange, url: SplitResult) -> None:
    message = exchange.message
    message.set("Host", url.netloc)
    if "X-Amz-Signature" in url.query:
        url = _presigned(exchange, url)
    else:
        for name, value in _signed(exchange, url).items():
            message.set(name, value)
    target = url._replace(scheme="", netloc="").geturl()
    message.start = f"{exchange.request.method} {target} HTTP/1.1"


def _credentials() -> Credentials:
    return Credentials(keys()["MINIO_ACCESS_KEY"], keys()["MINIO_SECRET_KEY"])


def _date(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)


def _signed(exchange: Exchange, url: SplitResult) -> dict:
    message = exchange.message
    names = message.get("Authorization").partition("SignedHeaders=")[2].partition(",")[0].split(";")
    return sign_v4_s3(
        method=exchange.request.method,
        url=url,
        region=REGION,
        headers={**{name: message.get(name) for name in names}, "host": url.netloc},
        credentials=_credentials(),
        content_sha256=message.get("x-amz-content-sha256"),
        date=_date(message.get("x-amz-date")),
    )


def _presigned(exchange: Exchange, url: SplitResult) -> SplitResult:
    given = parse_qs(url.query, keep_blank_values=True)
    rest = "&".join(part for part in url.query.split("&") if not part.startswith("X-Amz-"))
    made = presign_v4(
        method=exchange.request.method,
        url=url._replace(query=rest),
        region=REGION,
        credentials=_credentials(),
        date=_date(given["X-Amz-Date"][0]),
        expires=int(given["X-Amz-Expires"][0]),
    )
    amz = [part for part in made.query.split("&") if part.startswith("X-Amz-")]
    return made._replace(query="&".join([*amz[:-1], *filter(None, [rest]), amz[-1]]))
