"""JaegerCollectorExporter: spans to a Jaeger collector over HTTP, each batch one Batch in Thrift's binary encoding.

Delivery is http_exporter.py's, the mapping jaeger_span.py's.  A batch that the collector finds too large goes out in
parts.

Source: jaeger-idl, thrift/jaeger.thrift; Jaeger documentation, "APIs": Thrift over HTTP.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Final

from tracecore.errors import ConfigurationError
from tracecore.exporters import SpanBatch, jaeger_span
from tracecore.exporters.http_exporter import RETRY_PAUSE_S, HTTPExporter
from tracecore.exporters.thrift_protocol import BINARY

__all__ = ["DEFAULT_ENDPOINT", "DEFAULT_TIMEOUT_S", "JaegerCollectorExporter"]

DEFAULT_ENDPOINT: Final = "http://localhost:14268/api/traces?format=jaeger.thrift"
DEFAULT_TIMEOUT_S: Final = 10.0


class JaegerCollectorExporter(HTTPExporter):
    """Send batches to one collector.

    endpoint: full URL.
    username, password: for HTTP Basic authentication, both or none.
    The other arguments, faults and threads: as HTTPExporter.
    """

    _format = "Jaeger"
    _content_type = "application/x-thrift"

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
        username: str | None = None,
        password: str | None = None,
        retry_pause: float = RETRY_PAUSE_S,
        max_request_bytes: int = 0,
        version: str | None = None,
    ) -> None:
        headers = dict(headers or {})
        if (username is None) != (password is None):
            raise ConfigurationError("username" if password is None else "password", "(hidden)", "both, or none")
        if username is not None and password is not None:
            if ":" in username:
                raise ConfigurationError("username", username, "a user name without a colon")
            headers.setdefault("Authorization", "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii"))
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

    def _encode(self, batch: SpanBatch) -> bytes:
        spans = batch.spans()
        # All spans of a batch are of one provider, and so of one resource.
        process = jaeger_span.process(BINARY, spans[0].resource)
        return jaeger_span.batch(BINARY, process, [jaeger_span.span(BINARY, span) for span in spans])
