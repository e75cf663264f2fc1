"""Batch.otlp_json(): the same message as Batch.otlp(), read back by protobuf's own JSON reader."""

from __future__ import annotations

import base64
import json
import logging
import math
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode
from test_differential import MODEST, PROGRAMS, Counting, Program, _sampler, play

import tracecore
from tracecore.exporters import Outcome
from tracecore.limits import SpanLimits
from tracecore.resource import Resource

IDS = {"traceId", "spanId", "parentSpanId"}


def with_base64_ids(value: Any) -> Any:
    """OTLP's JSON as protobuf's: ids are the one difference of the two encodings that a reader minds."""
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(inner)).decode() if key in IDS else with_base64_ids(inner)
            for key, inner in value.items()
        }
    return [with_base64_ids(inner) for inner in value] if isinstance(value, list) else value


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs), f"a key stands twice: {pairs}"
    return dict(pairs)


def read(encoded: bytes) -> ExportTraceServiceRequest:
    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    request = ExportTraceServiceRequest()
    plain = json.loads(encoded.decode("utf-8"), object_pairs_hook=once, parse_constant=refuse)
    json_format.ParseDict(with_base64_ids(plain), request, max_recursion_depth=200)
    return request


class Both:
    """Keeps both encodings of every batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[bytes, bytes]] = []

    def export(self, batch: Any, deadline: float) -> Outcome:
        self.batches.append((batch.otlp(), batch.otlp_json()))
        assert batch.otlp_json() is self.batches[-1][1], "kept for retries"
        return Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None:
        pass

    def shutdown(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def sent(program: Program) -> list[tuple[bytes, bytes]]:
    exporter = Both()
    provider = tracecore.TracerProvider(
        sampler=_sampler(program),
        resource=Resource(*program.resource),
        id_generator=Counting(program.is_random),
        span_limits=SpanLimits(**program.limits),
        shutdown_on_exit=False,
    )
    provider.add_exporter(exporter)
    play(program, provider)
    provider.shutdown()
    return exporter.batches


@MODEST
@given(PROGRAMS)
def test_the_json_of_any_program_is_its_protobuf(program: Program) -> None:
    for as_protobuf, as_json in sent(program):
        # Compared as bytes: NaN is not equal to itself. Both are written by the same library, so equal content is equal.
        expected = ExportTraceServiceRequest.FromString(as_protobuf).SerializeToString(deterministic=True)
        assert with_one_nan(read(as_json).SerializeToString(deterministic=True)) == with_one_nan(expected)


def with_one_nan(encoded: bytes) -> bytes:
    """Every NaN as the one that JSON's word for it reads back as."""
    request = ExportTraceServiceRequest.FromString(encoded)

    def settle(value: Any) -> None:
        kind = value.WhichOneof("value")
        if kind == "double_value" and math.isnan(value.double_value):
            value.double_value = math.nan
        elif kind == "array_value":
            for inner in value.array_value.values:
                settle(inner)
        elif kind == "kvlist_value":
            for pair in value.kvlist_value.values:
                settle(pair.value)

    for of_resource in request.resource_spans:
        holders: list[Any] = [of_resource.resource]
        for of_scope in of_resource.scope_spans:
            holders.append(of_scope.scope)
            for span in of_scope.spans:
                holders += [span, *span.events, *span.links]
        for holder in holders:
            for pair in holder.attributes:
                settle(pair.value)
    return request.SerializeToString(deterministic=True)


@pytest.fixture
def exporter() -> Both:
    return Both()


@pytest.fixture
def provider(exporter: Both) -> Iterator[tracecore.TracerProvider]:
    provider = tracecore.TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_exporter(exporter)
    yield provider
    provider.shutdown()


def only(provider: Any, exporter: Both) -> Any:
    assert provider.force_flush()
    ((_, encoded),) = exporter.batches
    (of_resource,) = json.loads(encoded)["resourceSpans"]
    (of_scope,) = of_resource["scopeSpans"]
    (span,) = of_scope["spans"]
    return span


@given(st.floats())
def test_a_real_is_written_with_the_digits_of_its_repr(value: float) -> None:
    exporter = Both()
    provider = tracecore.TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(exporter)
    provider.get_tracer("lib").start_span("span", attributes={"real": value}).end()
    provider.shutdown()
    text = exporter.batches[0][1].decode()
    word = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}.get(repr(value), repr(value))
    assert f'{{"doubleValue":{word}}}' in text


