"""What every program here plays, the same on either make of provider: ids, times and resource are fixed.

    python PROGRAM.py tracecore|sdk|replaced        prints one line of JSON: what has arrived

tracecore: the provider is ours, everything else the packages' and the SDK's.
replaced:  opentelemetry.sdk.trace.TracerProvider is our class before the package is imported, so that a package's own
           set-up function makes one of ours.
"""

from __future__ import annotations

import gzip
import itertools
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import opentelemetry.sdk.trace
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

MODE = sys.argv[1]
BEGIN = 1_700_000_000_000_000_000
RESOURCE = {"service.name": "shop", "service.version": "1.2", "host.name": "here", "n": 3}

if MODE == "replaced":
    import tracecore

    opentelemetry.sdk.trace.TracerProvider = tracecore.TracerProvider  # type: ignore[misc, assignment]


class Numbered(IdGenerator):
    """1, 2, 3: so that two runs make the same ids."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def generate_span_id(self) -> int:
        return 0xAA00 << 40 | next(self._numbers)

    def generate_trace_id(self) -> int:
        return 0xBB00 << 100 | next(self._numbers)


def provider(**arguments: Any) -> Any:
    """A provider of the make that was asked for, with the same resource and ids in each."""
    if MODE == "sdk":
        return opentelemetry.sdk.trace.TracerProvider(resource=SdkResource(RESOURCE), id_generator=Numbered(), **arguments)
    import tracecore
    from tracecore.resource import Resource

    return tracecore.TracerProvider(resource=Resource(RESOURCE), id_generator=Numbered(), **arguments)


def make_of(given: Any) -> str:
    """Whose spans a provider makes, under what others have put around them."""
    span = given.get_tracer("make").start_span("make")
    while (inner := getattr(span, "__wrapped__", getattr(span, "span", None))) is not None:
        span = inner
    return type(span).__module__.partition(".")[0]


def play(given: Any) -> None:
    """A request with a database call that fails, an event, a link, attributes of every type, and a producer's span."""
    tracer = given.get_tracer("lib", "1.0", "https://schema", {"scope.attribute": "yes"})
    remote = SpanContext(7 << 100 | 7, 8, True, TraceFlags(1), TraceState([("vendor", "x")]))
    context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    times = itertools.count(BEGIN, 1_000_000)
    server = tracer.start_span(
        "GET /cart",
        context,
        SpanKind.SERVER,
        {"http.request.method": "GET", "http.route": "/cart", "url.path": "/cart", "http.response.status_code": 500,
         "http.method": "GET", "http.url": "http://here/cart", "http.status_code": 500},
        start_time=next(times),
    )
    with trace.use_span(server, end_on_exit=False):
        client = tracer.start_span("SELECT", kind=SpanKind.CLIENT, start_time=next(times), links=[
            Link(SpanContext(9 << 100, 10, False, TraceFlags(1)), {"why": "retry"})])
        client.set_attributes({"db.system": "sqlite", "db.statement": "SELECT 1", "float": 1.5, "bool": True,
                               "texts": ["a", "b"], "numbers": [1, 2], "text": "ä" * 10})
        client.add_event("row", {"n": 1, "first": True}, timestamp=next(times))
        client.record_exception(ValueError("no row"), timestamp=next(times))
        client.set_status(Status(StatusCode.ERROR, "no row"))
        client.end(next(times))
        inner = tracer.start_span("compute", start_time=next(times))
        inner.set_status(StatusCode.OK)
        inner.update_name("compute total")
        inner.end(next(times))
        tracer.start_span("send", kind=SpanKind.PRODUCER, start_time=next(times)).end(next(times))
    server.end(next(times))


class Receiver:
    """An HTTP server that keeps (path, content type, body) of every POST."""

    def __init__(self, answer: bytes = b"", status: int = 200) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("Content-Length")
                body = self.rfile.read(int(length)) if length else b""
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.requests.append((self.path, self.headers.get("Content-Type", ""), body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


def otlp(*bodies: bytes) -> list[Any]:
    """OTLP requests as sorted dicts, one for each span, with its resource and scope."""
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = []
    for body in bodies:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found.append({
                        "resource": MessageToDict(resource.resource),
                        "scope": MessageToDict(scope.scope),
                        "schema": scope.schema_url,
                        "span": MessageToDict(span),
                    })
    return sorted(found, key=lambda each: each["span"]["spanId"])


def tell(**what: Any) -> None:
    print(json.dumps(what, sort_keys=True, default=str))
