"""Instrumentation scopes, against opentelemetry-sdk's."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.util import instrumentation as sdk

from tracecore.instrumentation_scope import (
    InstrumentationInfo,
    InstrumentationScope,
    instrumentation_info_of,
)

FIELDS = st.tuples(
    st.sampled_from(["", "a", "b"]),
    st.sampled_from([None, "", "1", "2"]),
    st.sampled_from([None, "", "https://schema/1"]),
    st.sampled_from([None, {}, {"k": "v"}, {"k": 1}, {"k": [1, 2]}]),
)


@given(FIELDS)
def test_a_scope_shows_what_the_sdks_scope_shows(fields: tuple[Any, ...]) -> None:
    ours, theirs = InstrumentationScope(*fields), sdk.InstrumentationScope(*fields)
    assert repr(ours) == repr(theirs)
    assert ours.to_json() == theirs.to_json()
    assert ours.to_json(indent=None) == theirs.to_json(indent=None)
    assert (ours.name, ours.version, ours.schema_url) == (theirs.name, theirs.version, theirs.schema_url)
    assert ours.attributes == theirs.attributes


@given(FIELDS, FIELDS)
def test_scopes_of_either_kind_are_equal_exactly_when_the_sdks_are(a: tuple[Any, ...], b: tuple[Any, ...]) -> None:
    equal = sdk.InstrumentationScope(*a) == sdk.InstrumentationScope(*b)
    assert (InstrumentationScope(*a) == InstrumentationScope(*b)) is equal
    assert (InstrumentationScope(*a) == sdk.InstrumentationScope(*b)) is equal
    assert (sdk.InstrumentationScope(*a) == InstrumentationScope(*b)) is equal
    if equal:
        assert hash(InstrumentationScope(*a)) == hash(sdk.InstrumentationScope(*b))


@given(FIELDS, FIELDS)
def test_scopes_sort_as_the_sdks_do_wherever_those_can_be_sorted(a: tuple[Any, ...], b: tuple[Any, ...]) -> None:
    ours = InstrumentationScope(*a) < InstrumentationScope(*b)
    try:
        theirs = sdk.InstrumentationScope(*a) < sdk.InstrumentationScope(*b)
    except TypeError:
        return
    assert ours is theirs


def test_scopes_without_a_version_or_that_differ_in_attributes_alone_sort_too() -> None:
    scopes = [
        InstrumentationScope("a", "1", attributes={"k": b"\x01"}),
        InstrumentationScope("a", "1"),
        InstrumentationScope("a"),
    ]
    assert sorted(scopes) == sorted([scopes[1], scopes[2], scopes[0]]) == [scopes[2], scopes[0], scopes[1]]


def test_a_scope_is_not_equal_to_something_that_merely_looks_like_one() -> None:
    class LooksLikeOne:
        name, version, schema_url = "a", "1", ""
        attributes = None

    assert InstrumentationScope("a", "1") != LooksLikeOne()
    with pytest.raises(TypeError):
        assert InstrumentationScope("a", "1") < LooksLikeOne()


def test_the_attributes_of_a_scope_are_cleaned_and_cannot_be_changed() -> None:
    scope = InstrumentationScope("a", attributes={"k": [1, 2], "": 1})
    assert scope.attributes == {"k": (1, 2)}
    with pytest.raises(TypeError):
        scope.attributes["k"] = 2  # type: ignore[index]


def test_bytes_in_the_attributes_are_written_in_hexadecimal() -> None:
    assert '"k": "01ff"' in InstrumentationScope("a", attributes={"k": b"\x01\xff"}).to_json()


@given(FIELDS, FIELDS)
def test_instrumentation_info_behaves_as_the_sdks(a: tuple[Any, ...], b: tuple[Any, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        our_a, our_b = InstrumentationInfo(*a[:3]), InstrumentationInfo(*b[:3])
        sdk_a, sdk_b = sdk.InstrumentationInfo(*a[:3]), sdk.InstrumentationInfo(*b[:3])
    assert repr(our_a) == repr(sdk_a)
    assert (our_a == our_b) is (sdk_a == sdk_b)
    assert hash(our_a) == hash(sdk_a)
    assert (our_a.name, our_a.version, our_a.schema_url) == (sdk_a.name, sdk_a.version, sdk_a.schema_url)
    ours = our_a < our_b
    try:
        theirs = sdk_a < sdk_b
    except TypeError:
        return
    assert ours is theirs


def test_making_an_instrumentation_info_by_hand_warns_and_from_a_scope_does_not() -> None:
    with pytest.warns(DeprecationWarning, match="InstrumentationScope"):
        made = InstrumentationInfo("a", "1", "url")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert instrumentation_info_of(InstrumentationScope("a", "1", "url")) == made
