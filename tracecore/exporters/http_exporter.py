"""What every exporter over HTTP/1.1 shares: one POST a batch through the standard library's http.client.

    export(batch, deadline)
      _encode --> compress --> attempt ---- 2xx ----> _taken ----> Outcome
                                ^  |------ other status, TLS refusal, not HTTP ----> Outcome
                                |  |------ deadline ----> Outcome
                                |  v
                              pause <----- 429 502 503 504, connection faults
                              (doubling, jittered, at least Retry-After; ends the export if the deadline is nearer)

An exporter of one format is a subclass: it says what the body is (`_encode`), and where the receiver's answer has a
form, how it is read (`_taken`, `_words_of`).

One kept-alive connection, used by one worker thread.  That the receiver closed it between two batches is
ordinary: the request is then sent once more at once on a new connection, and that is no retry.

The deadline is total: http.client works on a socket that gives every single operation what is left of it
(http_connection.py).  What it cannot cut short is the name lookup: the resolver's limit applies.

Fork: a child never writes to, reads from or shuts down the socket of its parent.  It closes its copy of the
descriptor (for TLS without a close-notify, which the receiver would take for the parent's) and connects anew.

Not done: proxies are not honoured, neither from arguments nor from http_proxy and the like; redirects are not
followed (they are answered with an outcome that names the target); cookies are ignored.

What is lost: a batch whose outcome is not acceptance is not kept.  The pipeline counts it by `Outcome.reason`.

Sources: OTLP specification 1.9 "OTLP/HTTP" (retryable statuses, Retry-After; the other formats' specifications name
none, and theirs are the same receivers behind the same load balancers); RFC 9110.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from tracecore.errors import ConfigurationError
from tracecore.exporters import Outcome, SpanBatch
from tracecore.exporters.compression import compressor
from tracecore.exporters.http_connection import (
    TLS,
    Connection,
    Reply,
    connect_tcp,
    is_disconnect,
    is_tls_refusal,
    left_s,
    shown,
    words,
)
from tracecore.exporters.otlp_settings import check_compression, check_header, check_timeout, parse_endpoint

__all__ = ["RETRY_PAUSE_S", "HTTPExporter"]

_DISTRIBUTION = "tracecore-native"

_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
"""OTLP specification, "Retryable Response Codes"; every other 4xx and 5xx must not be retried."""

RETRY_PAUSE_S = 1.0
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


class HTTPExporter:
    """Send batches to one HTTP receiver, each as one POST.  The base of the exporters; on its own it has no format.

    endpoint: full URL, used as it is, http or https.  Userinfo becomes HTTP Basic authentication unless `headers`
        brings an Authorization of its own.
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

    _format = ""
    """The format's name in the User-Agent."""
    _content_type = ""
    _guess = ""
    """What else may listen there, where the answer is not HTTP/1.1; ends a message."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        compression: str = "none",
        certificate_file: str | None = None,
        client_certificate_file: str | None = None,
        client_key_file: str | None = None,
        *,
        retry_pause: float = RETRY_PAUSE_S,
        version: str | None = None,
    ) -> None:
        self._endpoint = parse_endpoint("endpoint", endpoint)
        self._timeout_s = check_timeout("timeout", timeout)
        self._compression = check_compression("compression", compression)
        self._compress = compressor(self._compression)
        self._retry_pause_s = check_timeout("retry_pause", retry_pause)
        self._version = version
        self._user_headers = dict(headers or {})
        for name, value in self._user_headers.items():
            check_header("headers", name, value)
        self._headers: list[tuple[str, bytes]] | None = None
        self._tls = self._checked_tls(certificate_file, client_certificate_file, client_key_file)

        self._pid = os.getpid()
        self._connection: Connection | None = None
        # The two flags are what counts; the event only ends a pause early.  Its lock may be held by a thread that
        # a fork leaves behind, which a flag cannot suffer from.
        self._interrupted = False
        self._shut_down = False
        self._wake = threading.Event()
        self._exporting = False
        # Everything is imported here and nothing by the first export: that one runs on the worker, and a process
        # forked in the middle of an import keeps half a module, and the import's lock for ever.
        _import_for_exports()
        self._request_headers()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._endpoint.shown} compression={self._compression}>"

    def export(self, batch: SpanBatch, deadline: float) -> Outcome:
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
            return self._lost(n_spans, "exporter_error", words(error))
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

    def _export(self, batch: SpanBatch, n_spans: int, deadline: float) -> Outcome:
        try:
            body = batch.packed(self._encode(batch), self._compression, self._compress)
        except Exception as error:  # noqa: BLE001 - out of memory, or a codec's own exception types
            return self._lost(n_spans, "encode", words(error))
        pause_s = self._retry_pause_s
        n_attempts = 0
        while True:
            n_attempts += 1
            answer = self._attempt(body, deadline)
            if isinstance(answer, Reply):
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

    def _attempt(self, body: bytes, deadline: float) -> Reply | _Fault:
        """Send the request once (twice over a connection that proves stale) and read the answer."""
        from http.client import HTTPException

        while True:
            connection = self._connection
            if connection is not None and time.monotonic() - connection.idle_since >= _IDLE_LIMIT_S:
                self._disconnect()
                connection = None
            try:
                if connection is None:
                    connection = self._connection = Connection(self._connect(deadline), self._endpoint)
                reply = connection.exchange(self._endpoint.target, self._request_headers(), body, deadline)
            except (OSError, HTTPException) as error:
                self._disconnect()
                if connection is not None and connection.reused and connection.unanswered and is_disconnect(error):
                    continue
                return self._fault(error)
            # Some load balancers say good-bye to an idle connection with an unasked 408, and then hang up.
            stale = connection.reused and reply.status == 408
            if stale or not connection.reusable:
                self._disconnect()
            if not stale:
                return reply

    # --- what an answer means ---------------------------------------------------------------------------------

    def _encode(self, batch: SpanBatch) -> bytes:
        """Return the request's body.  May raise: the batch is lost then, under "encode"."""
        raise NotImplementedError

    def _taken(self, n_spans: int, reply: Reply) -> Outcome:
        """Return what an answer with a status of success means."""
        return Outcome(n_spans, 0, "", "")

    def _words_of(self, reply: Reply) -> str:
        """Return the receiver's reason for a refusal, as it stands in the body."""
        return reply.body.decode("utf-8", "replace")

    def _refusal(self, reply: Reply) -> _Fault:
        if 300 <= reply.status < 400:
            target = reply.location.partition("?")[0]
            text = f"redirects are not followed, this one leads to {target or 'nowhere'}"
        else:
            text = self._words_of(reply)
        message = f"{self._endpoint.shown}: HTTP {reply.status} {shown(reply.phrase)}".rstrip()
        if text := shown(text):
            message += f": {text}"
        retryable = reply.status in _RETRYABLE_STATUSES
        return _Fault("rejected_status", message, retryable, _retry_after_s(reply.retry_after) if retryable else None)

    def _fault(self, error: Exception) -> _Fault:
        """Say what a failed attempt means: the deadline, an answer in disguise, or an accident worth another try."""
        # Python's own timeouts carry no errno, the kernel's ETIMEDOUT does; every timeout set here is the deadline.
        if isinstance(error, TimeoutError) and error.errno is None:
            message = f"{self._endpoint.shown}: no answer before the deadline"
            return _Fault("export_timeout", message, False, None)
        if not isinstance(error, OSError):
            message = f"{self._endpoint.shown}: not an HTTP/1.1 answer ({words(error)}){self._guess}"
            return _Fault("connection", message, False, None)
        return _Fault("connection", f"{self._endpoint.shown}: {words(error)}", not is_tls_refusal(error), None)

    def _lost(self, n_spans: int, reason: str, message: str) -> Outcome:
        if not message.startswith(self._endpoint.shown):
            message = f"{self._endpoint.shown}: {message}"
        return Outcome(0, n_spans, reason, message)

    # --- request and connection -------------------------------------------------------------------------------

    def _request_headers(self) -> list[tuple[str, bytes]]:
        """Return all headers but Content-Length, which is the body's.  Made once and kept."""
        if self._headers is None:
            version = self._version or _installed_version()
            headers = {
                "host": ("Host", self._endpoint.authority),
                "user-agent": ("User-Agent", f"OTel-{self._format}-Exporter-Python-tracecore/{version}"),
                "content-type": ("Content-Type", self._content_type),
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
        sock = connect_tcp(self._endpoint.host, self._endpoint.port, deadline)
        if self._tls is None:
            return sock
        try:
            # Within one call the handshake keeps to the socket's timeout as a whole, not for each read.
            sock.settimeout(left_s(deadline))
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
    ) -> TLS | None:
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
        tls = TLS(certificate_file or None, client_certificate_file or None, client_key_file or None)
        if given:
            tls.context()
        return tls


class _Fault(NamedTuple):
    """An attempt that delivered nothing."""

    reason: str
    message: str
    retryable: bool
    retry_after_s: float | None


# --- small parts ----------------------------------------------------------------------------------------------


def _import_for_exports() -> None:
    import email.utils  # noqa: F401
    import encodings.idna  # noqa: F401 - what getaddrinfo encodes a host's name with
    import http.client  # noqa: F401


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


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
