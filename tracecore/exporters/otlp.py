"""OTLP by whichever transport the environment names: what OTEL_TRACES_EXPORTER calls "otlp".

    OTEL_EXPORTER_OTLP_(TRACES_)PROTOCOL    http/protobuf (also when unset), http/json    otlp_http.py
                                            grpc                                          otlp_grpc.py

Source: OpenTelemetry specification 1.55, "OpenTelemetry Protocol Exporter", "Specify Protocol".
"""

from __future__ import annotations

from collections.abc import Mapping

from tracecore.exporters import Exporter
from tracecore.exporters.otlp_settings import protocol

__all__ = ["from_environment"]


def from_environment(environment: Mapping[str, str], endpoint: str | None = None) -> Exporter:
    """Return the exporter that OTEL_EXPORTER_OTLP_* describe; `endpoint` wins over theirs.

    Raises: ConfigurationError, naming variable, value and range; also where the package for gRPC is not installed.
    """
    if protocol(environment) == "grpc":
        from tracecore.exporters import otlp_grpc

        return otlp_grpc.from_environment(environment, endpoint)
    from tracecore.exporters import otlp_http

    return otlp_http.from_environment(environment, endpoint)
