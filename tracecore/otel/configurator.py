"""TracecoreConfigurator: sets the providers of a program started by ``opentelemetry-instrument``.

    traces          always on tracecore
    metrics, logs   by opentelemetry-sdk, exactly as its own configurator would, where it is installed
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from opentelemetry import trace

from tracecore import config
from tracecore.bootstrap import from_environment
from tracecore.errors import report
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
        trace.set_tracer_provider(from_environment(attributes))
        if find_spec("opentelemetry.sdk") is not None:
            try:
                _configure_other_signals(attributes, kwargs)
            except Exception as fault:  # its private functions: traces must not depend on them
                report(
                    "other_signals",
                    "opentelemetry-sdk's metrics and logs could not be set up: %s: %s",
                    type(fault).__name__,
                    fault,
                )


def _configure_other_signals(attributes: dict[str, Any], kwargs: dict[str, Any]) -> None:
    """Set MeterProvider and LoggerProvider by the functions that opentelemetry-sdk's configurator uses."""
    from opentelemetry.sdk import _configuration as sdk
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create(attributes)
    _, metric_exporters, log_exporters = sdk._import_exporters(
        [], sdk._get_exporter_names("metrics"), sdk._get_exporter_names("logs")
    )
    meter_configurator = sdk._import_meter_configurator(sdk._get_meter_configurator())
    logger_configurator = sdk._import_logger_configurator(sdk._get_logger_configurator())
    sdk._init_metrics(metric_exporters, resource, meter_configurator=meter_configurator)
    sdk._init_logging(
        log_exporters,
        resource,
        kwargs.get("setup_logging_handler") or sdk_handles_logging(),
        logger_configurator=logger_configurator,
    )


def sdk_handles_logging() -> bool:
    """Return whether the environment asks for the SDK's (deprecated) logging handler."""
    return config.environment().get("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", "").strip().lower() == "true"
