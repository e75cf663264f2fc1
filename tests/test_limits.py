"""Span limits, against opentelemetry-sdk's."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk import trace as sdk

from tracecore.errors import ConfigurationError, reported, reset_reports
from tracecore.limits import SpanLimits

ARGUMENTS = [
    "max_attributes",
    "max_events",
    "max_links",
    "max_span_attributes",
    "max_event_attributes",
    "max_link_attributes",
    "max_attribute_length",
    "max_span_attribute_length",
]
VARIABLES = [
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
]


def environment(variables: dict[str, str]) -> Any:
    """Set these OTEL_ variables and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return mock.patch.dict(os.environ, {**kept, **variables}, clear=True)


def outcome(cls: type[Any], arguments: dict[str, Any]) -> dict[str, Any] | type[ValueError]:
    try:
        limits = cls(**arguments)
    except ValueError:
        return ValueError
    return {**{name: getattr(limits, name) for name in ARGUMENTS}, "repr": repr(limits)}


ENVIRONMENT_TEXTS = (
    st.integers(0, 300).map(str)
    | st.sampled_from(["", "  ", " 7 ", "-1", "-5", "x", "1.5", "+3", "1_0", "١٢", "1\x1f", "\x1f"])
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)
)


@given(
    arguments=st.dictionaries(st.sampled_from(ARGUMENTS), st.none() | st.integers(-3, 300)),
    variables=st.dictionaries(st.sampled_from(VARIABLES), st.integers(0, 300).map(str) | st.just("")),
)
def test_limits_are_settled_as_the_sdk_settles_them(arguments: dict[str, Any], variables: dict[str, str]) -> None:
    with environment(variables):
        assert outcome(SpanLimits, arguments) == outcome(sdk.SpanLimits, arguments)


@given(variable=st.sampled_from(VARIABLES), text=ENVIRONMENT_TEXTS)
def test_every_text_in_the_environment_is_read_as_the_sdk_reads_it_and_passed_over_where_it_refuses(
    variable: str, text: str
) -> None:
    reset_reports()
    with environment({variable: text}):
        ours, theirs = outcome(SpanLimits, {}), outcome(sdk.SpanLimits, {})
    if theirs is ValueError:
        with environment({}):
            theirs = outcome(sdk.SpanLimits, {})
        assert reported() == {f"invalid_{variable.lower()}": 1}
    else:
        assert reported() == {}
    assert ours == theirs


def test_the_arguments_are_the_sdks_in_its_order() -> None:
    with environment({}):
        assert outcome(lambda: SpanLimits(1, 2, 3, 4, 5, 6, 7, 8), {}) == outcome(  # type: ignore[arg-type]
            lambda: sdk.SpanLimits(1, 2, 3, 4, 5, 6, 7, 8),  # type: ignore[arg-type]
            {},
        )


def test_unset_lifts_a_limit_that_the_environment_sets() -> None:
    with environment({"OTEL_SPAN_LINK_COUNT_LIMIT": "5"}):
        assert SpanLimits().max_links == 5
        assert SpanLimits(max_links=SpanLimits.UNSET).max_links is None


def test_a_wrong_variable_is_named_with_what_is_used_instead(caplog: pytest.LogCaptureFixture) -> None:
    reset_reports()
    with environment({"OTEL_SPAN_LINK_COUNT_LIMIT": "many"}):
        assert SpanLimits().max_links == 128
        with pytest.raises(ValueError, match="OTEL_SPAN_LINK_COUNT_LIMIT"):
            sdk.SpanLimits()
    (record,) = caplog.records
    assert record.getMessage().endswith("OTEL_SPAN_LINK_COUNT_LIMIT='many': expected a non-negative integer; using 128")


@pytest.mark.parametrize("value", [-2, 1.5, "5"])
def test_a_wrong_argument_is_refused_by_its_own_name(value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SpanLimits(max_links=value)
    assert str(caught.value) == (f"max_links={value!r}: expected a non-negative integer, None or SpanLimits.UNSET")
