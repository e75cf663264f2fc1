"""TracecoreDistro: the defaults of a program started by ``opentelemetry-instrument`` with OTEL_PYTHON_DISTRO=tracecore.

Traces go out by OTLP over HTTP unless the environment says otherwise. Metrics and logs are
opentelemetry-sdk's; nothing is switched on for them here.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]

from tracecore import config

__all__ = ["TracecoreDistro"]


class TracecoreDistro(BaseDistro):  # type: ignore[misc]
    """Sets what the environment leaves open."""

    def _configure(self, **kwargs: Any) -> None:
        config.set_default("OTEL_TRACES_EXPORTER", "otlp")
        config.set_default("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