def test_a_span_has_the_form_of_the_specification(provider: Any, exporter: Both) -> None:
    link = Link(SpanContext(0xAB << 120 | 1, 0xCD << 56 | 2, False), {"k": b"\xfb\xff"})
    span = provider.get_tracer("lib").start_span("GET /", kind=SpanKind.CLIENT, links=[link], start_time=5)
    span.set_attribute("big", 2**63 - 1)
    span.set_attribute("half", 0.5)
    span.add_event('"quoted"\n', {"list": [True, "é", None]}, timestamp=7)
    span.set_status(StatusCode.ERROR, "broken")
    span.end(2**64 - 1)
    context = span.get_span_context()
    assert only(provider, exporter) == {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "name": "GET /",
        "kind": 3,
        "startTimeUnixNano": "5",
        "endTimeUnixNano": "18446744073709551615",
        "attributes": [
            {"key": "big", "value": {"intValue": "9223372036854775807"}},
            {"key": "half", "value": {"doubleValue": 0.5}},
        ],
        "events": [
            {
                "timeUnixNano": "7",
                "name": '"quoted"\n',
                "attributes": [
                    {
                        "key": "list",
                        "value": {"arrayValue": {"values": [{"boolValue": True}, {"stringValue": "é"}, {}]}},
                    }
                ],
            }
        ],
        "links": [
            {
                "traceId": "ab" + "0" * 29 + "1",
                "spanId": "cd" + "0" * 13 + "2",
                "attributes": [{"key": "k", "value": {"bytesValue": "+/8="}}],
                "flags": 256,
            }
        ],
        "status": {"message": "broken", "code": 2},
        "flags": 256,
    }


def test_what_otlp_cannot_hold_is_left_out_and_counted_once(provider: Any, exporter: Both) -> None:
    span = provider.get_tracer("lib").start_span("span", attributes={"big": 1 << 64, "half": "\ud800", "kept": 1})
    span.end()
    assert [each["key"] for each in only(provider, exporter)["attributes"]] == ["kept"]
    assert tracecore_counts(provider)["lost_attributes"] == 2


def tracecore_counts(provider: Any) -> Any:
    (counts,) = provider.stats()["exporters"]
    return counts


def test_a_line_of_json_holds_no_line_break(provider: Any, exporter: Both) -> None:
    span = provider.get_tracer("a\nb", attributes={"c\r\nd": "\n"}).start_span("\n\r\x00\x1f")
    span.end()
    only(provider, exporter)
    encoded = exporter.batches[0][1]
    assert encoded == encoded.strip() and not set(b"\n\r") & set(encoded)


@given(st.integers(0, 2**64 - 1))
def test_every_bit_pattern_of_a_real_reads_back(bits: int) -> None:
    (value,) = struct.unpack("<d", struct.pack("<Q", bits))
    exporter = Both()
    provider = tracecore.TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(exporter)
    provider.get_tracer("lib").start_span("span", attributes={"real": value}).end()
    provider.shutdown()
    read_back = read(exporter.batches[0][1]).resource_spans[0].scope_spans[0].spans[0].attributes[0].value.double_value
    assert struct.pack("<d", read_back) == struct.pack("<d", value) or (math.isnan(value) and math.isnan(read_back))


def test_a_part_of_a_batch_is_a_batch(provider: Any) -> None:
    parts: list[Any] = []

    class Parts(Both):
        def export(self, batch: Any, deadline: float) -> Outcome:
            parts.extend(batch.part(first, 2) for first in range(0, len(batch), 2))
            return Outcome(len(batch), 0, "", "")

    provider.add_exporter(Parts())
    for number in range(5):
        provider.get_tracer(f"lib {number % 2}").start_span(f"span {number}").end()
    assert provider.force_flush()
    assert [len(part) for part in parts] == [2, 2, 1]
    assert [span.name for part in parts for span in part.spans()] == [f"span {number}" for number in range(5)]
    for part in parts:
        assert read(part.otlp_json()) == ExportTraceServiceRequest.FromString(part.otlp())


def test_exporters_of_one_provider_share_one_encoding(provider: Any, exporter: Both) -> None:
    other = Both()
    provider.add_exporter(other)
    provider.get_tracer("lib").start_span("span").end()
    assert provider.force_flush()
    ((_, ours),), ((_, theirs),) = exporter.batches, other.batches
    assert ours is theirs
