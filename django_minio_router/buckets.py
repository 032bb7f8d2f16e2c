"""One bucket on its server: created if it is missing, and given the policy that it must have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from minio.error import S3Error

from .clients import Client, get_client
from .conf import Config
from .exceptions import ConfigurationError
from .policies import Policy, public_policy, same_policy


class State(Enum):
    """What became of a bucket, or would become of it in a dry run."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """One bucket, done or tried."""

    bucket: str
    state: State
    cause: str = ""


@dataclass
class PlannedBucket:
    """A bucket that must exist, on one server, with the policy that it must have (None: no public one)."""

    name: str
    config: Config
    is_public: bool
    listing: bool
    where: str
    hook: Policy | None = None

    @property
    def policy(self) -> Policy | None:
        if self.hook is not None:
            return self.hook
        return public_policy(self.name, listing=self.listing) if self.is_public else None


def may_list(config: Config, *, default: bool) -> bool:
    """Tell whether anybody may list a public bucket; ``default`` holds unless a setting says."""
    choice = config.get("MINIO_PUBLIC_POLICY")
    if choice not in {None, "read", "list"}:
        raise ConfigurationError(
            f"MINIO_PUBLIC_POLICY is {choice!r}. Use 'read', or 'list' to let anybody list as well."
        )
    return default if choice is None else choice == "list"


def bring_about(
    planned: PlannedBucket, *, existing: set[str] | None = None, dry_run: bool = False
) -> Outcome:
    """Make the server's bucket what it must be; ``existing`` are the names there, if they are known."""
    client = get_client(planned.config.internal)
    return _Step(client, planned, dry_run).run(existing)


@dataclass(frozen=True)
class _Step:
    """One bucket of the plan on its server."""

    client: Client
    planned: PlannedBucket
    dry_run: bool

    def run(self, existing: set[str] | None) -> Outcome:
        name = self.planned.name
        exists = self.client.has_bucket(name) if existing is None else name in existing
        with self.client.plain_errors(name):
            return self._create() if not exists else self._correct()

    def _outcome(self, state: State, cause: str = "") -> Outcome:
        return Outcome(self.planned.name, state, cause)

    def _create(self) -> Outcome:
        if not self.dry_run:
            make_bucket(self.client, self.planned.name)
            if self.planned.policy is not None:
                self._set_policy(self.planned.policy)
        return self._outcome(State.CREATED)

    def _correct(self) -> Outcome:
        current, wanted = self._current_policy(), self.planned.policy
        if wanted is None:
            return self._close(current)
        if same_policy(current, wanted):
            return self._outcome(State.UNCHANGED)
        if not self.dry_run:
            self._set_policy(wanted)
        return self._outcome(State.CHANGED, "policy set")

    def _close(self, current: Policy | None) -> Outcome:
        """Take back the policy of a bucket that was public; one that a person wrote is left alone."""
        name = self.planned.name
        ours = (public_policy(name, listing=listing) for listing in (True, False))
        if current is None or not any(same_policy(current, policy) for policy in ours):
            return self._outcome(State.UNCHANGED)
        if not self.dry_run:
            self.client.sdk.delete_bucket_policy(bucket_name=name)
        return self._outcome(State.CHANGED, "no longer public")

    def _current_policy(self) -> Policy | None:
        try:
            policy: Policy = json.loads(self.client.sdk.get_bucket_policy(bucket_name=self.planned.name))
        except S3Error as error:
            if error.code == "NoSuchBucketPolicy":
                return None
            raise
        return policy

    def _set_policy(self, policy: Policy) -> None:
        self.client.sdk.set_bucket_policy(bucket_name=self.planned.name, policy=json.dumps(policy))


def make_bucket(client: Client, bucket: str) -> None:
    """Create the bucket; one that is there already, and ours, is no error."""
    try:
        client.sdk.make_bucket(bucket_name=bucket)
    except S3Error as error:
        if error.code != "BucketAlreadyOwnedByYou":
            raise
    client.known_buckets.set(bucket, True)
