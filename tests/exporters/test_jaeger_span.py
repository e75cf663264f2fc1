"""Spans as Jaeger's Thrift: read back by Apache Thrift with the classes of Jaeger's IDL, and beside the exporter that
OpenTelemetry had, on the same spans."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import pytest
from batches import recorded
from hypothesis import given, settings
from jaeger_reference import (
    ThriftTranslator,
    batch_in,
    batch_of_call,
    fields_of,
    rewritten_batch,
    rewritten_call,
    tags_of,
    ttypes,
)
from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from test_differential import MODEST, PROGRAMS, Counting, Program, _sampler, play

from tracecore.exporters import jaeger_span
from tracecore.exporters.jaeger_agent import JaegerAgentExporter
from tracecore.exporters.thrift_protocol import BINARY, COMPACT
from tracecore.limits import SpanLimits
from tracecore.resource import Resource


def mapped(**arguments: Any) -> Any:
    """One span, as a receiver of Jaeger's reads it."""
    event, status, limits = arguments.pop("event", None), arguments.pop("status", None), arguments.pop("limits", None)
    scope = arguments.pop("scope", ("lib", "1.0"))

    def one(provider: Any) -> None:
        span = provider.get_tracer(*scope).start_span("name", start_time=1_000_001_499, **arguments)
        if event is not None:
            span.add_event(*event)
        if status is not None:
            span.set_status(*status)
        span.end(2_000_003_999)

    batch = recorded(one, resource=Resource({"service.name": "shop"}), span_limits=limits)
    assert batch is not None
    (source,) = batch.spans()
    process = jaeger_span.process(BINARY, source.resource)
    return batch_in(jaeger_span.batch(BINARY, process, [jaeger_span.span(BINARY, source)])).spans[0]


# --- the mapping ------------------------------------------------------------------------------------------------


def test_ids_are_signed_numbers_and_times_are_microseconds() -> None:
    parent = SpanContext(0xFF00_0000_0000_0000_8000_0000_0000_0001, 0xFF00_0000_0000_0000, True, TraceFlags(3))
    span = mapped(context=trace.set_span_in_context(NonRecordingSpan(parent)))
    assert (span.traceIdHigh, span.traceIdLow) == (-72057594037927936, -0x7FFF_FFFF_FFFF_FFFF)
    assert span.parentSpanId == -72057594037927936
    assert (span.operationName, span.startTime, span.duration) == ("name", 1_000_001, 1_000_003)
    assert span.references is None, "the parent has a field of its own"
    assert span.flags == 1, "W3C's random is Jaeger's debug"


@pytest.mark.parametrize("kind", SpanKind)
def test_kinds_are_a_tag_and_internal_is_none(kind: SpanKind) -> None:
    assert tags_of(mapped(kind=kind).tags).get("span.kind") == (None if kind is SpanKind.INTERNAL else kind.name.lower())


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, {}),
        ((StatusCode.OK,), {"otel.status_code": "OK"}),
        ((StatusCode.ERROR,), {"otel.status_code": "ERROR", "error": True}),
        ((StatusCode.ERROR, "broken"), {"otel.status_code": "ERROR", "otel.status_description": "broken", "error": True}),
    ],
)
def test_the_status_is_in_tags(status: Any, expected: dict[str, Any]) -> None:
    tags = tags_of(mapped(status=status, attributes={"error": "its own"} if "error" in expected else {}).tags)
    assert {key: tags[key] for key in tags if key == "error" or key.startswith("otel.status")} == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("é\U0001f600", "é\U0001f600"), (True, True), (False, False), (7, 7), (2**63 - 1, 2**63 - 1), (-(2**63), -(2**63)),
        (2**63, str(2**63)), (0.5, 0.5), (math.inf, math.inf), (b"\x00\xff", b"\x00\xff"), (None, ""),
        (["a", 1, None, b"x"], '["a",1,null,"eA=="]'), ({"k": [1.5]}, '{"k":[1.5]}'), ("\ud800", "\ufffd"),
    ],
)  # fmt: skip
def test_attributes_are_tags_of_their_types(value: Any, expected: Any) -> None:
    read = tags_of(mapped(attributes={"key": value}).tags)["key"]
    assert (type(read), read) == (type(expected), expected)


