"""AWS Signature Version 4 for S3 requests and links, with the day's signing key kept.

Source: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API reference. The SDK
derives the key and quotes the name again for each link, which takes over 100 µs; here both are done once.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider

from ..exceptions import ServerError
from ..settings.redacted import Hidden

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_PAYLOAD = sha256(b"").hexdigest()

_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class _Key:
    """HMAC-SHA256 with one key, as RFC 2104 defines it.

    The hash states after the padded key are kept: ``hmac.digest`` computes them, and looks the algorithm up,
    at each call, which takes twice as long.
    """

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = sha256(block.translate(_INNER))
        self._outer = sha256(block.translate(_OUTER))

    def sign(self, message: str) -> str:
        """Return the signature in hex."""
        inner = self._inner.copy()
        inner.update(message.encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


class Keys(NamedTuple):
    """What a provider gave: access key, secret key, and the token of temporary ones."""

    access: str
    secret: str
    token: str | None

    def __repr__(self) -> str:
        return f"<keys of {self.access}>"


class Stamp(NamedTuple):
    """What every signature of one second and one pair of keys has in common."""

    at: int
    keys: Keys
    amz_date: str
    scope: str
    key: _Key


class Signer:
    """Sign requests to one host in one region; safe under threads, as its state is one tuple."""

    def __init__(self, host: str, region: str, credentials: Provider) -> None:
        self.host = host
        self.region = region
        self._credentials = credentials
        self._known: tuple[Credentials, Keys] | None = None
        self._last: Stamp | None = None
        self._link: tuple[Stamp, int, str, str] | None = None

    def authorize(
        self, method: str, path: str, query: str, headers: Mapping[str, str], payload: str
    ) -> dict[str, str]:
        """Return ``headers`` with the ones that authenticate the request added.

        ``path`` and ``query`` are in their quoted, sorted form; ``payload`` is the SHA-256 of the body in
        hex. Conditions (``If-None-Match``) and ranges stay unsigned: a proxy may drop or change them.
        """
        stamp = self._stamp(int(time.time()))
        own = {"host": self.host, "x-amz-content-sha256": payload, "x-amz-date": stamp.amz_date}
        if stamp.keys.token:
            own["x-amz-security-token"] = stamp.keys.token
        given = {k.lower(): " ".join(v.split()) for k, v in headers.items() if k[:6].lower() == "x-amz-"}
        signed = {**given, **own}
        names = sorted(signed)
        canonical = "".join([f"{name}:{signed[name]}\n" for name in names])
        signed_names = ";".join(names)
        signature = _signature(stamp, f"{method}\n{path}\n{query}\n{canonical}\n{signed_names}\n{payload}")
        authorization = (
            f"{ALGORITHM} Credential={stamp.keys.access}/{stamp.scope}, "
            f"SignedHeaders={signed_names}, Signature={signature}"
        )
        return Hidden(headers, **own, Authorization=authorization)

    def presign(self, method: str, path: str, *, expires: int, at: int, extra: str = "") -> str:
        """Return the query with which anybody can make the request for ``expires`` seconds from ``at``.

        ``at`` is Unix time. ``extra`` is a quoted, sorted query whose names come after ``X-Amz-`` in
        ASCII order, as all the ``response-…`` parameters and ``versionId`` do.
        """
        stamp, query, tail = self._link_parts(expires, at)
        if extra:
            query = f"{query}&{extra}"
        signature = _signature(stamp, f"{method}\n{path}\n{query}\n{tail}")
        return f"{query}&X-Amz-Signature={signature}"

    def _link_parts(self, expires: int, at: int) -> tuple[Stamp, str, str]:
        stamp = self._stamp(at)
        last = self._link
        if last is not None and last[0] is stamp and last[1] == expires:
            return stamp, last[2], last[3]
        query = (
            f"X-Amz-Algorithm={ALGORITHM}"
            f"&X-Amz-Credential={quote(f'{stamp.keys.access}/{stamp.scope}', safe='')}"
            f"&X-Amz-Date={stamp.amz_date}&X-Amz-Expires={expires}"
        )
        if stamp.keys.token:
            query += f"&X-Amz-Security-Token={quote(stamp.keys.token, safe='')}"
        query += "&X-Amz-SignedHeaders=host"
        tail = f"host:{self.host}\n\nhost\n{UNSIGNED_PAYLOAD}"
        self._link = (stamp, expires, query, tail)
        return stamp, query, tail

    def keys(self) -> Keys:
        """Return the keys of this moment. ``ServerError`` if the provider has none."""
        try:
            found = self._credentials.retrieve()
        except Exception as error:  # a provider is a project's own code, or asks a service over the network
            name = type(self._credentials).__name__
            raise ServerError(f"The provider in MINIO_CREDENTIALS, {name}, gave no keys: {error}") from error
        known = self._known
        if known is None or known[0] is not found:
            known = self._known = (found, Keys(found.access_key, found.secret_key, found.session_token))
        return known[1]

    def _stamp(self, at: int) -> Stamp:
        """Return the stamp of this second; the key in it is derived once a day and pair of keys."""
        keys, last = self.keys(), self._last
        if last is not None and last.at == at and last.keys == keys:
            return last
        amz_date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        scope = f"{amz_date[:8]}/{self.region}/s3/aws4_request"
        if last is not None and last.scope == scope and last.keys.secret == keys.secret:
            key = last.key
        else:
            key = _signing_key(keys.secret, scope)
        self._last = Stamp(at, keys, amz_date, scope, key)
        return self._last


def _signing_key(secret_key: str, scope: str) -> _Key:
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return _Key(key)


def _signature(stamp: Stamp, canonical_request: str) -> str:
    digest = sha256(canonical_request.encode()).hexdigest()
    return stamp.key.sign(f"{ALGORITHM}\n{stamp.amz_date}\n{stamp.scope}\n{digest}")
