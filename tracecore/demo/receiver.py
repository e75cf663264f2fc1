"""The receiver: takes OTLP over HTTP and hands the spans to the driver.  Run as `python -m tracecore.demo.receiver <socket>`.

    POST /v1/traces           OTLP in protobuf, gzip or not: kept, in memory
    POST /discard/v1/traces   acknowledged and forgotten: where the spans of the overhead measurement go
    GET  /collected           everything kept, as the JSON of `Collected`
    GET  /ready               200 as soon as the process serves

Format: opentelemetry-proto, `opentelemetry/proto/collector/trace/v1/trace_service.proto`; protocol: the OTLP specification,
section OTLP/HTTP.  Each connection has a thread of its own; one lock guards the list.
"""

from __future__ import annotations

import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tracecore.demo.process import end_with_the_driver, serve
from tracecore.trace_tree import EventRow, Kind, LinkRow, SpanRow, Status

#: What one request may unpack to.  The demo sends kilobytes; this only keeps a bad length from taking the machine's memory.
MAX_BODY_BYTES = 64 << 20

# Span.SpanKind and Status.StatusCode by number; a number of the future reads as the neutral one.
_KINDS: dict[int, Kind] = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_STATUSES: dict[int, Status] = {0: "unset", 1: "ok", 2: "error"}


@dataclass(frozen=True, slots=True)
class Collected:
    """What arrived: spans in order of arrival, and in how many requests and bytes (as sent, so compressed)."""

    spans: tuple[SpanRow, ...]
    n_requests: int
    n_bytes: int


class Store:
    """The spans received so far.  Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[SpanRow] = []
        self._n_requests = 0
        self._n_bytes = 0

    def add(self, spans: Iterable[SpanRow], n_bytes: int) -> None:
        """Keep the spans of one request."""
        with self._lock:
            self._spans.extend(spans)
            self._n_requests += 1
            self._n_bytes += n_bytes

    def collected(self) -> Collected:
        """Return what was kept until now."""
        with self._lock:
            return Collected(tuple(self._spans), self._n_requests, self._n_bytes)


def decode(message: bytes) -> Iterator[SpanRow]:
    """Yield the spans of an ExportTraceServiceRequest; DecodeError when the bytes are none."""
    for of_resource in ExportTraceServiceRequest.FromString(message).resource_spans:
        service = str(_attributes(of_resource.resource.attributes).get("service.name", "unknown_service"))
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _row(span, service, of_scope.scope.name)


def _row(span: Span, service: str, scope: str) -> SpanRow:
    return SpanRow(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex() or None,
        name=span.name,
        service=service,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        kind=_KINDS.get(span.kind, "internal"),
        status=_STATUSES.get(span.status.code, "unset"),
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        events=tuple(
            EventRow(name=event.name, time_ns=event.time_unix_nano, attributes=_attributes(event.attributes))
            for event in span.events
        ),
        links=tuple(
            LinkRow(trace_id=link.trace_id.hex(), span_id=link.span_id.hex(), attributes=_attributes(link.attributes))
            for link in span.links
        ),
        scope=scope,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    held = value.WhichOneof("value")
    if held is None:
        return None
    if held == "array_value":
        return [_value(item) for item in value.array_value.values]
    if held == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, held)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests listed above."""

    protocol_version = "HTTP/1.1"
    store = Store()

    def do_GET(self) -> None:
        """Hand out what was collected."""
        if self.path == "/ready":
            self._answer(200, b"{}", "application/json")
        elif self.path == "/collected":
            self._answer(200, msgspec.json.encode(self.store.collected()), "application/json")
        else:
            self._answer(404)

    def do_POST(self) -> None:
        """Take one export request."""
        try:
            length = int(self.headers["Content-Length"])
        except (TypeError, ValueError):
            length = -1
        if not 0 <= length <= MAX_BODY_BYTES:
            # What follows the headers cannot be told from the next request.
            self.close_connection = True
            self._answer(411 if length < 0 else 413)
            return
        body = self.rfile.read(length)
        if self.path == "/v1/traces":
            try:
                self.store.add(list(decode(self._unpacked(body))), len(body))
            except (DecodeError, zlib.error, ValueError):
                self._answer(400)
                return
        elif self.path != "/discard/v1/traces":
            self._answer(404)
            return
        self._answer(200, ExportTraceServiceResponse().SerializeToString(), "application/x-protobuf")

    def _unpacked(self, body: bytes) -> bytes:
        encoding = self.headers.get("Content-Encoding", "identity")
        if encoding == "identity":
            return body
        if encoding != "gzip":
            raise ValueError(f"unknown content encoding {encoding}")
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with a gzip header
        unpacked = unpacker.decompress(body, MAX_BODY_BYTES)
        if not unpacker.eof:
            raise ValueError("truncated, or more than a request may unpack to")
        return unpacked

    def _answer(self, status: int, body: bytes = b"", content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a line for each request helps nobody."""


if __name__ == "__main__":
    end_with_the_driver()
    serve(Handler, int(sys.argv[1]))
