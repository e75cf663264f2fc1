"""A real OTLP/HTTP receiver for tests: http.server in this process, spans decoded by opentelemetry-proto."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["Receiver"]


class Receiver:
    """Keeps every span sent to `endpoint`. With `hang` set it reads requests and never answers; `status` answers others."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, Any]] = []
        """One for each span: the attributes of its resource."""
        self.n_requests = 0
        self.delay_s = 0.0
        self.status = 200
        self.hang = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._answer(self)

            def log_message(self, *args: object) -> None:
                """Say nothing: pytest's output is for failures."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *args: object) -> None:
                """A client that died in the middle of a request is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if self.hang.is_set():
            self._closing.wait()
            return
        time.sleep(self.delay_s)
        if self.status == 200:
            if request.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            message = ExportTraceServiceRequest.FromString(body)
            with self._lock:
                self.n_requests += 1
                for of_resource in message.resource_spans:
                    resource = {each.key: _value(each.value) for each in of_resource.resource.attributes}
                    for of_scope in of_resource.scope_spans:
                        self.spans.extend(of_scope.spans)
                        self.resources.extend([resource] * len(of_scope.spans))
        request.send_response(self.status)
        request.send_header("Content-Type", "application/x-protobuf")
        request.send_header("Content-Length", "0")
        request.end_headers()

    @property
    def names(self) -> list[str]:
        """The spans' names, sorted."""
        with self._lock:
            return sorted(span.name for span in self.spans)

    @property
    def ids(self) -> set[bytes]:
        """The distinct span ids."""
        with self._lock:
            return {span.span_id for span in self.spans}

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