def test_scope_and_tracestate_are_tags() -> None:
    parent = SpanContext(1, 2, True, TraceFlags(1), TraceState([("a", "1"), ("b", "2")]))
    context = trace.set_span_in_context(NonRecordingSpan(parent))
    tags = tags_of(mapped(scope=("lib", "1.0", None, {"n": 1, "version": "hidden"}), context=context).tags)
    assert tags == {
        "otel.scope.n": 1, "otel.scope.name": "lib", "otel.scope.version": "1.0", "otel.library.name": "lib",
        "otel.library.version": "1.0", "w3c.tracestate": "a=1,b=2",
    }  # fmt: skip


def test_a_link_is_a_reference_and_its_attributes_are_a_log() -> None:
    state = TraceState([("a", "1")])
    links = [
        Link(SpanContext(2**127 + 1, 2**63, False)),
        Link(SpanContext(3, 4, False, trace_state=state), {"k": True}),
    ]
    span = mapped(links=links)
    assert fields_of(span)["references"] == [(ttypes.SpanRefType.FOLLOWS_FROM, 2**127 + 1, 2**63), (1, 3, 4)]
    (log,) = span.logs
    assert log.timestamp == span.startTime
    assert tags_of(log.fields) == {
        "event": "link", "trace_id": f"{3:032x}", "span_id": f"{4:016x}", "k": True, "w3c.tracestate": "a=1",
    }  # fmt: skip


def test_an_event_is_a_log_and_an_attribute_called_event_comes_before_its_name() -> None:
    (log,) = mapped(event=("named", {"n": 1}, 1_500_000_500)).logs
    assert (log.timestamp, tags_of(log.fields)) == (1_500_001, {"event": "named", "n": 1})
    (log,) = mapped(event=("named", {"event": "first"}, 0)).logs
    assert tags_of(log.fields) == {"event": "first"}


def test_what_limits_took_is_counted_in_tags() -> None:
    limits = SpanLimits(max_span_attributes=1, max_events=0, max_links=1)
    links = [Link(SpanContext(1, number, False)) for number in (1, 2, 3)]
    tags = tags_of(mapped(limits=limits, attributes={"a": 1, "b": 2, "c": 3}, links=links, event=("lost",)).tags)
    assert {key: tags[key] for key in tags if "dropped" in key} == {
        "otel.dropped_attributes_count": 2, "otel.dropped_events_count": 1, "otel.dropped_links_count": 2,
    }  # fmt: skip
    (log,) = mapped(limits=SpanLimits(max_event_attributes=1), event=("event", {"a": 1, "b": 2})).logs
    assert tags_of(log.fields) == {"event": "event", "b": 2, "otel.event.dropped_attributes_count": 1}


def test_the_resource_is_the_process() -> None:
    resource = Resource({"service.name": "shop", "n": 1, "list": ["a"]})
    read = batch_in(jaeger_span.batch(BINARY, jaeger_span.process(BINARY, resource), []))
    assert (read.process.serviceName, tags_of(read.process.tags)) == ("shop", {"n": 1, "list": '["a"]'})
    read = batch_in(jaeger_span.batch(BINARY, jaeger_span.process(BINARY, Resource({})), []))
    assert (read.process.serviceName, read.process.tags) == ("unknown_service", None)


def test_a_resource_within_a_limit_loses_its_largest_attributes() -> None:
    resource = Resource({"service.name": "shop", "small": "s" * 10, "large": "l" * 1000, "middle": "m" * 100})
    process = jaeger_span.process(BINARY, resource, 300)
    read = batch_in(jaeger_span.batch(BINARY, process, [])).process
    assert (read.serviceName, sorted(tags_of(read.tags))) == ("shop", ["middle", "small"])


# --- the encoding, and the exporter there was -----------------------------------------------------------------------


@settings(MODEST, max_examples=100)
@given(PROGRAMS)
def test_apache_thrift_writes_the_same_bytes_and_the_reference_says_the_same(program: Program) -> None:
    logging.disable(logging.CRITICAL)
    try:
        batch = recorded(
            lambda provider: play(program, provider),
            sampler=_sampler(program),
            resource=Resource(*program.resource),
            id_generator=Counting(program.is_random),
            span_limits=SpanLimits(**program.limits),
        )
        if batch is None:
            return
        sources = batch.spans()
        for name, protocol in (("compact", COMPACT), ("binary", BINARY)):
            process = jaeger_span.process(protocol, sources[0].resource)
            exporter = JaegerAgentExporter(protocol=name)
            datagram = exporter._datagram(process, [jaeger_span.span(protocol, source) for source in sources])
            read = batch_of_call(datagram, name)
            assert rewritten_call(read, name) == datagram
        body = jaeger_span.batch(BINARY, process, [jaeger_span.span(BINARY, source) for source in sources])
        assert rewritten_batch(batch_in(body)) == body
        for ours, source in zip(read.spans, sources):
            _compare(ours, source)
    finally:
        logging.disable(logging.NOTSET)


