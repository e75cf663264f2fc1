"""OTLP over HTTP/1.1: one POST of protobuf a batch, through the standard library's http.client.

    export(batch, deadline)
      encode --> compress --> attempt ---- 2xx ----> read partial success ----> Outcome
                                ^  |------ other status, TLS refusal, not HTTP ----> Outcome
                                |  |------ deadline ----> Outcome
                                |  v
                              pause <----- 429 502 503 504, connection faults
                              (doubling, jittered, at least Retry-After; ends the export if the deadline is nearer)

One kept-alive connection, used by one worker thread.  That the receiver closed it between two batches is
ordinary: the request is then sent once more at once on a new connection, and that is no retry.

The deadline is total.  A socket's own timeout restarts with every byte, so a receiver that drips its answer
holds a thread for ever; here http.client works on `_DeadlineSocket`, which gives every single operation what is
left of the total.  What the deadline cannot cut short is the name lookup: the resolver's limit applies.

Fork: a child never writes to, reads from or shuts down the socket of its parent.  It closes its copy of the
descriptor (for TLS without a close-notify, which the receiver would take for the parent's) and connects anew.

Not done: proxies are not honoured, neither from arguments nor from http_proxy and the like; redirects are not
followed (they are answered with an outcome that names the target); cookies are ignored.

What is lost: a batch whose outcome is not acceptance is not kept.  The pipeline counts it by `Outcome.reason`.

Sources: OTLP specification 1.9 "OTLP/HTTP" (retryable statuses, partial success, Retry-After); RFC 9110.
"""

from __future__ import annotations

import io
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tracecore.errors import ConfigurationError
from tracecore.exporters import EncodedBatch, Outcome
from tracecore.exporters.otlp_settings import (
    DEFAULT_ENDPOINT,
    DEFAULT_TIMEOUT_S,
    Endpoint,
    check_compression,
    check_header,
    check_timeout,
    parse_endpoint,
)

if TYPE_CHECKING:
    import http.client
    import ssl

    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["OTLPHTTPExporter", "read_partial_success", "read_status_message"]

_DISTRIBUTION = "tracecore-native"

_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
"""OTLP specification, "Retryable Response Codes"; every other 4xx and 5xx must not be retried."""

_RETRY_PAUSE_S = 1.0
"""First pause.  Doubles to _MAX_RETRY_PAUSE_S, so the default timeout of 10 s has room for about five attempts."""
_MAX_RETRY_PAUSE_S = 5.0

_JITTER = 0.5
"""A pause is drawn from 1 - _JITTER to 1 + _JITTER of its nominal length: a fleet does not come back in step."""
_RETRY_AFTER_JITTER = 0.1
"""A wish of the receiver is stretched by up to this much, for the same reason, and never shortened."""

_uniform = random.SystemRandom().uniform
"""Not the module's own generator: a program that seeded it counts on its sequence, and forked children share it."""

_IDLE_LIMIT_S = 30.0
"""A connection unused for this long is replaced before use.  Load balancers and NATs forget idle connections
(after 60 s and more, commonly) without telling either end; what is sent then vanishes until the deadline."""

_MAX_BODY_BYTES = 64 * 1024
"""What is read of a response body: a partial success is tens of bytes, the rest is worth one line of log at most.
Of a longer body the connection is dropped instead of draining it."""

_MAX_RECEIVED_BYTES = 4 * _MAX_BODY_BYTES
"""What is read of a response in all.  It ends endless headers, and bodies whose own framing is a lie."""

_TLS_DISCONNECTS = frozenset({"SSLEOFError", "SSLSyscallError", "SSLZeroReturnError"})
"""The exceptions of module ssl that mean a broken connection; all others are a verdict of TLS."""

_MAX_SHOWN_CHARS = 200
"""Characters of a receiver's own words in a message."""

_DEFLATE_LEVEL = 1
_ZSTD_LEVEL = 1
"""Span batches repeat themselves: higher levels cost a multiple of the time for a few percent of the size."""


