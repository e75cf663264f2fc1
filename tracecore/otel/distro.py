"""TracecoreDistro: the defaults of a program started by ``opentelemetry-instrument`` with OTEL_PYTHON_DISTRO=tracecore.

Traces go out by OTLP over HTTP unless the environment says otherwise. Metrics and logs are opentelemetry-sdk's:
where it and its exporter are installed they get the default that opentelemetry-distro gives them.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]

from tracecore import config
from tracecore.instrumentations import is_decided
from tracecore.otel.choice import stands_aside

__all__ = ["TracecoreDistro", "distro"]


class TracecoreDistro(BaseDistro):  # type: ignore[misc]
    """Sets what the environment leaves open."""

    def _configure(self, **kwargs: Any) -> None:
        if config.config_file() is not None:
            return  # the file says everything, and what is set here would count for nothing
        config.set_default("OTEL_TRACES_EXPORTER", "otlp")
        config.set_default("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        if _is_installed("opentelemetry.sdk") and _is_installed("opentelemetry.exporter.otlp.proto.http"):
            config.set_default("OTEL_METRICS_EXPORTER", "otlp")
            config.set_default("OTEL_LOGS_EXPORTER", "otlp")


    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Switch an instrumentation on, unless the configuration file has said whether and how."""
        if not is_decided(entry_point.name):
            super().load_instrumentor(entry_point, **kwargs)


def distro() -> TracecoreDistro | None:
    """Return the distro, or None (which opentelemetry-instrument passes over) where another one is meant."""
    return None if stands_aside("OTEL_PYTHON_DISTRO", "opentelemetry_distro") else TracecoreDistro()


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # one of the packages around it
        return False
