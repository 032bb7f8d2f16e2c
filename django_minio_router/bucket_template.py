"""Bucket names from fields of a tenant or model: different values always give different names."""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256

from .exceptions import ConfigurationError, RoutingError
from .naming import MAX_BUCKET_NAME, bucket_name_problem

_READABLE = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_READABLE_PART = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_JOINED = re.compile(r"[a-z0-9]+(?:--?[a-z0-9]+)*")  # what readable values become in a name
_SEPARATOR = re.compile(r"\.|-(?!-)")
_LITERAL = re.compile(r"[a-z0-9.-]*")
_DIGEST_MARK = "---"
_DIGEST_LENGTH = 26  # characters of base 32: 130 bits of SHA-256
_SLUG_LENGTH = MAX_BUCKET_NAME - len(_DIGEST_MARK) - _DIGEST_LENGTH


class BucketTemplate:
    """A pattern such as ``"media-{schema_name}"`` that maps different values to different valid names.

    A value of a-z and 0-9, with single ``-`` or ``_`` in between, stays readable; each ``_`` becomes ``--``.
    With several fields, a value must not contain ``-``, since ``a-b`` + ``c`` and ``a`` + ``b-c`` would give
    the same name. For any other value, and for a name that would be too long, too short or reserved, the name
    ends in ``---`` and 130 bits of a SHA-256 over all values.

    No two names collide: in a readable name, the first single ``-`` or ``.`` ends a field that another
    follows, and the rest is fixed text and ``--`` for ``_``, so the values can be read back. And no readable
    name contains ``---``, which every other name does.
    """

    def __init__(self, template: str) -> None:
        self.template = template
        try:
            parsed = list(string.Formatter().parse(template))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"The bucket template {template!r} is malformed: {error}.") from error
        self.literals = tuple(literal for literal, *_ in parsed)
        self.fields = tuple(field for _, field, *_ in parsed if field is not None)
        self._readable = _READABLE if len(self.fields) == 1 else _READABLE_PART
        problem = self._field_problem(parsed) or self._literal_problem()
        if problem:
            raise ConfigurationError(f"The bucket template {template!r} is wrong: {problem}.")

    def _field_problem(self, parsed: list[tuple[str, str | None, str | None, str | None]]) -> str | None:
        if not self.fields:
            return "it must have at least one field, such as {schema_name}"
        if not all(field.isidentifier() for field in self.fields):
            return "a field must be a single name, such as {schema_name}"
        if any(spec or conversion for _, _, spec, conversion in parsed):
            return "a field must not have a format or a conversion"
        return None

    def _literal_problem(self) -> str | None:
        if not all(_LITERAL.fullmatch(literal) for literal in self.literals):
            return "outside the fields only a-z, 0-9, '-' and '.' are allowed"
        if any(_DIGEST_MARK in literal for literal in self.literals):
            return f"it must not contain {_DIGEST_MARK!r}, which marks names with a digest"
        if not all(_SEPARATOR.match(literal) for literal in self.literals[1 : len(self.fields)]):
            return "two fields must be separated by '.' or a single '-'"
        sample = self._join(["abc"] * len(self.fields))
        problem = bucket_name_problem(sample)
        return problem and f"it would give {sample!r}, which {problem}"

    def render(self, values: Mapping[str, object]) -> str:
        """Return the bucket name for these values; different values give different names.

        Raise ``RoutingError`` for a value that is None or empty, since several tenants could have it.
        """
        texts = tuple(["" if values[field] is None else str(values[field]) for field in self.fields])
        if not all(texts):
            field = self.fields[texts.index("")]
            raise RoutingError(f"The bucket template {self.template!r} has no value for {{{field}}}.")
        return self._render(texts)

    @lru_cache(maxsize=16_384)  # noqa: B019  templates live as long as the strategies in the models
    def _render(self, texts: tuple[str, ...]) -> str:
        if all(self._readable.fullmatch(text) for text in texts):
            name = self._join([text.replace("_", "--") for text in texts])
            if bucket_name_problem(name) is None:
                return name
        return self._with_digest(texts)

    def may_collide(self, other: BucketTemplate) -> bool:
        """Return whether the two could give the same name for different values; True if in doubt.

        Over the same fields, they cannot if neither's start is a prefix of the other's start, or neither's
        end a suffix of the other's end: names with a digest identify the values. Over different fields, two
        digests may be equal.
        """
        if self.template == other.template:
            return False
        start, longer_start = sorted([self.literals[0], other.literals[0]], key=len)
        if self.fields != other.fields:
            return _slug(longer_start).startswith(_slug(start))
        end, longer_end = sorted([self._end, other._end], key=len)
        if not (longer_start.startswith(start) and longer_end.endswith(end)):
            return False
        if len(self.fields) > 1 or (start != longer_start and end != longer_end):
            return True
        # One value would be the other plus the text that only one of the templates has before or after it.
        return _JOINED.fullmatch(f"{longer_start[len(start) :]}a{longer_end.removesuffix(end)}") is not None

    @property
    def _end(self) -> str:
        return self.literals[-1] if len(self.literals) > len(self.fields) else ""

    def _join(self, texts: Sequence[str]) -> str:
        pairs = zip(self.literals, [*texts, ""], strict=False)
        return "".join(literal + text for literal, text in pairs)

    def _with_digest(self, texts: tuple[str, ...]) -> str:
        # The length before each text keeps ("ab", "c") and ("a", "bc") apart.
        message = "".join(f"{len(text)}:{text}" for text in texts).encode("utf-8", "surrogatepass")
        digest = base64.b32encode(sha256(message).digest()).decode().lower()[:_DIGEST_LENGTH]
        slug = _slug(self._join(texts).lower()).rstrip("-")
        name = f"{slug or 'x'}{_DIGEST_MARK}{digest}"
        return name if bucket_name_problem(name) is None else f"x{_DIGEST_MARK}{digest}"


def _slug(text: str) -> str:
    """Return the readable start of a name with a digest."""
    return re.sub(r"[^a-z0-9]+", "-", text).lstrip("-")[:_SLUG_LENGTH]


@lru_cache(maxsize=256)
def bucket_template(template: str) -> BucketTemplate:
    """Return the parsed template. ``ConfigurationError`` if it is malformed."""
    return BucketTemplate(template)
