"""The keys that sign requests: from the settings, or the current ones of a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..exceptions import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from minio.credentials.credentials import Credentials
    from minio.credentials.providers import Provider

    from ..settings.server import Server


class Keys(NamedTuple):
    """Access key, secret key, and the session token of temporary keys."""

    access: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"<keys of {self.access}>"


def keys_of(server: Server) -> Callable[[], Keys]:
    """Return a function that returns the current keys."""
    if server.credentials is not None:
        return ProvidedKeys(server.credentials)
    keys = Keys(server.access_key, server.secret_key)
    return lambda: keys


class ProvidedKeys:
    """The keys of a provider, which is called each time: temporary keys change."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._last: tuple[Credentials, Keys] | None = None

    def __call__(self) -> Keys:
        """Return the current keys. ``ServerError`` if the provider fails."""
        try:
            found = self._provider.retrieve()
        except Exception as error:  # a provider may be a project's own code, or call a service
            # Without its text: identity services accept passwords and tokens in the query of a URL, and
            # repeat them in responses.
            problem = f"{type(self._provider).__name__}, gave no keys: {type(error).__name__}{_where(error)}"
        else:
            if self._last is None or self._last[0] is not found:
                self._last = found, Keys(found.access_key, found.secret_key, found.session_token)
            return self._last[1]
        # Not chained: the error's message and the variables of its frames may contain secrets too.
        raise ServerError(
            f"The provider in MINIO_CREDENTIALS, {problem}. Call its retrieve() in a shell to see why."
        )


def _where(error: Exception) -> str:
    """Return the host of the request, if urllib3 provides it."""
    host = getattr(getattr(error, "pool", None), "host", None)
    return f" at {host}" if host else ""
