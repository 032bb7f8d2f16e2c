"""Bucket policies: the public ones, and whether two say the same."""

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


_IDENTITIES = {  # of who asks, and of where from; what anybody can claim of himself is not among them
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
    """Return the policy of the bucket, None if it has none. ``BucketNotFound`` if there is no bucket."""
    response = client.request("GET", f"/{bucket}", "policy=")
    try:
        if response.status != 200:
            client.refuse(response, bucket)
        policy: Policy = json.loads(response.data)
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
    response = client.request("DELETE", f"/{bucket}", "policy=")
    if response.status not in (200, 204):
        client.refuse(response, bucket)


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


def policy_of(hook: Hook, bucket: str, on_server: str = "") -> Policy:
    """Return what the hook wants for the bucket. ``ConfigurationError`` if that is not a policy.

    ``on_server`` is what the bucket is called there, if that is something else.
    """
    given = hook(bucket) if callable(hook) else hook
    try:
        text = json.dumps(given)
        if on_server:
            text = re.sub(rf'(?<=:s3:::){re.escape(bucket)}(?=["/])', on_server, text)
        policy = json.loads(text)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The policy hook of {bucket!r} gave no JSON: {error}.") from error
    statements = _as_list(policy.get("Statement")) if isinstance(policy, dict) else []
    if not statements or not all(isinstance(statement, dict) for statement in statements):
        raise ConfigurationError(
            f"The policy hook of {bucket!r} gave {shortened(given)}, which is not a policy. "
            "Give a dictionary with 'Version' and a list under 'Statement'."
        )
    _refuse_unknown_elements(statements, bucket)
    return {**policy, "Statement": statements}


def _refuse_unknown_elements(statements: list[Policy], bucket: str) -> None:
    """Refuse ``"effect"``: servers read it as ``"Effect"``, and a bucket would be open that looks closed."""
    unknown = {element for statement in statements for element in statement} - set(_ELEMENTS)
    if unknown:
        raise ConfigurationError(
            f"The policy hook of {bucket!r} gave a statement with {', '.join(map(repr, sorted(unknown)))}. "
            f"Write what a statement has as S3 does: {', '.join(_ELEMENTS)}."
        )


def opens_to_everybody(policy: Policy) -> bool:
    """Tell whether any statement allows something to everybody, without a condition that keeps most out.

    Only a short list of addresses, networks, accounts or the like is understood as one; a date, a browser's
    name or what is not to be equal lets everybody in. Servers take principals for patterns, and some the
    wildcards of any kind: ``{"Service": "*"}``.
    """
    return any(
        statement.get("Effect") == "Allow"
        and ("NotPrincipal" in statement or any(map(_is_everybody, _principals(statement.get("Principal")))))
        and not _keeps_most_out(statement.get("Condition"))
        for statement in _as_list(policy.get("Statement"))
    )


def _is_everybody(principal: tuple[str, str]) -> bool:
    return not str(principal[1]).strip("*?")


def _keeps_most_out(condition: Any) -> bool:
    """Tell whether any condition is a narrow list, as all must hold. ``…IfExists``, ``…Not…`` and
    ``ForAllValues:`` let in who says nothing."""
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
        return _is_small_part(values)
    exact = operator in {"StringEquals", "StringLike", "ArnEquals", "ArnLike"}
    return exact and key in _IDENTITIES and not any(set("*?") & set(value) for value in values)


def _is_small_part(networks: list[str]) -> bool:
    """Tell whether these are less than a sixteenth of all addresses."""
    share = 0.0
    for text in networks:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            return False
        share += 2.0**-network.prefixlen
    return share < 1 / 16


def same_policy(one: Policy | None, other: Policy | None) -> bool:
    """Compare by what is allowed: servers reorder, split and rewrite what they were given."""
    return _rules(one) == _rules(other)


def _rules(policy: Policy | None) -> set[_Rule]:
    return {rule for statement in _as_list((policy or {}).get("Statement")) for rule in _rules_of(statement)}


def _rules_of(statement: Mapping[str, Any]) -> Iterator[_Rule]:
    """Yield a rule for each principal, action and resource: together they say what the statement says."""
    fixed = (statement.get("Effect"), _conditions(statement.get("Condition")))
    for rule in product(
        _parts(statement, "Principal", _principals),
        _parts(statement, "Action", _as_list),
        _parts(statement, "Resource", _as_list),
    ):
        yield (*fixed, *rule)


def _parts(statement: Mapping[str, Any], element: str, items: Any) -> list[Any]:
    """Return the items of an element; those of its ``Not…`` form as one, since "none of them" is one rule."""
    negated = items(statement.get(f"Not{element}"))
    if negated:
        return [(f"Not{element}", frozenset(negated))]
    return items(statement.get(element)) or [None]


def _principals(principal: Any) -> list[tuple[str, str]]:
    """Return pairs of kind and name; ``"*"`` alone is everybody."""
    if isinstance(principal, Mapping):
        return [(kind, name) for kind, names in principal.items() for name in _as_list(names)]
    return [("AWS", name) for name in _as_list(principal)]


def _conditions(condition: Any) -> frozenset[_Rule]:
    """Return operator, key and values of each condition; servers rewrite values."""
    return frozenset(
        (operator, key.lower(), frozenset(_text_of(operator, value) for value in _as_list(values)))
        for operator, keys in (condition or {}).items()
        for key, values in keys.items()
    )


def _text_of(operator: str, value: Any) -> str:
    """Return the value as text, and an address as the network that it is, as MinIO does."""
    if "IpAddress" in operator:
        with suppress(ValueError):
            return str(ip_network(str(value), strict=False))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
