"""Metrics and logs: opentelemetry-sdk's providers, where it is installed, set up as its own configurator would.

tracecore has no part in these signals; a program that swaps its tracing is to keep them.  The functions called here
are private to opentelemetry-sdk, so whatever they raise is reported, and traces do not depend on it.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from tracecore import config
from tracecore.errors import report

__all__ = ["file_faults", "set_up_from_environment", "set_up_from_file"]


def set_up_from_environment(attributes: dict[str, Any], setup_logging_handler: bool | None) -> None:
    """Set the global MeterProvider and LoggerProvider by the OTEL_* variables."""
    if find_spec("opentelemetry.sdk") is None:
        return
    try:
        _from_environment(attributes, setup_logging_handler)
    except Exception as fault:
        _report(fault)


def set_up_from_file(data: dict[str, Any], attributes: dict[str, Any], schema_url: str) -> None:
    """Set the global MeterProvider and LoggerProvider by the sections of a configuration file.

    `data` is the file as plain data, references substituted, without what concerns traces only; `attributes` and
    `schema_url` are those of the resource, which all signals share.
    """
    if not _has_file_configuration():
        report(
            "other_signals",
            "%s: set up by opentelemetry-sdk, which needs its own package for that: "
            "pip install 'opentelemetry-sdk[file-configuration]'",
            " and ".join(name for name in data if name.endswith("_provider")),
        )
        return
    try:
        from opentelemetry.configuration._conversion import _dict_to_dataclass
        from opentelemetry.configuration._logger_provider import configure_logger_provider
        from opentelemetry.configuration._meter_provider import configure_meter_provider
        from opentelemetry.configuration.models import OpenTelemetryConfiguration
        from opentelemetry.sdk.resources import _DEFAULT_RESOURCE, Resource

        if fault := _first_fault(data):
            raise ValueError(fault)
        model = _dict_to_dataclass(data, OpenTelemetryConfiguration)
        # Whose telemetry it is: telemetry.sdk.* are opentelemetry-sdk's own.
        resource = Resource(attributes, schema_url).merge(_DEFAULT_RESOURCE)
        configure_meter_provider(model.meter_provider, resource)
        configure_logger_provider(model.logger_provider, resource, model.attribute_limits)
    except Exception as fault:
        _report(fault)


def file_faults(data: dict[str, Any]) -> str | None:
    """Return what is wrong with the sections of metrics and logs; None where nothing is, or nobody here can tell."""
    return _first_fault(data) if _has_file_configuration() else None


def _first_fault(data: dict[str, Any]) -> str | None:
    from opentelemetry.configuration import ConfigurationError
    from opentelemetry.configuration.file._loader import _validate_schema

    try:
        _validate_schema(data)
    except ConfigurationError as fault:
        return str(fault)
    return None


def _has_file_configuration() -> bool:
    try:
        return find_spec("opentelemetry.configuration") is not None and find_spec("jsonschema") is not None
    except ModuleNotFoundError:
        return False


def _from_environment(attributes: dict[str, Any], setup_logging_handler: bool | None) -> None:
    """Call the functions that opentelemetry-sdk's configurator calls."""
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
        setup_logging_handler or _sdk_handles_logging(),
        logger_configurator=logger_configurator,
    )


def _sdk_handles_logging() -> bool:
    """Return whether the environment asks for the SDK's (deprecated) logging handler."""
    return config.environment().get("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", "").strip().lower() == "true"


def _report(fault: Exception) -> None:
    report("other_signals", "opentelemetry-sdk's metrics and logs could not be set up: %s: %s", type(fault).__name__, fault)
