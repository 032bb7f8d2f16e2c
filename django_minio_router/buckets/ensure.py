"""Create a bucket if it is missing, and set its policy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum

from ..exceptions import BucketNotFound, ServerError
from ..naming import check_bucket_name
from ..s3.client import Client, get_client
from ..s3.errors import bucket_not_found
from ..s3.xml import document, element
from ..settings.config import Config
from ..settings.declared import DEFAULTS
from .hooks import run_hooks
from .marks import is_marked, mark_bucket
from .policies import (
    Policy,
    is_open_to_everybody,
    public_policy,
    read_policy,
    remove_policy,
    same_policy,
    write_policy,
)


class State(Enum):
    """What happened to a bucket, or would happen in a dry run."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """The result for one bucket; ``warning`` needs attention, though nothing failed."""

    bucket: str
    state: State
    cause: str = ""
    warning: str = ""


@dataclass
class PlannedBucket:
    """A bucket that must exist on a server, and its policy.

    ``where`` names its first user; ``aliases`` are the entries of ``STORAGES`` that use it.
    """

    name: str
    config: Config
    is_public: bool
    listing: bool
    where: str
    aliases: frozenset[str] = frozenset()
    hook: Policy | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Server address and name, which identify the bucket."""
        return self.config.internal.endpoint, self.name

    @property
    def on_server(self) -> str:
        """The bucket's name on its server."""
        return self.config.internal.bucket_name(self.name)

    @property
    def policy(self) -> Policy | None:
        """The policy of a hook, else the public one; None for a private bucket."""
        if self.hook is not None:
            return self.hook
        return public_policy(self.on_server, listing=self.listing) if self.is_public else None

    @property
    def kind(self) -> str:
        if self.hook is not None:
            return "policy of its hook"
        return "public" if self.is_public else "private"


def ensure_bucket(
    planned: PlannedBucket,
    *,
    existing: Collection[str] | None = None,
    dry_run: bool = False,
    adopt: bool = False,
) -> Outcome:
    """Create or correct the bucket on its server; ``existing`` are the names there, if known.

    A created bucket is marked as ours, an existing one only with ``adopt``. Raise ``InvalidBucketName`` for a
    name that breaks the S3 naming rules.
    """
    check_bucket_name(planned.name, planned.where)
    return _BucketOnServer(get_client(planned.config.internal), planned, dry_run, adopt).ensure(existing)


