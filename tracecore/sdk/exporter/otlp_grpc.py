"""As opentelemetry.exporter.otlp.proto.grpc.trace_exporter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tracecore import config
from tracecore.exporters.otlp_grpc import OTLPGRPCExporter
from tracecore.exporters.otlp_settings import grpc_arguments
from tracecore.sdk.exporter._calls import SdkCalls, chosen, coding, not_offered

__all__ = ["OTLPSpanExporter"]


class OTLPSpanExporter(SdkCalls, OTLPGRPCExporter):
    """tracecore's OTLP/gRPC exporter with the arguments of opentelemetry's.

    `credentials` and `retryable_error_codes` are refused: certificates are files here, which are read again when they
    change, and what is tried again is the specification's list. `meter_provider` is the processor's matter here.

    Raises: ConfigurationError.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        insecure: bool | None = None,
        credentials: Any = None,
        headers: Sequence[tuple[str, str]] | Mapping[str, str] | str | None = None,
        timeout: float | None = None,
        compression: Any = None,
        channel_options: Sequence[tuple[str, Any]] | None = None,
        retryable_error_codes: Iterable[Any] | None = None,
        *,
        meter_provider: Any = None,
    ) -> None:
        package = "opentelemetry-exporter-otlp-proto-grpc"
        not_offered("credentials", credentials, package)
        not_offered("retryable_error_codes", retryable_error_codes, package)
        given = {
            "endpoint": endpoint,
            "insecure": insecure,
            "headers": _mapping(headers),
            "timeout": timeout,
            "compression": coding(compression),
            "channel_options": channel_options,
        }
        super().__init__(**chosen(*grpc_arguments(config.environment()), given))


def _mapping(headers: Any) -> dict[str, str] | None:
    """Return headers in any of the forms that the SDK's exporter takes."""
    if headers is None:
        return None
    if isinstance(headers, str):
        pairs = (item.partition("=") for item in headers.split(",") if item.strip())
        return {name.strip(): value.strip() for name, _, value in pairs}
    return dict(headers)
