"""Exporters by the names that OTEL_TRACES_EXPORTER has for them.

Each is a function ``from_environment(environment)`` beside the exporter it makes: a mapping of variables in, an
exporter out, wrong values reported. Its module is imported when its name is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from tracecore.errors import report

__all__ = ["exporter_by_name"]

_OURS: Final = {
    "console": "tracecore.exporters.console",
    "otlp": "tracecore.exporters.otlp",
    "otlp/stdout": "tracecore.exporters.otlp_file:stdout_from_environment",
    "otlp_file": "tracecore.exporters.otlp_file",
    "otlp_json_http": "tracecore.exporters.otlp_http:json_from_environment",
    "otlp_proto_grpc": "tracecore.exporters.otlp_grpc",
    "otlp_proto_http": "tracecore.exporters.otlp_http:protobuf_from_environment",
}
"""The module whose `from_environment` makes the exporter of that name, or another function of it."""


def exporter_by_name(name: str, environment: Mapping[str, str]) -> Any:
    """Return the exporter called `name`; None, with a warning, if there is none.

    A name that is none of ours is looked up among the installed opentelemetry_traces_exporter entry points, and
    what it makes gets ReadableSpans.

    Raises: ConfigurationError, for a value of ours that must not be passed over.
    """
    module = _OURS.get(name.lower())
    if module is not None:
        module, _, function = module.partition(":")
        return getattr(import_module(module), function or "from_environment")(environment)
    from importlib.metadata import entry_points

    try:
        found = next(iter(entry_points(group="opentelemetry_traces_exporter", name=name)), None)
        if found is None:
            raise LookupError("no exporter of that name is built in or installed")
        return found.load()()
    except Exception as fault:  # code of another package; the program must start without it
        report("invalid_otel_traces_exporter", "OTEL_TRACES_EXPORTER=%r: %s; it is left out", name, fault)
        return None