@dataclass(frozen=True)
class _BucketOnServer:
    """One planned bucket on its server: three requests to create it, one to check it."""

    client: Client
    planned: PlannedBucket
    dry_run: bool
    adopt: bool

    def ensure(self, existing: Collection[str] | None) -> Outcome:
        outcome = self._with_policy(existing)
        if self.adopt and outcome.state is not State.CREATED:
            outcome = self._adopt(outcome)
        return outcome if self.dry_run else self._with_hooks(outcome)

    def _adopt(self, outcome: Outcome) -> Outcome:
        name = self.planned.on_server
        if is_marked(self.client, name):
            return outcome
        if not self.dry_run:
            mark_bucket(self.client, name, "adopted")
        return replace(outcome, state=State.CHANGED, cause=_join([outcome.cause, "adopted"]))

    def _with_hooks(self, outcome: Outcome) -> Outcome:
        """Run the hooks, even on an unchanged bucket: the last run may have been interrupted."""
        hooks = run_hooks(self.client, self.planned.on_server, self.planned.config)
        state, causes = outcome.state, [outcome.cause, *hooks.changed]
        if hooks.changed and state is State.UNCHANGED:
            state = State.CHANGED
        warnings = [outcome.warning, *hooks.unsupported]
        return Outcome(outcome.bucket, state, _join(causes), _join(warnings))

    def _with_policy(self, existing: Collection[str] | None) -> Outcome:
        if existing is None or self.planned.on_server in existing:
            with suppress(BucketNotFound):
                return self._correct()
        if not self.dry_run:
            if not make_bucket(self.client, self.planned.on_server):
                return self._correct()
            mark_bucket(self.client, self.planned.on_server, "created")
        return self._set_policy(State.CREATED, self.planned.kind)

    def _correct(self) -> Outcome:
        """Correct the policy of a bucket that exists. ``BucketNotFound`` if it does not."""
        name, target = self.planned.on_server, self.planned.policy
        try:
            with self._needing_policies():
                current = read_policy(self.client, name)
        except _NoPoliciesError:
            if not self.client.has_bucket(name):
                raise bucket_not_found(self.client.server, name) from None
            return self._without_policy(State.UNCHANGED)
        if target is None:
            return self._close(current)
        if same_policy(current, target):
            return self._outcome(State.UNCHANGED, target)
        return self._set_policy(State.CHANGED, f"now {self.planned.kind}")

    def _without_policy(self, state: State) -> Outcome:
        """Leave the bucket without a policy. ``ServerError`` if a hook sets one."""
        config, name = self.planned.config, self.planned.name
        if self.planned.hook is not None:
            raise ServerError(
                f"{self.client.server.endpoint} does not support bucket policies, but MINIO_POLICY_HOOKS has "
                f"one for {name!r}. Remove it there, or use another server."
            )
        warning = ""
        if self.planned.is_public and config.get("MINIO_BUCKET_POLICIES") and not config.public_url(name):
            warning = (
                "public by its settings, but the server does not support policies, so nobody can read it "
                "without a signature. Set MINIO_BUCKET_POLICIES to False for signed links, or set "
                "MINIO_PUBLIC_URL"
            )
        return Outcome(name, state, "", warning)

    def _close(self, current: Policy | None) -> Outcome:
        """Remove a public policy of ours. Keep a policy that somebody wrote."""
        name = self.planned.on_server
        ours = (public_policy(name, listing=listing) for listing in (True, False))
        if current is None or not any(same_policy(current, policy) for policy in ours):
            return self._outcome(State.UNCHANGED, current)
        if not self.dry_run:
            remove_policy(self.client, name)
        return self._outcome(State.CHANGED, None, "no longer public")

    def _outcome(self, state: State, policy: Policy | None, cause: str = "") -> Outcome:
        warning = ""
        if not self.planned.is_public and policy is not None and is_open_to_everybody(policy):
            warning = "private by its settings, but its policy lets everybody in"
        return Outcome(self.planned.name, state, cause, warning)

    def _set_policy(self, state: State, cause: str) -> Outcome:
        """Set the planned policy, if any; the outcome has this state and cause then."""
        policy = self.planned.policy
        if policy is not None and not self.dry_run:
            try:
                with self._needing_policies():
                    write_policy(self.client, self.planned.on_server, policy)
            except _NoPoliciesError:
                return self._without_policy(State.UNCHANGED if state is State.CHANGED else state)
        return self._outcome(state, policy, cause)

    @contextmanager
    def _needing_policies(self) -> Iterator[None]:
        """Raise ``_NoPoliciesError`` if the server does not support what the block does."""
        if not self.planned.config.get("MINIO_BUCKET_POLICIES"):
            raise _NoPoliciesError
        try:
            yield
        except ServerError as error:
            if error.status in (405, 501) or error.code in ("NotImplemented", "MethodNotAllowed"):
                raise _NoPoliciesError from error
            raise


class _NoPoliciesError(Exception):
    """The server does not support bucket policies, and so no public buckets."""


def _join(texts: Iterable[str]) -> str:
    return ", ".join(filter(None, texts))


def make_bucket(client: Client, bucket: str) -> bool:
    """Create the bucket. Return False if it exists and is ours."""
    region, body = client.server.region, None
    if region != DEFAULTS["MINIO_REGION"]:  # servers refuse it as a location constraint
        body = document(element("CreateBucketConfiguration", LocationConstraint=region))
    try:
        client.call("PUT", bucket, body=body)
    except ServerError as error:
        if error.code != "BucketAlreadyOwnedByYou":
            raise
        return False
    finally:
        client.forget_bucket(bucket)
    return True
