"""OTLPHTTPExporter against real receivers on loopback: HTTP servers, bare sockets, TLS with an authority of its own.

Time: a deadline is asserted with a wide margin, a pause by its lower bound, and speed never.
"""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import http.server
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
import zstandard
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tracecore.errors import ConfigurationError
from tracecore.exporters import Outcome, http_exporter, otlp_http
from tracecore.exporters.otlp_http import OTLPHTTPExporter
from tracecore.exporters.otlp_response import read_partial_success, read_status_message

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

PATIENCE_S = 15.0
"""How long a test waits for what must happen.  Reached only when it fails."""

LONG_S = 60.0
"""A pause nobody waits out: an export that returns within PATIENCE_S did not take it."""


# --- batches --------------------------------------------------------------------------------------------------


class Batch:
    """Spans as the core hands them over, made by the reference implementation of the format."""

    def __init__(self, n_spans: int = 3, padding: bytes = b"") -> None:
        request = ExportTraceServiceRequest()
        scope_spans = request.resource_spans.add().scope_spans.add()
        for number in range(n_spans):
            span = scope_spans.spans.add(name=f"span {number}", span_id=number.to_bytes(8, "big"))
            span.attributes.add(key="padding").value.bytes_value = padding
        self.n_spans = n_spans
        self.encoded: bytes = request.SerializeToString()

    def __len__(self) -> int:
        return self.n_spans

    def otlp(self) -> bytes:
        return self.encoded

    def packed(self, plain: bytes, coding: str, compress: Callable[[bytes], bytes]) -> bytes:
        return compress(plain)


_made: list[OTLPHTTPExporter] = []


def exporter_to(url: str, headers: dict[str, str] | None = None, **arguments: Any) -> OTLPHTTPExporter:
    """Make an exporter that is shut down after the test."""
    _made.append(OTLPHTTPExporter(url, headers, **arguments))
    return _made[-1]


@pytest.fixture(autouse=True)
def shut_down() -> Iterator[None]:
    yield
    while _made:
        _made.pop().shutdown()


def export(exporter: OTLPHTTPExporter, batch: Batch | None = None, seconds: float = PATIENCE_S) -> Outcome:
    batch = Batch() if batch is None else batch
    outcome = exporter.export(batch, time.monotonic() + seconds)
    assert outcome.accepted + outcome.rejected == len(batch)
    assert bool(outcome.reason) == bool(outcome.rejected)
    return outcome


# --- receivers ------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b""
    hang_up: bool = False
    """Close after answering, without having said so."""


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    body: bytes
    peer: int
    """The client's port: one for each connection."""
    at: float


