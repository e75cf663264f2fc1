"""TracecoreConfigurator: sets the providers of a program started by ``opentelemetry-instrument``.

    traces          always on tracecore
    metrics, logs   by opentelemetry-sdk, exactly as its own configurator would, where it is installed
    OTEL_CONFIG_FILE   says what all of them are made of, instead of the other variables
"""

from __future__ import annotations

from typing import Any, Final

from tracecore.bootstrap import configure
from tracecore.otel.choice import others, stands_aside

__all__ = ["TracecoreConfigurator"]


class TracecoreConfigurator:
    """What opentelemetry-instrument calls once the distro has set its defaults."""

    def configure(self, auto_instrumentation_version: str | None = None, **kwargs: Any) -> None:
        """Set the global TracerProvider, and the SDK's providers of the other signals.

        Where the environment does not name tracecore and another configurator is installed, that one is called.
        """
        group = "opentelemetry_configurator"
        if stands_aside("OTEL_PYTHON_CONFIGURATOR", group):
            others(group)[0].load()().configure(auto_instrumentation_version=auto_instrumentation_version, **kwargs)
            return
        attributes: dict[str, Any] = dict(kwargs.get("resource_attributes") or {})
        if auto_instrumentation_version:
            attributes["telemetry.auto.version"] = auto_instrumentation_version
        ours = {argument: kwargs[name] for name, argument in _ARGUMENTS.items() if name in kwargs}
        configure(attributes, kwargs.get("setup_logging_handler"), **ours)


_ARGUMENTS: Final = {
    "id_generator": "id_generator",
    "sampler": "sampler",
    "span_processors": "span_processors",
    "trace_exporter_names": "exporter_names",
    "tracer_configurator": "tracer_configurator",
}
"""Keyword arguments of opentelemetry-sdk's configurator, and what `tracecore.bootstrap.configure` calls them."""
