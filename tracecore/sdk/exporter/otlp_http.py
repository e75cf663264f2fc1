"""As opentelemetry.exporter.otlp.proto.http.trace_exporter."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from tracecore import config
from tracecore.exporters.otlp_http import OTLPHTTPExporter
from tracecore.exporters.otlp_settings import exporter_arguments
from tracecore.sdk.exporter._calls import SdkCalls, chosen, coding, not_offered

__all__ = ["Compression", "OTLPSpanExporter"]


class Compression(enum.Enum):
    """How request bodies are packed."""

    NoCompression = "none"
    Deflate = "deflate"
    Gzip = "gzip"


class OTLPSpanExporter(SdkCalls, OTLPHTTPExporter):
    """tracecore's OTLP/HTTP exporter with the arguments of opentelemetry's.

    `session` is refused: requests are sent without that library. `meter_provider` is the processor's matter here.
    A request above `max_request_size` bytes goes out in parts instead of being dropped.

    Raises: ConfigurationError.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        certificate_file: str | None = None,
        client_key_file: str | None = None,
        client_certificate_file: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        compression: Any = None,
        session: Any = None,
        *,
        max_request_size: int | None = None,
        meter_provider: Any = None,
    ) -> None:
        not_offered("session", session, "opentelemetry-exporter-otlp-proto-http")
        given = {
            "endpoint": endpoint,
            "certificate_file": certificate_file,
            "client_key_file": client_key_file,
            "client_certificate_file": client_certificate_file,
            "headers": headers,
            "timeout": timeout,
            "compression": coding(compression),
            "max_request_bytes": None if max_request_size is None else max(max_request_size, 0),
        }
        super().__init__(**chosen(*exporter_arguments(config.environment(), "http/protobuf"), given))
