"""Bucket hooks: what a project configures on its buckets besides the policy.

A hook is called with the SDK's client and the bucket name when the bucket is created and on each run of
``initialize_buckets``, perhaps in its own thread, and without a tenant. It must be repeatable, and return
True if it changed something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..exceptions import ServerError
from ..s3.client import Client
from ..settings.config import Config, import_callable
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from minio import Minio

BucketHook: TypeAlias = "Callable[[Minio, str], bool | None]"


@dataclass(frozen=True)
class _Required:
    """A hook that must succeed."""

    hook: BucketHook | str

    def __call__(self, client: Minio, bucket: str) -> bool | None:
        return _load(self.hook)(client, bucket)


def required(hook: BucketHook | str) -> BucketHook:
    """Let the bucket fail if the server lacks a feature that this hook needs; the default is a warning."""
    return _Required(hook)


def bucket_hooks(config: Config) -> list[BucketHook]:
    """Return the imported ``MINIO_BUCKET_HOOKS``. ``ConfigurationError`` if an import fails."""
    return [_load(hook) for hook in config.get("MINIO_BUCKET_HOOKS")]


def _load(hook: BucketHook | str) -> BucketHook:
    if isinstance(hook, _Required):
        return _Required(_load(hook.hook))
    loaded: BucketHook = import_callable("MINIO_BUCKET_HOOKS names", hook, "a function of (client, bucket)")
    return loaded


@dataclass(frozen=True)
class HooksRun:
    """The names of the hooks that changed the bucket, and what the server does not support."""

    changed: list[str]
    unsupported: list[str]


def run_hooks(client: Client, bucket: str, config: Config) -> HooksRun:
    """Run the hooks of the configuration on a bucket that exists. ``ServerError`` if one fails."""
    run = HooksRun([], [])
    for hook in bucket_hooks(config):
        try:
            with client.plain_errors(bucket), get_tenancy().context(None):
                changed = _is_changed(hook(client.sdk, bucket))
        except Exception as error:
            if isinstance(hook, _Required) or not _is_missing_feature(hook, error):
                raise ServerError(
                    f"The bucket hook {name_of(hook)} failed for {bucket!r}: {error}"
                ) from error
            run.unsupported.append(
                f"the server does not implement what the bucket hook {name_of(hook)} needs"
            )
        else:
            if changed:
                run.changed.append(name_of(hook))
    return run


def _is_changed(changed: object) -> bool:
    """Return the hook's result as a bool. ``TypeError`` for a coroutine or generator, which has not run."""
    if changed is None or isinstance(changed, bool):
        return bool(changed)
    raise TypeError(
        f"it returned {changed!r}. A hook returns True if it changed the bucket, else False or None"
    )


def _is_missing_feature(hook: BucketHook, error: Exception) -> bool:
    if not isinstance(error, ServerError):
        return False
    # A server without a key service may answer 400 to this request, which is otherwise valid.
    is_refused = error.status == 400 and name_of(hook) == "encryption"
    return is_refused or error.status == 501 or error.code == "NotImplemented"


def name_of(hook: BucketHook) -> str:
    if isinstance(hook, _Required):
        return name_of(_load(hook.hook))
    return getattr(hook, "__name__", None) or repr(hook)
