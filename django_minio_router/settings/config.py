"""The settings: where each value comes from, and what several of them mean together.

A value comes from the storage's own options, else from the server that it names in ``MINIO_SERVERS`` (or, if
it names none, from the ``OPTIONS`` of its alias in ``STORAGES``), else from the flat settings. The names are
the same everywhere. Values are read on first use and cached until a setting changes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.functional import cached_property
from django.utils.module_loading import import_string

from ..exceptions import ConfigurationError, PrivatePublicMixedError
from .declared import DEFAULTS, MAX_EXPIRY, PREFIX, SETTINGS, checked
from .endpoints import refuse_endpoint, split_endpoint
from .redacted import Hidden
from .server import Server
from .testing import MEMORY, is_isolated, memory_options, path_of_site, prefix_of_tests

if TYPE_CHECKING:
    from minio.credentials.providers import Provider

# Not MINIO_USE_HTTPS: a server that does not set it must not be less safe than the others.
_PER_SERVER = {
    "MINIO_EXTERNAL_ENDPOINT",
    "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS",
    "MINIO_REGION",
    "MINIO_ACCESS_KEY",
    "MINIO_SECRET_KEY",
    "MINIO_CREDENTIALS",
    "MINIO_ADDRESSING",
    "MINIO_CONDITIONAL_WRITES",
    "MINIO_CHECKSUMS",
    "MINIO_BUCKET_POLICIES",
    "MINIO_PUBLIC_URL",
    "MINIO_URL_SIGNER",
    "MINIO_PRIVATE_BUCKETS",
    "MINIO_PUBLIC_BUCKETS",
    "MINIO_POLICY_HOOKS",
}

_FLAT_KEYS = {"MINIO_ENDPOINT", "MINIO_PRIVATE_BUCKETS", "MINIO_PUBLIC_BUCKETS", "MINIO_DEFAULT_BUCKET"}
_DEFAULT_BUCKETS = {DEFAULTS["MINIO_MEDIA_FILES_BUCKET"], DEFAULTS["MINIO_STATIC_FILES_BUCKET"]}


class Config:
    """The settings of one storage. Invalid ones raise ``ConfigurationError`` on use."""

    def __init__(
        self,
        options: Mapping[str, Any] | None = None,
        *,
        server: str = "",
        storage_name: str = "default",
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self._own = Hidden(options or {})
        self._server_name = server
        if server and "MINIO_ENDPOINT" in self._own:
            raise ConfigurationError(
                f"A storage names the server {server!r} and has a MINIO_ENDPOINT of its own. Remove that "
                "option, or put it into MINIO_SERVERS."
            )
        shared = _named_server(server) if server else _storage_options(storage_name)
        self._layers = [layer for layer in (self._own, shared) if layer]
        self._defaults = defaults or {}

    def __eq__(self, other: object) -> bool:
        return self._layers == other._layers if isinstance(other, Config) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def on(self, server: str, options: Mapping[str, Any]) -> Config:
        """Return the configuration for another server: from ``MINIO_SERVERS``, or with these options."""
        own = {**self._own, **options}
        return Config(own, server=server, defaults=self._defaults) if server or options else self

    def with_defaults(self, defaults: Mapping[str, Any]) -> Config:
        """Return a copy with other defaults for what the project does not set."""
        changed = copy.copy(self)
        changed._defaults = defaults
        return changed

    def get(self, name: str) -> Any:
        """Return the value of a ``MINIO_*`` setting, or its default. ``ConfigurationError`` if it is invalid.

        A layer that names an endpoint does not inherit the keys and buckets of the layers below it.
        """
        return checked(name, self._value(name))  # no local variable: a debug page would show an invalid key

    def _value(self, name: str) -> Any:
        value = self._find(name)
        return self._defaults.get(name) if value is None else value

    def _find(self, name: str) -> Any:
        for values in self._layers:
            if name in values:
                return values[name]
            if name in _PER_SERVER and "MINIO_ENDPOINT" in values:
                return None
        return getattr(settings, name, None)

    def problems(self) -> Iterator[ConfigurationError]:
        """Yield an error for each value of the wrong type or out of range."""
        for name in SETTINGS:
            try:
                self.get(name)
            except ConfigurationError as error:
                yield error

    def has_own(self, name: str) -> bool:
        """Return whether options or ``MINIO_SERVERS`` set the value, rather than the flat settings."""
        return any(name in layer for layer in self._layers)

    @property
    def is_flat(self) -> bool:
        """Whether the flat settings declare the server and its buckets, not options or ``MINIO_SERVERS``."""
        return not any(map(self.has_own, _FLAT_KEYS))

    @cached_property
    def internal(self) -> Server:
        """The server that requests go to."""
        if self.in_memory:
            stand_in = Config(memory_options(self._server_name, self.get("MINIO_ENDPOINT")))
            host = stand_in.get("MINIO_ENDPOINT")
            return stand_in._server(host, "", use_https=True, prefix=path_of_site(), memory=True)
        if not self.get("MINIO_ENDPOINT"):
            raise ConfigurationError(
                "MINIO_ENDPOINT is not set. Give it the address of the S3 server, such as "
                "'127.0.0.1:9000' or 'https://s3.example.com'."
            )
        refuse_endpoint("MINIO_ENDPOINT", self.get("MINIO_ENDPOINT"))
        scheme, host, path = split_endpoint(self.get("MINIO_ENDPOINT"))
        return self._server(host, path, scheme == "https" if scheme else bool(self.get("MINIO_USE_HTTPS")))

    @cached_property
    def external(self) -> Server:
        """The server as browsers see it; links are signed for it."""
        if self.in_memory or not self.get("MINIO_EXTERNAL_ENDPOINT"):
            return self.internal
        refuse_endpoint("MINIO_EXTERNAL_ENDPOINT", self.get("MINIO_EXTERNAL_ENDPOINT"))
        scheme, host, path = split_endpoint(self.get("MINIO_EXTERNAL_ENDPOINT"))
        use_https = self.get("MINIO_EXTERNAL_ENDPOINT_USE_HTTPS")
        if scheme:
            use_https = scheme == "https"
        elif use_https is None:
            use_https = self.internal.use_https
        return self._server(host, self.internal.path, bool(use_https), prefix=path)

    @property
    def credentials(self) -> Provider | None:
        """The provider of the keys, imported but not called yet; None if the settings hold the keys."""
        given = self.get("MINIO_CREDENTIALS")
        return _provider(given) if isinstance(given, str) else given

    def _server(
        self, host: str, path: str, use_https: bool, prefix: str = "", memory: bool = False
    ) -> Server:
        credentials = self.credentials
        for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
            if credentials is None and not self.get(name):
                raise ConfigurationError(
                    f"{name} is not set. Set both keys, or give MINIO_CREDENTIALS a provider "
                    "from minio.credentials."
                )
        return Server(
            endpoint=host.lower() + path,  # browsers send it in lower case, and links are signed for that
            use_https=use_https,
            region=self.get("MINIO_REGION") or DEFAULTS["MINIO_REGION"],
            access_key=self.get("MINIO_ACCESS_KEY"),
            secret_key=self.get("MINIO_SECRET_KEY"),
            credentials=credentials,
            http_client=self.get("MINIO_HTTP_CLIENT"),
            pool_size=self.get("MINIO_POOL_SIZE"),
            connect_timeout=self.get("MINIO_CONNECT_TIMEOUT"),
            read_timeout=self.get("MINIO_READ_TIMEOUT"),
            call_timeout=self.get("MINIO_CALL_TIMEOUT"),
            retries=self.get("MINIO_RETRIES"),
            conditional_writes=self.get("MINIO_CONDITIONAL_WRITES"),
            checksums=self.get("MINIO_CHECKSUMS"),
            virtual=self.get("MINIO_ADDRESSING") == "virtual" and not (prefix or memory),
            prefix=prefix,
            memory=memory,
            test_prefix="" if memory else prefix_of_tests(),
        )

    def public_url(self, bucket: str) -> str:
        """Return the public URL of the bucket, with a trailing slash; empty if that is the server itself."""
        url = "" if self.in_memory else self.get("MINIO_PUBLIC_URL").replace("{bucket}", bucket)
        return f"{url.rstrip('/')}/" if url else ""

    @property
    def url_signer(self) -> Callable[[str, datetime], str] | None:
        """The function of a URL and its expiry time that signs links instead of S3."""
        given = None if self.in_memory else self.get("MINIO_URL_SIGNER")
        if given is None:
            return None
        signer: Callable[[str, datetime], str] = import_callable(
            "MINIO_URL_SIGNER names", given, "a function of (url, expires)"
        )
        return signer

    @property
    def in_memory(self) -> bool:
        """Whether files are kept in this process: because a setting says so, or tests are running."""
        return is_isolated() or self.get("MINIO_ENDPOINT") == MEMORY

    @property
    def makes_buckets(self) -> bool:
        """Whether a missing bucket is created on use: no command creates those of tests and in memory."""
        return self.makes_buckets_at_once or bool(self.get("MINIO_BUCKET_CHECK_ON_SAVE"))

    @property
    def makes_buckets_at_once(self) -> bool:
        """Whether a bucket is created by the first call of any kind."""
        return self.in_memory or bool(prefix_of_tests())

    @property
    def lists_public_buckets(self) -> bool:
        """Whether anybody may list the objects of a public bucket."""
        return bool(self.get("MINIO_PUBLIC_POLICY") == "list")

    @property
    def downloads_active_content(self) -> bool:
        """Whether browsers must download anything not known to be safe to display."""
        return bool(self.get("MINIO_ACTIVE_CONTENT") == "download")

    @property
    def media_bucket(self) -> str:
        """The bucket of a storage that does not name one."""
        return str(self.get("MINIO_DEFAULT_BUCKET") or self.get("MINIO_MEDIA_FILES_BUCKET"))

    @property
    def static_bucket(self) -> str:
        return str(self.get("MINIO_STATIC_FILES_BUCKET"))

    @cached_property
    def multipart(self) -> tuple[int, int]:
        """The part size of an upload and the size up to which a file goes in one request, in bytes."""
        return self.get("MINIO_MULTIPART_PART_SIZE"), self.get("MINIO_MULTIPART_THRESHOLD") or 0

    @cached_property
    def declared(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names in ``MINIO_PRIVATE_BUCKETS`` and in ``MINIO_PUBLIC_BUCKETS``, without strategies."""
        private, public = (
            frozenset(entry for entry in self.get(name) if isinstance(entry, str))
            for name in ("MINIO_PRIVATE_BUCKETS", "MINIO_PUBLIC_BUCKETS")
        )
        if private & public:
            names = ", ".join(sorted(private & public))
            raise PrivatePublicMixedError(
                f"Declared both in MINIO_PRIVATE_BUCKETS and MINIO_PUBLIC_BUCKETS: {names}. "
                "Remove each from one of the two."
            )
        return private, public

    def is_declared_public(self, bucket: str) -> bool:
        """Return whether the settings declare the bucket public; an undeclared one is private."""
        return bucket in self.declared[1]

    def is_public(self, bucket: str) -> bool:
        """Return whether the settings declare the bucket public.

        An undeclared bucket is private if options or ``MINIO_SERVERS`` describe the server. Under flat
        settings it raises ``ConfigurationError``, unless it is a default bucket.
        """
        private, _ = self.declared
        if self.is_declared_public(bucket):
            return True
        if bucket in private or bucket in _DEFAULT_BUCKETS or not self.is_flat:
            return False
        raise ConfigurationError(
            f"The bucket {bucket!r} is declared neither in MINIO_PRIVATE_BUCKETS nor in "
            "MINIO_PUBLIC_BUCKETS. Add it to one of them."
        )

    @cached_property
    def url_expiry(self) -> tuple[int, int]:
        """The lifetime of a link and the window in which it stays the same, in seconds.

        By default, links live for the seven days that S3 allows, less the window.
        """
        lifetime = self.get("MINIO_URL_EXPIRY_HOURS")
        if lifetime is None:
            return MAX_EXPIRY, min(self._window, MAX_EXPIRY // 4)
        return self.expiry(math.ceil(lifetime.total_seconds()))

    def expiry(self, seconds: int) -> tuple[int, int]:
        """Return lifetime and window of a link that must live for this many seconds.

        A link signed at the start of its window must outlive the requested time, so the window is at most a
        quarter of that time, and at least one second, the resolution of a signature.
        """
        if not 0 < seconds <= MAX_EXPIRY:
            raise ConfigurationError(
                f"A link cannot live for {seconds} seconds; S3 allows 1 to {MAX_EXPIRY} (7 days). "
                "Change MINIO_URL_EXPIRY_HOURS or 'expires'."
            )
        window = min(max(min(self._window, seconds // 4), 1), MAX_EXPIRY - seconds)
        return seconds + window, window

    @property
    def _window(self) -> int:
        return int(self.get("MINIO_URL_WINDOW").total_seconds())


def server_names() -> list[str]:
    """Return the names in ``MINIO_SERVERS``."""
    return list(Config().get("MINIO_SERVERS"))


def _named_server(name: str) -> Hidden:
    servers = {known: Hidden(values) for known, values in Config().get("MINIO_SERVERS").items()}
    if name not in servers:
        known = ", ".join(sorted(servers)) or "none"
        raise ConfigurationError(
            f"The server {name!r} is not in MINIO_SERVERS (known: {known}). Add it there."
        )
    for unknown in servers[name].keys() - SETTINGS.keys():
        raise ConfigurationError(
            f"The server {name!r} in MINIO_SERVERS has {unknown!r}, which is not a setting. Correct the name."
        )
    return servers[name]


def _storage_options(alias: str) -> Hidden:
    """Return the ``MINIO_*`` values in the ``OPTIONS`` of a storage alias."""
    if alias not in getattr(settings, "STORAGES", {}):
        if alias in {"default", "staticfiles"}:
            return Hidden()
        raise ConfigurationError(
            f"The storage {alias!r} is not in STORAGES. Add it there, or change storage_name."
        )
    options = options_of(alias)
    return Hidden({name: value for name, value in options.items() if name.startswith(PREFIX)})


def options_of(alias: str) -> Mapping[str, Any]:
    """Return the ``OPTIONS`` of an alias in ``STORAGES``. ``ConfigurationError`` if they are malformed."""
    entry = settings.STORAGES[alias]
    options = entry.get("OPTIONS", {}) if isinstance(entry, Mapping) else None
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise ConfigurationError(
            f"STORAGES[{alias!r}] is wrong. Write a dictionary: {{'BACKEND': path, 'OPTIONS': {{...}}}}."
        )
    return options


def refuse_unknown_keys(what: str, entry: Mapping[Any, Any]) -> None:
    """Raise ``ConfigurationError`` for a key other than ``BACKEND`` and ``OPTIONS``."""
    for key in entry.keys() - {"BACKEND", "OPTIONS"}:
        raise ConfigurationError(
            f"{what} has {key!r} beside BACKEND and OPTIONS, where it has no effect. Move it into OPTIONS: "
            "{'BACKEND': path, 'OPTIONS': {...}}."
        )


def import_named(what: str, path: str) -> Any:
    """Return the object at the dotted path. ``what`` begins the ``ConfigurationError``."""
    try:
        return import_string(path)
    except ImportError as error:
        raise ConfigurationError(
            f"{what} {path!r}, which cannot be imported: {error}. Correct the path."
        ) from error


def import_callable(what: str, given: Any, remedy: str) -> Any:
    """Return the callable, or the one at the dotted path. ``ConfigurationError`` if it is not callable."""
    found = import_named(what, given) if isinstance(given, str) else given
    if not callable(found):
        raise ConfigurationError(f"{what} {given!r}, which is not callable. Name {remedy}.")
    return found


@lru_cache(maxsize=64)
def _provider(path: str) -> Provider:
    """Return the provider at a dotted path. Cached, so that equal servers share a client."""
    try:
        provider: Provider = import_string(path)()
    except Exception as error:  # a project's own function may raise anything
        raise ConfigurationError(
            f"MINIO_CREDENTIALS names {path!r}, which cannot be imported and called: "
            f"{type(error).__name__}: {error}. Correct the path, or name a function of your own that "
            "returns a provider."
        ) from error
    if not hasattr(provider, "retrieve"):
        raise ConfigurationError(
            f"MINIO_CREDENTIALS names {path!r}, which does not return a provider. Name a class from "
            "minio.credentials, or a function that returns an instance of one."
        )
    return provider
