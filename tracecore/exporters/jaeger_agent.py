"""JaegerAgentExporter: spans as datagrams to a Jaeger agent, each one call of emitBatch in Thrift.

    batch ---> spans, each encoded once ---> datagrams, as full as max_packet_bytes allows ---> UDP

What UDP tells: nothing of what arrived.  An agent on this machine that is not there is noticed, as the kernel answers
before the next datagram; then the datagram is tried again until the deadline, as a request over HTTP is.  One that was
sent before the refusal came, or got lost on a network, counts as accepted.

A span too large for a datagram of its own loses its largest attributes and events, as many as need be (see
jaeger_span.span_within): that is reported as "span_cut" and told in the span's own tags.  One whose name and links
alone are too large is lost, under "too_large".  A resource is cut in the same way to half of a datagram, reported as "resource_cut".
Where the network takes less than max_packet_bytes (EMSGSIZE), datagrams become smaller from then on.

Source: jaeger-idl, thrift/agent.thrift: ``oneway void emitBatch(1: jaeger.Batch batch)``.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import Final

from tracecore.errors import ConfigurationError, report
from tracecore.exporters import Outcome, SpanBatch, jaeger_span
from tracecore.exporters.http_connection import addresses_of, left_s, shown, words
from tracecore.exporters.remote_exporter import RETRY_PAUSE_S, Fault, RemoteExporter, summed
from tracecore.exporters.thrift_protocol import BINARY, COMPACT
from tracecore.readable_span import ReadableSpan
from tracecore.resource import Resource

__all__ = ["BINARY_PORT", "COMPACT_PORT", "DEFAULT_TIMEOUT_S", "JaegerAgentExporter"]

COMPACT_PORT: Final = 6831
BINARY_PORT: Final = 6832
DEFAULT_TIMEOUT_S: Final = 10.0

DEFAULT_PACKET_BYTES: Final = 65_000
"""The agent's own limit."""
_MAX_PACKET_BYTES: Final = 65_507
"""What a datagram of IPv4 holds."""
_MIN_PACKET_BYTES: Final = 512
"""Every IP network passes this much in one piece, or in few."""

_LIST_HEAD_BYTES: Final = 8
"""More than the length of a list takes in either encoding."""


