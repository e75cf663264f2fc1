"""One HTTP/1.1 connection on which every operation ends by one deadline, and the TLS under it.

A socket's own timeout restarts with every byte, so a receiver that drips its answer holds a thread for ever; here
http.client works on a socket that gives every single operation what is left of the total.  What the deadline cannot
cut short is the name lookup: the resolver's limit applies.

Fork: a child closes its copy of the descriptor and does no more (for TLS no close-notify, which the receiver would
take for the parent's).

Threads: one at a time.
"""

from __future__ import annotations

import io
import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tracecore.errors import ConfigurationError
from tracecore.exporters.otlp_settings import Endpoint

if TYPE_CHECKING:
    import ssl

    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = [
    "TLS",
    "Connection",
    "Reply",
    "addresses_of",
    "connect_tcp",
    "file_stamp",
    "is_disconnect",
    "is_tls_refusal",
    "left_s",
    "shown",
    "words",
]

_MAX_BODY_BYTES = 64 * 1024
"""What is read of a response body: a partial success is tens of bytes, the rest is worth one line of log at most.
Of a longer body the connection is dropped instead of draining it."""

_MAX_RECEIVED_BYTES = 4 * _MAX_BODY_BYTES
"""What is read of a response in all.  It ends endless headers, and bodies whose own framing is a lie."""

_TLS_DISCONNECTS = frozenset({"SSLEOFError", "SSLSyscallError", "SSLZeroReturnError"})
"""The exceptions of module ssl that mean a broken connection; all others are a verdict of TLS."""

_MAX_SHOWN_CHARS = 200
"""Characters of a receiver's own words in a message."""


class Reply(NamedTuple):
    """What is kept of an HTTP response."""

    status: int
    phrase: str
    content_type: str
    retry_after: str
    location: str
    body: bytes
    """At most _MAX_BODY_BYTES of it, and less if it broke off."""


class _DeadlineSocket:
    """A socket as http.client uses one, on which every operation ends by one deadline.

    It has the three methods http.client calls.  `close` is not one that closes: http.client calls it as soon as it
    knows that the response is the connection's last, while its body is still to be read.  The descriptor is the
    Connection's to close.
    """

    __slots__ = ("_sock", "deadline", "n_received_bytes")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.deadline = 0.0
        self.n_received_bytes = 0

    def sendall(self, data: ReadableBuffer) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(left_s(self.deadline))
            rest = rest[self._sock.send(rest) :]

    def receive_into(self, buffer: WriteableBuffer) -> int:
        if self.n_received_bytes >= _MAX_RECEIVED_BYTES:
            from http.client import HTTPException

            raise HTTPException(f"a response of more than {_MAX_RECEIVED_BYTES} bytes")
        self._sock.settimeout(left_s(self.deadline))
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


class Connection:
    """One connection: owns the socket, and http.client's state of the conversation on it."""

    __slots__ = ("_http", "_n_exchanges", "_sock", "_wire", "idle_since", "reusable")

    def __init__(self, sock: socket.socket, endpoint: Endpoint) -> None:
        from http.client import HTTPConnection

        self._sock = sock
        self._wire = _DeadlineSocket(sock)
        self._http = HTTPConnection(endpoint.host, endpoint.port)
        # A connection that http.client opened by itself would know of no deadline.
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

    def exchange(self, target: str, headers: list[tuple[str, bytes]], body: bytes, deadline: float) -> Reply:
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
        return Reply(
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


class TLS:
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
            file_stamp(path)
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
                "certificate_file", self._certificate_file, f"a readable PEM file of certificates ({words(error)})"
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
                    f" in {self._client_key_file or 'the same file'} ({words(error)})",
                ) from None
        return context


def left_s(deadline: float) -> float:
    """Return the seconds left.  Raises: TimeoutError, when none are."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("deadline passed")
    return left_s


def addresses_of(host: str, port: int, kind: socket.SocketKind) -> list[Any]:
    """Return what getaddrinfo knows of a host.  Raises: OSError."""
    look_up: Any = socket.getaddrinfo
    if (gevent := sys.modules.get("gevent.monkey")) is not None:
        # gevent looks names up in a thread pool, which at interpreter exit cannot start its first thread. The
        # worker is a real thread and may wait for the resolver itself.
        look_up = gevent.get_original("socket", "getaddrinfo")
    return list(look_up(host, port, type=kind))


def connect_tcp(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address of `host` that answers.  Raises: OSError, the last address's.

    Each address gets an equal share of the time left: one that swallows packets (a broken IPv6 route, say) leaves
    time for the next.
    """
    addresses = addresses_of(host, port, socket.SOCK_STREAM)
    last_fault: OSError = OSError("name has no address")
    for n_tried, (family, kind, protocol, _, address) in enumerate(addresses):
        share_s = left_s(deadline) / (len(addresses) - n_tried)
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


def is_disconnect(error: Exception) -> bool:
    """Tell whether the peer hung up, in plain TCP's words or in TLS's."""
    return isinstance(error, ConnectionError) or (_is_tls(error) and type(error).__name__ in _TLS_DISCONNECTS)


def is_tls_refusal(error: Exception) -> bool:
    """Tell whether TLS gave an answer that asking again will not change (bad certificate, no TLS there, an alert)."""
    return _is_tls(error) and not is_disconnect(error)


def _is_tls(error: Exception) -> bool:
    # Asked by name: plain http must not need the module ssl, which a Python may be built without.
    return type(error).__module__ == "ssl"


def file_stamp(path: str | None) -> tuple[int, int, int] | None:
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


def words(error: Exception) -> str:
    return f"{type(error).__name__}: {shown(str(error))}" if str(error) else type(error).__name__


def shown(text: str) -> str:
    """Return foreign text fit for one line of log: printable, and not too long."""
    line = "".join(ch if ch.isprintable() else " " for ch in text[: _MAX_SHOWN_CHARS + 1]).strip()
    return line if len(line) <= _MAX_SHOWN_CHARS else line[:_MAX_SHOWN_CHARS] + "..."
