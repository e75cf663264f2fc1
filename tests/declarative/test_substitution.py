"""${VAR} in configuration files: the specification's table, opentelemetry-sdk's own, and what must hold for any text."""

from __future__ import annotations

import os
import re
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.configuration.file import substitute_env_vars

from tracecore.declarative.substitution import WrongReference, substitute

ENVIRONMENT = {
    "STRING_VALUE": "value",
    "FLOAT_VALUE": "1.1",
    "EMPTY": "",
    "INVALID_MAP_VALUE": "value\nkey:value",
    "DO_NOT_REPLACE_ME": "Never use this value",
    "REPLACE_ME": "${DO_NOT_REPLACE_ME}",
    "VALUE_WITH_ESCAPE": "value$$",
}

TABLE = [
    ("${STRING_VALUE}", "value"),
    ("${env:STRING_VALUE}", "value"),
    ("${INVALID_MAP_VALUE}", "value\nkey:value"),
    ("foo ${STRING_VALUE} ${FLOAT_VALUE}", "foo value 1.1"),
    ("${UNDEFINED_KEY}", ""),
    ("${UNDEFINED_KEY:-fallback}", "fallback"),
    ("${env:UNDEFINED_KEY:-fallback}", "fallback"),
    ("${EMPTY:-fallback}", "fallback"),
    ("${UNDEFINED_KEY:-}", ""),
    ("${UNDEFINED_KEY:- a b }", " a b "),
    ("${UNDEFINED_KEY:-http://a:1/b?c=d}", "http://a:1/b?c=d"),
    ("${STRING_VALUE:-fallback}", "value"),
    ("${REPLACE_ME}", "${DO_NOT_REPLACE_ME}"),
    ("${UNDEFINED_KEY:-${STRING_VALUE}}", "${STRING_VALUE}"),
    ("$${STRING_VALUE}", "${STRING_VALUE}"),
    ("$$${STRING_VALUE}", "$value"),
    ("$$$${STRING_VALUE}", "$${STRING_VALUE}"),
    ("$${STRING_VALUE:-fallback}", "${STRING_VALUE:-fallback}"),
    ("$${STRING_VALUE:-${STRING_VALUE}}", "${STRING_VALUE:-value}"),
    ("${UNDEFINED_KEY:-$${UNDEFINED_KEY}}", "${UNDEFINED_KEY:-${UNDEFINED_KEY}}"),
    ("${VALUE_WITH_ESCAPE}", "value$$"),
    ("a $$ b", "a $ b"),
    ("a $ b", "a $ b"),
    ("$STRING_VALUE {STRING_VALUE} ${STRING_VALUE", "$STRING_VALUE {STRING_VALUE} ${STRING_VALUE"),
    ("$${FOO} ${STRING_VALUE} $${BAZ}", "${FOO} value ${BAZ}"),
]


@pytest.mark.parametrize(("text", "expected"), TABLE)
def test_the_specifications_table_holds(text: str, expected: str) -> None:
    assert substitute(text, ENVIRONMENT) == expected


@pytest.mark.parametrize(
    "reference",
    ["${STRING_VALUE:?error}", "${1API_KEY}", "${API_$KEY}", "${}", "${env:}", "${sys:home}", "${a b}", "${A-B}", "${Ä}"],
)
def test_a_reference_of_another_form_is_refused_and_named(reference: str) -> None:
    with pytest.raises(WrongReference) as refused:
        substitute(f"before ${{STRING_VALUE}} {reference} after", ENVIRONMENT)
    assert refused.value.reference == reference


NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@given(text=st.text(st.characters(exclude_characters="$"), max_size=30))
def test_a_text_without_a_dollar_sign_stays_as_it_is(text: str) -> None:
    assert substitute(text, {"A": "b"}) == text


@given(text=st.text(max_size=30))
def test_any_text_can_be_written_with_its_dollar_signs_doubled(text: str) -> None:
    assert substitute(text.replace("$", "$$"), {"A": "b"}) == text


@given(name=NAMES, value=VALUES, before=st.text("ab {}:-", max_size=4), after=st.text("ab {:-", max_size=4))
def test_what_a_variable_holds_comes_out_whole_and_is_not_looked_at_again(name: str, value: str, before: str, after: str) -> None:
    assert substitute(f"{before}${{{name}}}{after}", {name: value}) == before + value + after
    assert substitute(f"{before}${{env:{name}}}{after}", {name: value}) == before + value + after


PIECES = st.lists(
    st.sampled_from(["$$", "a", " ", ":", "-", "{", "$ ", "$a", "${A}", "${B}", "${C:-d}", "${A:-e}", "${U}", "${U:-f g}"]),
    max_size=8,
).map("".join)


@given(text=PIECES)
def test_texts_of_valid_references_come_out_as_opentelemetry_sdk_has_them(text: str) -> None:
    variables = {"A": "x", "B": "${A} $$", "C": "1"}
    cleared = {name: "" for name in ("U",)}
    with mock.patch.dict(os.environ, variables):
        for name in cleared:
            os.environ.pop(name, None)
        expected = substitute_env_vars(text)
    try:
        assert substitute(text, variables) == expected
    except WrongReference as wrong:
        # Two pieces made a reference of neither form, as "$" + "{" + "${A}": opentelemetry-sdk lets those stand.
        assert not re.fullmatch(r"\$\{[A-Z](:-[^}]*)?\}", wrong.reference)