class OTLPHTTPExporter:
    """Send batches to one OTLP/HTTP receiver.

    endpoint: full URL, used as it is (no ``v1/traces`` is appended), http or https.  Userinfo becomes HTTP Basic
        authentication unless `headers` brings an Authorization of its own.
    headers: sent with every request; they replace the exporter's own of the same name.  Sent as UTF-8.
    timeout: seconds one export may take with everything in it; a nearer deadline given to `export` wins.
    compression: "none", "gzip", "deflate" or "zstd" (needs the extra ``tracecore-native[zstd]`` before Python
        3.14).  Gzip and deflate use the package isal where it is installed, which is several times cheaper.
    certificate_file: PEM file with the authorities to trust instead of the system's.
    client_certificate_file, client_key_file: PEM files for mutual TLS; the key may be in the certificate's file,
        and must not be encrypted.  Files that change are read again before the next connection.
    retry_pause: seconds of the first pause between two attempts.
    version: for the User-Agent; the installed distribution's version when None.

    Raises: ConfigurationError, for an argument that cannot be honoured.
    Threads: `export` and `shutdown` are for one worker thread, `interrupt` for any.  A `shutdown` from another
        thread is safe too: the connection is closed when the running export returns.
    Fork: may be used on both sides, see the head of this file.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        headers: Mapping[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
        compression: str = "none",
        certificate_file: str | None = None,
        client_certificate_file: str | None = None,
        client_key_file: str | None = None,
        *,
        retry_pause: float = _RETRY_PAUSE_S,
        version: str | None = None,
    ) -> None:
        self._endpoint = parse_endpoint("endpoint", endpoint)
        self._timeout_s = check_timeout("timeout", timeout)
        self._compression = check_compression("compression", compression)
        self._compress = _compressor(self._compression)
        self._retry_pause_s = check_timeout("retry_pause", retry_pause)
        self._version = version
        self._user_headers = dict(headers or {})
        for name, value in self._user_headers.items():
            check_header("headers", name, value)
        self._headers: list[tuple[str, bytes]] | None = None
        self._tls = self._checked_tls(certificate_file, client_certificate_file, client_key_file)

        self._pid = os.getpid()
        self._connection: _Connection | None = None
        # The two flags are what counts; the event only ends a pause early.  Its lock may be held by a thread that
        # a fork leaves behind, which a flag cannot suffer from.
        self._interrupted = False
        self._shut_down = False
        self._wake = threading.Event()
        self._exporting = False

    def __repr__(self) -> str:
        return f"<OTLPHTTPExporter {self._endpoint.shown} compression={self._compression}>"

    def export(self, batch: EncodedBatch, deadline: float) -> Outcome:
        """Send `batch` until the receiver took it, refused it, or `deadline` (``time.monotonic()``) passed."""
        n_spans = len(batch)
        self._leave_parent()
        # Raised before _shut_down is read, as shutdown() raises its flag before it reads this one: whatever the
        # order of two threads, one of them sees the other and closes the connection.
        self._exporting = True
        try:
            if self._shut_down:
                return self._lost(n_spans, "export_shutdown", "the exporter has been shut down")
            if n_spans == 0:
                return Outcome(0, 0, "", "")
            return self._export(batch, n_spans, min(deadline, time.monotonic() + self._timeout_s))
        except Exception as error:  # noqa: BLE001 - the worker thread must survive what nobody thought of
            self._disconnect()
            return self._lost(n_spans, "exporter_error", _words(error))
        finally:
            self._exporting = False
            if self._shut_down:
                self._disconnect()

    def interrupt(self) -> None:
        """End a running pause and make every export from now on give up after one attempt.

        An attempt under way is not cut off: it may yet deliver, and its deadline holds.
        """
        self._leave_parent()
        self._interrupted = True
        self._wake.set()

    def shutdown(self) -> None:
        """Refuse later exports and close the connection."""
        self._leave_parent()
        self._shut_down = True
        self._interrupted = True
        self._wake.set()
        if not self._exporting:
            self._disconnect()

    # --- one export -------------------------------------------------------------------------------------------

    def _export(self, batch: EncodedBatch, n_spans: int, deadline: float) -> Outcome:
        try:
            body = self._compress(batch.otlp())
        except Exception as error:  # noqa: BLE001 - out of memory, or a codec's own exception types
            return self._lost(n_spans, "encode", _words(error))
        pause_s = self._retry_pause_s
        n_attempts = 0
        while True:
            n_attempts += 1
            answer = self._attempt(body, deadline)
            if isinstance(answer, _Reply):
                if 200 <= answer.status < 300:
                    return self._taken(n_spans, answer)
                answer = self._refusal(answer)
            if not answer.retryable:
                return self._lost(n_spans, answer.reason, answer.message)
            # The receiver's wish is a lower bound, and so is our own pause: "Retry-After: 0" is no licence to spin.
            wait_s = pause_s * _uniform(1 - _JITTER, 1 + _JITTER)
            if answer.retry_after_s is not None:
                wait_s = max(wait_s, answer.retry_after_s * _uniform(1.0, 1 + _RETRY_AFTER_JITTER))
            pause_s = min(pause_s * 2, max(_MAX_RETRY_PAUSE_S, self._retry_pause_s))
            if stop := self._pause(wait_s, deadline):
                message = f"{answer.message}; gave up after attempt {n_attempts}: {stop}"
                return self._lost(n_spans, answer.reason, message)

    def _pause(self, wait_s: float, deadline: float) -> str:
        """Wait before the next attempt; return why there is none, or "" if there is."""
        left_s = deadline - time.monotonic()
        if wait_s >= left_s and not self._interrupted:
            # Sleeping up to the deadline would only take time from the batches that wait behind this one.
            return f"the next one was due in {wait_s:.1f} s, the deadline in {max(left_s, 0.0):.1f} s"
        if not self._interrupted:
            self._wake.wait(wait_s)
        return "the exporter is stopping" if self._interrupted else ""

    def _attempt(self, body: bytes, deadline: float) -> _Reply | _Fault:
        """Send the request once (twice over a connection that proves stale) and read the answer."""
        from http.client import HTTPException

        while True:
            connection = self._connection
            if connection is not None and time.monotonic() - connection.idle_since >= _IDLE_LIMIT_S:
                self._disconnect()
                connection = None
            try:
                if connection is None:
                    connection = self._connection = _Connection(self._connect(deadline), self._endpoint)
                reply = connection.exchange(self._endpoint.target, self._request_headers(), body, deadline)
            except (OSError, HTTPException) as error:
                self._disconnect()
                if connection is not None and connection.reused and connection.unanswered and _is_disconnect(error):
                    continue
                return self._fault(error)
            # Some load balancers say good-bye to an idle connection with an unasked 408, and then hang up.
            stale = connection.reused and reply.status == 408
            if stale or not connection.reusable:
                self._disconnect()
            if not stale:
                return reply

    # --- what an answer means ---------------------------------------------------------------------------------

    def _taken(self, n_spans: int, reply: _Reply) -> Outcome:
        n_rejected, words = 0, ""
        # Something in between may answer 200 with a page of its own; its bytes are not searched for a number.
        if not reply.content_type or "protobuf" in reply.content_type:
            n_rejected, words = read_partial_success(reply.body)
        n_rejected = min(max(n_rejected, 0), n_spans)
        if n_rejected:
            words = _shown(words) or "no reason given"
            message = f"{self._endpoint.shown}: {n_rejected} of {n_spans} spans refused: {words}"
            return Outcome(n_spans - n_rejected, n_rejected, "rejected_partial", message)
        return Outcome(n_spans, 0, "", f"{self._endpoint.shown}: {_shown(words)}" if words else "")

    def _refusal(self, reply: _Reply) -> _Fault:
        if 300 <= reply.status < 400:
            target = reply.location.partition("?")[0]
            words = f"redirects are not followed, this one leads to {target or 'nowhere'}"
        elif "protobuf" in reply.content_type:
            words = read_status_message(reply.body)
        else:
            words = reply.body.decode("utf-8", "replace")
        message = f"{self._endpoint.shown}: HTTP {reply.status} {_shown(reply.phrase)}".rstrip()
        if words := _shown(words):
            message += f": {words}"
        retryable = reply.status in _RETRYABLE_STATUSES
        return _Fault("rejected_status", message, retryable, _retry_after_s(reply.retry_after) if retryable else None)

    def _fault(self, error: Exception) -> _Fault:
        """Say what a failed attempt means: the deadline, an answer in disguise, or an accident worth another try."""
        # Python's own timeouts carry no errno, the kernel's ETIMEDOUT does; every timeout set here is the deadline.
        if isinstance(error, TimeoutError) and error.errno is None:
            message = f"{self._endpoint.shown}: no answer before the deadline"
            return _Fault("export_timeout", message, False, None)
        if not isinstance(error, OSError):
            message = f"{self._endpoint.shown}: not an HTTP/1.1 answer ({_words(error)}); is it a gRPC port?"
            return _Fault("connection", message, False, None)
        return _Fault("connection", f"{self._endpoint.shown}: {_words(error)}", not _is_tls_refusal(error), None)

    def _lost(self, n_spans: int, reason: str, message: str) -> Outcome:
        if not message.startswith(self._endpoint.shown):
            message = f"{self._endpoint.shown}: {message}"
        return Outcome(0, n_spans, reason, message)

    # --- request and connection -------------------------------------------------------------------------------

    def _request_headers(self) -> list[tuple[str, bytes]]:
        """Return all headers but Content-Length, which is the body's.  Made at the first request and kept."""
        if self._headers is None:
            version = self._version or _installed_version()
            headers = {
                "host": ("Host", self._endpoint.authority),
                "user-agent": ("User-Agent", f"OTel-OTLP-Exporter-Python-tracecore/{version}"),
                "content-type": ("Content-Type", "application/x-protobuf"),
                "accept-encoding": ("Accept-Encoding", "identity"),
            }
            if self._compression != "none":
                headers["content-encoding"] = ("Content-Encoding", self._compression)
            if self._endpoint.credentials is not None:
                from base64 import b64encode

                token = b64encode(self._endpoint.credentials.encode()).decode("ascii")
                headers["authorization"] = ("Authorization", f"Basic {token}")
            for name, value in self._user_headers.items():
                headers[name.lower()] = (name, value)
            self._headers = [(name, value.encode()) for name, value in headers.values()]
        return self._headers

    def _connect(self, deadline: float) -> socket.socket:
        """Open a TCP connection and, for https, a TLS session on it.  Raises: OSError."""
        sock = _connect_tcp(self._endpoint.host, self._endpoint.port, deadline)
        if self._tls is None:
            return sock
        try:
            # Within one call the handshake keeps to the socket's timeout as a whole, not for each read.
            sock.settimeout(_left_s(deadline))
            return self._tls.context().wrap_socket(sock, server_hostname=self._endpoint.host)
        except BaseException:
            sock.close()
            raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _leave_parent(self) -> None:
        """In a forked child, let go of everything that belongs to the parent; elsewhere do nothing."""
        pid = os.getpid()
        if pid == self._pid:
            return
        self._wake = threading.Event()
        if self._interrupted:
            self._wake.set()
        self._disconnect()
        self._pid = pid

    def _checked_tls(
        self, certificate_file: str | None, client_certificate_file: str | None, client_key_file: str | None
    ) -> _TLS | None:
        """Refuse files that cannot be loaded or would not be used; None for plain http."""
        files = {
            "certificate_file": certificate_file,
            "client_certificate_file": client_certificate_file,
            "client_key_file": client_key_file,
        }
        given = {variable: path for variable, path in files.items() if path}
        if self._endpoint.scheme != "https":
            for variable, path in given.items():
                raise ConfigurationError(variable, path, f"no certificates, as {self._endpoint.shown} is not https")
            return None
        if client_key_file and not client_certificate_file:
            raise ConfigurationError("client_key_file", client_key_file, "a client_certificate_file to go with it")
        tls = _TLS(certificate_file or None, client_certificate_file or None, client_key_file or None)
        if given:
            tls.context()
        return tls


