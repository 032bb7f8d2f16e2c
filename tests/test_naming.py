"""Values become bucket names that are valid, readable where they can be, and never the same for two."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import re
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import chain

import pytest
from django_tenants.postgresql_backend.base import is_valid_schema_name
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from minio import Minio

from django_minio_router import ConfigurationError, InvalidBucketName, RoutingError
from django_minio_router.bucket_template import BucketTemplate, bucket_template
from django_minio_router.naming import bucket_name_problem, check_bucket_name
from tests.support.scale import scale
from tests.support.schema_names import KINDS, schema_and_bucket_names

PLAIN = BucketTemplate("{schema_name}")
PREFIXED = BucketTemplate("media-{schema_name}")
PAIR = BucketTemplate("{region}-{schema_name}")
DOTTED = BucketTemplate("{region}.{schema_name}")
SURROUNDED = BucketTemplate("eu-{region}-media-{schema_name}.v1")
READABLE = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


def one(template: BucketTemplate, value: str) -> str:
    return template.render({"schema_name": value})


def two(template: BucketTemplate, region: str, schema_name: str) -> str:
    return template.render({"region": region, "schema_name": schema_name})


def is_identifier(name: str) -> bool:
    """Tell whether PostgreSQL takes the name for a schema: 1 to 63 bytes without NUL."""
    return 1 <= len(name.encode()) <= 63 and "\0" not in name


# Few letters, so that generated names often differ in one place only.
close_names = st.text("aAbB01-_. é", min_size=1, max_size=63)
any_names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=63
)
schema_names = (close_names | any_names).filter(is_identifier)


class TestEveryValueHasAValidName:
    @given(schema_names)
    @settings(max_examples=scale(100, 500))
    def test_one_field(self, name: str) -> None:
        for template in (PLAIN, PREFIXED):
            assert bucket_name_problem(one(template, name)) is None

    @given(schema_names, schema_names)
    def test_several_fields(self, region: str, name: str) -> None:
        for template in (PAIR, DOTTED, SURROUNDED):
            assert bucket_name_problem(two(template, region, name)) is None

    @given(st.text(min_size=1))
    def test_even_what_no_schema_can_be_called(self, value: str) -> None:
        assert bucket_name_problem(one(PREFIXED, value)) is None

    @given(st.from_regex(r"[a-z0-9.-]{0,70}\{schema_name\}[a-z0-9.-]{0,70}", fullmatch=True), schema_names)
    def test_whatever_the_template(self, template: str, name: str) -> None:
        try:
            parsed = BucketTemplate(template)
        except ConfigurationError:
            assume(False)
        assert bucket_name_problem(one(parsed, name)) is None


class TestDifferentValuesHaveDifferentNames:
    @given(schema_names, schema_names)
    @settings(max_examples=scale(200, 1000))
    @example("acme_a", "acme-a")
    @example("acme_a", "acme--a")
    @example("acme_a", "acme__a")
    def test_one_field(self, name: str, other: str) -> None:
        assume(name != other)
        for template in (PLAIN, PREFIXED):
            assert one(template, name) != one(template, other)

    @given(st.lists(schema_names, min_size=4, max_size=4))
    @settings(max_examples=scale(100, 500))
    @example(["a-b", "c", "a", "b-c"])
    @example(["a_b", "c", "a", "b_c"])
    @example(["a.b", "c", "a", "b.c"])
    def test_several_fields(self, names: list[str]) -> None:
        assume(names[:2] != names[2:])
        for template in (PAIR, DOTTED, SURROUNDED):
            assert two(template, *names[:2]) != two(template, *names[2:])

    @pytest.mark.parametrize(
        "group",
        [
            pytest.param(["acme", "Acme", "ACME", "aCme"], id="case"),
            pytest.param(
                ["acme_a", "acme-a", "acme.a", "acme a", "acmea", "acme/a", "acme~a"], id="separators"
            ),
            pytest.param(["a_b", "a-b", "a--b", "a__b", "a-_b", "a_-b", "a---b", "a----b"], id="runs"),
            pytest.param(["acme", "-acme", "acme-", "_acme", "acme_", " acme", "acme ", "acme\n"], id="ends"),
            pytest.param(["acme", "аcme", "ａcme", "ácme", "a\u0301cme", "acme\u200b"], id="look-alikes"),
            pytest.param(["é", "e\u0301", "E\u0301", "É"], id="normal forms"),
            pytest.param(["ß", "ss", "SS", "ẞ"], id="case folding"),
            pytest.param(["i", "I", "İ", "ı", "i\u0307"], id="dotless i"),
            pytest.param(["1", "01", "001", "١", "１", "¹"], id="digits"),
            pytest.param(["x" * 62, "x" * 63, "x" * 62 + "y", "x" * 61 + "yx"], id="cut at 63"),
            pytest.param(["x" * 34 + "a" * 29, "x" * 34 + "b" * 29, "x" * 34], id="cut at the digest"),
            pytest.param(["xn--acme", "xn_acme", "xn-acme", "xn--acme-", "xn"], id="reserved beginnings"),
            pytest.param(["a-s3alias", "a_s3alias", "a--s3alias", "a", "a-"], id="reserved ends"),
            pytest.param(["sthree-a", "sthree_a", "amzn-s3-demo-a", "amzn_s3_demo_a"], id="reserved words"),
            pytest.param(["192.168.5.4", "192-168-5-4", "192_168_5_4"], id="addresses"),
            pytest.param(["minio", "Minio", "MINIO", "minio-", "mini0"], id="the server's own"),
            pytest.param(["a", "b", "ab", "aa", "a-", "-a"], id="too short"),
            pytest.param(["💾", "💿", "\U0001f4be\ufe0f", "日本", "日本語", "本日"], id="no letter at all"),
        ],
    )
    def test_names_made_to_collide(self, group: list[str]) -> None:
        for template in (PLAIN, PREFIXED):
            names = [one(template, value) for value in group]
            assert len(set(names)) == len(group), names
            assert all(bucket_name_problem(name) is None for name in names)

    def test_a_value_that_imitates_a_digest(self) -> None:
        for imitated in ("Acme", "acme.a", "x" * 62 + "_", "é"):
            digest_name = one(PLAIN, imitated)
            assert "---" in digest_name
            imitations = [
                digest_name,
                digest_name.replace("---", "_-"),
                digest_name.replace("---", "-_"),
                digest_name.replace("---", "_"),
                digest_name.replace("---", "--"),
            ]
            names = [one(PLAIN, value) for value in imitations]
            assert digest_name not in names
            assert len(set(names)) == len(imitations)

    def test_a_value_that_imitates_another_ones_readable_name(self) -> None:
        assert one(PLAIN, "acme_a") == "acme--a"
        assert one(PLAIN, "acme--a").startswith("acme-a---")
        assert two(PAIR, "a_b", "c") == "a--b-c"
        assert two(PAIR, "a--b", "c").startswith("a-b-c---")

    def test_all_short_names_over_a_few_characters(self) -> None:
        values = ["".join(letters) for n in range(1, 7) for letters in itertools.product("aA1-_.", repeat=n)]
        assert len(values) == 55_986
        assert len({one(PREFIXED, value) for value in values}) == len(values)

    def test_all_pairs_of_short_values(self) -> None:
        parts = ["".join(letters) for n in range(1, 5) for letters in itertools.product("ab-_", repeat=n)]
        pairs = [(a, b) for a in parts for b in parts if len(a) + len(b) < 7]
        assert len(pairs) == 17_296
        for template in (PAIR, DOTTED, BucketTemplate("{region}-x-{schema_name}")):
            assert len({two(template, a, b) for a, b in pairs}) == len(pairs)

    @pytest.mark.full_scale
    def test_a_million_legal_schema_names(self) -> None:
        assert all(is_valid_schema_name(letter) for letters in KINDS for letter in letters)
        apart = multiprocessing.get_context("spawn")  # nor measured for coverage, which would take longest
        with ProcessPoolExecutor(mp_context=apart) as processes:
            found = list(processes.map(schema_and_bucket_names, KINDS))
        schema_names = set(chain.from_iterable(of_schemas for of_schemas, _ in found))
        assert len(schema_names) >= 1_000_000
        assert len(set(chain.from_iterable(of_buckets for _, of_buckets in found))) == len(schema_names)


class TestNamesStayReadable:
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            ("acme", "acme"),
            ("acme-north", "acme-north"),
            ("acme_north", "acme--north"),
            ("a1_b2-c3", "a1--b2-c3"),
            ("123", "123"),
            ("x" * 63, "x" * 63),
        ],
    )
    def test_simple_ones_are_kept(self, value: str, name: str) -> None:
        assert one(PLAIN, value) == name

    def test_with_several_fields(self) -> None:
        assert two(PAIR, "eu", "acme_north") == "eu-acme--north"
        assert two(DOTTED, "eu", "acme") == "eu.acme"
        assert two(SURROUNDED, "de", "acme") == "eu-de-media-acme.v1"

    @pytest.mark.parametrize(
        ("value", "beginning"),
        [
            ("Acme North", "media-acme-north---"),
            ("acme__north", "media-acme-north---"),
            ("Müller & Söhne", "media-m-ller-s-hne---"),
            ("日本", "media---"),
            ("acme" * 15, "media-" + "acme" * 7 + "---"),
        ],
    )
    def test_the_others_begin_with_what_can_be_read(self, value: str, beginning: str) -> None:
        name = one(PREFIXED, value)
        assert name.startswith(beginning)
        assert re.fullmatch("[a-z2-7]{26}", name.removeprefix(beginning))

    @given(st.from_regex(READABLE, fullmatch=True).filter(lambda name: 3 <= len(name) <= 31))
    def test_a_readable_name_can_be_read_back(self, value: str) -> None:
        name = one(PLAIN, value)
        assume("---" not in name)  # reserved words
        assert name.replace("--", "_") == value

    def test_names_never_change(self) -> None:
        """Buckets outlive releases: these names were given, and must be given for ever."""
        assert one(PLAIN, "Acme") == "acme---tuo6sj627uzeqbyt3ovk3kppry"
        assert one(PREFIXED, "Acme") == "media-acme---tuo6sj627uzeqbyt3ovk3kppry"
        assert two(PAIR, "EU", "acme") == "eu-acme---3q62txxnrlsqeibyyx6jz6qyiw"
        assert one(PLAIN, "é") == "x---did4bfy4dpxwcf3kjzet3gno6m"
        assert one(PLAIN, "ab") == "ab---2gvru757lkkvf4wqdskw2meflm"


class TestTemplates:
    @pytest.mark.parametrize(
        ("template", "problem"),
        [
            ("", "at least one field"),
            ("acme", "at least one field"),
            ("{schema_name", "malformed"),
            ("schema_name}", "malformed"),
            (None, "malformed"),
            ("{}", "a field must be a single name"),
            ("{0}", "a field must be a single name"),
            ("{tenant.id}", "a field must be a single name"),
            ("{tenant[id]}", "a field must be a single name"),
            ("{schema_name!r}", "a format or a conversion"),
            ("{schema_name:>30}", "a format or a conversion"),
            ("Acme-{schema_name}", "only a-z"),
            ("acme_{schema_name}", "only a-z"),
            ("a/{schema_name}", "only a-z"),
            ("{{a}}{schema_name}", "only a-z"),
            ("a---{schema_name}", "'---'"),
            ("{schema_name}{id}", "'.' or a single '-'"),
            ("{schema_name}--{id}", "'.' or a single '-'"),
            ("{schema_name}x{id}", "'.' or a single '-'"),
            ("-{schema_name}", "'-abc'"),
            ("{schema_name}.", "'abc.'"),
            ("a..{schema_name}", "'a..abc'"),
            ("{schema_name}-.{id}", "'abc-.abc'"),
            ("xn--{schema_name}", "reserve"),
            ("{schema_name}-s3alias", "reserve"),
            ("x" * 61 + "{schema_name}", "3 to 63 characters"),
        ],
    )
    def test_a_malformed_one_is_refused_with_its_fault(self, template: str, problem: str) -> None:
        with pytest.raises(ConfigurationError, match=re.escape(problem)) as caught:
            BucketTemplate(template)
        assert repr(template) in str(caught.value)

    @pytest.mark.parametrize("value", [None, ""])
    def test_a_missing_value_is_refused(self, value: str | None) -> None:
        with pytest.raises(RoutingError, match=r"no value for \{schema_name\}"):
            PAIR.render({"region": "eu", "schema_name": value})

    def test_values_need_not_be_strings(self) -> None:
        assert BucketTemplate("media-{id}").render({"id": 17}) == "media-17"
        assert BucketTemplate("media-{id}").render({"id": 0}) == "media-0"

    def test_the_same_template_is_parsed_once(self) -> None:
        assert bucket_template("media-{id}") is bucket_template("media-{id}")


class TestBucketNames:
    @pytest.mark.parametrize(
        "name",
        ["abc", "a-b", "a.b", "0a0", "a" * 63, "acme---x", "my.bucket-1", "minio1", "1.2.3", "192.168.5.4a"],
    )
    def test_valid_ones(self, name: str) -> None:
        assert bucket_name_problem(name) is None
        assert check_bucket_name(name, "the test") == name

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "ab",
            "a" * 64,
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            ".ab",
            "ab.",
            "a..b",
            "a.-b",
            "a-.b",
            "192.168.5.4",
            "xn--abc",
            "sthree-abc",
            "amzn-s3-demo-abc",
            "abc-s3alias",
            "abc--ol-s3",
            "abc.mrap",
            "abc--x-s3",
            "abc--table-s3",
            "minio",
            "abc\n",
            "abç",
            "a b",
            "a/b",
            "abc\0",
            None,
            7,
            b"abc",
            ["abc"],
        ],
    )
    def test_invalid_ones_are_refused_with_name_and_source(self, name: str) -> None:
        with pytest.raises(InvalidBucketName) as caught:
            check_bucket_name(name, "the test")
        assert str(caught.value).startswith(f"the test gave the bucket name {name!r}, which ")

    def test_the_server_takes_what_we_call_valid(self, bare: Minio, worker_id: str) -> None:
        unlike_others = f"n{worker_id}{random.randrange(10**9)}"
        values = ["a", "Acme", "acme_a", "acme-a", "über", "x" * 63, "xn--a", "a.b", "192.168.5.4", "minio"]
        names = [two(PAIR, unlike_others, value) for value in values]
        for name in names:
            bare.make_bucket(bucket_name=name)
        assert set(names) <= {bucket.name for bucket in bare.list_buckets()}


def templates_around_one_field() -> list[BucketTemplate]:
    made = []
    for start, end in itertools.product(
        ["", "a", "a-", "a.", "a-b", "ab-", "b--"], ["", "a", "-a", ".a", "b-a"]
    ):
        with suppress(ConfigurationError):
            made.append(BucketTemplate(f"{start}{{schema_name}}{end}"))
    return made


def test_templates_that_may_not_meet_never_do() -> None:
    parts = ["a", "b", "ab", "ba", "aab"]
    values = [*parts, *(f"{one}{sign}{other}" for one in parts for sign in "-_" for other in parts)]
    givers: dict[str, list[tuple[BucketTemplate, str]]] = {}
    for template, value in itertools.product(templates_around_one_field(), values):
        givers.setdefault(template.render({"schema_name": value}), []).append((template, value))
    met = {
        (one, other)
        for found in givers.values()
        for (one, value), (other, another) in itertools.permutations(found, 2)
        if value != another
    }

    assert len(met) > 100
    assert all(one.may_collide(other) for one, other in met)
