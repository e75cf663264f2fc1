"""OTLP/HTTP with JSON, and what both encodings do about a receiver that takes no more than so many bytes.

Against HTTP servers on loopback that read what they got with opentelemetry-proto.
"""

from __future__ import annotations

import gzip
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from batches import batch_of
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from test_otlp_json import read as read_json

from tracecore import errors
from tracecore.errors import ConfigurationError
from tracecore.exporters import Outcome
from tracecore.exporters.by_name import exporters_by_name
from tracecore.exporters.otlp_http import OTLPHTTPExporter
from tracecore.exporters.otlp_response import read_json_partial_success, read_json_status_message

PATIENCE_S = 30.0


class Receiver:
    """An HTTP server that takes requests of up to `max_bytes` and answers `status`, `content_type`, `body`."""

    def __init__(self) -> None:
        self.max_bytes = 1 << 40
        self.status, self.content_type, self.body = 200, "application/json", b"{}"
        self.headers: list[dict[str, str]] = []
        self.requests: list[ExportTraceServiceRequest] = []
        self.n_refused = 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._answer(self, body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _answer(self, request: Any, body: bytes) -> None:
        status = self.status
        if len(body) > self.max_bytes:
            status = 413
            self.n_refused += 1
        elif status == 200:
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            if request.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            is_json = request.headers["Content-Type"] == "application/json"
            self.requests.append(read_json(body) if is_json else ExportTraceServiceRequest.FromString(body))
        request.send_response(status)
        request.send_header("Content-Type", self.content_type)
        request.send_header("Content-Length", str(len(self.body)))
        request.end_headers()
        request.wfile.write(self.body)

    @property
    def names(self) -> list[str]:
        """The spans' names in the order of their numbers."""
        names = [
            span.name
            for request in self.requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]
        return sorted(names, key=lambda name: int(name.removeprefix("span ")))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def exporter_to() -> Iterator[Callable[..., OTLPHTTPExporter]]:
    made: list[OTLPHTTPExporter] = []

    def make(url: str, **arguments: Any) -> OTLPHTTPExporter:
        made.append(OTLPHTTPExporter(url, **arguments))
        return made[-1]

    yield make
    for exporter in made:
        exporter.shutdown()


def export(exporter: OTLPHTTPExporter, batch: Any, seconds: float = PATIENCE_S) -> Outcome:
    outcome = exporter.export(batch, time.monotonic() + seconds)
    assert outcome.accepted + outcome.rejected == len(batch)
    assert bool(outcome.reason) == bool(outcome.rejected)
    return outcome


def numbered(n: int) -> list[str]:
    return [f"span {number}" for number in range(n)]


# --- JSON -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_batch_arrives_as_json(receiver: Receiver, exporter_to: Any, compression: str) -> None:
    batch = batch_of(5)
    outcome = export(exporter_to(receiver.url, encoding="json", compression=compression), batch)
    assert outcome == Outcome(5, 0, "", "")
    assert receiver.requests == [ExportTraceServiceRequest.FromString(batch.otlp())]
    assert receiver.headers[0]["content-type"] == "application/json"
    assert receiver.headers[0].get("content-encoding", "none") == compression


def test_an_encoding_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="encoding='xml': expected protobuf or json"):
        OTLPHTTPExporter(encoding="xml")


@pytest.mark.parametrize(
    ("body", "accepted", "reason", "words"),
    [
        (b"", 3, "", ""),
        (b"{}", 3, "", ""),
        (b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}', 1, "rejected_partial", "too old"),
        (b'{"partialSuccess":{"rejectedSpans":2}}', 1, "rejected_partial", "no reason given"),
        (b'{"partialSuccess":{"rejectedSpans":"99"}}', 0, "rejected_partial", "no reason given"),
        (b'{"partialSuccess":{"rejectedSpans":"-1","errorMessage":"advice"}}', 3, "", "advice"),
        (b'{"partialSuccess":{"errorMessage":"advice"}}', 3, "", "advice"),
        (b'{"partialSuccess":null}', 3, "", ""),
        (b'{"partialSuccess":{"rejectedSpans":"two"}}', 3, "", ""),
        (b"[1]", 3, "", ""),
        (b"not JSON", 3, "", ""),
        (b"[" * 100_000, 3, "", ""),
    ],
)
def test_a_partial_success_in_json_is_read(
    receiver: Receiver, exporter_to: Any, body: bytes, accepted: int, reason: str, words: str
) -> None:
    receiver.body = body
    outcome = export(exporter_to(receiver.url, encoding="json"), batch_of(3))
    assert (outcome.accepted, outcome.reason) == (accepted, reason)
    assert words in outcome.message


def test_a_page_of_something_in_between_is_not_searched_for_a_number(receiver: Receiver, exporter_to: Any) -> None:
    receiver.content_type, receiver.body = "text/html", b'{"partialSuccess":{"rejectedSpans":"2"}}'
    assert export(exporter_to(receiver.url, encoding="json"), batch_of(3)).accepted == 3