class _Reply(NamedTuple):
    """What is kept of an HTTP response."""

    status: int
    phrase: str
    content_type: str
    retry_after: str
    location: str
    body: bytes
    """At most _MAX_BODY_BYTES of it, and less if it broke off."""


class _Fault(NamedTuple):
    """An attempt that delivered nothing."""

    reason: str
    message: str
    retryable: bool
    retry_after_s: float | None


class _DeadlineSocket:
    """A socket as http.client uses one, on which every operation ends by one deadline.

    It has the three methods http.client calls.  `close` is not one that closes: http.client calls it as soon as it
    knows that the response is the connection's last, while its body is still to be read.  The descriptor is the
    _Connection's to close.
    """

    __slots__ = ("_sock", "deadline", "n_received_bytes")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.deadline = 0.0
        self.n_received_bytes = 0

    def sendall(self, data: ReadableBuffer) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(_left_s(self.deadline))
            rest = rest[self._sock.send(rest) :]

    def receive_into(self, buffer: WriteableBuffer) -> int:
        if self.n_received_bytes >= _MAX_RECEIVED_BYTES:
            from http.client import HTTPException

            raise HTTPException(f"a response of more than {_MAX_RECEIVED_BYTES} bytes")
        self._sock.settimeout(_left_s(self.deadline))
        n_bytes = self._sock.recv_into(buffer)
        self.n_received_bytes += n_bytes
        return n_bytes

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_SocketReader(self))

    def close(self) -> None:
        return


