"""Which files are safe to display: a browser shows or downloads them, but never runs anything in them.

All others count as active content: HTML, SVG, XML, scripts and unknown types. The list is short on purpose: a
missing type only means that the file is downloaded instead of displayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from django.utils.http import content_disposition_header

_DISPOSITION = "Content-Disposition"

# Media types with their file extensions. Both must be safe: SeaweedFS replaces application/octet-stream by
# its own guess from the extension, and other servers send the declared type with any name.
_SAFE = """
application/epub+zip                epub
application/gzip                    gz tgz
application/json                    json
application/msword                  doc
application/octet-stream            bin
application/pdf                     pdf
application/rtf                     rtf
application/vnd.ms-excel            xls
application/vnd.ms-powerpoint       ppt
application/vnd.oasis.opendocument.presentation   odp
application/vnd.oasis.opendocument.spreadsheet    ods
application/vnd.oasis.opendocument.text           odt
application/vnd.openxmlformats-officedocument.presentationml.presentation   pptx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet           xlsx
application/vnd.openxmlformats-officedocument.wordprocessingml.document     docx
application/x-7z-compressed         7z
application/x-gzip
application/x-tar                   tar
application/x-zip-compressed
application/zip                     zip
audio/aac                           aac
audio/flac                          flac
audio/mp4                           m4a
audio/mpeg                          mp3
audio/ogg                           oga ogg opus
audio/wav                           wav
audio/webm                          weba
audio/x-m4a
audio/x-wav
font/otf                            otf
font/ttf                            ttf
font/woff                           woff
font/woff2                          woff2
image/apng                          apng
image/avif                          avif
image/bmp                           bmp
image/gif                           gif
image/heic                          heic
image/heif                          heif
image/jpeg                          jpg jpeg jpe jfif
image/png                           png
image/tiff                          tif tiff
image/vnd.microsoft.icon            ico
image/webp                          webp
image/x-icon
image/x-ms-bmp
text/csv                            csv
text/plain                          txt log
video/mp4                           mp4 m4v
video/mpeg                          mpg mpeg
video/ogg                           ogv
video/quicktime                     mov
video/webm                          webm
video/x-m4v
video/x-matroska                    mkv
video/x-msvideo                     avi
"""

_LINES = [line.split() for line in _SAFE.strip().splitlines()]
_SAFE_TYPES = frozenset(line[0] for line in _LINES)
SAFE_EXTENSIONS = {extension: line[0] for line in _LINES for extension in line[1:]}
"""The file extensions that are safe to display, with their types."""


def is_safe_to_display(name: str, content_type: str | None = None) -> bool:
    """Return whether the extension and, if given, the content type are known to be safe."""
    _, dot, extension = name.rpartition(".")
    if not dot or extension.lower() not in SAFE_EXTENSIONS:
        return False
    return content_type is None or _is_safe_type(content_type)


def _is_safe_type(content_type: str) -> bool:
    # Browsers use the last of several values. A comma in a quoted parameter is not worth a special case.
    return "," not in content_type and content_type.partition(";")[0].strip(" \t").lower() in _SAFE_TYPES


def link_disposition(
    name: object, *, disposition: str | None, filename: str | None, content_type: str | None
) -> str | None:
    """Return the disposition for a link: the caller's, else ``attachment`` for active content.

    ``filename`` alone already means a download.
    """
    if disposition is not None or filename is not None or is_safe_to_display(str(name), content_type):
        return disposition
    return "attachment"


def disposition_header(as_attachment: bool, filename: str) -> str:
    """Return the header for a download under this name, or for its display.

    Django 4.2 leaves line breaks as they are.
    """
    if filename.isascii() and not filename.isprintable():
        return f"{'attachment' if as_attachment else 'inline'}; filename*=utf-8''{quote(filename)}"
    return content_disposition_header(as_attachment, filename) or "inline"


def stored_as_attachment(name: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an object, with ``Content-Disposition: attachment`` unless it is safe to display.

    The file name in a disposition from the project is kept.
    """
    named = {key.lower(): value for key, value in headers.items()}
    if is_safe_to_display(name, named.get("content-type", "")):
        return dict(headers)
    others = {key: value for key, value in headers.items() if key.lower() != _DISPOSITION.lower()}
    _, semicolon, parameters = named.get(_DISPOSITION.lower(), "").partition(";")
    return {**others, _DISPOSITION: f"attachment{semicolon}{parameters}"}