def _compare(ours: Any, source: Any) -> None:
    theirs = ThriftTranslator(None)._translate_span(source)
    assert fields_of(ours) == {**fields_of(theirs), "name": _text(source.name)}
    assert ours.flags == theirs.flags & 1
    tags, reference = tags_of(ours.tags), {tag.key: tag for tag in theirs.tags}
    resource = source.resource.attributes
    own = {"span.kind", "error", "otel.status_code", "otel.status_description", "w3c.tracestate"}
    for key, value in source.attributes.items():
        if key in own or key in resource or key.startswith("otel."):
            continue
        if isinstance(value, (bool, str, float)) or (isinstance(value, int) and -(2**63) <= value < 2**63):
            mine, other = tags[_text(key)], tags_of([reference[key]])[key]
            assert mine == (_text(other) if isinstance(other, str) else other) or mine != mine
        elif isinstance(value, (list, tuple)):
            assert isinstance(json.loads(tags[_text(key)]), list), "JSON; Python's own notation in the reference"
        else:
            assert _text(key) in tags, "bytes, maps, nothing and large numbers are sent too"
    for key in ("otel.status_code", "otel.status_description", "error"):
        if key not in source.attributes and key not in resource:
            mine = tags.get(key)
            other = tags_of([reference[key]])[key] if key in reference else None
            assert mine == (_text(other) if isinstance(other, str) else other) or (not other and mine is None)
    times = [log.timestamp for log in theirs.logs or ()]
    assert [log.timestamp for log in ours.logs or ()][: len(times)] == times
    for mine_log, event in zip(ours.logs or (), source.events):
        assert tags_of(mine_log.fields)["event"] is not None, "its name is the field message in the reference"
        assert len(mine_log.fields) >= len(event.attributes)


def _text(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= ch <= "\udfff" else ch for ch in text)


# --- too large ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [BINARY, COMPACT])
@pytest.mark.parametrize("limit", [400, 1000, 3000, 30_000, 200_000])
def test_a_span_within_a_limit_loses_the_largest_of_its_parts_and_says_so(protocol: Any, limit: int) -> None:
    def one(provider: Any) -> None:
        link = Link(SpanContext(1, 2, False), {"k": "l" * 5000})
        span = provider.get_tracer("lib").start_span("name", links=[link])
        for number in range(20):
            span.set_attribute(f"attribute {number}", "a" * (100 * number))
            span.add_event(f"event {number}", {"text": "e" * (500 * number)})
        span.end()

    batch = recorded(one)
    assert batch is not None
    (source,) = batch.spans()
    whole = jaeger_span.span(protocol, source)
    answer = jaeger_span.span_within(protocol, source, limit)
    assert answer is not None
    encoded, n_attributes, n_events = answer
    assert len(encoded) <= limit
    if len(whole) <= limit:
        assert answer == (whole, 0, 0)
        return
    name = "binary" if protocol is BINARY else "compact"
    (span,) = batch_of_call(
        JaegerAgentExporter(protocol=name)._datagram(jaeger_span.process(protocol, source.resource), [encoded]), name
    ).spans
    tags = tags_of(span.tags)
    assert len([key for key in tags if key.startswith("attribute")]) == 20 - n_attributes
    logs = [tags_of(log.fields)["event"] for log in span.logs or ()]
    assert len([event for event in logs if event.startswith("event")]) == 20 - n_events
    assert tags.get("otel.dropped_attributes_count", 0) == n_attributes
    assert tags.get("otel.dropped_events_count", 0) == n_events
    kept = [int(event.split()[1]) for event in logs if event.startswith("event")]
    assert kept == list(range(len(kept))), "the small ones stay"
    assert len(span.references) == 1
    last_left_out = max(100 * (20 - n_attributes), 500 * len(kept), 0 if "link" in logs else 5000) + 200
    assert len(encoded) + last_left_out > limit, "no more is left out than need be"


def test_a_name_too_large_for_the_limit_cannot_be_helped() -> None:
    batch = recorded(lambda provider: provider.get_tracer("lib").start_span("n" * 2000).end())
    assert batch is not None
    assert jaeger_span.span_within(COMPACT, batch.spans()[0], 1000) is None
