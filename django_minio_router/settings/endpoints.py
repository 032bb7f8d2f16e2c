"""The address of a server: host and port, alone or in a URL."""

from __future__ import annotations

import re

from django.utils.ipv6 import is_valid_ipv6_address

from ..exceptions import ConfigurationError

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::([0-9]+))?")
_ENDPOINT = re.compile(r"(?:(https?)://)?([^/?#]*)((?:/[A-Za-z0-9._~-]+)*)/?")


def endpoint_problem(endpoint: str) -> str | None:
    """Return what is wrong with a ``[scheme://]host[:port][/path]``, or None."""
    if "@" in endpoint:
        return "contains a user name; set MINIO_ACCESS_KEY and MINIO_SECRET_KEY instead"
    if "://" in endpoint and not endpoint.startswith(("http://", "https://")):
        return "has a scheme other than http and https"
    if "?" in endpoint or "#" in endpoint:
        return "has a query or a fragment"
    _, host, _ = split_endpoint(endpoint)
    if host.count(":") > 1 and not host.startswith("["):
        return "is an IPv6 address without brackets; write it as [::1]:9000"
    match = _HOST.fullmatch(host)
    if not match or ".." in host or ("[" in host and not is_valid_ipv6_address(host[1 : host.index("]")])):
        if "/" in host and host == endpoint:
            return "has a path that needs quoting; use letters, digits and . _ ~ - between single slashes"
        return "is not a host name or address with an optional port"
    if match[1] and not 0 < int(match[1]) < 65536:
        return "has a port outside 1 to 65535"
    return None


def refuse_endpoint(setting: str, endpoint: str) -> None:
    """Raise ``ConfigurationError`` for a malformed endpoint."""
    problem = endpoint_problem(endpoint)
    endpoint = shown_endpoint(endpoint)  # a debug page must not show a password in a local variable
    if problem:
        raise ConfigurationError(f"{setting} {endpoint} {problem}.")


def shown_endpoint(endpoint: str) -> str:
    """Return the endpoint without what precedes an ``@``, which may be a password."""
    return repr(endpoint.rpartition("@")[2])


def split_endpoint(endpoint: str) -> tuple[str, str, str]:
    """Split ``[scheme://]host[:port][/path]``. The path is empty, or has a leading slash only.

    A malformed endpoint is returned as the host.
    """
    match = _ENDPOINT.fullmatch(endpoint)
    return (match[1] or "", match[2], match[3] or "") if match else ("", endpoint, "")