@pytest.mark.parametrize(
    ("body", "words"),
    [(b'{"code":3,"message":"no such tenant"}', "no such tenant"), (b"{}", "{}"), (b"plain words", "plain words")],
)
def test_the_reason_of_a_refusal_is_read_from_json(receiver: Receiver, exporter_to: Any, body: bytes, words: str) -> None:
    receiver.status, receiver.body = 400, body
    outcome = export(exporter_to(receiver.url, encoding="json"), batch_of(3))
    assert outcome.reason == "rejected_status"
    assert outcome.message.endswith(f"HTTP 400 Bad Request: {words}")


def test_malformed_answers_in_json_are_no_answers() -> None:
    for body in (b"", b"null", b"1", b'"x"', b"\xff", b'{"partialSuccess":[]}', b'{"message":5}'):
        assert read_json_partial_success(body) == (0, "")
        assert read_json_status_message(body) == ""


# --- by the environment ---------------------------------------------------------------------------------------


def content_type_of(name: str, receiver: Receiver, **environment: str) -> str:
    settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.url}
    settings |= {f"OTEL_EXPORTER_OTLP_{key}": value for key, value in environment.items()}
    (exporter,) = exporters_by_name([name], settings)
    assert export(exporter, batch_of(1)).accepted == 1
    exporter.shutdown()
    return receiver.headers[-1]["content-type"]


def test_the_protocol_of_the_environment_chooses_the_encoding(receiver: Receiver) -> None:
    protobuf, as_json = "application/x-protobuf", "application/json"
    assert content_type_of("otlp", receiver) == protobuf
    assert content_type_of("otlp", receiver, PROTOCOL="http/protobuf") == protobuf
    assert content_type_of("otlp", receiver, PROTOCOL="http/json") == as_json
    assert content_type_of("OTLP", receiver, PROTOCOL="grpc", TRACES_PROTOCOL="http/json") == as_json
    assert content_type_of("otlp_json_http", receiver) == as_json
    assert content_type_of("otlp_json_http", receiver, PROTOCOL="grpc") == as_json
    assert content_type_of("otlp_proto_http", receiver, PROTOCOL="http/json") == protobuf


def test_a_protocol_that_does_not_exist_warns_and_leaves_the_default(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    errors.reset_reports()
    assert content_type_of("otlp", receiver, PROTOCOL="http/xml") == "application/x-protobuf"
    (line,) = [record.getMessage() for record in caplog.records if record.name == "tracecore"]
    assert "OTEL_EXPORTER_OTLP_PROTOCOL='http/xml': expected one of grpc, http/protobuf, http/json" in line
    assert "using 'http/protobuf' instead" in line


# --- size -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_batch_that_is_refused_for_its_size_goes_out_in_parts(
    receiver: Receiver, exporter_to: Any, encoding: str
) -> None:
    receiver.max_bytes = 20_000
    exporter = exporter_to(receiver.url, encoding=encoding)
    assert export(exporter, batch_of(100, padding=1000)) == Outcome(100, 0, "", "")
    assert receiver.names == numbered(100)
    assert len(receiver.requests) > 5 and receiver.n_refused >= 1


def test_what_was_refused_for_its_size_is_divided_beforehand_from_then_on(
    receiver: Receiver, exporter_to: Any
) -> None:
    receiver.max_bytes = 20_000
    exporter = exporter_to(receiver.url)
    export(exporter, batch_of(100, padding=1000))
    n_refused = receiver.n_refused
    assert export(exporter, batch_of(100, padding=1000)).accepted == 100
    assert receiver.n_refused == n_refused
    n_requests = len(receiver.requests)
    export(exporter, batch_of(5, padding=1000))
    assert len(receiver.requests) == n_requests + 1, "what is small enough is not divided"


def test_a_span_that_is_too_large_is_lost_alone(receiver: Receiver, exporter_to: Any) -> None:
    receiver.max_bytes = 20_000
    outcome = export(exporter_to(receiver.url), batch_of(9, large={4: 50_000}))
    assert (outcome.accepted, outcome.rejected, outcome.reason) == (8, 1, "rejected_status")
    assert "HTTP 413" in outcome.message
    assert receiver.names == [name for name in numbered(9) if name != "span 4"]


def test_a_limit_that_is_given_is_kept_without_a_refusal(receiver: Receiver, exporter_to: Any) -> None:
    exporter = exporter_to(receiver.url, max_request_bytes=20_000, compression="gzip")
    assert export(exporter, batch_of(100, padding=1000)).accepted == 100
    assert receiver.names == numbered(100) and receiver.n_refused == 0
    assert all(len(request.SerializeToString()) <= 20_000 for request in receiver.requests)
    assert export(exporter, batch_of(1, padding=30_000)).accepted == 1, "one span is for the receiver to judge"


def test_parts_keep_to_the_one_deadline_and_are_counted_together(receiver: Receiver, exporter_to: Any) -> None:
    receiver.status = 503
    exporter = exporter_to(receiver.url, max_request_bytes=5000, retry_pause=0.05)
    started = time.monotonic()
    outcome = export(exporter, batch_of(40, padding=1000), seconds=1.0)
    assert time.monotonic() - started < PATIENCE_S
    assert (outcome.rejected, outcome.reason) == (40, "rejected_status")


@pytest.mark.parametrize("limit", [-1, 1.5, True, "1"])
def test_a_limit_that_is_no_number_of_bytes_is_refused(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_request_bytes=.*: expected an integer of bytes, 0 for no limit"):
        OTLPHTTPExporter(max_request_bytes=limit)
