"""Span processors of a configuration file that are neither "batch" nor "simple": tracecore's own, and installed ones.

    processors:
      - <name>:            a name of `_OURS`, or of an entry point in the group opentelemetry_span_processor
          <setting>: ...   keyword arguments of what that names

Each of ours is a line in `_OURS`: the module and the callable that takes the settings and returns a span processor, or
an object with `attach_stage`, which TracerProvider.add_span_processor takes as well.
"""

from __future__ import annotations

from typing import Any, Final

from tracecore.declarative.arguments import made_of
from tracecore.declarative.schema import Component
from tracecore.entry_point import load_entry_point

__all__ = ["OURS", "processor"]

OURS: Final[dict[str, tuple[str, str]]] = {
    "tracecore/baggage": ("tracecore.processors.baggage", "BaggageAttributes"),
    "tracecore/dropping": ("tracecore.declarative.rules", "dropping"),
    "tracecore/folding": ("tracecore.processors.folding", "Folding"),
    "tracecore/redaction": ("tracecore.declarative.rules", "redaction"),
    "tracecore/span_metrics": ("tracecore.processors.span_metrics", "SpanMetrics"),
}
"""Name in the file -> (module, callable)."""


def processor(component: Component) -> Any:
    """Return what `component` names.

    Raises: ConfigurationError for a setting, LookupError for a name nobody has, and what the code of others raises.
    """
    if (ours := OURS.get(component.name)) is not None:
        return made_of(*ours, component)
    return load_entry_point("opentelemetry_span_processor", component.name)(**component.settings)
