"""A finished span as Jaeger's Thrift struct, and a resource as its Process.

    OpenTelemetry                        Jaeger
    trace id, span id, parent's          traceIdLow, traceIdHigh, spanId, parentSpanId: as signed 64 bits
    name, start, end                     operationName, startTime, duration: whole microseconds
    trace flags                          flags: sampled only; what is "random" in W3C is "debug" in Jaeger
    links                                references of type FOLLOWS_FROM; a link's attributes as a log "link"
    kind                                 tag span.kind; none for INTERNAL
    status                               tags otel.status_code, otel.status_description; error=true for ERROR
    attributes                           tags of their types; arrays and maps as JSON
    events                               logs, the name as field "event" unless an attribute is called so
    scope, dropped counts, tracestate    tags otel.scope.*, otel.library.*, otel.dropped_*_count, w3c.tracestate
    resource                             Process: serviceName, and the rest as tags

The parent is a field of its own in Thrift: a reference CHILD_OF beside it would say the same twice.

Sources: specification, trace/sdk_exporters/jaeger.md; jaeger-idl, thrift/jaeger.thrift.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, format_span_id, format_trace_id
from opentelemetry.util.types import AnyValue

from tracecore.exporters.non_otlp import dropped_tags, microseconds, scope_tags, sound, text_of
from tracecore.exporters.thrift_protocol import Field, ThriftProtocol
from tracecore.readable_span import Event, ReadableSpan
from tracecore.resource import Resource

__all__ = ["batch", "process", "span", "span_within"]

_STRING, _DOUBLE, _BOOL, _LONG, _BINARY = range(5)
_FOLLOWS_FROM: Final = 1
_SAMPLED: Final = 1
_MASK_64: Final = (1 << 64) - 1

_COUNT_TAGS_BYTES: Final = 2 * 64
"""At most what the two counts of what was left out add to a span."""


class _Parts:
    """A span's struct, its variable parts encoded one by one, so that they can be weighed and left out."""

    def __init__(self, protocol: ThriftProtocol, source: ReadableSpan) -> None:
        self._protocol = protocol
        self._source = source
        is_error = source.status.status_code is StatusCode.ERROR
        self.attributes = [
            _tag(protocol, key, value) for key, value in source.attributes.items() if not (is_error and key == "error")
        ]
        self.logs = [_log(protocol, event) for event in source.events]
        start_us = microseconds(source.start_time or 0)
        self.link_logs = [_link_log(protocol, link, start_us) for link in source.links if _has_content(link)]

    def encoded(self, n_attributes_left_out: int = 0, n_events_left_out: int = 0) -> bytes:
        protocol, source = self._protocol, self._source
        context = source.get_span_context()
        assert context is not None
        start_ns, end_ns = source.start_time or 0, source.end_time or 0
        fields: list[Field] = [
            (1, "i64", _signed(context.trace_id)),
            (2, "i64", _signed(context.trace_id >> 64)),
            (3, "i64", _signed(context.span_id)),
            (4, "i64", 0 if source.parent is None else _signed(source.parent.span_id)),
            (5, "binary", sound(source.name).encode()),
        ]
        if links := source.links:
            fields.append((6, "structs", [_reference(protocol, link.context) for link in links]))
        fields += (
            (7, "i32", int(context.trace_flags) & _SAMPLED),
            (8, "i64", microseconds(start_ns)),
            (9, "i64", microseconds(end_ns - start_ns)),
        )
        left_out = {"otel.dropped_attributes_count": n_attributes_left_out, "otel.dropped_events_count": n_events_left_out}
        tags = self.attributes + [_tag(protocol, key, value) for key, value in _own_tags(source, context, left_out)]
        if tags:
            fields.append((10, "structs", tags))
        if logs := self.logs + self.link_logs:
            fields.append((11, "structs", logs))
        return protocol.struct(fields)


def span(protocol: ThriftProtocol, source: ReadableSpan) -> bytes:
    """Return a span's struct."""
    return _Parts(protocol, source).encoded()


def span_within(protocol: ThriftProtocol, source: ReadableSpan, limit: int) -> tuple[bytes, int, int] | None:
    """Return a span's struct of `limit` bytes at most, and how many attributes and events were left out for that.

    The largest go first: a trace without a stack trace is of use, a trace without one of its spans falls apart.  They
    are counted in the tags otel.dropped_attributes_count and otel.dropped_events_count, with what the span's own
    limits took.  None, when name and links alone are too large.
    """
    parts = _Parts(protocol, source)
    encoded = parts.encoded()
    if len(encoded) <= limit:
        return encoded, 0, 0
    too_many = len(encoded) + _COUNT_TAGS_BYTES - limit
    heap = [
        (-len(part), which, number)
        for which, several in enumerate((parts.attributes, parts.logs, parts.link_logs))
        for number, part in enumerate(several)
    ]
    heapq.heapify(heap)
    out: tuple[set[int], set[int], set[int]] = (set(), set(), set())
    while heap and too_many > 0:
        size, which, number = heapq.heappop(heap)
        out[which].add(number)
        too_many += size
    parts.attributes = [part for number, part in enumerate(parts.attributes) if number not in out[0]]
    parts.logs = [part for number, part in enumerate(parts.logs) if number not in out[1]]
    parts.link_logs = [part for number, part in enumerate(parts.link_logs) if number not in out[2]]
    encoded = parts.encoded(len(out[0]), len(out[1]))
    return (encoded, len(out[0]), len(out[1])) if len(encoded) <= limit else None


