"""Exporters by the names that OTEL_TRACES_EXPORTER has for them.

Each is a function ``from_environment(environment)`` beside the exporter it makes: a mapping of variables in, an
exporter out, wrong values reported. Its module is imported when its name is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from tracecore import config
from tracecore.entry_point import load_entry_point
from tracecore.errors import ConfigurationError, report

__all__ = ["exporters_by_name"]

_OURS: Final = {
    "console": "tracecore.exporters.console",
    "jaeger": "tracecore.exporters.jaeger",
    "jaeger_thrift": "tracecore.exporters.jaeger",
    "msgpack_file": "tracecore.exporters.msgpack_file",
    "otlp": "tracecore.exporters.otlp",
    "otlp/stdout": "tracecore.exporters.otlp_file:stdout_from_environment",
    "otlp_file": "tracecore.exporters.otlp_file",
    "otlp_json_http": "tracecore.exporters.otlp_http:json_from_environment",
    "otlp_proto_grpc": "tracecore.exporters.otlp_grpc",
    "otlp_proto_http": "tracecore.exporters.otlp_http:protobuf_from_environment",
    "zipkin": "tracecore.exporters.zipkin",
    "zipkin_json": "tracecore.exporters.zipkin",
}
"""The module whose `from_environment` makes the exporter of that name, or another function of it."""


def exporters_by_name(names: Sequence[str], environment: Mapping[str, str]) -> list[Any]:
    """Return the exporters of these names, each once; those that nobody has are left out, and named in one warning.

    A name that is none of ours is looked up among the installed opentelemetry_traces_exporter entry points, and
    what it makes gets ReadableSpans. One of ours that refuses its variables is left out as well, each with a warning.
    """
    exporters: dict[str, Any] = {}
    faults: list[str] = []
    for name in names:
        key = name.lower() if name.lower() in _OURS else name
        if key in exporters:
            continue
        if (module := _OURS.get(key)) is not None:
            module, _, function = module.partition(":")
            try:
                exporters[key] = getattr(import_module(module), function or "from_environment")(environment)
            except ConfigurationError as fault:  # a certificate, say: better nothing sent than sent to anybody
                config.warn(fault.variable, str(fault.value), fault.expected, f"no exporter {name!r}")
            continue
        try:
            exporters[key] = load_entry_point("opentelemetry_traces_exporter", name)()
        except Exception as fault:  # code of another package; the program must start without it
            faults.append(f"{name}: {fault}" if len(names) > 1 else str(fault))
    if faults:
        used = ",".join(exporters) or "no exporter"
        report("invalid_otel_traces_exporter", "OTEL_TRACES_EXPORTER=%r: %s; using %s", ",".join(names), "; ".join(faults), used)
    return list(exporters.values())
