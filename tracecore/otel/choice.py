"""Whether a program that was started without naming tracecore is to run on it.

opentelemetry-instrument takes the first distro and the first configurator it finds. A deployment that has
another one installed keeps it when tracecore comes along, unless its environment names tracecore.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from tracecore import config

__all__ = ["others", "stands_aside"]


def others(group: str) -> list[EntryPoint]:
    """Return what other distributions offer in an entry point group."""
    return [entry_point for entry_point in entry_points(group=group) if entry_point.name != "tracecore"]


def stands_aside(variable: str, group: str) -> bool:
    """Return whether `variable` names nobody and somebody else is there."""
    return config.environment().get(variable) != "tracecore" and bool(others(group))
