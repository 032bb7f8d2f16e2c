"""Which object and bucket names are safe.

Sources: "Bucket naming rules" and "Creating object key names" in the Amazon S3 user guide.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from django.core.exceptions import SuspiciousFileOperation

from .exceptions import InvalidBucketName

MARK_OBJECT = ".django-minio-router"  # says who created a bucket that cannot have tags
MAX_OBJECT_NAME = 1024  # bytes of UTF-8
MAX_BUCKET_NAME = 63

INCOMING = "incoming/"  # where browsers store, below the storage's folder, until a form takes the file
_INCOMING = re.compile(rf"(?:.*/)?{INCOMING}\d{{4}}-\d\d-\d\d/[0-9a-f]{{32}}", re.DOTALL)

_SEGMENT = r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*"
_PLAIN = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_HIDDEN_FOLDER = re.compile(r"\.(?:versions|(?<![^/]\.)uploads)/")  # a dot first: found faster
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_NAMES = {"minio"}
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def quote_object_name(name: str) -> str:
    """Return the name quoted for a URL.

    Raise ``SuspiciousFileOperation`` for a name that could refer to another object: one with dot segments or
    empty segments (clients and servers collapse them), backslashes, control characters, or more bytes than S3
    allows.
    """
    if type(name) is not str:
        name = text_of(name)
    if len(name) <= MAX_OBJECT_NAME and _PLAIN.fullmatch(name):
        return name  # the common case: needs no quoting and is safe
    name = text_of(name)
    problem = _object_name_problem(name)
    if problem:
        raise SuspiciousFileOperation(f"The object name {name[:200]!r} {problem}.")
    return quote(name, safe="/~")


def path_of(bucket: str, name: str | None = None) -> str:
    """Return the path of the bucket, or of the object, on a server: see ``quote_object_name``."""
    return f"/{bucket}" if name is None else f"/{bucket}/{quote_object_name(name)}"


def check_object_name(name: str) -> str:
    """Return the name, or raise ``SuspiciousFileOperation`` as ``quote_object_name`` does."""
    quote_object_name(name)
    return text_of(name)


def check_new_name(name: str) -> str:
    """Return the name, or raise ``SuspiciousFileOperation`` as ``check_object_name`` does.

    Also raise it for a name that would be stored but not listed: SeaweedFS hides folders of its own, and the
    mark of a bucket is not a file.
    """
    name = check_object_name(name)
    if name == MARK_OBJECT:
        raise SuspiciousFileOperation(
            f"The object name {name!r} is reserved: it marks a bucket that 'purge_tenant' may delete. Rename "
            "the file."
        )
    if _HIDDEN_FOLDER.search(name):
        raise SuspiciousFileOperation(
            f"The object name {name[:200]!r} has a folder that SeaweedFS does not list: '.uploads', or one "
            "that ends in '.versions'. Rename the folder."
        )
    return name


def is_incoming(name: str) -> bool:
    """Return whether the name is that of a direct upload that no form has taken yet."""
    return _INCOMING.fullmatch(name) is not None


def text_of(name: object) -> str:
    """Return a string or path as a plain string. ``SuspiciousFileOperation`` for anything else.

    On Windows, where Django joins names with ``os.path``, a backslash becomes a slash.
    """
    if type(name) is str and os.sep == "/":
        return name  # the common case
    if isinstance(name, os.PathLike):
        name = os.fspath(name)
    if not isinstance(name, str):
        raise SuspiciousFileOperation(f"{name!r} is not an object name. Use a string or a path.")
    return str(name) if os.sep == "/" else name.replace(os.sep, "/")


def _object_name_problem(name: str) -> str | None:
    if not name:
        return "is empty; give the file a name"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "contains a lone surrogate, which UTF-8 cannot encode"
    if size > MAX_OBJECT_NAME:
        return f"is {size} bytes long in UTF-8; S3 allows {MAX_OBJECT_NAME}"
    if "\\" in name:
        return "contains a backslash; separate folders with '/'"
    if _CONTROL.search(name):
        return "contains a control character"
    if any(segment in {"", ".", ".."} for segment in name.split("/")):
        return "starts or ends with '/', or contains an empty, '.' or '..' segment"
    return None


def bucket_name_problem(name: object) -> str | None:
    """Return which S3 naming rule the name breaks, or None."""
    if not isinstance(name, str):
        return f"is of type {type(name).__name__}, not a string"
    if not _BUCKET.fullmatch(name):
        return "must be 3 to 63 characters of a-z, 0-9, '-' and '.', and start and end with a letter or digit"
    if ".." in name or ".-" in name or "-." in name:
        return "must not contain '..', '.-' or '-.'"
    if _IP_ADDRESS.fullmatch(name):
        return "must not look like an IP address"
    if name in _RESERVED_NAMES:
        return "is reserved by MinIO"
    if name.startswith(_RESERVED_PREFIXES) or name.endswith(_RESERVED_SUFFIXES):
        return "starts or ends with a part that is reserved by S3"
    return None


def check_bucket_name(name: str, source: object) -> str:
    """Return the name, or raise ``InvalidBucketName`` with the name and its ``source``."""
    problem = bucket_name_problem(name)
    if problem:
        raise InvalidBucketName(f"{source} gave the bucket name {name!r}, which {problem}.")
    return name
