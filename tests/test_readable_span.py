"""Ended spans as Python sees them, against opentelemetry-sdk's."""

from __future__ import annotations

import copy
import inspect
import json
import warnings
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import resources as sdk_resources
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from tracecore import readable_span as tested
from tracecore.instrumentation_scope import InstrumentationScope
from tracecore.readable_span import Event, Kept, ReadableSpan, attributes_kept
from tracecore.resource import Resource

CONTEXTS = st.builds(
    SpanContext,
    trace_id=st.integers(0, 2**128 - 1),
    span_id=st.integers(0, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.integers(0, 255).map(TraceFlags),
    trace_state=st.sampled_from([None, TraceState([("a", "1"), ("b", "2")])]),
)
ATTRIBUTES: st.SearchStrategy[Any] = st.sampled_from(
    [None, {}, {"k": "v", "n": 1, "f": 0.5, "s": ("a", "b")}]
) | st.builds(BoundedAttributes, st.sampled_from([None, 0, 1, 2]), st.just({"a": 1, "b": [True], "c": {"d": None}}))
# From 1970 to 2262, where 64-bit nanoseconds end.
TIMES = st.integers(0, 2**63 - 1)
STATUSES = st.sampled_from(
    [Status(StatusCode.UNSET), Status(StatusCode.OK), Status(StatusCode.ERROR), Status(StatusCode.ERROR, "why")]
)
EVENTS = st.lists(st.tuples(st.text(max_size=3), ATTRIBUTES, TIMES), max_size=3)
LINKS = st.lists(st.builds(Link, CONTEXTS, ATTRIBUTES), max_size=3)


@st.composite
def spans(draw: st.DrawFn) -> tuple[ReadableSpan, sdk.ReadableSpan]:
    """The same span in both implementations."""
    events, links = draw(EVENTS), draw(LINKS)
    dropped = draw(st.integers(0, 2))
    fields: dict[str, Any] = {
        "name": draw(st.text(max_size=5)),
        "context": draw(st.none() | CONTEXTS),
        "parent": draw(st.none() | CONTEXTS),
        "attributes": draw(ATTRIBUTES),
        "kind": draw(st.sampled_from(SpanKind)),
        "status": draw(STATUSES),
        "start_time": draw(st.none() | TIMES),
        "end_time": draw(st.none() | TIMES),
    }

    def bounded(items: list[Any]) -> Any:
        made: Any = BoundedList(None)
        made.extend(items)
        made.dropped = dropped
        return made

    ours = ReadableSpan(
        **fields,
        events=Kept((Event(*event) for event in events), dropped),
        links=Kept(links, dropped),
        resource=Resource({"service.name": "a"}, "https://schema/1"),
        instrumentation_scope=InstrumentationScope("scope"),
    )
    theirs = sdk.ReadableSpan(
        **fields,
        events=bounded([sdk.Event(*event) for event in events]),
        links=bounded(links),
        resource=sdk_resources.Resource({"service.name": "a"}, "https://schema/1"),
    )
    return ours, theirs


@given(spans())
def test_a_span_is_written_as_the_same_json(pair: tuple[ReadableSpan, sdk.ReadableSpan]) -> None:
    ours, theirs = pair
    assert ours.to_json() == theirs.to_json()
    assert ours.to_json(indent=None) == theirs.to_json(indent=None)


@given(spans())
def test_a_span_reads_as_the_sdks(pair: tuple[ReadableSpan, sdk.ReadableSpan]) -> None:
    ours, theirs = pair
    for name in ("name", "context", "kind", "parent", "start_time", "end_time", "status", "attributes", "links"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("dropped_attributes", "dropped_events", "dropped_links"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.get_span_context() is theirs.get_span_context()
    for our_event, their_event in zip(ours.events, theirs.events, strict=True):
        for name in ("name", "timestamp", "attributes", "dropped_attributes"):
            assert getattr(our_event, name) == getattr(their_event, name), name


@pytest.mark.parametrize("name", ["ReadableSpan", "Event"])
def test_the_constructors_take_the_sdks_arguments_in_its_order(name: str) -> None:
    ours = inspect.signature(getattr(tested, name)).parameters.values()
    theirs = inspect.signature(getattr(sdk, name)).parameters.values()
    assert [(parameter.name, parameter.kind) for parameter in ours] == [
        (parameter.name, parameter.kind) for parameter in theirs
    ]


def test_a_new_span_has_the_sdks_properties_and_underscore_attributes() -> None:
    ours = ReadableSpan("a", resource=Resource.get_empty())
    theirs = sdk.ReadableSpan("a", resource=sdk_resources.Resource.get_empty())
    assert set(vars(ours)) == set(vars(theirs))

    def public(cls: type) -> set[str]:
        return {name for name in dir(cls) if not name.startswith("_")}

    assert public(ReadableSpan) == public(sdk.ReadableSpan)
    assert public(Event) == public(sdk.Event)


def test_what_a_processor_rewrites_is_what_the_properties_show() -> None:
    span = ReadableSpan("a", resource=Resource.get_empty(), attributes={"k": 1})
    span._name = "b"
    span._attributes = {"k": 2}
    assert (span.name, span.attributes) == ("b", {"k": 2})


def test_the_properties_give_nothing_away_that_could_be_changed() -> None:
    span = ReadableSpan("a", resource=Resource.get_empty(), attributes={"k": 1}, events=[], links=[])
    assert isinstance(span.attributes, MappingProxyType)
    assert (span.events, span.links) == ((), ())
    with pytest.raises(AttributeError):
        span.name = "b"  # type: ignore[misc]


def test_a_span_without_a_resource_has_the_processs() -> None:
    assert ReadableSpan("a").resource == Resource.create()


def test_an_event_without_a_time_happens_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tested, "time_ns", lambda: 7)
    assert Event("a").timestamp == 7
    assert Event("a", timestamp=0).timestamp == 0


def test_bytes_are_written_in_hexadecimal() -> None:
    span = ReadableSpan("a", resource=Resource({"r": b"\x02"}), attributes={"k": b"\x01\xff"})
    written = json.loads(span.to_json())
    assert (written["attributes"], written["resource"]["attributes"]) == ({"k": "01ff"}, {"r": "02"})


def test_the_deprecated_scope_is_made_from_the_scope_and_reading_it_warns() -> None:
    span = ReadableSpan("a", resource=Resource.get_empty(), instrumentation_scope=InstrumentationScope("s", "1", "url"))
    with pytest.warns(DeprecationWarning, match="instrumentation_scope"):
        info = span.instrumentation_info
    assert info is not None
    assert (info.name, info.version, info.schema_url) == ("s", "1", "url")
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        assert ReadableSpan("a", resource=Resource.get_empty()).instrumentation_info is None


# --- what was kept of what was recorded -----------------------------------------------------------------------


def test_kept_items_are_a_tuple_that_knows_how_many_were_dropped() -> None:
    kept = Kept(iter([1, 2]), dropped=3)
    assert kept.dropped == 3
    assert list(kept) == [1, 2]
    assert copy.deepcopy(kept).dropped == 3
    assert Kept[int]().dropped == 0


def test_kept_attributes_are_not_cleaned_again_and_cannot_be_changed() -> None:
    value = ("a",)
    kept = attributes_kept({"k": value}, dropped=2)
    assert kept == BoundedAttributes(attributes={"k": value})
    assert kept["k"] is value
    assert kept.dropped == 2
    with pytest.raises(TypeError):
        kept["k"] = "b"
    assert ReadableSpan("a", resource=Resource.get_empty(), attributes=kept).dropped_attributes == 2
    assert Event("a", kept).dropped_attributes == 2
    assert Link(SpanContext(1, 1, False), kept).dropped_attributes == 2
