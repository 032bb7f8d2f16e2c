"""Guess content types from names, with the same result on every machine and Python version.

``mimetypes`` reads ``/etc/mime.types``, which minimal images do not have, and its own types depend on the
Python version.
"""

from __future__ import annotations

import mimetypes
import os.path
import posixpath
from functools import cache, lru_cache

from .active_content import SAFE_EXTENSIONS

# The type of a compressed file such as report.csv.gz, as in Django's FileResponse: that of the archive.
_COMPRESSED_TYPES = {
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}
_ACTIVE_EXTENSIONS = {
    "css": "text/css",
    "htm": "text/html",
    "html": "text/html",
    "js": "text/javascript",
    "jsonld": "application/ld+json",
    "map": "application/json",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "svg": "image/svg+xml",
    "vtt": "text/vtt",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "xhtml": "application/xhtml+xml",
    "xml": "text/xml",
}


def guess_type(name: str) -> str | None:
    """Return the content type, or None if the extension is unknown.

    Types that the project added with ``mimetypes.add_type`` take precedence.
    """
    extension = posixpath.splitext(name)[1]
    added = mimetypes.types_map.get(extension.lower())
    if added is not None and added != _system_types().types_map[True].get(extension.lower()):
        return added
    return _known_type(extension)


@lru_cache(maxsize=1024)
def _known_type(extension: str) -> str | None:
    guessed, compression = _mime_types().guess_type(f"name{extension}")
    return guessed if compression is None else _COMPRESSED_TYPES.get(compression, "application/octet-stream")


@cache
def _mime_types() -> mimetypes.MimeTypes:
    known = mimetypes.MimeTypes()
    for extension, content_type in {**SAFE_EXTENSIONS, **_ACTIVE_EXTENSIONS}.items():
        known.add_type(content_type, f".{extension}")
    return known


@cache
def _system_types() -> mimetypes.MimeTypes:
    """Return the types of ``mimetypes`` without added ones."""
    found = mimetypes.MimeTypes()
    found.read_windows_registry()
    for path in filter(os.path.isfile, mimetypes.knownfiles):
        found.read(path)
    return found
