"""Patterns and hashes of the core, beside fnmatch, re and hmac."""

from __future__ import annotations

import fnmatch
import hmac
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tracecore._core import patterns as core
from tracecore.errors import ConfigurationError
from tracecore.processors.patterns import compiled, each_compiled, expression

TEXT = st.text(alphabet="aabbc1_ .é\n", max_size=12)

ATOMS = st.sampled_from(
    ["a", "b", "c", "é", r"\d", r"\w", r"\s", r"\W", r"\D", r"\S", "[ab]", "[^a]", "[a-c1]", ".", r"\b", r"\.", "1", "_"]
)
REPEATS = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "*?", "+?", "??", "{1,3}?"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        # What repeats takes a character at least: `re` has rules of its own for empty rounds.
        st.tuples(ATOMS.filter(lambda atom: atom != r"\b"), REPEATS).map("".join),
        st.tuples(inner, REPEATS).map(lambda two: f"(?:a{two[0]}){two[1]}"),
        inner.map(lambda one: "^" + one),
        inner.map(lambda one: one + r"\Z"),
    ),
    max_leaves=6,
)


@settings(max_examples=600)
@given(EXPRESSIONS, st.lists(TEXT, min_size=1, max_size=5), st.sampled_from([0, re.I, re.S, re.M]))
def test_an_expression_finds_what_re_finds(text: str, subjects: list[str], flags: int) -> None:
    theirs = re.compile(text, flags | re.ASCII)
    ours = core.Regex(
        text.encode(), {0: 0, re.I: core.IGNORE_CASE, re.S: core.DOT_ALL, re.M: core.MULTILINE}[re.RegexFlag(flags) or 0]
    )
    for subject in subjects:
        encoded = subject.encode()
        found = theirs.search(subject)
        assert ours.search(encoded) is (found is not None)
        span = found and tuple(len(subject[:at].encode()) for at in found.span())
        assert ours.find(encoded) == span


@given(TEXT.filter(lambda text: not text.endswith("\n")))
def test_a_dollar_stands_at_the_end(text: str) -> None:
    theirs = re.compile("[ab]+$").search(text)
    assert core.Regex(b"[ab]+$").find(text.encode()) == (theirs and tuple(len(text[:at].encode()) for at in theirs.span()))


@settings(max_examples=400)
@given(st.text(alphabet="ab*?.", max_size=8), TEXT)
def test_a_glob_matches_what_fnmatch_matches(pattern: str, text: str) -> None:
    assume("\n" not in text)
    assert core.Pattern(core.GLOB, pattern.encode()).matches(text.encode()) is fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize("pattern", ["[a-c]*", "[!a]?", "x[]]", "[ab-]", "a[*]b", "[!]]", "[[]"])
@pytest.mark.parametrize("text", ["a", "cb", "zz", "x]", "-", "a*b", "b", "[", "]"])
def test_sets_in_globs_are_those_of_fnmatch(pattern: str, text: str) -> None:
    assert core.Pattern(core.GLOB, pattern.encode()).matches(text.encode()) is fnmatch.fnmatchcase(text, pattern)


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_a_hash_is_the_standard_librarys(key: bytes, message: bytes) -> None:
    assert core.hmac_sha256(key, message) == hmac.new(key, message, "sha256").digest()


def test_a_str_is_a_glob_and_what_re_compile_returns_an_expression() -> None:
    assert compiled("keys", "user.id") == (core.EXACT, b"user.id", 0)
    assert compiled("keys", "user.*") == (core.GLOB, b"user.*", 0)
    assert compiled("keys", re.compile("a", re.I | re.S)) == (core.REGEX, b"a", core.IGNORE_CASE | core.DOT_ALL)
    assert each_compiled("keys", "a") == each_compiled("keys", ["a"])
    assert expression("values", r"\d+") == expression("values", re.compile(r"\d+"))


@pytest.mark.parametrize(
    ("pattern", "at", "reason"),
    [
        (re.compile("é(?=a)"), 1, "ahead or behind"),
        (re.compile(r"(a)\1"), 3, "references"),
        (re.compile("x[é]"), 2, "beyond ASCII"),
        ("ab[c", 2, r"\[ without \]"),
        (re.compile("a{1001}"), 2, "1000"),
    ],
)
def test_what_the_dialect_lacks_is_refused_with_its_place(pattern: object, at: int, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"keys=.*at character {at}: .*{reason}"):
        compiled("keys", pattern)


@pytest.mark.parametrize("pattern", [3, b"a", None, re.compile(b"a"), re.compile("a", re.VERBOSE), "\ud800"])
def test_what_is_no_pattern_is_refused(pattern: object) -> None:
    with pytest.raises(ConfigurationError, match="keys="):
        compiled("keys", pattern)


@pytest.mark.parametrize("pattern", ["a*", "", "(", 3, re.compile("x?")])
def test_an_expression_for_values_must_find_something(pattern: object) -> None:
    with pytest.raises(ConfigurationError, match="values="):
        expression("values", pattern)
