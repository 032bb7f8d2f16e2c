"""Bucket policies: public ones, and comparing two."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_network
from itertools import product
from reprlib import repr as shortened
from typing import Any, TypeAlias

from ..exceptions import ConfigurationError, ServerError
from ..s3.client import Client
from ..s3.xml import send_body

Policy: TypeAlias = Mapping[str, Any]
Hook: TypeAlias = Policy | Callable[[str], Policy]

_Rule: TypeAlias = tuple[Any, ...]

_ELEMENTS = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


_IDENTITIES = {  # condition keys that identify the client, and that it cannot forge
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:username",
}


def read_policy(client: Client, bucket: str) -> Policy | None:
    """Return the policy of the bucket, or None. ``BucketNotFound`` if the bucket does not exist."""
    try:
        policy: Policy = json.loads(client.call("GET", bucket, query="policy=").data)
    except ValueError as error:
        raise client.not_s3(bucket, f"its policy cannot be read ({error})") from error
    except ServerError as error:
        if error.code != "NoSuchBucketPolicy":
            raise
        return None
    return policy


def write_policy(client: Client, bucket: str, policy: Policy) -> None:
    send_body(client, "PUT", bucket, "policy=", json.dumps(policy).encode(), "application/json")


def remove_policy(client: Client, bucket: str) -> None:
    client.call("DELETE", bucket, query="policy=")


def public_policy(bucket: str, *, listing: bool) -> dict[str, Any]:
    """Return a policy that lets anybody read objects, and with ``listing`` also list them."""
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


def policy_of(hook: Hook, bucket: str, on_server: str = "") -> Policy:
    """Return the hook's policy for the bucket. ``ConfigurationError`` if it is not a policy.

    ``on_server`` is the bucket's name on the server, if that differs.
    """
    given = hook(bucket) if callable(hook) else hook
    try:
        text = json.dumps(given)
        if on_server:
            text = re.sub(rf'(?<=:s3:::){re.escape(bucket)}(?=["/])', on_server, text)
        policy = json.loads(text)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"The policy hook of {bucket!r} gave something that is not JSON: {error}. Return a dictionary of "
            "plain values."
        ) from error
    statements = _as_list(policy.get("Statement")) if isinstance(policy, dict) else []
    if not statements or not all(isinstance(statement, dict) for statement in statements):
        raise ConfigurationError(
            f"The policy hook of {bucket!r} gave {shortened(given)}, which is not a policy. "
            "Use a dictionary with 'Version' and a list of 'Statement'."
        )
    _refuse_unknown_elements(statements, bucket)
    return {**policy, "Statement": statements}


def _refuse_unknown_elements(statements: list[Policy], bucket: str) -> None:
    """Refuse ``"effect"``: servers read it as ``"Effect"``, so a public bucket would look private here."""
    unknown = {element for statement in statements for element in statement} - set(_ELEMENTS)
    if unknown:
        raise ConfigurationError(
            f"The policy hook of {bucket!r} gave a statement with {', '.join(map(repr, sorted(unknown)))}. "
            f"Use the elements of S3: {', '.join(_ELEMENTS)}."
        )


def is_open_to_everybody(policy: Policy) -> bool:
    """Return whether any statement allows something to everybody, without a condition that excludes most.

    Only a short list of addresses, networks, accounts or the like counts as such a condition; a date, a user
    agent or a negation does not. Servers treat principals as patterns, some for any kind: ``{"Service":
    "*"}``.
    """
    return any(
        statement.get("Effect") == "Allow"
        and ("NotPrincipal" in statement or any(map(_is_everybody, _principals(statement.get("Principal")))))
        and not _excludes_most(statement.get("Condition"))
        for statement in _as_list(policy.get("Statement"))
    )


def _is_everybody(principal: tuple[str, str]) -> bool:
    return not str(principal[1]).strip("*?")


def _excludes_most(condition: Any) -> bool:
    """Return whether any condition is a narrow list; all conditions must hold.

    ``…IfExists``, ``…Not…`` and ``ForAllValues:`` also match a client that sends no value.
    """
    return isinstance(condition, Mapping) and any(
        _is_narrow(str(operator), str(key).lower(), [str(value) for value in _as_list(values)])
        for operator, keys in condition.items()
        if isinstance(keys, Mapping)
        for key, values in keys.items()
    )


def _is_narrow(operator: str, key: str, values: list[str]) -> bool:
    if not values:
        return False
    if operator == "IpAddress" and key in {"aws:sourceip", "aws:vpcsourceip"}:
        return _is_small_share(values)
    exact = operator in {"StringEquals", "StringLike", "ArnEquals", "ArnLike"}
    return exact and key in _IDENTITIES and not any(set("*?") & set(value) for value in values)


def _is_small_share(networks: list[str]) -> bool:
    """Return whether these networks cover less than a sixteenth of all addresses."""
    share = 0.0
    for text in networks:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            return False
        share += 2.0**-network.prefixlen
    return share < 1 / 16


def same_policy(one: Policy | None, other: Policy | None) -> bool:
    """Compare what the policies allow: servers reorder, split and rewrite them."""
    return _rules(one) == _rules(other)


def _rules(policy: Policy | None) -> set[_Rule]:
    return {rule for statement in _as_list((policy or {}).get("Statement")) for rule in _rules_of(statement)}


def _rules_of(statement: Mapping[str, Any]) -> Iterator[_Rule]:
    """Yield one rule per principal, action and resource; together they are equivalent to the statement."""
    fixed = (statement.get("Effect"), _conditions(statement.get("Condition")))
    for rule in product(
        _parts(statement, "Principal", _principals),
        _parts(statement, "Action", _as_list),
        _parts(statement, "Resource", _as_list),
    ):
        yield (*fixed, *rule)


def _parts(statement: Mapping[str, Any], element: str, items: Any) -> list[Any]:
    """Return the items of an element. Its ``Not…`` form is a single item: "none of these"."""
    negated = items(statement.get(f"Not{element}"))
    if negated:
        return [(f"Not{element}", frozenset(negated))]
    return items(statement.get(element)) or [None]


def _principals(principal: Any) -> list[tuple[str, str]]:
    """Return pairs of kind and name; a bare ``"*"`` means everybody."""
    if isinstance(principal, Mapping):
        return [(kind, name) for kind, names in principal.items() for name in _as_list(names)]
    return [("AWS", name) for name in _as_list(principal)]


def _conditions(condition: Any) -> frozenset[_Rule]:
    """Return operator, key and values of each condition, normalized like servers do."""
    return frozenset(
        (operator, key.lower(), frozenset(_text_of(operator, value) for value in _as_list(values)))
        for operator, keys in (condition or {}).items()
        for key, values in keys.items()
    )


def _text_of(operator: str, value: Any) -> str:
    """Return the value as text, and an address as a network, as in MinIO."""
    if "IpAddress" in operator:
        with suppress(ValueError):
            return str(ip_network(str(value), strict=False))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
