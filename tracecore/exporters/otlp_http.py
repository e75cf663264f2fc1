"""OTLP over HTTP/1.1: each batch as one POST of protobuf or of JSON.

Delivery (attempts, pauses, deadline, TLS, fork) is http_exporter.py's; here are the body, made without the GIL, and
what the receiver answers: a partial success, or a google.rpc.Status with the reason of a refusal.  It answers in the
encoding of the request; what something in between says in another one is only shown.

Source: OTLP specification 1.9 "OTLP/HTTP".
"""

from __future__ import annotations

from collections.abc import Mapping

from tracecore.errors import ConfigurationError, report
from tracecore.exporters import Outcome, SpanBatch
from tracecore.exporters.http_connection import Reply, shown
from tracecore.exporters.http_exporter import RETRY_PAUSE_S, HTTPExporter
from tracecore.exporters.otlp_response import (
    read_json_partial_success,
    read_json_status_message,
    read_partial_success,
    read_status_message,
)
from tracecore.exporters.otlp_settings import (
    DEFAULT_ENDPOINT,
    DEFAULT_TIMEOUT_S,
    exporter_arguments,
    parse_endpoint,
    traces_url,
)

__all__ = ["OTLPHTTPExporter", "from_environment", "json_from_environment", "protobuf_from_environment"]


_CONTENT_TYPES = {"protobuf": "application/x-protobuf", "json": "application/json"}


class OTLPHTTPExporter(HTTPExporter):
    """Send batches to one OTLP/HTTP receiver.

    endpoint: full URL, used as it is (no ``v1/traces`` is appended), http or https.
    encoding: "protobuf" or "json".
    The other arguments, faults and threads: as HTTPExporter.
    """

    _format = "OTLP"
    _guess = "; is it a gRPC port?"

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
        encoding: str = "protobuf",
        retry_pause: float = RETRY_PAUSE_S,
        max_request_bytes: int = 0,
        version: str | None = None,
    ) -> None:
        if encoding not in _CONTENT_TYPES:
            raise ConfigurationError("encoding", encoding, "protobuf or json")
        self._is_json = encoding == "json"
        self._content_type = _CONTENT_TYPES[encoding]
        super().__init__(
            endpoint,
            headers,
            timeout,
            compression,
            certificate_file,
            client_certificate_file,
            client_key_file,
            retry_pause=retry_pause,
            max_request_bytes=max_request_bytes,
            version=version,
        )

    @property
    def component_type(self) -> str:
        """Its otel.component.type in tracecore.self_metrics."""
        return "otlp_http_json_span_exporter" if self._is_json else "otlp_http_span_exporter"

    def _encode(self, batch: SpanBatch) -> bytes:
        return batch.otlp_json() if self._is_json else batch.otlp()

    def _taken(self, n_spans: int, reply: Reply) -> Outcome:
        n_rejected, text = 0, ""
        # Something in between may answer 200 with a page of its own; its bytes are not searched for a number.
        if not reply.content_type or ("json" if self._is_json else "protobuf") in reply.content_type:
            read = read_json_partial_success if self._is_json else read_partial_success
            n_rejected, text = read(reply.body)
        n_rejected = min(max(n_rejected, 0), n_spans)
        if n_rejected:
            text = shown(text) or "no reason given"
            message = f"{self._endpoint.shown}: {n_rejected} of {n_spans} spans refused: {text}"
            return Outcome(n_spans - n_rejected, n_rejected, "rejected_partial", message)
        return Outcome(n_spans, 0, "", f"{self._endpoint.shown}: {shown(text)}" if text else "")

    def _words_of(self, reply: Reply) -> str:
        if "protobuf" in reply.content_type:
            return read_status_message(reply.body)
        text = read_json_status_message(reply.body) if "json" in reply.content_type else ""
        return text or super()._words_of(reply)


_VARIABLES = {
    "compression": "OTEL_EXPORTER_OTLP_COMPRESSION",
    "certificate_file": "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "client_certificate_file": "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "client_key_file": "OTEL_EXPORTER_OTLP_CLIENT_KEY",
}
"""Arguments of the exporter that only the environment gives here: what it refuses is named as it was given."""


def from_environment(
    environment: Mapping[str, str], endpoint: str | None = None, protocol: str | None = None
) -> OTLPHTTPExporter:
    """Return the exporter that OTEL_EXPORTER_OTLP_* describe; a base URL in `endpoint` wins over theirs.

    `protocol` ("http/protobuf", "http/json") wins over OTEL_EXPORTER_OTLP_PROTOCOL.
    Raises: ConfigurationError, naming variable, value and range.
    """
    if endpoint is not None:  # nobody needs to hear of what it replaces
        environment = {name: value for name, value in environment.items() if not name.endswith("_ENDPOINT")}
    arguments, warnings = exporter_arguments(environment, protocol)
    if endpoint is not None:
        path = parse_endpoint("endpoint", endpoint).target.partition("?")[0]
        arguments["endpoint"] = endpoint if path.rstrip("/").endswith("/v1/traces") else traces_url(endpoint)
    try:
        exporter = OTLPHTTPExporter(**arguments)
    except ConfigurationError as error:
        variable = _VARIABLES.get(error.variable)
        if variable is None:
            raise
        if error.variable != "compression":
            raise ConfigurationError(variable, error.value, error.expected) from None
        warnings.append(f"{variable}={error.value!r}: expected {error.expected}; requests are sent uncompressed")
        arguments["compression"] = "none"
        exporter = OTLPHTTPExporter(**arguments)
    if warnings:
        report("otlp_settings", "%s", "; ".join(warnings))  # one line: a second would be held back
    return exporter


def protobuf_from_environment(environment: Mapping[str, str]) -> OTLPHTTPExporter:
    """Return the exporter that is asked for as "otlp_proto_http", whatever OTEL_EXPORTER_OTLP_PROTOCOL says."""
    return from_environment(environment, protocol="http/protobuf")


def json_from_environment(environment: Mapping[str, str]) -> OTLPHTTPExporter:
    """Return the exporter that is asked for as "otlp_json_http", whatever OTEL_EXPORTER_OTLP_PROTOCOL says."""
    return from_environment(environment, protocol="http/json")
