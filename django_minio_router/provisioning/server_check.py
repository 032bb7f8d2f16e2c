"""Does a server have what a project's settings ask of it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..buckets.abilities import Finding, find_abilities
from ..buckets.hooks import bucket_hooks, name_of
from ..exceptions import ConfigurationError, RoutingError
from ..inventory.uses import configs, uses
from ..s3.client import get_client
from ..settings.config import Config


class Meaning(NamedTuple):
    """What the lack of an ability means here, and what answers it."""

    lack: str
    answer: str


MEANINGS = {
    "clock": Meaning("requests and links are refused", "set the clock of this machine or of the server"),
    "conditional PUT": Meaning("every saved name gets a random suffix", "MINIO_CONDITIONAL_WRITES = False"),
    "conditional complete": Meaning("a large file takes two requests more", "nothing to do"),
    "conditional DELETE": Meaning("what is stored at the moment of a delete may go with it", "nothing to do"),
    "checksums": Meaning("what changes on the way is not noticed", "MINIO_CHECKSUMS = False if it refuses"),
    "range": Meaning("files cannot be read", "another server"),
    "multipart": Meaning("large files cannot be saved", "MINIO_MULTIPART_THRESHOLD"),
    "multipart copy": Meaning("files above 5 GiB are not copied on the server", "nothing to do"),
    "list of uploads": Meaning("a purge leaves parts of broken uploads", "a lifecycle rule on the server"),
    "policies": Meaning(
        "no bucket is public", "MINIO_BUCKET_POLICIES = False for signed links, or MINIO_PUBLIC_URL"
    ),
    "CORS": Meaning("scripts of other origins read no file", "the server's own setting, or a proxy"),
    "lifecycle": Meaning("hooks.expire does nothing", "the server's own setting"),
    "tags": Meaning("hooks.tags does nothing; an object marks our buckets", "nothing to do"),
    "object lock": Meaning("no file can be kept from being deleted", "another server, if that is needed"),
    "encryption": Meaning("hooks.encryption does nothing", "a key management of the server"),
    "versioning": Meaning("hooks.versioning does nothing", "back-ups"),
}

_OF_HOOKS = {
    "versioning": "versioning",
    "encryption": "encryption",
    "kms_encryption": "encryption",
    "tags": "tags",
    "expire": "lifecycle",
    "cors": "CORS",
}


def check_server(config: Config) -> Iterator[tuple[Finding, str]]:
    """Yield what the server can, and which setting needs it if it cannot. ``ServerError`` if it is away."""
    needs = dict(_needs(config))
    for finding in find_abilities(get_client(config.internal)):
        yield finding, "" if finding.is_there else needs.get(finding.name, "")


def _needs(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("clock", "every request"), ("range", "reading"), ("multipart", "saving"))
    for hook in bucket_hooks(config):
        if name_of(hook) in _OF_HOOKS:
            yield _OF_HOOKS[name_of(hook)], f"the bucket hook {name_of(hook)}"
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


def _is_public(use: object) -> bool:
    strategy, single = getattr(use, "strategy", None), getattr(use, "single", None)
    if strategy is not None:
        return bool(strategy.public_read)
    try:
        return bool(single is not None and single.is_bucket_public)
    except (ConfigurationError, RoutingError):
        return False


def servers_in_use() -> list[Config]:
    """Return the configuration of each server that a storage uses, once."""
    return list({config.internal.endpoint: config for config in configs(uses()) or [Config()]}.values())
