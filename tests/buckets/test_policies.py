"""Policies: what the public ones allow, and whether two say the same, also after a server rewrote one."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from io import BytesIO

import pytest
from minio.error import S3Error

from django_minio_router import ConfigurationError
from django_minio_router.buckets.policies import (
    is_open_to_everybody,
    policy_of,
    public_policy,
    same_policy,
)

ARN = "arn:aws:s3:::docs"


def policy(*statements: dict) -> dict:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(**elements: object) -> dict:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"{ARN}/*"],
        **elements,
    }


def negated(element: str, *values: str, **others: object) -> dict:
    statement = {**allow(Effect="Deny"), f"Not{element}": list(values), **others}
    del statement[element]
    return statement


def actions(given: dict) -> list[str]:
    return sorted(action for statement in given["Statement"] for action in statement["Action"])


class TestPublicPolicy:
    def test_reading_only(self):
        assert actions(public_policy("docs", listing=False)) == ["s3:GetObject"]

    def test_listing_too(self):
        assert actions(public_policy("docs", listing=True)) == [
            "s3:GetBucketLocation",
            "s3:GetObject",
            "s3:ListBucket",
        ]

    def test_the_two_differ(self):
        assert not same_policy(public_policy("docs", listing=True), public_policy("docs", listing=False))


SAME = {
    "lists or single values": (
        policy(allow()),
        policy(allow(Principal="*", Action="s3:GetObject", Resource=f"{ARN}/*")),
    ),
    "a single statement": (policy(allow()), {"Version": "2012-10-17", "Statement": allow()}),
    "a name for the statement": (policy(allow()), policy(allow(Sid="reading"))),
    "empty elements beside their negation": (
        policy(negated("Resource", f"{ARN}/a")),
        policy(negated("Resource", f"{ARN}/a", Resource=[])),
    ),
    "statements split by action": (
        policy(allow(Action=["s3:GetObject", "s3:PutObject"])),
        policy(allow(Action="s3:PutObject"), allow(Action="s3:GetObject")),
    ),
    "values of conditions as lists of strings": (
        policy(allow(Condition={"Bool": {"aws:SecureTransport": False}})),
        policy(allow(Condition={"Bool": {"aws:SecureTransport": ["false"]}})),
    ),
    "the order within a negation": (
        policy(negated("Action", "s3:GetObject", "s3:PutObject")),
        policy(negated("Action", "s3:PutObject", "s3:GetObject")),
    ),
    "no policy and one without statements": (None, {"Version": "2012-10-17", "Statement": []}),
}

DIFFERENT = {
    "effects": (policy(allow()), policy(allow(Effect="Deny"))),
    "principals": (policy(allow()), policy(allow(Principal={"AWS": ["arn:aws:iam::123456789012:root"]}))),
    "kinds of principals": (
        policy(allow(Principal={"AWS": ["x"]})),
        policy(allow(Principal={"Federated": ["x"]})),
    ),
    "actions": (policy(allow()), policy(allow(Action="s3:PutObject"))),
    "resources": (policy(allow()), policy(allow(Resource=ARN))),
    "conditions": (
        policy(allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
        policy(allow(Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})),
    ),
    "a condition and none": (
        policy(allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
        policy(allow()),
    ),
    "a policy and none": (policy(allow()), None),
    "an action and its negation": (
        policy(allow(Effect="Deny")),
        policy(negated("Action", "s3:GetObject")),
    ),
    "a resource and its negation": (
        policy(allow(Effect="Deny")),
        policy(negated("Resource", f"{ARN}/*")),
    ),
    "a principal and its negation": (policy(allow(Effect="Deny")), policy(negated("Principal", "*"))),
    "a negation of two and two negations": (
        policy(negated("Action", "s3:GetObject", "s3:PutObject")),
        policy(negated("Action", "s3:GetObject"), negated("Action", "s3:PutObject")),
    ),
    "a negation and no policy": (policy(negated("Action", "s3:GetObject")), None),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_what_says_the_same_is_the_same(one, other):
    assert same_policy(one, other)
    assert same_policy(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_says_something_else_is_not(one, other):
    assert not same_policy(one, other)
    assert not same_policy(other, one)


def of_bucket(given: dict, bucket: str) -> dict:
    return json.loads(json.dumps(given).replace("docs", bucket))


@pytest.mark.parametrize(
    "given",
    [
        public_policy("docs", listing=True),
        public_policy("docs", listing=False),
        policy(allow(Principal="*", Action="s3:GetObject", Resource=f"{ARN}/*", Sid="reading")),
        policy(negated("Resource", f"{ARN}/open/*")),
        policy(allow(Condition={"Bool": {"aws:SecureTransport": "false"}})),
        policy(allow(Condition={"IpAddress": {"aws:SourceIp": ["10.0.0.1", "10.1.0.1/16"]}})),
        policy(
            allow(
                Action="s3:ListBucket",
                Resource=ARN,
                Condition={
                    "StringLike": {"s3:prefix": ["a/*", "b/*"]},
                    "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
                },
            )
        ),
        policy(allow(), allow(Action=["s3:GetObject", "s3:PutObject"])),
    ],
    ids=["listing", "reading", "short form", "negation", "condition", "addresses", "conditions", "overlap"],
)
def test_what_a_server_gives_back_is_what_it_was_given(bare, bucket, given, server_name):
    wanted = of_bucket(given, bucket)
    if server_name == "versitygw" and "NotResource" in str(wanted):
        with pytest.raises(S3Error, match="MalformedPolicy"):  # it knows no negation
            bare.set_bucket_policy(bucket_name=bucket, policy=json.dumps(wanted))
        return
    bare.set_bucket_policy(bucket_name=bucket, policy=json.dumps(wanted))

    assert same_policy(json.loads(bare.get_bucket_policy(bucket_name=bucket)), wanted)


class TestOpening:
    @pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["someone", "*"]}])
    def test_to_everybody(self, principal):
        assert is_open_to_everybody(policy(allow(Principal=principal)))

    @pytest.mark.parametrize(
        "principal",
        ["*", "", {"AWS": "**"}, {"AWS": "?*"}, {"aws": "*"}, {"CanonicalUser": "*"}, {"Service": ["*"]}],
        ids=str,
    )
    def test_no_form_that_a_server_takes_for_everybody_is_overlooked(
        self, bare, bucket, anonymous, principal
    ):
        bare.put_object(bucket_name=bucket, object_name="a.txt", data=BytesIO(b"x"), length=1)
        given = of_bucket(policy(allow(Principal=principal)), bucket)
        with suppress(S3Error):  # not every server takes every form
            bare.set_bucket_policy(bucket_name=bucket, policy=json.dumps(given))

        assert is_open_to_everybody(given) or anonymous(f"{bucket}/a.txt") == 403

    def test_to_everybody_but_some(self):
        assert is_open_to_everybody(policy(negated("Principal", "someone", Effect="Allow")))

    @pytest.mark.parametrize(
        "condition",
        [
            {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}},
            {"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}},
            {"IpAddress": {"aws:SourceIp": "::/0"}},
            {"IpAddress": {"aws:SourceIp": "anywhere"}},
            {"IpAddress": {"aws:SourceIp": []}},
            {"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}},
            {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
            {"StringLike": {"aws:UserAgent": "*"}},
            {"StringEquals": {"aws:UserAgent": "ours"}},
            {"StringLike": {"aws:Referer": "https://example.com/*"}},
            {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
            {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}},
            {"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-1"}},
            {"StringLike": {"aws:PrincipalArn": "*"}},
            {"DateGreaterThan": {"aws:CurrentTime": "2001-01-01T00:00:00Z"}},
            {"Bool": {"aws:SecureTransport": "true"}},
            {"StringEquals": {"s3:prefix": "a/"}},
        ],
        ids=str,
    )
    def test_through_a_condition(self, condition):
        assert is_open_to_everybody(policy(allow(Condition=condition)))

    @pytest.mark.parametrize(
        "condition",
        [
            {"IpAddress": {"aws:SourceIp": ["192.0.2.7", "2001:db8::/32"]}},
            {"StringEquals": {"aws:SourceVpce": "vpce-1"}},
            {"StringEquals": {"aws:PrincipalOrgID": ["o-1", "o-2"]}},
            {"StringLike": {"aws:UserAgent": "*"}, "IpAddress": {"aws:sourceip": "10.0.0.0/8"}},
        ],
        ids=str,
    )
    def test_not_through_a_short_list(self, condition):
        assert not is_open_to_everybody(policy(allow(Condition=condition)))

    @pytest.mark.parametrize(
        "statement",
        [
            allow(Effect="Deny"),
            allow(Principal={"AWS": ["arn:aws:iam::123456789012:root"]}),
            allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            negated("Principal", "someone"),
        ],
        ids=["deny", "one account", "condition", "deny all but some"],
    )
    def test_to_some(self, statement):
        assert not is_open_to_everybody(policy(statement))


class TestHooks:
    def test_a_callable_is_asked_with_the_name_of_the_bucket(self):
        assert policy_of(lambda bucket: public_policy(bucket, listing=False), "docs") == public_policy(
            "docs", listing=False
        )

    def test_what_is_given_is_not_changed(self):
        given = {"Version": "2012-10-17", "Statement": allow()}
        before = copy.deepcopy(given)

        assert policy_of(given, "docs")["Statement"] == [allow()]
        assert given == before

    @pytest.mark.parametrize(
        "given", [None, "public", [], {}, {"Statement": []}, {"Statement": ["Allow"]}, {"Statement": {1, 2}}]
    )
    def test_what_is_no_policy_is_refused(self, given):
        with pytest.raises(ConfigurationError, match="hook of 'docs'"):
            policy_of(lambda bucket: given, "docs")

    def test_an_element_that_servers_read_in_any_case_and_we_do_not_is_refused(self):
        given = allow(effect="Allow")
        del given["Effect"]

        with pytest.raises(ConfigurationError, match="statement with 'effect'"):
            policy_of(policy(given), "docs")