def process(protocol: ThriftProtocol, resource: Resource, limit: int | None = None) -> bytes:
    """Return a resource as Process; with a `limit` in bytes, without its largest attributes as far as need be."""
    attributes: Mapping[str, AnyValue] = resource.attributes or {}
    name = sound(text_of(attributes.get("service.name"))) or "unknown_service"
    tags = [_tag(protocol, key, value) for key, value in attributes.items() if key != "service.name"]
    while True:
        fields: list[Field] = [(1, "binary", name.encode())]
        if tags:
            fields.append((2, "structs", tags))
        encoded = protocol.struct(fields)
        if limit is None or len(encoded) <= limit or not tags:
            return encoded
        tags.remove(max(tags, key=len))


def batch(protocol: ThriftProtocol, process: bytes, spans: list[bytes]) -> bytes:
    """Return a Batch of spans of one process."""
    return protocol.struct(((1, "struct", process), (2, "structs", spans)))


# --- tags, logs, references -----------------------------------------------------------------------------------


def _own_tags(source: ReadableSpan, context: SpanContext, left_out: Mapping[str, int]) -> Iterator[tuple[str, AnyValue]]:
    """Yield what a span says beside its attributes."""
    if source.kind is not SpanKind.INTERNAL:
        yield "span.kind", source.kind.name.lower()
    status = source.status
    if status.status_code is not StatusCode.UNSET:
        yield "otel.status_code", status.status_code.name
        if status.description:
            yield "otel.status_description", status.description
    if status.status_code is StatusCode.ERROR:
        yield "error", True
    yield from scope_tags(source)
    if context.trace_state:
        yield "w3c.tracestate", context.trace_state.to_header()
    counts = dict(dropped_tags(source))
    for key, count in left_out.items():
        if count:
            counts[key] = counts.get(key, 0) + count
    yield from counts.items()


def _tag(protocol: ThriftProtocol, key: str, value: AnyValue) -> bytes:
    kind, field = _typed(value)
    return protocol.struct(((1, "binary", sound(key).encode()), (2, "i32", kind), field))


def _typed(value: AnyValue) -> tuple[int, Field]:
    """Return the type of a tag, and the field that holds its value."""
    if isinstance(value, bool):
        return _BOOL, (5, "bool", value)
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return _LONG, (6, "i64", value)
    if isinstance(value, float):
        return _DOUBLE, (4, "double", value)
    if isinstance(value, bytes):
        return _BINARY, (7, "binary", value)
    return _STRING, (3, "binary", sound(text_of(value)).encode())


def _log(protocol: ThriftProtocol, event: Event) -> bytes:
    attributes: dict[str, Any] = {"event": event.name, **(event.attributes or {})}
    if event.dropped_attributes:
        attributes["otel.event.dropped_attributes_count"] = event.dropped_attributes
    return _log_of(protocol, microseconds(event.timestamp), attributes)


def _link_log(protocol: ThriftProtocol, link: Link, at_us: int) -> bytes:
    attributes: dict[str, Any] = dict(link.attributes or {})
    if dropped := getattr(link.attributes, "dropped", 0):
        attributes["otel.dropped_attributes_count"] = dropped
    if link.context.trace_state:
        attributes["w3c.tracestate"] = link.context.trace_state.to_header()
    attributes["event"] = "link"
    attributes["trace_id"] = format_trace_id(link.context.trace_id)
    attributes["span_id"] = format_span_id(link.context.span_id)
    return _log_of(protocol, at_us, attributes)


def _has_content(link: Link) -> bool:
    """Whether a link says more than a reference holds."""
    return bool(link.attributes) or bool(getattr(link.attributes, "dropped", 0)) or bool(link.context.trace_state)


def _log_of(protocol: ThriftProtocol, at_us: int, attributes: Mapping[str, AnyValue]) -> bytes:
    tags = [_tag(protocol, key, value) for key, value in attributes.items()]
    return protocol.struct(((1, "i64", at_us), (2, "structs", tags)))


def _reference(protocol: ThriftProtocol, context: SpanContext) -> bytes:
    return protocol.struct(
        (
            (1, "i32", _FOLLOWS_FROM),
            (2, "i64", _signed(context.trace_id)),
            (3, "i64", _signed(context.trace_id >> 64)),
            (4, "i64", _signed(context.span_id)),
        )
    )


def _signed(number: int) -> int:
    """Return the lower 64 bits, read as a signed number."""
    number &= _MASK_64
    return number - (1 << 64) if number >> 63 else number
