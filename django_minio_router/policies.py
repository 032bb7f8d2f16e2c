"""Bucket policies: the public ones, and whether two say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Policy = Mapping[str, Any]


def public_policy(bucket: str, *, listing: bool) -> dict[str, Any]:
    """Return a policy that lets anybody read objects, and with ``listing`` also find their names."""
    arn = f"arn:aws:s3:::{bucket}"
    statements = [_allow("s3:GetObject", f"{arn}/*")]
    if listing:
        statements[:0] = [_allow("s3:GetBucketLocation", arn), _allow("s3:ListBucket", arn)]
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(action: str, resource: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": [action],
        "Resource": [resource],
    }


def opens_to_everybody(policy: Policy) -> bool:
    """Tell whether any statement allows something to everybody without a condition."""
    return any(
        statement.get("Effect") == "Allow"
        and "*" in _principals(statement.get("Principal"))
        and not statement.get("Condition")
        for statement in _as_list(policy.get("Statement"))
    )


def same_policy(one: Policy | None, other: Policy | None) -> bool:
    """Compare by what is allowed: servers reorder, split and rewrite what they were given."""
    return _rules(one) == _rules(other)


def _rules(policy: Policy | None) -> set[tuple[Any, ...]]:
    """Return one entry for each effect, principal, action, resource and condition."""
    return {
        (
            statement.get("Effect"),
            principal,
            action,
            resource,
            repr(statement.get("Condition") or None),
        )
        for statement in _as_list((policy or {}).get("Statement"))
        for principal in _principals(statement.get("Principal"))
        for action in _as_list(statement.get("Action"))
        for resource in _as_list(statement.get("Resource"))
    }


def _principals(principal: Any) -> list[str]:
    if isinstance(principal, Mapping):
        return [name for names in principal.values() for name in _as_list(names)]
    return _as_list(principal)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