class Receiver:
    """An HTTP/1.1 server that records requests and answers with `answers` in turn, then with an empty 200."""

    def __init__(self, host: str = "127.0.0.1", context: ssl.SSLContext | None = None, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.received = threading.Event()
        self.hung_up = threading.Event()
        self.n_accepted = 0
        self._sockets: list[socket.socket] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers: dict[str, str] = {}
                for name, value in self.headers.items():
                    sent_before = headers.get(name.lower())
                    headers[name.lower()] = value if sent_before is None else f"{sent_before}, {value}"
                peer = self.client_address[1]
                receiver.requests.append(Request(self.requestline, headers, body, peer, time.monotonic()))
                receiver.received.set()
                answer = receiver.answers.pop(0) if receiver.answers else Answer()
                self.send_response_only(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.status != 204 and "Transfer-Encoding" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer.body)
                if answer.hang_up:
                    with contextlib.suppress(OSError):
                        self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    receiver.hung_up.set()

            def log_message(self, *_: Any) -> None:
                return

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

            def get_request(self) -> tuple[socket.socket, Any]:
                sock, address = super().get_request()
                receiver.n_accepted += 1
                if context is not None:
                    sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                receiver._sockets.append(sock)
                return sock, address

            def handle_error(self, *_: Any) -> None:
                return

        self._server = Server((host, 0), Handler)
        self.port: int = self._server.server_address[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if context else 'http'}://{shown}:{self.port}/v1/traces"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def n_connections(self) -> int:
        return len({request.peer for request in self.requests})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for sock in self._sockets:
            sock.close()


class BareReceiver:
    """A listening socket whose n-th connection is handed to ``serve(connection, n)``, n from 1, each in a thread."""

    def __init__(self, serve: Callable[[socket.socket, int], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1/traces"
        self.n_accepted = 0
        self._serve = serve
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.n_accepted += 1
            self._sockets.append(sock)
            threading.Thread(target=self._talk, args=(sock, self.n_accepted), daemon=True).start()

    def _talk(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            self._serve(sock, number)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            sock.close()


def read_request(sock: socket.socket) -> bytes:
    """Return one whole request, b"" at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    """Make receivers that are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(*answers: Answer, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Receiver:
            receiver = Receiver(host, context, *answers)
            stack.callback(receiver.close)
            return receiver

        yield make


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket, int], None]], BareReceiver]]:
    """Make bare receivers that are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(talk: Callable[[socket.socket, int], None]) -> BareReceiver:
            receiver = BareReceiver(talk)
            stack.callback(receiver.close)
            return receiver

        yield make


Receive = Callable[..., Receiver]
Serve = Callable[[Callable[[socket.socket, int], None]], BareReceiver]


# --- success --------------------------------------------------------------------------------------------------


def test_a_batch_arrives_byte_for_byte_and_is_accepted(receive: Receive) -> None:
    receiver, batch = receive(), Batch(5)
    outcome = export(exporter_to(receiver.url, version="1.2.3"), batch)
    assert outcome == Outcome(5, 0, "", "")
    (request,) = receiver.requests
    assert request.line == "POST /v1/traces HTTP/1.1"
    assert request.body == batch.encoded
    decoded = ExportTraceServiceRequest.FromString(request.body)
    assert [span.name for span in decoded.resource_spans[0].scope_spans[0].spans] == [f"span {n}" for n in range(5)]
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "user-agent": "OTel-OTLP-Exporter-Python-tracecore/1.2.3",
        "content-type": "application/x-protobuf",
        "accept-encoding": "identity",
        "content-length": str(len(batch.encoded)),
    }


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_every_2xx_is_success(receive: Receive, status: int) -> None:
    assert export(exporter_to(receive(Answer(status)).url)) == Outcome(3, 0, "", "")


def test_many_batches_share_one_connection(receive: Receive) -> None:
    receiver = receive(Answer(), Answer(body=ExportTraceServiceResponse().SerializeToString()), Answer(400, body=b"x"))
    exporter = exporter_to(receiver.url)
    for _ in range(20):
        export(exporter)
    assert len(receiver.requests) == 20
    assert receiver.n_connections == 1


def test_head_and_body_do_not_wait_for_each_others_acknowledgement(receive: Receive) -> None:
    exporter = exporter_to(receive().url)
    export(exporter)
    assert exporter._connection is not None
    assert exporter._connection._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_chunked_answer_leaves_the_connection_usable(receive: Receive) -> None:
    receiver = receive(Answer(200, {"Transfer-Encoding": "chunked"}, b"2\r\nhi\r\n0\r\n\r\n"))
    exporter = exporter_to(receiver.url)
    assert [export(exporter).accepted, export(exporter).accepted] == [3, 3]
    assert receiver.n_connections == 1


def test_a_connection_that_the_receiver_closes_by_announcement_is_not_used_again(receive: Receive) -> None:
    receiver = receive(Answer(200, {"Connection": "close"}, b"body read after the announcement"))
    exporter = exporter_to(receiver.url)
    assert [export(exporter).accepted, export(exporter).accepted] == [3, 3]
    assert receiver.n_connections == 2


def test_an_empty_batch_sends_nothing(receive: Receive) -> None:
    receiver = receive()
    assert export(exporter_to(receiver.url), Batch(0)) == Outcome(0, 0, "", "")
    assert receiver.n_accepted == 0


def test_a_connection_left_idle_for_too_long_is_replaced(receive: Receive, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = receive()
    exporter = exporter_to(receiver.url)
    export(exporter)
    monkeypatch.setattr(http_exporter, "_IDLE_LIMIT_S", 0.0)
    export(exporter)
    assert receiver.n_connections == 2


def test_proxies_of_the_environment_are_not_honoured(receive: Receive, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert export(exporter_to(receive().url)).accepted == 3


def test_ipv6_loopback_is_reached_and_named_in_brackets(receive: Receive) -> None:
    try:
        receiver = receive(host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    assert export(exporter_to(receiver.url)).accepted == 3
    assert receiver.requests[0].headers["host"] == f"[::1]:{receiver.port}"


# --- compression ----------------------------------------------------------------------------------------------


def _unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)


@pytest.mark.parametrize(
    ("compression", "decompress"), [("gzip", gzip.decompress), ("deflate", zlib.decompress), ("zstd", _unzstd)]
)
def test_a_compressed_body_unpacks_to_the_batch(
    receive: Receive, compression: str, decompress: Callable[[bytes], bytes]
) -> None:
    receiver, batch = receive(), Batch(200, b"padding that repeats itself")
    assert export(exporter_to(receiver.url, compression=compression), batch).accepted == 200
    (request,) = receiver.requests
    assert request.headers["content-encoding"] == compression
    assert len(request.body) < len(batch.encoded) / 2
    assert decompress(request.body) == batch.encoded


def test_gzip_is_the_same_without_and_with_isal(receive: Receive, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("isal.isal_zlib")
    receiver, batch = receive(), Batch(200, b"padding that repeats itself")
    export(exporter_to(receiver.url, compression="gzip"), batch)
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    export(exporter_to(receiver.url, compression="gzip"), batch)
    with_isal, without = (request.body for request in receiver.requests)
    assert gzip.decompress(with_isal) == gzip.decompress(without) == batch.encoded
    assert with_isal != without


def test_zstd_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("zstandard", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=r"compression='zstd'.*tracecore-native\[zstd\]"):
        OTLPHTTPExporter(compression="zstd")


def test_a_batch_that_cannot_be_encoded_is_an_outcome(receive: Receive) -> None:
    class Broken(Batch):
        def otlp(self) -> bytes:
            raise MemoryError("no room")

    receiver = receive()
    outcome = export(exporter_to(receiver.url), Broken())
    assert (outcome.reason, outcome.rejected) == ("encode", 3)
    assert "MemoryError: no room" in outcome.message
    assert receiver.n_accepted == 0


# --- connections that end -------------------------------------------------------------------------------------


def test_a_connection_closed_between_batches_costs_one_new_connection_and_no_pause(receive: Receive) -> None:
    receiver = receive(Answer(hang_up=True))
    exporter = exporter_to(receiver.url, timeout=LONG_S * 2, retry_pause=LONG_S)
    assert export(exporter).accepted == 3
    assert receiver.hung_up.wait(PATIENCE_S)
    assert export(exporter) == Outcome(3, 0, "", "")
    assert (len(receiver.requests), receiver.n_connections) == (2, 2)


def test_a_connection_closed_on_receiving_the_second_request_is_stale_too(serve: Serve) -> None:
    def talk(sock: socket.socket, number: int) -> None:
        read_request(sock)
        sock.sendall(OK)
        read_request(sock)
        sock.close()

    receiver = serve(talk)
    exporter = exporter_to(receiver.url, timeout=LONG_S * 2, retry_pause=LONG_S)
    assert [export(exporter).accepted for _ in range(3)] == [3, 3, 3]
    assert receiver.n_accepted == 3


def test_a_receiver_that_always_hangs_up_is_a_fault_with_a_pause_not_a_stale_connection(serve: Serve) -> None:
    def talk(sock: socket.socket, number: int) -> None:
        if read_request(sock) and number == 1:
            sock.sendall(OK)
            read_request(sock)
        sock.close()

    receiver = serve(talk)
    exporter = exporter_to(receiver.url, retry_pause=LONG_S)
    export(exporter)
    outcome = export(exporter)
    assert (outcome.reason, outcome.rejected) == ("connection", 3)
    assert "gave up after attempt 1" in outcome.message
    assert receiver.n_accepted == 2


def test_an_unasked_408_on_an_idle_connection_is_taken_for_the_good_bye_it_is(serve: Serve) -> None:
    idle, said = threading.Event(), threading.Event()

    def talk(sock: socket.socket, number: int) -> None:
        read_request(sock)
        sock.sendall(OK)
        if number == 1:
            idle.wait(PATIENCE_S)
            sock.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            said.set()
        read_request(sock)

    exporter = exporter_to(serve(talk).url, timeout=LONG_S * 2, retry_pause=LONG_S)
    assert export(exporter).accepted == 3
    idle.set()
    assert said.wait(PATIENCE_S)
    assert export(exporter) == Outcome(3, 0, "", "")


def test_a_408_to_a_first_request_is_an_answer(receive: Receive) -> None:
    receiver = receive(Answer(408))
    assert export(exporter_to(receiver.url)).reason == "rejected_status"
    assert len(receiver.requests) == 1


def test_a_receiver_that_comes_up_late_gets_the_batch() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused, and nobody takes the port
        exporter = exporter_to(f"http://127.0.0.1:{listener.getsockname()[1]}/", retry_pause=0.05)

        def come_up() -> None:
            time.sleep(0.3)
            listener.listen()
            sock, _ = listener.accept()
            with sock:
                read_request(sock)
                sock.sendall(OK)

        thread = threading.Thread(target=come_up)
        thread.start()
        outcome = export(exporter)
        thread.join(PATIENCE_S)
    assert outcome == Outcome(3, 0, "", "")


def test_a_refused_connection_is_told_as_such() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"
        outcome = export(exporter_to(url, retry_pause=0.05), seconds=0.5)
    assert (outcome.reason, outcome.rejected) == ("connection", 3)
    assert outcome.message.startswith(f"{url}: ConnectionRefusedError")


def test_a_name_that_does_not_resolve_is_an_outcome() -> None:
    outcome = export(exporter_to("http://collector.invalid/", retry_pause=LONG_S))
    assert outcome.reason == "connection"
    assert "http://collector.invalid/" in outcome.message


def test_every_address_of_a_name_is_tried(receive: Receive, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = receive()
    with socket.socket() as silent:
        # A listener whose backlog is full lets further connections hang, as a lost route does.
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for sock in crowd:
            sock.setblocking(False)
            sock.connect_ex(silent.getsockname())
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        addresses = [(*stream, silent.getsockname()), (*stream, ("127.0.0.1", receiver.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        outcome = export(exporter_to("http://collector:4318/v1/traces"), seconds=3.0)
        for sock in crowd:
            sock.close()
    assert outcome == Outcome(3, 0, "", "")


def test_an_answer_given_before_the_body_was_read_is_heard(serve: Serve) -> None:
    def talk(sock: socket.socket, number: int) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        sock.close()

    receiver = serve(talk)
    outcome = export(exporter_to(receiver.url, retry_pause=0.01), Batch(1, os.urandom(16 << 20)))
    assert (outcome.reason, outcome.rejected) == ("rejected_status", 1)
    assert "413" in outcome.message
    assert receiver.n_accepted == 1


def test_a_peer_that_does_not_speak_http_is_not_asked_again(serve: Serve) -> None:
    def talk(sock: socket.socket, number: int) -> None:
        read_request(sock)
        sock.sendall(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00\r\n")  # HTTP/2 SETTINGS

    receiver = serve(talk)
    outcome = export(exporter_to(receiver.url, retry_pause=0.01))
    assert (outcome.reason, outcome.rejected) == ("connection", 3)
    assert "gRPC" in outcome.message
    assert receiver.n_accepted == 1


# --- statuses and retries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_retryable_status_is_retried_with_the_same_bytes(receive: Receive, status: int) -> None:
    receiver, batch = receive(Answer(status, body=b"later"), Answer(status)), Batch()
    assert export(exporter_to(receiver.url, retry_pause=0.01), batch) == Outcome(3, 0, "", "")
    assert [request.body for request in receiver.requests] == [batch.encoded] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 415, 500, 501, 505, 599])
def test_any_other_status_is_final(receive: Receive, status: int) -> None:
    receiver = receive(Answer(status, {"Retry-After": "0", "Content-Type": "text/plain"}, b"no\r\nthank\x1b[1m you"))
    outcome = export(exporter_to(receiver.url, retry_pause=0.01))
    assert (outcome.reason, outcome.rejected) == ("rejected_status", 3)
    assert outcome.message.startswith(f"{receiver.url}: HTTP {status}")
    assert outcome.message.endswith("no  thank [1m you"), "a receiver's words may not break the line of a log"
    assert len(receiver.requests) == 1


def test_the_words_of_a_protobuf_status_reach_the_message(receive: Receive) -> None:
    status = b"\x08\x03\x12\x0bbad request"  # google.rpc.Status(code=3, message="bad request")
    outcome = export(exporter_to(receive(Answer(400, {"Content-Type": "application/x-protobuf"}, status)).url))
    assert outcome.message.endswith(": bad request")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_target_is_named(receive: Receive, status: int) -> None:
    elsewhere = receive()
    receiver = receive(Answer(status, {"Location": elsewhere.url + "?token=secret"}))
    outcome = export(exporter_to(receiver.url, retry_pause=0.01))
    assert (outcome.reason, outcome.rejected) == ("rejected_status", 3)
    assert elsewhere.url in outcome.message and "not followed" in outcome.message
    assert "secret" not in outcome.message
    assert (len(receiver.requests), elsewhere.n_accepted) == (1, 0)


def test_pauses_double(receive: Receive) -> None:
    receiver = receive(*[Answer(503)] * 3)
    assert export(exporter_to(receiver.url, retry_pause=0.2)).accepted == 3
    moments = [request.at for request in receiver.requests]
    pauses = [later - earlier for earlier, later in zip(moments, moments[1:])]
    # Half of nominal is the least that jitter makes of it.
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True)), pauses


def test_retries_end_with_the_deadline(receive: Receive) -> None:
    receiver = receive(*[Answer(503)] * 1000)
    begin = time.monotonic()
    outcome = export(exporter_to(receiver.url, retry_pause=0.05), seconds=0.6)
    assert time.monotonic() - begin < PATIENCE_S
    assert (outcome.reason, outcome.rejected) == ("rejected_status", 3)
    assert "HTTP 503" in outcome.message and "gave up after attempt" in outcome.message
    assert 2 <= len(receiver.requests) <= 13


def test_a_pause_that_outlives_the_deadline_is_not_begun(receive: Receive) -> None:
    receiver = receive(Answer(503))
    begin = time.monotonic()
    outcome = export(exporter_to(receiver.url, timeout=LONG_S / 2, retry_pause=LONG_S * 2), seconds=LONG_S)
    assert time.monotonic() - begin < PATIENCE_S
    assert outcome.reason == "rejected_status"
    assert len(receiver.requests) == 1


def test_retry_after_in_seconds_is_waited_for(receive: Receive) -> None:
    receiver = receive(Answer(503, {"Retry-After": "1"}))
    assert export(exporter_to(receiver.url, retry_pause=0.01)).accepted == 3
    first, second = receiver.requests
    assert second.at - first.at >= 0.99


def test_retry_after_as_a_date_is_waited_for(receive: Receive) -> None:
    # The date has whole seconds: two from now, cut, are more than one from now.
    date = email.utils.formatdate(time.time() + 2, usegmt=True)
    receiver = receive(Answer(429, {"Retry-After": date}))
    assert export(exporter_to(receiver.url, retry_pause=0.01)).accepted == 3
    first, second = receiver.requests
    assert second.at - first.at >= 0.8


def test_a_retry_after_beyond_the_deadline_ends_the_export(receive: Receive) -> None:
    receiver = receive(Answer(503, {"Retry-After": "3600"}))
    begin = time.monotonic()
    outcome = export(exporter_to(receiver.url, timeout=LONG_S, retry_pause=0.01), seconds=LONG_S)
    assert time.monotonic() - begin < PATIENCE_S
    assert outcome.reason == "rejected_status"
    assert len(receiver.requests) == 1


def test_a_retry_after_of_zero_does_not_make_the_exporter_spin(receive: Receive) -> None:
    receiver = receive(*[Answer(503, {"Retry-After": "0"})] * 1000)
    export(exporter_to(receiver.url, retry_pause=0.1), seconds=0.5)
    assert 1 <= len(receiver.requests) <= 6


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "1e9999", "Fri, 99 Foo 2030 00:00:00 GMT", "\u0662"])
def test_a_retry_after_that_means_nothing_leaves_the_ordinary_pause(text: str) -> None:
    assert http_exporter._retry_after_s(text) is None


def test_a_date_without_a_zone_is_universal_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # fourteen hours ahead
    time.tzset()
    try:
        date = time.strftime("%a, %d %b %Y %H:%M:%S -0000", time.gmtime(time.time() + 100))
        assert 90 < (http_exporter._retry_after_s(date) or 0.0) <= 100
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_date_in_the_past_and_a_huge_number_are_bounded() -> None:
    assert http_exporter._retry_after_s("Sun, 06 Nov 1994 08:49:37 GMT") == 0.0
    assert http_exporter._retry_after_s("9" * 5000) == 999_999_999.0


def test_jitter_leaves_the_programs_own_random_numbers_alone(receive: Receive) -> None:
    receiver = receive(Answer(503), Answer(503, {"Retry-After": "0"}))
    state = random.getstate()
    assert export(exporter_to(receiver.url, retry_pause=0.01)).accepted == 3
    assert random.getstate() == state


# --- deadlines ------------------------------------------------------------------------------------------------


def _drip(sock: socket.socket, data: bytes) -> None:
    for byte in data:
        sock.sendall(bytes([byte]))
        time.sleep(0.02)


def test_dripping_headers_do_not_outlast_the_deadline(serve: Serve) -> None:
    def talk(sock: socket.socket, number: int) -> None:
        read_request(sock)
        _drip(sock, b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 1000)

    begin = time.monotonic()
    outcome = export(exporter_to(serve(talk).url), seconds=0.4)
    assert time.monotonic() - begin < 5.0
    assert (outcome.reason, outcome.rejected) == ("export_timeout", 3)


@pytest.mark.parametrize("framing", [b"Content-Length: 60000", b"Transfer-Encoding: chunked", b"Connection: close"])
def test_a_dripping_body_does_not_outlast_the_deadline_and_the_status_stands(serve: Serve, framing: bytes) -> None:
    def talk(sock: socket.socket, number: int) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        _drip(sock, b"1\r\n\n\r\n" * 1000)

    receiver = serve(talk)
    begin = time.monotonic()
    outcome = export(exporter_to(receiver.url), seconds=0.4)
    assert time.monotonic() - begin < 5.0
    assert outcome == Outcome(3, 0, "", "")
    assert receiver.n_accepted == 1


def test_a_dripping_refusal_is_told_as_the_refusal(serve: Serve) -> None:
    def talk(sock: socket.socket, number: int) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 60000\r\n\r\n")
        _drip(sock, b"x" * 60000)

    begin = time.monotonic()
    outcome = export(exporter_to(serve(talk).url, retry_pause=0.01), seconds=0.4)
    assert time.monotonic() - begin < 5.0
    assert outcome.reason == "rejected_status"


def test_silence_ends_with_the_deadline(serve: Serve) -> None:
    receiver = serve(lambda sock, number: time.sleep(0))
    begin = time.monotonic()
    outcome = export(exporter_to(receiver.url, retry_pause=0.01), seconds=0.3)
    assert 0.29 <= time.monotonic() - begin < 5.0
    assert (outcome.reason, outcome.rejected) == ("export_timeout", 3)
    assert receiver.url in outcome.message


def test_the_timeout_argument_counts_when_it_is_nearer_than_the_deadline(serve: Serve) -> None:
    receiver = serve(lambda sock, number: time.sleep(0))
    begin = time.monotonic()
    assert export(exporter_to(receiver.url, timeout=0.3), seconds=LONG_S).reason == "export_timeout"
    assert time.monotonic() - begin < PATIENCE_S


def test_a_receiver_that_does_not_read_ends_with_the_deadline(serve: Serve) -> None:
    begin = time.monotonic()
    batch = Batch(1, os.urandom(32 << 20))
    outcome = export(exporter_to(serve(lambda sock, number: time.sleep(0)).url), batch, seconds=0.5)
    assert time.monotonic() - begin < PATIENCE_S
    assert outcome.reason == "export_timeout"


def test_a_receiver_that_reads_slowly_ends_with_the_deadline(serve: Serve) -> None:
    # Every single send succeeds soon, and all of them together would take a quarter of a minute.
    def talk(sock: socket.socket, number: int) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        while sock.recv(65536):
            time.sleep(0.016)

    begin = time.monotonic()
    outcome = export(exporter_to(serve(talk).url), Batch(1, bytes(64 << 20)), seconds=0.8)
    assert time.monotonic() - begin < 6.0
    assert outcome.reason == "export_timeout"


def test_a_handshake_that_is_never_answered_ends_with_the_deadline(serve: Serve) -> None:
    receiver = serve(lambda sock, number: time.sleep(0))
    begin = time.monotonic()
    outcome = export(exporter_to(f"https://127.0.0.1:{receiver.port}/"), seconds=0.4)
    assert time.monotonic() - begin < 5.0
    assert outcome.reason == "export_timeout"


def test_a_deadline_that_has_passed_sends_nothing(receive: Receive) -> None:
    receiver = receive()
    assert export(exporter_to(receiver.url), seconds=-1.0).reason == "export_timeout"
    assert receiver.requests == []


# --- what a response says -------------------------------------------------------------------------------------


def _partial(n_rejected: int, message: str) -> bytes:
    partial = ExportTracePartialSuccess(rejected_spans=n_rejected, error_message=message)
    body: bytes = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    return body


@pytest.mark.parametrize(
    ("n_rejected", "outcome"),
    [(2, (8, 2)), (10, (0, 10)), (11, (0, 10)), (2**62, (0, 10)), (0, (10, 0)), (-5, (10, 0))],
)
def test_partial_success_is_counted_and_never_beyond_the_batch(
    receive: Receive, n_rejected: int, outcome: tuple[int, int]
) -> None:
    body = _partial(n_rejected, "too old\n")
    receiver = receive(Answer(200, {"Content-Type": "application/x-protobuf"}, body))
    told = export(exporter_to(receiver.url, retry_pause=0.01), Batch(10))
    assert (told.accepted, told.rejected) == outcome
    assert told.reason == ("rejected_partial" if told.rejected else "")
    assert told.message.startswith(receiver.url) and told.message.endswith(": too old")
    assert len(receiver.requests) == 1, "a partial success must not be retried"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"\xff" * 50),
        Answer(body=_partial(2, "cut off")[:-1]),
        Answer(200, {"Content-Type": "text/html"}, _partial(2, "a page that looks like protobuf")),
        Answer(200, {"Content-Type": "application/json"}, b'{"partialSuccess":{"rejectedSpans":"2"}}'),
        Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(_partial(2, "not asked for"))),
    ],
)
def test_a_success_whose_body_says_nothing_sensible_is_a_success(receive: Receive, answer: Answer) -> None:
    assert export(exporter_to(receive(answer).url)) == Outcome(3, 0, "", "")


def test_a_body_cut_off_by_the_receiver_does_not_undo_success(serve: Serve) -> None:
    def talk(sock: socket.socket, number: int) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n\n\x02")
        sock.close()

    receiver = serve(talk)
    exporter = exporter_to(receiver.url)
    assert [export(exporter), export(exporter)] == [Outcome(3, 0, "", "")] * 2
    assert receiver.n_accepted == 2


def test_an_oversized_body_is_not_read_to_its_end_and_ends_the_connection(receive: Receive) -> None:
    receiver = receive(Answer(body=b"\x0a" * (8 << 20)))
    exporter = exporter_to(receiver.url)
    assert [export(exporter).accepted, export(exporter).accepted] == [3, 3]
    assert receiver.n_connections == 2


def test_an_oversized_refusal_is_still_quoted_from_its_beginning(receive: Receive) -> None:
    receiver = receive(Answer(400, {"Content-Type": "text/plain"}, b"quota exceeded\n" + b"." * (8 << 20)))
    outcome = export(exporter_to(receiver.url))
    assert "HTTP 400 Bad Request: quota exceeded" in outcome.message
    assert len(outcome.message) < 400


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", "connection"),
        (b"HTTP/1.1 200 OK\r\n", "connection"),
        (b"", "connection"),
    ],
)
def test_an_endless_response_is_cut_off_long_before_the_deadline(serve: Serve, lie: bytes, reason: str) -> None:
    n_sent = 0

    def talk(sock: socket.socket, number: int) -> None:
        nonlocal n_sent
        read_request(sock)
        sock.sendall(lie)
        while True:
            n_sent += sock.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100 if not lie else b"a: b\r\n" * 1000)

    receiver = serve(talk)
    begin = time.monotonic()
    outcome = export(exporter_to(receiver.url, timeout=LONG_S, retry_pause=0.01), seconds=LONG_S)
    assert time.monotonic() - begin < PATIENCE_S
    assert outcome.reason == reason
    assert receiver.n_accepted == 1
    assert n_sent < 64 << 20


@given(n_rejected=st.integers(-(2**63), 2**63 - 1), message=st.text(st.characters(exclude_categories=["Cs"])))
def test_partial_success_reads_as_the_reference_wrote_it(n_rejected: int, message: str) -> None:
    assert read_partial_success(_partial(n_rejected, message)) == (n_rejected, message)


_UNKNOWN_FIELDS = st.lists(
    st.one_of(
        st.binary(max_size=100).map(lambda data: b"\xfa\x07" + bytes([len(data)]) + data),  # field 127, bytes
        st.integers(0, 127).map(lambda value: bytes([0xF8, 0x07, value])),  # field 127, varint
        st.binary(min_size=8, max_size=8).map(lambda data: b"\xf9\x07" + data),  # field 127, fixed64
        st.binary(min_size=4, max_size=4).map(lambda data: b"\x0d" + data),  # field 1, of another type
        st.builds(_partial, st.integers(-10, 10), st.sampled_from(["", "a", "\u00e9"])),  # fields merge, the last wins
    ),
    max_size=6,
).map(b"".join)


@given(_UNKNOWN_FIELDS)
def test_unknown_and_repeated_fields_read_as_the_reference_reads_them(body: bytes) -> None:
    expected = ExportTraceServiceResponse.FromString(body).partial_success
    assert read_partial_success(body) == (expected.rejected_spans, expected.error_message)


@given(_UNKNOWN_FIELDS, st.integers(0, 60))
def test_a_body_cut_anywhere_reads_as_the_reference_reads_it_and_as_nothing_where_that_refuses(
    body: bytes, n_bytes: int
) -> None:
    cut = body[:n_bytes]
    try:
        expected = ExportTraceServiceResponse.FromString(cut).partial_success
    except DecodeError:
        assert read_partial_success(cut) == (0, "")
    else:
        assert read_partial_success(cut) == (expected.rejected_spans, expected.error_message)


@pytest.mark.parametrize(
    "tail",
    [
        b"\x00\x00",  # field number 0
        b"\x88\x80\x80\x80\x10\x00",  # field number beyond 29 bits
        b"\xf8\x07" + b"\x80" * 10 + b"\x01",  # a varint of eleven bytes
        b"\xfa\x07\xff\xff\xff\xff\x0f",  # a length far beyond the end
        b"\xff\x07",  # wire type 7
        b"\xfc\x07",  # the end of a group that never began
    ],
)
def test_what_the_reference_calls_malformed_reads_as_nothing(tail: bytes) -> None:
    with pytest.raises(DecodeError):
        ExportTraceServiceResponse.FromString(_partial(7, "seven") + tail)
    assert read_partial_success(_partial(7, "seven") + tail) == (0, "")


@given(st.binary(max_size=200))
def test_no_bytes_make_the_readers_raise(body: bytes) -> None:
    n_rejected, message = read_partial_success(body)
    assert -(2**63) <= n_rejected < 2**63
    assert isinstance(message, str) and isinstance(read_status_message(body), str)


# --- TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def _server_context(authority: trustme.CA, *names: str, client_authority: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    if client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        client_authority.configure_trust(context)
    return context


def test_a_certificate_of_the_given_authority_is_trusted(receive: Receive, authority: trustme.CA, ca_file: str) -> None:
    receiver = receive(context=_server_context(authority, "127.0.0.1"))
    exporter = exporter_to(receiver.url, certificate_file=ca_file)
    batch = Batch(100, os.urandom(20_000))
    assert [export(exporter, batch).accepted, export(exporter, batch).accepted] == [100, 100]
    assert [request.body for request in receiver.requests] == [batch.encoded] * 2
    assert receiver.n_connections == 1


def test_a_tls_connection_closed_between_batches_is_stale_like_any_other(
    receive: Receive, authority: trustme.CA, ca_file: str
) -> None:
    receiver = receive(Answer(hang_up=True), context=_server_context(authority, "127.0.0.1"))
    exporter = exporter_to(receiver.url, timeout=LONG_S * 2, certificate_file=ca_file, retry_pause=LONG_S)
    assert export(exporter).accepted == 3
    assert receiver.hung_up.wait(PATIENCE_S)
    assert export(exporter) == Outcome(3, 0, "", "")
    assert receiver.n_connections == 2


def test_a_certificate_of_an_unknown_authority_is_refused_at_once(receive: Receive, ca_file: str) -> None:
    receiver = receive(context=_server_context(trustme.CA(), "127.0.0.1"))
    for certificate_file in (ca_file, None):
        exporter = exporter_to(receiver.url, certificate_file=certificate_file, retry_pause=0.01)
        outcome = export(exporter)
        assert (outcome.reason, outcome.rejected) == ("connection", 3)
        assert "certificate verify failed" in outcome.message.lower()
    assert receiver.n_accepted == 2
    assert receiver.requests == []


def test_a_certificate_of_another_host_is_refused(receive: Receive, authority: trustme.CA, ca_file: str) -> None:
    receiver = receive(context=_server_context(authority, "collector.example"))
    outcome = export(exporter_to(receiver.url, certificate_file=ca_file, retry_pause=0.01))
    assert outcome.reason == "connection"
    assert "127.0.0.1" in outcome.message
    assert receiver.requests == [] and receiver.n_accepted == 1


def test_plain_http_behind_an_https_endpoint_is_refused_at_once(receive: Receive) -> None:
    receiver = receive()
    outcome = export(exporter_to(receiver.url.replace("http:", "https:"), retry_pause=0.01))
    assert outcome.reason == "connection" and "SSL" in outcome.message
    assert receiver.n_accepted == 1


def test_a_receiver_that_requires_a_client_certificate_gets_it(
    receive: Receive, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    client = trustme.CA()
    certificate = client.issue_cert("service@example.org")
    both, chain, key = tmp_path / "both.pem", tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(both)
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    receiver = receive(context=_server_context(authority, "127.0.0.1", client_authority=client))
    for certificate_path, key_path in ((str(both), None), (str(chain), str(key))):
        exporter = exporter_to(
            receiver.url,
            certificate_file=ca_file,
            client_certificate_file=certificate_path,
            client_key_file=key_path,
        )
        assert export(exporter).accepted == 3


def test_a_receiver_that_requires_a_client_certificate_refuses_without(
    receive: Receive, authority: trustme.CA, ca_file: str
) -> None:
    receiver = receive(context=_server_context(authority, "127.0.0.1", client_authority=authority))
    outcome = export(exporter_to(receiver.url, certificate_file=ca_file, retry_pause=0.01), seconds=1.0)
    assert (outcome.reason, outcome.rejected) == ("connection", 3)
    assert receiver.requests == []


def test_certificate_files_that_change_are_read_again(
    receive: Receive, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    receiver = receive(context=_server_context(authority, "127.0.0.1"))
    exporter = exporter_to(receiver.url, certificate_file=str(path))
    assert export(exporter).reason == "connection"
    authority.cert_pem.write_to_path(path)
    assert export(exporter).accepted == 3
    # A file that does not load leaves in use what was loaded before.
    path.write_text("half a cert")
    monkeypatch.setattr(http_exporter, "_IDLE_LIMIT_S", 0.0)
    assert export(exporter).accepted == 3
    assert receiver.n_connections == 2


def test_certificate_files_that_do_not_load_are_refused_at_construction(
    authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    missing, nonsense, locked = str(tmp_path / "missing.pem"), tmp_path / "nonsense.pem", tmp_path / "locked.pem"
    nonsense.write_text("not a certificate")
    certificate = authority.issue_cert("service@example.org")
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
        + certificate.cert_chain_pems[0].bytes()
    )
    wrong: list[tuple[str, dict[str, str]]] = [
        ("certificate_file", {"certificate_file": missing}),
        ("certificate_file", {"certificate_file": str(nonsense)}),
        ("certificate_file", {"certificate_file": "null\0byte"}),
        ("client_certificate_file", {"client_certificate_file": missing}),
        ("client_certificate_file", {"client_certificate_file": ca_file}),
        ("client_certificate_file", {"client_certificate_file": str(locked)}),
        ("client_key_file", {"client_key_file": str(locked)}),
    ]
    for variable, files in wrong:
        with pytest.raises(ConfigurationError) as caught:
            OTLPHTTPExporter("https://collector:4318/v1/traces", **files)  # type: ignore[arg-type]
        assert caught.value.variable == variable


def test_certificates_for_plain_http_are_refused_at_construction(ca_file: str) -> None:
    with pytest.raises(ConfigurationError, match="certificate_file=.*is not https"):
        OTLPHTTPExporter("http://collector:4318/v1/traces", certificate_file=ca_file)


# --- headers and arguments ------------------------------------------------------------------------------------


def test_headers_of_the_user_are_sent_and_replace_the_exporters_own(receive: Receive) -> None:
    receiver = receive()
    headers = {"X-Tenant": "a b\t\u00e9", "user-AGENT": "mine", "host": "virtual.example", "Content-Type": "text/plain"}
    assert export(exporter_to(receiver.url, headers)).accepted == 3
    sent = receiver.requests[0].headers
    assert sent["x-tenant"].encode("latin-1").decode() == "a b\t\u00e9"
    assert (sent["user-agent"], sent["host"], sent["content-type"]) == ("mine", "virtual.example", "text/plain")


def test_userinfo_becomes_basic_authentication_and_stays_out_of_messages(receive: Receive) -> None:
    receiver = receive(Answer(401))
    url = receiver.url.replace("//", "//us%20er:p%40ss@")
    exporter = exporter_to(url)
    outcome = export(exporter)
    assert receiver.requests[0].headers["authorization"] == "Basic " + b64encode(b"us er:p@ss").decode()
    assert receiver.requests[0].headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "p%40ss" not in outcome.message + repr(exporter) and receiver.url in outcome.message


def test_an_authorization_header_wins_over_userinfo(receive: Receive) -> None:
    receiver = receive()
    export(exporter_to(receiver.url.replace("//", "//user:pass@"), {"authorization": "Bearer token"}))
    assert receiver.requests[0].headers["authorization"] == "Bearer token"


def test_path_and_query_go_out_as_given(receive: Receive) -> None:
    receiver = receive()
    export(exporter_to(f"http://127.0.0.1:{receiver.port}/base/v1/traces?tenant=a%20b#fragment"))
    assert receiver.requests[0].line == "POST /base/v1/traces?tenant=a%20b HTTP/1.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "secret\n"),
        ("X-A", "secret\r\nX-B: 1"),
        ("X-A", "secret\0"),
        ("X-A", "secret\x7f"),
        ("X-A", "secret\ud800"),
        ("X A", "secret"),
        ("", "secret"),
        ("X-A:", "secret"),
        ("Content-Length", "secret"),
        ("transfer-encoding", "secret"),
        ("Content-Encoding", "secret"),
    ],
)
def test_a_header_that_could_break_the_request_is_refused_without_showing_its_value(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OTLPHTTPExporter(headers={name: value})
    assert caught.value.variable.startswith("headers")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"endpoint": "localhost:4318"},
        {"endpoint": "ftp://collector/"},
        {"endpoint": None},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": True},
        {"timeout": "10"},
        {"compression": "brotli"},
        {"compression": None},
        {"retry_pause": 0.0},
        {"headers": {"X-A": 1}},
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OTLPHTTPExporter(**arguments)
    assert caught.value.variable.startswith(next(iter(arguments)))


# --- interrupt, shutdown, fork --------------------------------------------------------------------------------


def test_an_interrupt_ends_a_pause_and_later_exports_try_once(receive: Receive) -> None:
    receiver = receive(Answer(503), Answer(503), Answer(503))
    exporter = exporter_to(receiver.url, timeout=LONG_S * 4, retry_pause=LONG_S)
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(export(exporter, seconds=LONG_S * 4)), daemon=True)
    thread.start()
    assert receiver.received.wait(PATIENCE_S)
    exporter.interrupt()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the pause went on"
    assert outcomes[0].reason == "rejected_status" and "stopping" in outcomes[0].message
    assert export(exporter).reason == "rejected_status"
    assert len(receiver.requests) == 2
    receiver.answers.clear()
    assert export(exporter).accepted == 3, "an interrupted exporter still delivers what one attempt can deliver"


def test_after_shutdown_exports_are_refused_and_the_connection_is_closed(serve: Serve) -> None:
    closed = threading.Event()

    def talk(sock: socket.socket, number: int) -> None:
        while read_request(sock):
            sock.sendall(OK)
        closed.set()

    receiver = serve(talk)
    exporter = exporter_to(receiver.url)
    assert export(exporter).accepted == 3
    exporter.shutdown()
    exporter.shutdown()
    assert closed.wait(PATIENCE_S)
    outcome = export(exporter)
    assert (outcome.reason, outcome.rejected) == ("export_shutdown", 3)
    assert receiver.n_accepted == 1


def test_a_shutdown_from_another_thread_ends_the_pause_and_closes_the_connection(receive: Receive) -> None:
    receiver = receive(Answer(503))
    exporter = exporter_to(receiver.url, timeout=LONG_S * 4, retry_pause=LONG_S)
    thread = threading.Thread(target=export, args=(exporter, None, LONG_S * 4), daemon=True)
    thread.start()
    assert receiver.received.wait(PATIENCE_S)
    exporter.shutdown()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert exporter._connection is None


def _in_child(act: Callable[[], bool]) -> bool:
    """Run `act` in a forked child and return whether it returned True before PATIENCE_S."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(int(PATIENCE_S))
            code = 0 if act() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("tls", [False, True])
