"""The keys that requests are signed with: those of the settings, or what a provider has at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..exceptions import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from minio.credentials.credentials import Credentials
    from minio.credentials.providers import Provider

    from ..settings.server import Server


class Keys(NamedTuple):
    """Access key, secret key, and the token of temporary ones."""

    access: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"<keys of {self.access}>"


def keys_of(server: Server) -> Callable[[], Keys]:
    """Return a function that returns the keys of this moment."""
    if server.credentials is not None:
        return ProvidedKeys(server.credentials)
    keys = Keys(server.access_key, server.secret_key)
    return lambda: keys


class ProvidedKeys:
    """The keys of a provider, which is asked each time: temporary keys change."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._last: tuple[Credentials, Keys] | None = None

    def __call__(self) -> Keys:
        """Raise ``ServerError`` if the provider has none."""
        try:
            found = self._provider.retrieve()
        except Exception as error:  # a provider is a project's own code, or asks a service over the network
            # Not its text: identity services take passwords and tokens in a URL's query, and answer with
            # what they were sent.
            problem = f"{type(self._provider).__name__}, gave no keys: {type(error).__name__}{_where(error)}"
        else:
            if self._last is None or self._last[0] is not found:
                self._last = found, Keys(found.access_key, found.secret_key, found.session_token)
            return self._last[1]
        # Not from the error: its message and the variables of its frames may hold them too.
        raise ServerError(
            f"The provider in MINIO_CREDENTIALS, {problem}. Call its retrieve() in a shell to see why."
        )


def _where(error: Exception) -> str:
    """Return the host that was asked, if urllib3 tells it."""
    host = getattr(getattr(error, "pool", None), "host", None)
    return f" at {host}" if host else ""
