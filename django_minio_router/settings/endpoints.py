"""How the host and port of a server are written."""

from __future__ import annotations

import re

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::([0-9]+))?")
_EXTERNAL = re.compile(r"(?:(https?)://)?([^/?#]*)(/[^?#]*)?")


def endpoint_problem(endpoint: str) -> str | None:
    """Say what is wrong with a ``host[:port]``, or return None."""
    if "@" in endpoint:
        return "holds a user name; the keys have settings of their own"
    if "://" in endpoint:
        return "holds a scheme; say http or https with the setting that ends in USE_HTTPS"
    if "/" in endpoint:
        return "holds a path; S3 requests cannot have one before the bucket"
    match = _HOST.fullmatch(endpoint)
    if not match:
        return "is not a host name or address with an optional port"
    if match[1] and not 0 < int(match[1]) < 65536:
        return "has a port outside 1 to 65535"
    return None


def shown_endpoint(endpoint: str) -> str:
    """Return the endpoint as it may be shown: what stands before an ``@`` may be a password."""
    return repr(endpoint.rpartition("@")[2])


def split_external(endpoint: str) -> tuple[str, str, str]:
    """Split ``[scheme://]host[:port][/path]``, as an external endpoint may be written."""
    match = _EXTERNAL.fullmatch(endpoint)
    return (match[1] or "", match[2], match[3] or "") if match else ("", endpoint, "")