def test_a_forked_child_connects_anew_and_leaves_the_parents_connection_alone(
    receive: Receive, authority: trustme.CA, ca_file: str, tls: bool
) -> None:
    receiver = receive(context=_server_context(authority, "127.0.0.1") if tls else None)
    exporter = exporter_to(receiver.url, certificate_file=ca_file if tls else None)
    export(exporter)
    assert _in_child(lambda: [export(exporter).accepted for _ in range(2)] == [3, 3])
    assert export(exporter).accepted == 3
    parent, child, child_again, parent_again = (request.peer for request in receiver.requests)
    assert child == child_again != parent
    assert parent_again == parent, "the parent's connection did not survive its child"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_in_the_middle_of_an_exchange_is_not_held_up(serve: Serve) -> None:
    in_body, go_on = threading.Event(), threading.Event()

    def talk(sock: socket.socket, number: int) -> None:
        read_request(sock)
        if number == 1:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            time.sleep(0.3)  # the exporter's thread now waits for the body, holding its reader's lock
            in_body.set()
            go_on.wait(PATIENCE_S)
            sock.sendall(b"hi")
        else:
            sock.sendall(OK)

    exporter = exporter_to(serve(talk).url, timeout=LONG_S)
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(export(exporter, seconds=LONG_S)), daemon=True)
    thread.start()
    assert in_body.wait(PATIENCE_S)

    def act() -> bool:
        outcome = export(exporter)
        exporter.shutdown()
        return outcome.accepted == 3

    def only_shut_down() -> bool:
        exporter.shutdown()
        return exporter._connection is None

    assert _in_child(act)
    assert _in_child(only_shut_down)
    go_on.set()
    thread.join(PATIENCE_S)
    assert outcomes == [Outcome(3, 0, "", "")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_during_a_pause_can_pause_and_be_interrupted_itself(receive: Receive) -> None:
    receiver = receive(*[Answer(503)] * 2)
    exporter = exporter_to(receiver.url, timeout=LONG_S * 4, retry_pause=LONG_S)
    thread = threading.Thread(target=export, args=(exporter, None, LONG_S * 4), daemon=True)
    thread.start()
    assert receiver.received.wait(PATIENCE_S)
    time.sleep(0.1)

    def act() -> bool:
        threading.Timer(0.2, exporter.interrupt).start()
        return "stopping" in export(exporter, seconds=LONG_S * 4).message

    # Held for the length of the fork, as by a thread that is just going to sleep: the child inherits it locked.
    with exporter._wake._cond:  # type: ignore[attr-defined]
        assert _in_child(act)
    assert thread.is_alive(), "the child's interrupt is not the parent's"
    exporter.interrupt()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


# --- what importing costs -------------------------------------------------------------------------------------


def test_importing_loads_no_http_tls_or_compression_before_it_is_needed() -> None:
    program = """if True:
        import sys
        import tracecore.errors
        before = set(sys.modules)
        import tracecore.exporters
        heavy = {"http", "http.client", "ssl", "zlib", "socket", "email", "email.parser", "urllib.parse", "threading"}
        print(*sorted(heavy & (set(sys.modules) - before)))
        import tracecore.exporters.otlp_http
        heavy = {"http.client", "ssl", "zlib", "email.parser", "importlib.metadata"}
        print(*sorted(heavy & (set(sys.modules) - before)))
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(otlp_http.__file__).parents[2])}
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    assert answer.stdout.split("\n") == ["", "", ""]