class _SocketReader(io.RawIOBase):
    """The reading side of a _DeadlineSocket, for io.BufferedReader."""

    def __init__(self, sock: _DeadlineSocket) -> None:
        self._deadline_socket = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return self._deadline_socket.receive_into(buffer)


class _Connection:
    """One connection: owns the socket, and http.client's state of the conversation on it."""

    __slots__ = ("_http", "_n_exchanges", "_sock", "_wire", "idle_since", "reusable")

    def __init__(self, sock: socket.socket, endpoint: Endpoint) -> None:
        from http.client import HTTPConnection

        self._sock = sock
        self._wire = _DeadlineSocket(sock)
        self._http = HTTPConnection(endpoint.host, endpoint.port)
        self._http.auto_open = 0
        self._http.sock = self._wire
        self._n_exchanges = 0
        self.idle_since = time.monotonic()
        self.reusable = True

    @property
    def reused(self) -> bool:
        """Whether the last exchange was not the first one here."""
        return self._n_exchanges > 1

    @property
    def unanswered(self) -> bool:
        """Whether the last exchange brought not one byte back."""
        return self._wire.n_received_bytes == 0

    def exchange(self, target: str, headers: list[tuple[str, bytes]], body: bytes, deadline: float) -> _Reply:
        """Send one request and read its answer.  After an exception the connection is of no further use.

        Raises: OSError (TimeoutError without errno: the deadline), http.client.HTTPException.
        """
        from http.client import HTTPException

        self._n_exchanges += 1
        self._wire.deadline = deadline
        self._wire.n_received_bytes = 0
        self._http.putrequest("POST", target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self._http.putheader(name, value)
        self._http.putheader("Content-Length", str(len(body)))
        sent = True
        try:
            self._http.endheaders(body)
        except (BrokenPipeError, ConnectionResetError):
            # A receiver that will not have the body says so and hangs up without reading it all (413, often).
            # Its words are worth more than "broken pipe"; if there are none, reading fails in the same way.
            sent = False
        response = self._http.getresponse()
        try:
            reply_body = response.read(_MAX_BODY_BYTES)
        except (OSError, HTTPException, ValueError):  # ValueError: a negative chunk size
            # The status line is the verdict; a body that breaks off or drips past the deadline does not undo it,
            # and sending the batch again would duplicate what was accepted.
            reply_body = b""
        self.reusable = sent and response.isclosed() and self._http.sock is not None
        self.idle_since = time.monotonic()
        return _Reply(
            response.status,
            response.reason,
            (response.getheader("Content-Type") or "").lower(),
            response.getheader("Retry-After") or "",
            response.getheader("Location") or "",
            reply_body,
        )

    def close(self) -> None:
        """Close the descriptor, and do no more.

        No shutdown(2) and no TLS close-notify: in a forked child both would reach the parent's peer, and a receiver
        needs neither after a complete response.  Nor is http.client asked to close: its reader has a lock, which in
        a forked child may be held by a thread that is not there.
        """
        self._sock.close()


class _TLS:
    """The TLS context, made from files and made again when they change.

    Certificates that live for hours are replaced on disk while the process runs.  When the new files do not load
    (half written, or no longer readable), the context in hand stays in use and the next connection tries again.
    """

    def __init__(
        self, certificate_file: str | None, client_certificate_file: str | None, client_key_file: str | None
    ) -> None:
        self._certificate_file = certificate_file
        self._client_certificate_file = client_certificate_file
        self._client_key_file = client_key_file
        self._context: ssl.SSLContext | None = None
        self._stamps: list[tuple[int, int, int] | None] = []

    def context(self) -> ssl.SSLContext:
        """Return a context for the files as they are now.  Raises: ConfigurationError, the first time only."""
        stamps = [
            _file_stamp(path)
            for path in (self._certificate_file, self._client_certificate_file, self._client_key_file)
        ]
        if self._context is None or stamps != self._stamps:
            try:
                self._context = self._load()
                self._stamps = stamps
            except ConfigurationError:
                if self._context is None:
                    raise
        return self._context

    def _load(self) -> ssl.SSLContext:
        import ssl

        try:
            context = ssl.create_default_context(cafile=self._certificate_file)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                "certificate_file", self._certificate_file, f"a readable PEM file of certificates ({_words(error)})"
            ) from None
        context.set_alpn_protocols(["http/1.1"])
        if self._client_certificate_file:
            # Some receivers ask for the certificate only after the handshake.
            context.post_handshake_auth = True
            try:
                context.load_cert_chain(self._client_certificate_file, self._client_key_file, _no_password)
            except (OSError, ValueError) as error:
                raise ConfigurationError(
                    "client_certificate_file",
                    self._client_certificate_file,
                    "a readable PEM certificate with its unencrypted key"
                    f" in {self._client_key_file or 'the same file'} ({_words(error)})",
                ) from None
        return context


