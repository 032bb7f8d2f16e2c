"""The type that a name tells, the same on every machine and for every Python.

``mimetypes`` reads the machine's ``/etc/mime.types``, which minimal images do not have, and each Python
knows other types by itself.
"""

from __future__ import annotations

import mimetypes
import os.path
import posixpath
from functools import cache

from .active_content import SAFE_ENDINGS

# What a name such as report.csv.gz holds, as Django's FileResponse says it: the package, not what is in it.
_PACKED = {
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}
_ACTIVE_ENDINGS = {
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
    """Return the type; None if the ending is not known.

    What the project itself said with ``mimetypes.add_type`` comes first.
    """
    ending = posixpath.splitext(name)[1].lower()
    added = mimetypes.types_map.get(ending)
    if added is not None and added != _of_this_machine().types_map[True].get(ending):
        return added
    guessed, packed = _known().guess_type(f"/{name}")  # so that no colon makes it a URL
    return guessed if packed is None else _PACKED.get(packed, "application/octet-stream")


@cache
def _known() -> mimetypes.MimeTypes:
    known = mimetypes.MimeTypes()
    for ending, content_type in {**SAFE_ENDINGS, **_ACTIVE_ENDINGS}.items():
        known.add_type(content_type, f".{ending}")
    return known


@cache
def _of_this_machine() -> mimetypes.MimeTypes:
    """Return what ``mimetypes`` knows before anybody adds to it."""
    found = mimetypes.MimeTypes()
    found.read_windows_registry()
    for path in filter(os.path.isfile, mimetypes.knownfiles):
        found.read(path)
    return found
