"""Does a server have the features that a project's settings need?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..buckets.abilities import Finding, find_features
from ..buckets.hooks import bucket_hooks, name_of
from ..exceptions import ConfigurationError, RoutingError
from ..inventory.sources import used_source
from ..inventory.uses import StorageUse, configs, uses
from ..s3.client import get_client
from ..settings.config import Config


class Consequence(NamedTuple):
    """The consequence of a missing feature, and the remedy."""

    consequence: str
    remedy: str


CONSEQUENCES = {
    "clock": Consequence("requests and links are refused", "set the clock of this machine or of the server"),
    "conditional PUT": Consequence(
        "every saved name gets a random suffix", "MINIO_CONDITIONAL_WRITES = False"
    ),
    "conditional complete": Consequence("a large file takes two requests more", "nothing to do"),
    "conditional DELETE": Consequence(
        "what is stored at the moment of a delete may go with it", "nothing to do"
    ),
    "checksums": Consequence(
        "what changes on the way is not noticed", "MINIO_CHECKSUMS = False if it refuses"
    ),
    "range": Consequence("files cannot be read", "another server"),
    "multipart": Consequence("large files cannot be saved", "MINIO_MULTIPART_THRESHOLD"),
    "multipart copy": Consequence("files above 5 GiB are not copied on the server", "nothing to do"),
    "list of uploads": Consequence(
        "a purge leaves parts of broken uploads", "a lifecycle rule on the server"
    ),
    "policies": Consequence(
        "no bucket is public", "MINIO_BUCKET_POLICIES = False for signed links, or MINIO_PUBLIC_URL"
    ),
    "CORS": Consequence("scripts of other origins read no file", "the server's own setting, or a proxy"),
    "lifecycle": Consequence("hooks.expire does nothing", "the server's own setting"),
    "tags": Consequence("hooks.tags does nothing; an object marks our buckets", "nothing to do"),
    "object lock": Consequence("no file can be kept from being deleted", "another server, if that is needed"),
    "encryption": Consequence("hooks.encryption does nothing", "a key management of the server"),
    "versioning": Consequence("hooks.versioning does nothing", "back-ups"),
}

_HOOK_FEATURES = {
    "versioning": "versioning",
    "encryption": "encryption",
    "kms_encryption": "encryption",
    "tags": "tags",
    "expire": "lifecycle",
    "cors": "CORS",
}


def check_server(config: Config) -> Iterator[tuple[Finding, str]]:
    """Yield each finding, with the setting that needs a missing feature. ``ServerError`` if unreachable."""
    needs = dict(_needs(config))
    for finding in find_features(get_client(config.internal)):
        yield finding, "" if finding.is_there else needs.get(finding.name, "")


def _needs(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("clock", "every request"), ("range", "reading"), ("multipart", "saving"))
    for hook in bucket_hooks(config):
        if name_of(hook) in _HOOK_FEATURES:
            yield _HOOK_FEATURES[name_of(hook)], f"the bucket hook {name_of(hook)}"
    if config.get("MINIO_CONDITIONAL_WRITES"):
        yield "conditional PUT", "MINIO_CONDITIONAL_WRITES"
    if config.get("MINIO_CHECKSUMS"):
        yield "checksums", "MINIO_CHECKSUMS"
    if config.get("MINIO_BUCKET_POLICIES"):
        if config.get("MINIO_POLICY_HOOKS"):
            yield "policies", "MINIO_POLICY_HOOKS"
        elif _has_public_buckets(config) and not config.get("MINIO_PUBLIC_URL"):
            yield "policies", "buckets that are public"


def _has_public_buckets(config: Config) -> bool:
    if config.get("MINIO_PUBLIC_BUCKETS"):
        return True
    server = config.internal.endpoint
    return any(_is_public(use) for use in uses() if use.config.internal.endpoint == server)


def _is_public(use: StorageUse) -> bool:
    try:
        return bool(used_source(use).is_public)
    except (ConfigurationError, RoutingError):
        return False


def servers_in_use() -> list[Config]:
    """Return one configuration for each server that a storage uses."""
    return list({config.internal.endpoint: config for config in configs(uses()) or [Config()]}.values())
