"""Create the buckets of a new tenant when it is ready, as ``initialize_buckets --tenant`` does.

A file that is stored earlier gets its bucket at once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ..buckets.ensure import Outcome, State, ensure_bucket
from ..exceptions import BucketNotFound, ServerError
from ..inventory.places import Place, TenantPlaces
from ..s3.client import get_client
from ..s3.listing import versions
from ..settings.config import Config
from ..storage.signals import bucket_missing
from ..tenancy import get_tenancy
from . import creations
from .apply import try_bucket
from .creations import Creation
from .plan import make_plan

if TYPE_CHECKING:
    from ..storage.backend import MinioBackend

logger = logging.getLogger(__name__)


def provision(tenant: Any, aliases: Collection[str] | None = None, *, adopt: bool = False) -> list[Outcome]:
    """Create the buckets that only this tenant has, with policies and hooks. May be repeated.

    With ``aliases``, only those that these storages need. With ``adopt``, existing buckets are marked as
    ours. Raises like ``make_plan``; a bucket that failed is among the outcomes.
    """
    with get_tenancy().bucket_context(None):  # the tenant may be active, and its buckets are not shared
        shared = make_plan(aliases=aliases).buckets
    plan = make_plan([tenant], aliases)
    own = [planned for key, planned in plan.buckets.items() if key not in shared]
    return [*plan.refused, *(try_bucket(planned, adopt=adopt) for planned in own)]


def when_missing(*, storage: MinioBackend, **kwargs: Any) -> bool:
    """Create the bucket that a file needs, if the active tenant is being created and it is its own bucket."""
    found = creations.active_creation()
    if found is None or not Config().get("MINIO_PROVISION_TENANTS"):
        return False
    tenant, creation = found
    tenancy, place = get_tenancy(), (storage.config.internal.endpoint, storage.bucket)
    # The call may come in the middle of an INSERT, so leave the connection unchanged.
    with tenancy.bucket_context(None):
        shared = make_plan().buckets
        planned = make_plan([tenant], enter=tenancy.bucket_context).buckets.get(place)
    if planned is None or place in shared:
        return False
    if ensure_bucket(planned).state is State.CREATED:
        creation.made.append(planned)
    return True


def when_created(signalled: Any) -> None:
    """Provision a tenant. Failures are only logged: an exception would make django-tenants delete it.

    ``signalled`` is what the signal carries: a row, its key, or a mapping of its fields.
    """
    try:
        if not Config().get("MINIO_PROVISION_TENANTS"):
            return
        tenant = get_tenancy().find(signalled)
        if tenant is None:
            logger.info("The tenant %r does not exist, so no bucket was created for it.", signalled)
            return
        key, outcomes = get_tenancy().key(tenant), provision(tenant)
        creation = creations.finish(key)
        _log(key, outcomes)
        _warn_of_former_files(tenant, creation, outcomes)
    except Exception:
        logger.exception("The buckets of the tenant %r may not be ready. %s", signalled, _remedy("KEY"))


def _log(key: str, outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.state is State.FAILED:
            logger.error(
                "The bucket %r of the tenant %r failed: %s. %s",
                outcome.bucket,
                key,
                outcome.cause.rstrip("."),
                _remedy(key),
            )
        elif outcome.warning:
            logger.warning("The bucket %r of the tenant %r: %s.", outcome.bucket, key, outcome.warning)


def _warn_of_former_files(tenant: Any, creation: Creation, outcomes: list[Outcome]) -> None:
    """Warn about files older than the tenant, such as those of a former tenant with its name."""
    settled = {outcome.bucket for outcome in outcomes if outcome.state in {State.CREATED, State.FAILED}}
    settled |= {planned.name for planned in creation.made}
    for place in TenantPlaces().of(tenant):
        if place.bucket not in settled and _held_before(creation, place):
            logger.warning(
                "The tenant %(name)r is new, but %(place)s already holds files, which it can read. If they "
                "belong to a former tenant, run 'manage.py purge_tenant %(name)s' before the new one stores "
                "any, and then 'manage.py initialize_buckets --tenant %(name)s'. With a template over {id}, "
                "no tenant gets the place of another.",
                {"name": creation.key, "place": place},
            )


def _held_before(creation: Creation, place: Place) -> bool:
    found = versions(get_client(place.server), place.on_server, place.prefix)
    try:
        return any(map(creation.is_older(place.bucket), found))
    except BucketNotFound:
        return False
    except ServerError as error:
        logger.warning("It is unknown whether %s holds files of a former tenant. %s", place, error)
        return False


def _remedy(key: str) -> str:
    return f"Fix it with 'manage.py initialize_buckets --tenant {key}'."


def connect() -> None:
    """Track new tenants, and create the buckets that their files need."""
    creations.connect()
    bucket_missing.connect(when_missing, dispatch_uid="minio_router.new_tenant")
