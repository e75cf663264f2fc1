"""stats(): every counter of the process."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace

from tracecore.provider import TracerProvider, providers

__all__ = ["stats"]


def stats() -> dict[str, Any]:
    """Return the counters of OpenTelemetry's global provider if it is ours, else of our newest one.

    ``spans``: what became of every span that was started; ``exporters``: one entry each, what became of
    every span it was given; ``reports``: faults by reason. Empty when there is no provider of ours.
    Threads: any.
    """
    current = trace._TRACER_PROVIDER
    if isinstance(current, TracerProvider):
        return current.stats()
    known = providers()
    return known[-1].stats() if known else {"spans": {}, "exporters": [], "reports": {}}
