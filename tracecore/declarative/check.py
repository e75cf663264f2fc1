"""`tracecore config check FILE`: what a configuration file would make here, or everything that is wrong with it.

Exporters are made as they would be, and let go of again; nothing is sent and no global is set. Detectors run.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tracecore import config, other_signals
from tracecore.declarative.building import BatchOf, Parts, load
from tracecore.declarative.faults import ConfigurationFileError, shown
from tracecore.errors import ConfigurationError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    actions = parser.add_subparsers(dest="action", metavar="<action>", required=True)
    check = actions.add_parser("check", help="print what the file would make, or all its faults")
    check.add_argument("file", nargs="?", help="a .yaml, .yml or .json file; default: OTEL_CONFIG_FILE")


def run(options: argparse.Namespace) -> int:
    """Check the file; return 0 when it holds, 1 when it has faults, 2 when no file is named."""
    file = options.file or config.config_file()
    if file is None:
        print("tracecore config check: name a file, or set OTEL_CONFIG_FILE", file=sys.stderr)
        return 2
    try:
        parts = load(file)
    except ConfigurationFileError as fault:
        print(fault, file=sys.stderr)
        return 1
    try:
        fault_of_others = None if parts.other_signals is None else other_signals.file_faults(parts.other_signals)
        if fault_of_others is not None:
            print(f"{file}: metrics and logs, by opentelemetry-sdk: {fault_of_others}", file=sys.stderr)
            return 1
        for name, value in described(parts):
            print(f"{name:<12} {value}")
        for remark in parts.remarks:
            print(f"note: {remark}")
    finally:
        parts.shutdown()
    return 0


def described(parts: Parts) -> list[tuple[str, str]]:
    """Return the parts in words, a line each."""
    lines = [("file", parts.file)]
    if parts.is_disabled:
        lines.append(("disabled", "true: propagators are set, and nothing else"))
    lines += [("resource", f"{key}={shown(value)}") for key, value in sorted(parts.resource.attributes.items())]
    names = [type(each).__name__ for each in getattr(parts.propagator, "_propagators", ())]
    lines.append(("propagator", ", ".join(names) or "none"))
    if parts.has_tracer_provider:
        lines.append(("sampler", "parent based, always on" if parts.sampler is None else _description(parts.sampler)))
        lines.append(("limits", repr(parts.limits)))
        if parts.id_generator is not None:
            lines.append(("ids", type(parts.id_generator).__name__))
        lines += [("processor", _processor(each)) for each in parts.processors]
    else:
        lines.append(("traces", "none: the file has no tracer_provider"))
    lines += [("instrument", name) for name in parts.instrumentation]
    for name in ("meter_provider", "logger_provider"):
        if parts.other_signals is not None and name in parts.other_signals:
            lines.append((name.partition("_")[0] + "s", "by opentelemetry-sdk"))
    return lines


def _description(sampler: Any) -> str:
    try:
        return str(sampler.get_description())
    except Exception as fault:  # code of another package
        return f"{type(sampler).__name__} ({type(fault).__name__}: {fault})"


def _processor(made: Any) -> str:
    if not isinstance(made, BatchOf):
        exporter = getattr(made, "span_exporter", None)
        return type(made).__name__ + ("" if exporter is None else f" of {type(exporter).__name__}")
    settings = made.settings
    try:
        checked = config.settings(**settings._asdict())
    except ConfigurationError as fault:
        return str(fault)
    return (
        f"batches of {checked.batch} every {checked.delay:g} s to {made.exporter!r}, "
        f"{checked.ring_bytes >> 10} KiB of queue, {checked.export_timeout:g} s an export"
    )
