"""OTLP over gRPC: one unary call a batch, through the package grpcio (extra ``tracecore-native[grpc]``).

    request bytes --> /opentelemetry.proto.collector.trace.v1.TraceService/Export --+-- OK ----> partial success, Outcome
                                                                                    |-- code --> Fault, by the table
    CANCELLED DEADLINE_EXCEEDED ABORTED OUT_OF_RANGE UNAVAILABLE DATA_LOSS     tried again    `-- below
    RESOURCE_EXHAUSTED                       with RetryInfo: tried again; about the size: in parts; else final
    every other                                                                final

UNAVAILABLE counts as "connection", unless it came with details: gRPC says it when it has no connection, and receivers
say it when they have no capacity.  The other codes count as "rejected_status".

Attempts, pauses, the deadline and the division of batches are remote_exporter.py's.  The request is the bytes that
the core made without the GIL: no protobuf class is involved on either way.

Receivers refuse messages above 4 MiB unless they were told otherwise, so a batch is divided before that.

Connections are gRPC's own affair: a channel is made by the first export of a process, made anew after UNAVAILABLE
(gRPC would wait up to two minutes before it tried again by itself) and when certificates on disk have changed.

Fork: a child leaves the parent's channel alone and makes its own.  gRPC itself survives a fork unless
GRPC_ENABLE_FORK_SUPPORT=0 is set, which makes every call in a child hang.

Proxies: gRPC honours grpc_proxy, https_proxy, http_proxy and no_proxy by itself.

Not done: opentelemetry-python's credential providers; client-side load balancing beyond what a gRPC name brings.

Sources: OTLP specification 1.9 "OTLP/gRPC"; googleapis, google/rpc/error_details.proto; OpenTelemetry specification
1.55 "OpenTelemetry Protocol Exporter" (endpoint, insecure).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tracecore.errors import ConfigurationError, report
from tracecore.exporters import Outcome, SpanBatch
from tracecore.exporters.http_connection import TLS, file_stamp, shown
from tracecore.exporters.otlp_response import read_partial_success, read_retry_delay_s, read_status_message
from tracecore.exporters.otlp_settings import (
    DEFAULT_GRPC_ENDPOINT,
    DEFAULT_TIMEOUT_S,
    GRPC_COMPRESSIONS,
    check_compression,
    check_header,
    check_request_bytes,
    grpc_arguments,
    parse_grpc_endpoint,
)
from tracecore.exporters.remote_exporter import RETRY_PAUSE_S, Fault, RemoteExporter, installed_version

__all__ = ["OTLPGRPCExporter", "from_environment"]

_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

_RETRYABLE_CODES = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
"""OTLP specification, "Failures"; RESOURCE_EXHAUSTED is one of them only with RetryInfo."""

DEFAULT_MAX_REQUEST_BYTES = 4 << 20
"""What every gRPC implementation takes unless it is told otherwise."""

_MAX_RESPONSE_BYTES = 64 * 1024
"""A partial success is tens of bytes."""

_FRAME_BYTES = 1024
"""Kept free below the limit."""

_MAX_RECONNECT_PAUSE_MS = 5000

_CLOCK_MARGIN_S = 0.1
"""How much before the deadline gRPC may say that it passed."""


class OTLPGRPCExporter(RemoteExporter):
    """Send batches to one OTLP/gRPC receiver.

    endpoint: a URL ("http://collector:4317"; https speaks TLS), ``host:port``, or a name in gRPC's syntax
        ("unix:/run/collector.sock", "dns:///collector:4317").  Userinfo of a URL becomes HTTP Basic authentication
        unless `headers` brings an authorization of its own; a path has no meaning and is dropped.
    insecure: True for no TLS, False for TLS; None: TLS, but not to a socket of this machine.  Where the endpoint is
        a URL its scheme says it, as the specification has it, and this has no meaning.
    headers: metadata sent with every request; names are sent in lower case.
    timeout: seconds one export may take with everything in it; a nearer deadline given to `export` wins.
    compression: "none", "gzip" or "deflate".
    certificate_file: PEM file with the authorities to trust instead of gRPC's own.
    client_certificate_file, client_key_file: PEM files for mutual TLS; the key may be in the certificate's file,
        and must not be encrypted.  Files that change are read again before the next export.
    max_request_bytes: what the receiver takes in one request, before compression; 0 for no limit.
    channel_options: (name, value) pairs for the gRPC channel, which replace the exporter's own of the same name.
    retry_pause: see RemoteExporter.  version: for the user agent; the installed distribution's version when None.

    Raises: ConfigurationError, for an argument that cannot be honoured, or when grpcio is not installed.
    Threads: as RemoteExporter.  Fork: may be used on both sides, see the head of this file.
    """

    component_type = "otlp_grpc_span_exporter"
    """Its otel.component.type in tracecore.self_metrics."""

    def __init__(
        self,
        endpoint: str = DEFAULT_GRPC_ENDPOINT,
        insecure: bool | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
        compression: str = "none",
        certificate_file: str | None = None,
        client_certificate_file: str | None = None,
        client_key_file: str | None = None,
        *,
        max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES,
        channel_options: Sequence[tuple[str, Any]] = (),
        retry_pause: float = RETRY_PAUSE_S,
        version: str | None = None,
    ) -> None:
        limit = check_request_bytes("max_request_bytes", max_request_bytes)
        super().__init__(timeout, retry_pause, max(limit - _FRAME_BYTES, 1) if limit else 0)
        self._target = parse_grpc_endpoint("endpoint", endpoint)
        self._shown = self._target.shown
        self._is_secure = _is_secure(self._target.secure, insecure, self._shown)
        self._compression = check_compression("compression", compression, GRPC_COMPRESSIONS)
        self._metadata = _metadata(dict(headers or {}), self._target.credentials)
        self._files = self._checked_files(certificate_file, client_certificate_file, client_key_file)
        self._stamps, self._pems = self._file_stamps(), self._read_files()
        # Imported here and not by the first export: that one runs on the worker, and a process forked in the middle
        # of an import keeps half a module, and the import's lock for ever.
        self._grpc = _import_grpc()
        options: dict[str, Any] = {
            "grpc.primary_user_agent": f"OTel-OTLP-Exporter-Python-tracecore/{version or installed_version()}",
            "grpc.max_send_message_length": -1,  # the receiver judges
            "grpc.max_receive_message_length": _MAX_RESPONSE_BYTES,
            # Of its own: a shared one would bring its pause before reconnecting to the next channel.
            "grpc.use_local_subchannel_pool": 1,
            "grpc.max_reconnect_backoff_ms": _MAX_RECONNECT_PAUSE_MS,
            "grpc.enable_retries": 0,  # ours, which are counted and end
        }
        options.update(channel_options)
        self._options = list(options.items())
        self._channel: Any = None
        self._call: Any = None

    @property
    def endpoint(self) -> str:
        """Where requests go, without credentials."""
        return self._shown

    def __repr__(self) -> str:
        return f"<OTLPGRPCExporter {self._shown} compression={self._compression}>"

    # --- one attempt ------------------------------------------------------------------------------------------

    def _encode(self, batch: SpanBatch) -> bytes:
        return batch.otlp()

    def _attempt(self, body: bytes, n_spans: int, deadline: float) -> Outcome | Fault:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return Fault("export_timeout", f"{self._shown}: no answer before the deadline")
        self._renew_files()
        try:
            if self._call is None:
                self._connect()
            reply: bytes = self._call(body, timeout=left_s, metadata=self._metadata)
        except self._grpc.RpcError as error:
            return self._fault(error, deadline)
        return self._taken(n_spans, reply)

    def _taken(self, n_spans: int, reply: bytes) -> Outcome:
        n_rejected, text = read_partial_success(reply)
        n_rejected = min(max(n_rejected, 0), n_spans)
        if n_rejected:
            text = shown(text) or "no reason given"
            message = f"{self._shown}: {n_rejected} of {n_spans} spans refused: {text}"
            return Outcome(n_spans - n_rejected, n_rejected, "rejected_partial", message)
        return Outcome(n_spans, 0, "", f"{self._shown}: {shown(text)}" if text else "")

    def _fault(self, error: Any, deadline: float) -> Fault:
        """Say what a failed call means: the deadline, an answer, or an accident worth another try."""
        code = error.code().name
        trailers = {key: value for key, value in error.trailing_metadata() or () if isinstance(value, bytes)}
        status = trailers.get("grpc-status-details-bin", b"")
        details = error.details() or read_status_message(status)
        message = f"{self._shown}: gRPC {code}"
        if text := shown(details.rpartition("last error: ")[2]):
            message += f": {text}"
        if code == "DEADLINE_EXCEEDED" and time.monotonic() >= deadline - _CLOCK_MARGIN_S:
            return Fault("export_timeout", f"{self._shown}: no answer before the deadline")
        delay_s = read_retry_delay_s(status)
        if code == "UNAVAILABLE":
            self._disconnect()
            # gRPC's word for every trouble with the connection too: only one with details is known to be an answer.
            if not status:
                return Fault("connection", message, retryable=not _is_tls_refusal(details))
        if code == "RESOURCE_EXHAUSTED":
            if delay_s is None:
                return Fault("rejected_status", message, too_large="larger than max" in details.lower())
            return Fault("rejected_status", message, retryable=True, retry_after_s=delay_s)
        return Fault("rejected_status", message, retryable=code in _RETRYABLE_CODES, retry_after_s=delay_s)

    # --- the channel ------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        compression = {
            "none": self._grpc.Compression.NoCompression,
            "gzip": self._grpc.Compression.Gzip,
            "deflate": self._grpc.Compression.Deflate,
        }[self._compression]
        if self._is_secure:
            roots, chain, key = self._pems
            credentials = self._grpc.ssl_channel_credentials(roots, key if key or not chain else chain, chain)
            self._channel = self._grpc.secure_channel(self._target.name, credentials, self._options, compression)
        else:
            self._channel = self._grpc.insecure_channel(self._target.name, self._options, compression)
        self._call = self._channel.unary_unary(_METHOD)  # bytes in, bytes out

    def _disconnect(self) -> None:
        channel, self._channel, self._call = self._channel, None, None
        if channel is not None and os.getpid() == self._pid:
            channel.close()

    def _renew_files(self) -> None:
        """Have the next call use certificates that were replaced; those that do not load wait until they do."""
        if not self._files or (stamps := self._file_stamps()) == self._stamps:
            return
        try:
            TLS(*self._files).context()
            self._pems = self._read_files()
        except (ConfigurationError, OSError):
            return
        self._stamps = stamps
        self._disconnect()

    def _file_stamps(self) -> list[Any]:
        return [file_stamp(path) for path in self._files or ()]

    def _read_files(self) -> list[bytes | None]:
        return [_content(path) for path in self._files or (None, None, None)]

    # --- arguments --------------------------------------------------------------------------------------------

    def _checked_files(
        self, certificate_file: str | None, client_certificate_file: str | None, client_key_file: str | None
    ) -> tuple[str | None, str | None, str | None] | None:
        """Refuse files that cannot be loaded or would not be used; None when there are none."""
        files = {
            "certificate_file": certificate_file or None,
            "client_certificate_file": client_certificate_file or None,
            "client_key_file": client_key_file or None,
        }
        given = {variable: path for variable, path in files.items() if path}
        if not self._is_secure:
            for variable, path in given.items():
                raise ConfigurationError(variable, path, f"no certificates, as {self._shown} is spoken to without TLS")
        if not given:
            return None
        if client_key_file and not client_certificate_file:
            raise ConfigurationError("client_key_file", client_key_file, "a client_certificate_file to go with it")
        TLS(*files.values()).context()  # gRPC itself would find out at the first handshake, and say it less well
        return files["certificate_file"], files["client_certificate_file"], files["client_key_file"]


# --- small parts ----------------------------------------------------------------------------------------------


def _import_grpc() -> Any:
    try:
        import grpc
    except ImportError as error:
        raise ConfigurationError(
            "OTLPGRPCExporter", str(error), "the package grpcio: install the extra tracecore-native[grpc]"
        ) from None
    return grpc


def _is_secure(by_endpoint: bool | None, insecure: object, where: str) -> bool:
    if insecure is not None and not isinstance(insecure, bool):
        raise ConfigurationError("insecure", insecure, "True, False or None")
    is_socket = where.startswith("unix")
    if by_endpoint is not None and not is_socket:
        return by_endpoint
    return not is_socket if insecure is None else not insecure


def _metadata(headers: dict[str, str], credentials: str | None) -> tuple[tuple[str, str], ...]:
    """Return the metadata of every call.  Raises: ConfigurationError, never showing a value."""
    metadata: dict[str, str] = {}
    if credentials is not None:
        from base64 import b64encode

        metadata["authorization"] = "Basic " + b64encode(credentials.encode()).decode("ascii")
    for name, value in headers.items():
        check_header("headers", name, value)
        key = name.lower()
        if not all(ch.isalnum() or ch in "-_." for ch in key) or key.startswith("grpc-") or key.endswith("-bin"):
            raise ConfigurationError(
                "headers", name, "names of letters, digits and -_. that do not start with grpc- or end in -bin"
            )
        if not all(" " <= ch <= "~" for ch in value):
            raise ConfigurationError(f"headers[{name!r}]", "(hidden)", "a value of printable ASCII characters")
        metadata[key] = value.strip(" ")
    return tuple(metadata.items())


def _content(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()


def _is_tls_refusal(details: str) -> bool:
    """Tell whether TLS gave an answer that asking again will not change.  By gRPC's words: there is nothing else."""
    return "CERTIFICATE_VERIFY_FAILED" in details or "WRONG_VERSION_NUMBER" in details


