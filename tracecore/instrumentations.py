"""Instrumentations of a configuration file: the section instrumentation/development.python.

Each key is the name of an installed instrumentation (entry point group opentelemetry_instrumentor), its settings are the
arguments of that one's instrument(); ``enabled: false`` keeps it out.  opentelemetry-instrument, which switches on
all that is installed, asks `is_decided` before each (see tracecore.otel.distro): a file's word counts there as well.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, Final

import msgspec

from tracecore.entry_point import load_entry_point
from tracecore.errors import report

__all__ = ["instrument", "is_decided"]

_decided: Final[set[str]] = set()
"""Names that a file of this process spoke of."""


def is_decided(name: str) -> bool:
    """Return whether a file has switched the instrumentation on or off already."""
    return name in _decided


def instrument(settings_by_name: dict[str, dict[str, Any]]) -> None:
    """Switch the instrumentations on.  One that fails or is not installed is reported, and the others go on."""
    faults: list[str] = []
    for name, given in settings_by_name.items():
        settings = dict(given)
        _decided.add(name)
        if not settings.pop("enabled", True):
            continue
        try:
            cls = load_entry_point("opentelemetry_instrumentor", name)
            instrumentor = cls()
            if not getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
                instrumentor.instrument(**_arguments(cls, settings))
        except Exception as fault:  # code of other packages, around packages that may be missing
            faults.append(f"{name}: {type(fault).__name__}: {fault}")
    if faults:
        report("instrumentation_failed", "instrumentation/development.python: %s", "; ".join(faults))


def _arguments(cls: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings, checked where the instrumentation has a dataclass that says what they are."""
    model = getattr(cls, "configuration", None)
    if not (isinstance(model, type) and is_dataclass(model)):
        return settings
    made = msgspec.convert(settings, model)
    return {each.name: value for each in fields(made) if (value := getattr(made, each.name)) is not None}
