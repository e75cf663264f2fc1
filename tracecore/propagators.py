"""Propagators: which headers carry the trace context, chosen by name, as OTEL_PROPAGATORS and files do.

OpenTelemetry's API keeps the one global propagator. It reads OTEL_PROPAGATORS when `opentelemetry.propagate` is first
imported, and lets a name that nobody has end that import with ValueError, in whatever module of the application it
comes to pass. `check_environment`, where it is called before that, imports it in a way that cannot fail: the names
that can be loaded are used, and the others are named in one warning.

Source: specification, context/api-propagators.md and configuration/sdk-environment-variables.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

from tracecore import config
from tracecore.entry_point import load_entry_point
from tracecore.errors import report

__all__ = ["check_environment", "composite", "load", "set_global"]

_DEFAULT: Final = "tracecontext,baggage"


def load(name: str, settings: dict[str, Any] | None = None) -> Any:
    """Return the propagator called `name`.  Raises: LookupError, and what loading it raises."""
    if name == "tracecontext":
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        return TraceContextTextMapPropagator()
    if name == "baggage":
        from opentelemetry.baggage.propagation import W3CBaggagePropagator

        return W3CBaggagePropagator()
    return load_entry_point("opentelemetry_propagator", name)(**(settings or {}))


def composite(propagators: Iterable[Any]) -> Any:
    """Return all of them as one, of each class the first only: a header is to be written once."""
    from opentelemetry.propagators.composite import CompositePropagator

    by_class: dict[type, Any] = {}
    for propagator in propagators:
        by_class.setdefault(type(propagator), propagator)
    return CompositePropagator(list(by_class.values())) if by_class else _nothing()


def _nothing() -> Any:
    """Return the composite of no propagators. The API's own extracts None, on which instrumentations of servers fail."""
    from opentelemetry.context import get_current
    from opentelemetry.propagators.composite import CompositePropagator

    class NothingPropagated(CompositePropagator):
        def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
            return get_current() if context is None else context

    return NothingPropagated([])


def check_environment() -> None:
    """See to it that OTEL_PROPAGATORS does no harm: unknown names warn, one named twice is used once, "none" breaks nobody.

    Does nothing where the variable is not set. Where `opentelemetry.propagate` is imported already, the API has
    found every name, or the application lives with what it raised.
    """
    names = config.propagators()
    if not names:
        return
    if "opentelemetry.propagate" not in sys.modules:
        usable, wrong = _sorted_out(names)
        if wrong:
            used = ",".join(usable) or _DEFAULT
            config.warn("OTEL_PROPAGATORS", ",".join(wrong), "names of propagators that are installed", used)
        with config.variable_set_to("OTEL_PROPAGATORS", ",".join(usable) or _DEFAULT):
            import opentelemetry.propagate  # noqa: F401
    _drop_doubles()


def set_global(propagator: Any) -> None:
    """Set the global propagator, whatever OTEL_PROPAGATORS says."""
    with config.variable_set_to("OTEL_PROPAGATORS", _DEFAULT):
        from opentelemetry.propagate import set_global_textmap
    set_global_textmap(propagator)


def _sorted_out(names: list[str]) -> tuple[list[str], list[str]]:
    """Return the names that can be loaded, written as their entry points are, and the others."""
    usable: list[str] = []
    wrong: list[str] = []
    for name in names:
        if name.lower() == "none":
            return ["none"], wrong
        for spelling in dict.fromkeys((name, name.lower())):
            try:
                load(spelling)
            except LookupError:
                continue
            except Exception as fault:  # code of another package; what the API would raise at import
                report("propagator_not_loaded", "OTEL_PROPAGATORS: %s: %s: %s", name, type(fault).__name__, fault)
                continue
            if spelling not in usable:
                usable.append(spelling)
            break
        else:
            wrong.append(name)
    return usable, wrong


def _drop_doubles() -> None:
    from opentelemetry import propagate
    from opentelemetry.propagators.composite import CompositePropagator

    current = propagate.get_global_textmap()
    if type(current) is CompositePropagator:
        members = list(getattr(current, "_propagators", ()))
        if len({type(member) for member in members}) < len(members) or not members:
            propagate.set_global_textmap(composite(members))
