"""As opentelemetry.exporter.zipkin.json."""

from __future__ import annotations

import enum
from typing import Any

from tracecore import config
from tracecore.errors import ConfigurationError
from tracecore.exporters import zipkin
from tracecore.sdk.exporter._calls import SdkCalls, not_offered

__all__ = ["Protocol", "ZipkinExporter"]


class Protocol(enum.Enum):
    """Versions of Zipkin's JSON."""

    V1 = "v1"
    V2 = "v2"


class ZipkinExporter(SdkCalls, zipkin.ZipkinExporter):
    """tracecore's Zipkin exporter with the arguments of opentelemetry's.

    Version 1 of the format, `max_tag_value_length` and `session` are refused.

    Raises: ConfigurationError.
    """

    def __init__(
        self,
        version: Any = Protocol.V2,
        endpoint: str | None = None,
        local_node_ipv4: str | int | None = None,
        local_node_ipv6: str | int | None = None,
        local_node_port: int | None = None,
        max_tag_value_length: int | None = None,
        timeout: float | None = None,
        session: Any = None,
    ) -> None:
        if getattr(version, "name", version) != "V2":
            raise ConfigurationError("version", version, "Protocol.V2")
        not_offered("max_tag_value_length", max_tag_value_length, "opentelemetry-exporter-zipkin-json")
        not_offered("session", session, "opentelemetry-exporter-zipkin-json")
        from_variables = zipkin.settings(config.environment())
        super().__init__(
            endpoint if endpoint is not None else from_variables[0],
            timeout=timeout if timeout is not None else from_variables[1],
            local_node_ipv4=local_node_ipv4,
            local_node_ipv6=local_node_ipv6,
            local_node_port=local_node_port,
        )
