"""The headers for storing and reading objects: content type, metadata, encryption and disposition."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from django.core.files import File

from ..exceptions import ConfigurationError
from ..s3.tokens import TOKEN_HEADER
from ..s3.uploads import KEPT_HEADERS
from ..settings.config import import_named
from ..settings.server import Server
from .active_content import stored_as_attachment
from .content_types import guess_type

Metadata: TypeAlias = "Mapping[str, Any] | Callable[[str, File[Any]], Mapping[str, Any] | None] | str | None"
"""Metadata for all files, or a function of a file's name and content, or its dotted path."""

_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, in lower case
_REQUEST_HEADERS = (  # they describe the request, not the object
    "x-amz-checksum-",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-",
    "x-amz-security-token",
    "x-amz-trailer",
    "x-amz-write-offset-",
    TOKEN_HEADER,
)


class ObjectHeaders(NamedTuple):
    """The headers of one storage's objects; ``sse`` is an encryption object of the SDK."""

    metadata: Metadata
    sse: Any
    server: Server
    downloads_active: bool

    def of(self, name: str, content: File[Any]) -> dict[str, str]:
        """Return the headers to store the content with. Metadata for all files does not set the type."""
        own = _metadata_of(self.metadata, name, content)
        headers = {_header(key): _plain_text(key, value) for key, value in own.items()}
        if own is self.metadata or "content-type" not in headers:
            headers["content-type"] = content_type_of(name, content)
        return self.guarded(name, headers | self.encryption())

    def guarded(self, name: str, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers, with ``attachment`` if this is active content that must be downloaded.

        A content type declared by a browser is not trusted.
        """
        return stored_as_attachment(name, headers) if self.downloads_active else headers

    def encryption(self) -> dict[str, str]:
        """Return the encryption headers. ``ConfigurationError`` if a key would be sent over plain HTTP."""
        if self.sse is None:
            return {}
        if self.sse.tls_required() and not self.server.use_https:
            raise ConfigurationError(
                f"{type(self.sse).__name__} sends a key, but requests to {self.server.endpoint} do not use "
                "HTTPS. Set MINIO_USE_HTTPS to True."
            )
        headers: dict[str, str] = self.sse.headers()
        return headers

    def reading(self) -> dict[str, str]:
        """Return the headers that reading needs as well: a customer-provided key."""
        return {k: v for k, v in self.encryption().items() if "-customer-" in k.lower()}


def content_type_of(name: str, content: File[Any]) -> str:
    """Return the declared type, else a guess from the name."""
    declared = getattr(content, "content_type", None)
    if not isinstance(declared, str) or not _PRINTABLE.fullmatch(declared):  # a browser may send anything
        declared = None
    return declared or guess_type(name) or "application/octet-stream"


def _metadata_of(metadata: Metadata, name: str, content: File[Any]) -> Mapping[str, Any]:
    function: Any = metadata
    if isinstance(metadata, str):
        function = import_named("The option 'metadata' of a storage names", metadata)
    described = function(name, content) if callable(function) else function
    if described is None:
        return {}
    if not isinstance(described, Mapping):
        raise ConfigurationError(
            f"The option 'metadata' of a storage, {metadata!r}, returned {described!r} for {name!r}. It must "
            "return a dictionary."
        )
    return described


def _header(key: str) -> str:
    """Return the header for a metadata key: a header of that name, as in the SDK, or user metadata.

    It is in lower case: a server merges two headers that differ only in case, which breaks the signature.
    """
    lower = key.lower() if isinstance(key, str) else ""
    header = lower if lower in KEPT_HEADERS or lower.startswith("x-amz-") else f"x-amz-meta-{lower}"
    if not _HEADER.fullmatch(lower) or header.startswith(_REQUEST_HEADERS):
        raise ConfigurationError(
            f"The metadata has the key {key!r}, which cannot be stored with an object. Use ASCII letters, "
            "digits and '-'; x-amz- headers that describe a request cannot be set."
        )
    return header


def _plain_text(key: str, value: Any) -> str:
    values = value if isinstance(value, list | tuple) else [value]
    text = ",".join(str(value) for value in values)
    if not _PRINTABLE.fullmatch(text):
        raise ConfigurationError(
            f"The metadata {key!r} is {text!r}, but S3 accepts printable ASCII only. Encode it, for example "
            "with urllib.parse.quote()."
        )
    return text