class JaegerAgentExporter(RemoteExporter):
    """Send batches to one agent.

    host, port: the agent; the port is 6831 for "compact" and 6832 for "binary" when None.
    protocol: "compact" or "binary", the Thrift encoding.
    timeout: seconds one export may take; a nearer deadline given to `export` wins.
    max_packet_bytes: the largest datagram, 512 to 65507.
    retry_pause: seconds of the first pause between two attempts.

    Raises: ConfigurationError, for an argument that cannot be honoured.
    Threads, fork: as RemoteExporter.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int | None = None,
        *,
        protocol: str = "compact",
        timeout: float = DEFAULT_TIMEOUT_S,
        max_packet_bytes: int = DEFAULT_PACKET_BYTES,
        retry_pause: float = RETRY_PAUSE_S,
    ) -> None:
        if not isinstance(host, str) or not host or not host.isprintable() or " " in host:
            raise ConfigurationError("host", host, "a host's name or address")
        if protocol not in ("compact", "binary"):
            raise ConfigurationError("protocol", protocol, "compact or binary")
        if port is None:
            port = COMPACT_PORT if protocol == "compact" else BINARY_PORT
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
            raise ConfigurationError("port", port, "a port from 1 to 65535")
        is_number = isinstance(max_packet_bytes, int) and not isinstance(max_packet_bytes, bool)
        if not is_number or not _MIN_PACKET_BYTES <= max_packet_bytes <= _MAX_PACKET_BYTES:
            expected = f"bytes from {_MIN_PACKET_BYTES} to {_MAX_PACKET_BYTES}"
            raise ConfigurationError("max_packet_bytes", max_packet_bytes, expected)
        super().__init__(timeout, retry_pause)
        self._host = host
        self._port = port
        self._thrift = COMPACT if protocol == "compact" else BINARY
        self._max_packet_bytes = max_packet_bytes
        self._shown = f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}"
        self._socket: socket.socket | None = None
        import encodings.idna  # noqa: F401 - what getaddrinfo encodes a host's name with, not to be imported by a fork

    def __repr__(self) -> str:
        return f"<JaegerAgentExporter {self._shown}>"

    # --- one export -------------------------------------------------------------------------------------------

    def _export(self, batch: SpanBatch, n_spans: int, deadline: float) -> Outcome:
        try:
            spans = batch.spans()
        except Exception as error:  # noqa: BLE001 - out of memory
            return self._lost(n_spans, "encode", words(error))
        return summed(self._send_spans(spans, deadline))

    def _send_spans(self, spans: Sequence[ReadableSpan], deadline: float) -> list[Outcome]:
        """Send spans in as many datagrams as it takes; return what became of them, part by part."""
        outcomes: list[Outcome] = []
        process = self._process(spans[0].resource)  # all spans of a batch are of one provider, and so of one resource
        room = self._max_packet_bytes - len(self._datagram(process, [])) - _LIST_HEAD_BYTES
        waiting: list[ReadableSpan] = []
        encoded: list[bytes] = []
        n_bytes = 0
        for span in spans:
            one = self._encoded(span, room)
            if isinstance(one, Outcome):
                outcomes.append(one)
                continue
            if n_bytes + len(one) > room:
                outcomes += self._send(process, waiting, encoded, deadline)
                waiting, encoded, n_bytes = [], [], 0
            waiting.append(span)
            encoded.append(one)
            n_bytes += len(one)
        if waiting:
            outcomes += self._send(process, waiting, encoded, deadline)
        return outcomes

    def _process(self, resource: Resource) -> bytes:
        process = jaeger_span.process(self._thrift, resource)
        limit = self._max_packet_bytes // 2
        if len(process) <= limit:
            return process
        cut = jaeger_span.process(self._thrift, resource, limit)
        report("resource_cut", "%s: the resource has %d bytes, sent are %d of them", self._shown, len(process), len(cut))
        return cut

    def _encoded(self, span: ReadableSpan, room: int) -> bytes | Outcome:
        try:
            encoded = jaeger_span.span(self._thrift, span)
            if len(encoded) <= room:
                return encoded
            cut = jaeger_span.span_within(self._thrift, span, room)
        except Exception as error:  # noqa: BLE001 - one span costs itself and not the batch
            return self._lost(1, "encode", words(error))
        if cut is None:
            return self._lost(1, "too_large", f"{shown(span.name)!r} has {len(encoded)} bytes, a datagram takes {room}")
        report(
            "span_cut",
            "%s: %r has %d bytes, a datagram takes %d: sent without %d attributes and %d events",
            self._shown,
            shown(span.name),
            len(encoded),
            room,
            *cut[1:],
        )
        return cut[0]

    def _send(self, process: bytes, spans: list[ReadableSpan], encoded: list[bytes], deadline: float) -> list[Outcome]:
        datagram = self._datagram(process, encoded)
        answer = self._deliver(datagram, len(spans), deadline)
        if isinstance(answer, Outcome):
            return [answer]
        if answer.too_large and len(datagram) // 2 >= _MIN_PACKET_BYTES:
            self._max_packet_bytes = len(datagram) // 2
            return self._send_spans(spans, deadline)
        return [self._lost(len(spans), answer.reason, answer.message)]

    def _datagram(self, process: bytes, spans: list[bytes]) -> bytes:
        batch = jaeger_span.batch(self._thrift, process, spans)
        return self._thrift.oneway("emitBatch", self._thrift.struct(((1, "struct", batch),)))

    # --- the socket -------------------------------------------------------------------------------------------

    def _attempt(self, body: bytes, n_spans: int, deadline: float) -> Outcome | Fault:
        try:
            self._put(body, deadline)
            return Outcome(n_spans, 0, "", "")
        except OSError as error:
            message = f"{self._shown}: {words(error)}"
            if isinstance(error, TimeoutError) and error.errno is None:
                return Fault("export_timeout", message)
            if error.errno == errno.EMSGSIZE:
                return Fault("too_large", f"{message}, a datagram of {len(body)} bytes", too_large=True)
            self._disconnect()
            return Fault("connection", message, retryable=True)

    def _put(self, body: bytes, deadline: float) -> None:
        """Send a datagram to the address in use, or the first of the host's that does not refuse it.  Raises: OSError."""
        if self._socket is not None:
            try:
                return _send(self._socket, body, deadline)
            except ConnectionRefusedError:
                self._disconnect()  # the name may lead elsewhere by now
        last_fault = OSError("name has no address")
        for family, kind, protocol, _, address in addresses_of(self._host, self._port, socket.SOCK_DGRAM):
            try:
                self._socket = socket.socket(family, kind, protocol)
                self._socket.connect(address)
                return _send(self._socket, body, deadline)
            except OSError as error:
                self._disconnect()
                if error.errno in (None, errno.EMSGSIZE):
                    raise
                last_fault = error
        raise last_fault

    def _disconnect(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()


def _send(sock: socket.socket, body: bytes, deadline: float) -> None:
    """Send, and ask at once for the refusal that a closed port on this machine has answered with.  Raises: OSError."""
    sock.settimeout(left_s(deadline))
    sock.send(body)
    if number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(number, os.strerror(number))
