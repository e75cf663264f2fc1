"""A local OTLP/HTTP receiver in a process of its own: takes everything, decodes only when asked.

    POST /v1/traces   kept as it came, answered at once
    GET  /received    {"requests": ..., "bytes": ..., "spans": ...}, and forgets them

Run as `python bench/receiver.py`; prints its port on one line and serves until its standard input ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar


class Handler(BaseHTTPRequestHandler):
    """Answers the requests listed above. One thread a connection; list.append needs no lock."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        """Keep one request."""
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """Count what came since the last time."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        bodies = self.bodies[:]
        del self.bodies[: len(bodies)]
        n_spans = sum(
            len(of_scope.spans)
            for body in bodies
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for of_scope in of_resource.scope_spans
        )
        counts = {"requests": len(bodies), "bytes": sum(map(len, bodies)), "spans": n_spans}
        self._answer(json.dumps(counts).encode(), "application/json")

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class Receiver:
    """The receiver's process; end it with close()."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.endpoint = f"{self._url}/v1/traces"

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def received(self) -> dict[str, int]:
        """Return requests, bytes and spans since the last call."""
        with urllib.request.urlopen(f"{self._url}/received", timeout=60) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
