"""What every exporter over HTTP/1.1 shares: one POST a batch through the standard library's http.client.

Attempts, pauses, the deadline and the division of batches are remote_exporter.py's; here is one attempt:

    POST --+-- 2xx ---------------------------------------------> _taken ----> Outcome
           |-- 429 502 503 504, connection faults --------------> Fault, to be tried again
           |-- 413 ---------------------------------------------> Fault, too large
           `-- other status, TLS refusal, not HTTP, deadline ---> Fault

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

Sources: OTLP specification 1.9 "OTLP/HTTP" (retryable statuses, Retry-After; the other formats' specifications name
none, and theirs are the same receivers behind the same load balancers); RFC 9110 (413 Content Too Large).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

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
from tracecore.exporters.otlp_settings import check_compression, check_header, check_request_bytes, parse_endpoint
from tracecore.exporters.remote_exporter import RETRY_PAUSE_S, Fault, RemoteExporter, installed_version

__all__ = ["RETRY_PAUSE_S", "HTTPExporter"]

_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
"""OTLP specification, "Retryable Response Codes"; every other 4xx and 5xx must not be retried."""

_TOO_LARGE_STATUS = 413

_IDLE_LIMIT_S = 30.0
"""A connection unused for this long is replaced before use.  Load balancers and NATs forget idle connections
(after 60 s and more, commonly) without telling either end; what is sent then vanishes until the deadline."""


class HTTPExporter(RemoteExporter):
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
    retry_pause, max_request_bytes: see RemoteExporter.
    version: for the User-Agent; the installed distribution's version when None.

    Raises: ConfigurationError, for an argument that cannot be honoured.
    Threads: as RemoteExporter.  Fork: may be used on both sides, see the head of this file.
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
        max_request_bytes: int = 0,
        version: str | None = None,
    ) -> None:
        super().__init__(timeout, retry_pause, check_request_bytes("max_request_bytes", max_request_bytes))
        self._endpoint = parse_endpoint("endpoint", endpoint)
        self._shown = self._endpoint.shown
        self._compression = check_compression("compression", compression)
        self._compress = compressor(self._compression)
        self._version = version
        self._user_headers = dict(headers or {})
        for name, value in self._user_headers.items():
            check_header("headers", name, value)
        self._headers: list[tuple[str, bytes]] | None = None
        self._tls = self._checked_tls(certificate_file, client_certificate_file, client_key_file)

        self._connection: Connection | None = None
        # Everything is imported here and nothing by the first export: that one runs on the worker, and a process
        # forked in the middle of an import keeps half a module, and the import's lock for ever.
        _import_for_exports()
        self._request_headers()

    @property
    def endpoint(self) -> str:
        """Where requests go, without credentials and query."""
        return self._endpoint.shown

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._endpoint.shown} compression={self._compression}>"

    # --- one attempt ------------------------------------------------------------------------------------------

    def _pack(self, batch: SpanBatch, body: bytes) -> bytes:
        return batch.packed(body, self._compression, self._compress)

    def _attempt(self, body: bytes, n_spans: int, deadline: float) -> Outcome | Fault:
        reply = self._post(body, deadline)
        if isinstance(reply, Fault):
            return reply
        return self._taken(n_spans, reply) if 200 <= reply.status < 300 else self._refusal(reply)

    def _post(self, body: bytes, deadline: float) -> Reply | Fault:
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

    def _taken(self, n_spans: int, reply: Reply) -> Outcome:
        """Return what an answer with a status of success means."""
        return Outcome(n_spans, 0, "", "")

    def _words_of(self, reply: Reply) -> str:
        """Return the receiver's reason for a refusal, as it stands in the body."""
        return reply.body.decode("utf-8", "replace")

    def _refusal(self, reply: Reply) -> Fault:
        if 300 <= reply.status < 400:
            target = reply.location.partition("?")[0]
            text = f"redirects are not followed, this one leads to {target or 'nowhere'}"
        else:
            text = self._words_of(reply)
        message = f"{self._endpoint.shown}: HTTP {reply.status} {shown(reply.phrase)}".rstrip()
        if text := shown(text):
            message += f": {text}"
        if reply.status not in _RETRYABLE_STATUSES:
            return Fault("rejected_status", message, too_large=reply.status == _TOO_LARGE_STATUS)
        return Fault("rejected_status", message, retryable=True, retry_after_s=_retry_after_s(reply.retry_after))

    def _fault(self, error: Exception) -> Fault:
        """Say what a failed attempt means: the deadline, an answer in disguise, or an accident worth another try."""
        # Python's own timeouts carry no errno, the kernel's ETIMEDOUT does; every timeout set here is the deadline.
        if isinstance(error, TimeoutError) and error.errno is None:
            message = f"{self._endpoint.shown}: no answer before the deadline"
            return Fault("export_timeout", message)
        if not isinstance(error, OSError):
            message = f"{self._endpoint.shown}: not an HTTP/1.1 answer ({words(error)}){self._guess}"
            return Fault("connection", message)
        return Fault("connection", f"{self._endpoint.shown}: {words(error)}", retryable=not is_tls_refusal(error))

    # --- request and connection -------------------------------------------------------------------------------

    def _request_headers(self) -> list[tuple[str, bytes]]:
        """Return all headers but Content-Length, which is the body's.  Made once and kept."""
        if self._headers is None:
            version = self._version or installed_version()
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


# --- small parts ----------------------------------------------------------------------------------------------


def _import_for_exports() -> None:
    import email.utils  # noqa: F401
    import encodings.idna  # noqa: F401 - what getaddrinfo encodes a host's name with
    import http.client  # noqa: F401


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