# --- protobuf, as far as responses need it --------------------------------------------------------------------


def read_partial_success(body: bytes) -> tuple[int, str]:
    """Return (rejected spans, error message) of an ExportTraceServiceResponse; (0, "") when it is malformed.

    The number is as sent: it may be negative or exceed the batch.  Unknown fields are passed over.

    Source: opentelemetry-proto, collector/trace/v1/trace_service.proto: ``partial_success`` = 1 with
    ``rejected_spans`` = 1 (int64) and ``error_message`` = 2.
    """
    n_rejected, message = 0, b""
    try:
        for number, value in _fields(body):
            if number == 1 and isinstance(value, bytes):
                for inner, part in _fields(value):
                    if inner == 1 and isinstance(part, int):
                        n_rejected = part - (1 << 64) if part >> 63 else part
                    elif inner == 2 and isinstance(part, bytes):
                        message = part
    except ValueError:
        return 0, ""
    return n_rejected, message.decode("utf-8", "replace")


def read_status_message(body: bytes) -> str:
    """Return the message of a google.rpc.Status (``message`` = 2), "" when it is malformed."""
    message = b""
    try:
        for number, value in _fields(body):
            if number == 2 and isinstance(value, bytes):
                message = value
    except ValueError:
        return ""
    return message.decode("utf-8", "replace")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a protobuf message: an int for varint and fixed fields, bytes for the rest.

    Raises: ValueError, when the bytes are not a message (or use groups, which proto3 has not).
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire_type = key >> 3, key & 7
        if number == 0 or key >> 32:
            raise ValueError("field number out of range")
        if wire_type == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire_type == 2:
            n_bytes, at = _varint(data, at)
        elif wire_type in (1, 5):
            n_bytes = 8 if wire_type == 1 else 4
        else:
            raise ValueError("group or unknown wire type")
        if n_bytes > len(data) - at:
            raise ValueError("truncated field")
        part = data[at : at + n_bytes]
        at += n_bytes
        yield number, part if wire_type == 2 else int.from_bytes(part, "little")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at `at`, cut to 64 bits, and the position behind it.  Raises: ValueError."""
    value = 0
    for n_bytes, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * n_bytes)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + n_bytes + 1
    raise ValueError("truncated or overlong varint")


# --- small parts ----------------------------------------------------------------------------------------------


def _compressor(compression: str) -> Callable[[bytes], bytes]:
    """Return the function that packs a body.  Raises: ConfigurationError, when its package is missing."""
    if compression == "none":
        return _unchanged
    if compression == "zstd":
        return _zstd_compressor()
    import zlib

    # RFC 9110: "deflate" is the zlib format (15), "gzip" the same data in gzip's (31).
    wbits = 31 if compression == "gzip" else 15
    module: Any = _module("isal.isal_zlib") or zlib

    def compress(data: bytes) -> bytes:
        packer = module.compressobj(_DEFLATE_LEVEL, zlib.DEFLATED, wbits)
        packed: bytes = packer.compress(data) + packer.flush()
        return packed

    return compress


def _zstd_compressor() -> Callable[[bytes], bytes]:
    module: Any = _module("compression.zstd")
    if module is not None:

        def compress_stdlib(data: bytes) -> bytes:
            packed: bytes = module.compress(data, level=_ZSTD_LEVEL)
            return packed

        return compress_stdlib
    module = _module("zstandard")
    if module is None:
        raise ConfigurationError(
            "compression", "zstd", f"the package zstandard: install the extra {_DISTRIBUTION}[zstd]"
        )

    def compress(data: bytes) -> bytes:
        packed: bytes = module.ZstdCompressor(level=_ZSTD_LEVEL).compress(data)
        return packed

    return compress


def _unchanged(data: bytes) -> bytes:
    return data


def _module(name: str) -> Any:
    """Return an optional module, or None when it is not installed."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        return None


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def _left_s(deadline: float) -> float:
    """Return the seconds left.  Raises: TimeoutError, when none are."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("deadline passed")
    return left_s


def _connect_tcp(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address of `host` that answers.  Raises: OSError, the last address's.

    Each address gets an equal share of the time left: one that swallows packets (a broken IPv6 route, say) leaves
    time for the next.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    last_fault: OSError = OSError("name has no address")
    for n_tried, (family, kind, protocol, _, address) in enumerate(addresses):
        share_s = _left_s(deadline) / (len(addresses) - n_tried)
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # a family the kernel was built without
            last_fault = error
            continue
        try:
            sock.settimeout(share_s)
            sock.connect(address)
            # Head and body are two writes: without this the second may wait for the first one's acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            last_fault = error
    raise last_fault


def _is_disconnect(error: Exception) -> bool:
    """Tell whether the peer hung up, in plain TCP's words or in TLS's."""
    return isinstance(error, ConnectionError) or (_is_tls(error) and type(error).__name__ in _TLS_DISCONNECTS)


def _is_tls_refusal(error: Exception) -> bool:
    """Tell whether TLS gave an answer that asking again will not change (bad certificate, no TLS there, an alert)."""
    return _is_tls(error) and not _is_disconnect(error)


def _is_tls(error: Exception) -> bool:
    # Asked by name: plain http must not need the module ssl, which a Python may be built without.
    return type(error).__module__ == "ssl"


def _retry_after_s(text: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, from its number or its HTTP-date; None without one."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        from datetime import timezone

        moment = moment.replace(tzinfo=timezone.utc)
    return max(moment.timestamp() - time.time(), 0.0)


def _file_stamp(path: str | None) -> tuple[int, int, int] | None:
    """Return what changes when a file is replaced or rewritten; None when there is none."""
    if path is None:
        return None
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a path with a null byte
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _no_password() -> str:
    # Without a callback OpenSSL asks for the password on the terminal, and the program stands still.
    raise ValueError("the key is encrypted")


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {_shown(str(error))}" if str(error) else type(error).__name__


def _shown(text: str) -> str:
    """Return foreign text fit for one line of log: printable, and not too long."""
    line = "".join(ch if ch.isprintable() else " " for ch in text[: _MAX_SHOWN_CHARS + 1]).strip()
    return line if len(line) <= _MAX_SHOWN_CHARS else line[:_MAX_SHOWN_CHARS] + "..."