_VARIABLES = {
    "compression": "OTEL_EXPORTER_OTLP_COMPRESSION",
    "certificate_file": "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "client_certificate_file": "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "client_key_file": "OTEL_EXPORTER_OTLP_CLIENT_KEY",
}
"""What only the environment gives here: what the exporter refuses is named as it was given."""


def from_environment(environment: Mapping[str, str], endpoint: str | None = None) -> OTLPGRPCExporter:
    """Return the exporter that OTEL_EXPORTER_OTLP_* describe; `endpoint` wins over theirs.

    Raises: ConfigurationError, naming variable, value and range.
    """
    if endpoint is not None:  # nobody needs to hear of what it replaces
        environment = {name: value for name, value in environment.items() if not name.endswith("_ENDPOINT")}
        parse_grpc_endpoint("endpoint", endpoint)
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    arguments, warnings = grpc_arguments(environment)
    try:
        exporter = OTLPGRPCExporter(**arguments)
    except ConfigurationError as error:
        if error.variable == "OTLPGRPCExporter":  # there is no grpcio
            raise ConfigurationError("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", error.expected) from None
        variable = _VARIABLES.get(error.variable)
        if variable is None:
            raise
        raise ConfigurationError(variable, error.value, error.expected) from None
    if warnings:
        report("otlp_settings", "%s", "; ".join(warnings))  # one line: a second would be held back
    return exporter
