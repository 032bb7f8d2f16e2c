"""One bucket on its server: created if it is missing, and given the policy that it must have."""

from __future__ import annotations

from collections.abc import Collection, Iterable
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
    opens_to_everybody,
    public_policy,
    read_policy,
    remove_policy,
    same_policy,
    write_policy,
)


class State(Enum):
    """What became of a bucket, or would become of it in a dry run."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """One bucket, done or tried; ``warning`` is what a person should look at, though nothing failed."""

    bucket: str
    state: State
    cause: str = ""
    warning: str = ""


@dataclass
class PlannedBucket:
    """A bucket that must exist on one server, with the policy that it must have.

    ``where`` says what needs it first, ``aliases`` are those of ``STORAGES`` that do.
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
        """The server's address and the name: what is planned twice is one bucket."""
        return self.config.internal.endpoint, self.name

    @property
    def on_server(self) -> str:
        """What the bucket is called on its server."""
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
    """Make the server's bucket what it must be; ``existing`` are the names there, if they are known.

    A bucket that is created is marked as ours, and one that is there already only if it is to ``adopt``.
    Raise ``InvalidBucketName`` for a name that breaks the S3 naming rules.
    """
    check_bucket_name(planned.name, planned.where)
    return _BucketOnServer(get_client(planned.config.internal), planned, dry_run, adopt).ensure(existing)


@dataclass(frozen=True)
class _BucketOnServer:
    """One bucket of the plan on its server: three requests to create it, one to find it right."""

    client: Client
    planned: PlannedBucket
    dry_run: bool
    adopt: bool

    def ensure(self, existing: Collection[str] | None) -> Outcome:
        outcome = self._with_policy(existing)
        if self.adopt and outcome.state is not State.CREATED:
            outcome = self._adopted(outcome)
        return outcome if self.dry_run else self._with_hooks(outcome)

    def _adopted(self, outcome: Outcome) -> Outcome:
        name = self.planned.on_server
        if is_marked(self.client, name):
            return outcome
        if not self.dry_run:
            mark_bucket(self.client, name, "adopted")
        return replace(outcome, state=State.CHANGED, cause=_joined([outcome.cause, "adopted"]))

    def _with_hooks(self, outcome: Outcome) -> Outcome:
        """Run the hooks, also on a bucket that is right already: the last run may have been interrupted."""
        hooks = run_hooks(self.client, self.planned.on_server, self.planned.config)
        state, causes = outcome.state, [outcome.cause, *hooks.changed]
        if hooks.changed and state is State.UNCHANGED:
            state = State.CHANGED
        warnings = [outcome.warning, *hooks.lacking]
        return Outcome(outcome.bucket, state, _joined(causes), _joined(warnings))

    def _with_policy(self, existing: Collection[str] | None) -> Outcome:
        try:
            if existing is not None and self.planned.on_server not in existing:
                return self._create()
            try:
                current = self._current_policy()
            except BucketNotFound:
                return self._create()
            return self._correct(current)
        except _NoPoliciesError:
            return self._without_policy(State.UNCHANGED)

    def _create(self) -> Outcome:
        if not self.dry_run:
            if not make_bucket(self.client, self.planned.on_server):
                return self._correct(self._current_policy())
            mark_bucket(self.client, self.planned.on_server, "created")
            if self.planned.policy is not None:
                try:
                    self._set_policy(self.planned.policy)
                except _NoPoliciesError:
                    return self._without_policy(State.CREATED)
        return self._outcome(State.CREATED, self.planned.policy, self.planned.kind)

    def _correct(self, current: Policy | None) -> Outcome:
        wanted = self.planned.policy
        if wanted is None:
            return self._close(current)
        if same_policy(current, wanted):
            return self._outcome(State.UNCHANGED, wanted)
        if not self.dry_run:
            self._set_policy(wanted)
        return self._outcome(State.CHANGED, wanted, f"now {self.planned.kind}")

    def _without_policy(self, state: State) -> Outcome:
        """Leave a public bucket as the server has it; a policy that somebody wrote is not left out."""
        config, name = self.planned.config, self.planned.name
        if self.planned.hook is not None:
            raise ServerError(
                f"{self.client.server.endpoint} has no bucket policies, and MINIO_POLICY_HOOKS has one for "
                f"{name!r}. Remove it there, or store on another server."
            )
        warning = ""
        if self.planned.is_public and config.get("MINIO_BUCKET_POLICIES") and not config.public_url(name):
            warning = (
                "public by its settings, and the server has no policies, so nobody can read it without a "
                "signature. Set MINIO_BUCKET_POLICIES to False for signed links, or give MINIO_PUBLIC_URL"
            )
        return Outcome(name, state, "", warning)

    def _close(self, current: Policy | None) -> Outcome:
        """Take back the policy of a bucket that was public; one that a person wrote is left alone."""
        name = self.planned.on_server
        ours = (public_policy(name, listing=listing) for listing in (True, False))
        if current is None or not any(same_policy(current, policy) for policy in ours):
            return self._outcome(State.UNCHANGED, current)
        if not self.dry_run:
            remove_policy(self.client, name)
        return self._outcome(State.CHANGED, None, "no longer public")

    def _outcome(self, state: State, policy: Policy | None, cause: str = "") -> Outcome:
        warning = ""
        if not self.planned.is_public and policy is not None and opens_to_everybody(policy):
            warning = "private by its settings, but its policy lets everybody in"
        return Outcome(self.planned.name, state, cause, warning)

    def _current_policy(self) -> Policy | None:
        name = self.planned.on_server
        if not self.planned.config.get("MINIO_BUCKET_POLICIES"):
            raise self._no_policies()
        try:
            return read_policy(self.client, name)
        except ServerError as error:
            if _says_no_policies(error):
                raise self._no_policies() from error
            raise

    def _no_policies(self) -> Exception:
        """Return the error of a bucket that has no policy, or is missing: a policy would have told."""
        name = self.planned.on_server
        is_there = self.client.has_bucket(name)
        return _NoPoliciesError() if is_there else bucket_not_found(self.client.server, name)

    def _set_policy(self, policy: Policy) -> None:
        if not self.planned.config.get("MINIO_BUCKET_POLICIES"):
            raise _NoPoliciesError
        try:
            write_policy(self.client, self.planned.on_server, policy)
        except ServerError as error:
            if _says_no_policies(error):
                raise _NoPoliciesError from error
            raise


class _NoPoliciesError(Exception):
    """The server has no bucket policies, and so no public buckets either."""


def _says_no_policies(error: ServerError) -> bool:
    return error.status in (405, 501) or error.code in ("NotImplemented", "MethodNotAllowed")


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(filter(None, texts))


def make_bucket(client: Client, bucket: str) -> bool:
    """Create the bucket, and tell whether that was needed: one that is ours already is not an error."""
    region, body = client.server.region, None
    if region != DEFAULTS["MINIO_REGION"]:  # which no server takes as a place
        body = document(element("CreateBucketConfiguration", LocationConstraint=region))
    try:
        response = client.request("PUT", f"/{bucket}", body=body)
        if response.status not in (200, 204):
            client.refuse(response, bucket)
    except ServerError as error:
        if error.code != "BucketAlreadyOwnedByYou":
            raise
        return False
    finally:
        client.known_buckets.discard(bucket)
    return True
