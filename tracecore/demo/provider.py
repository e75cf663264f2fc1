"""The card provider: a third party with its own process, outside of the trace.  It hangs for one kind of card."""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler

from tracecore.demo.process import end_with_the_driver, serve

# Not imported from `shop`: a third party shares no code with it, and needs neither Flask nor requests to start.
HANGING_CARD = "tok_hangs"
#: Longer than any caller of the demo waits.
HANG_S = 1.0


class Handler(BaseHTTPRequestHandler):
    """Answers `POST /charges` and `GET /ready`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Say that the process is up."""
        self._answer(200, {})

    def do_POST(self) -> None:
        """Charge a card, or keep the caller waiting."""
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if wanted["card"] == HANGING_CARD:
            time.sleep(HANG_S)
            self.close_connection = True  # nobody is listening any more
            return
        self._answer(201, {"transaction_id": f"txn_{time.monotonic_ns():x}"})

    def _answer(self, status: int, message: dict[str, str]) -> None:
        body = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a line for each request helps nobody."""


if __name__ == "__main__":
    end_with_the_driver()
    serve(Handler, int(sys.argv[1]))
