"""Dropping: spans that nobody wants, by name, kind, scope, status, duration or attributes.

    provider.add_span_processor(Dropping([
        asgi_send_receive(),                                        # "GET / http send" and "http receive"
        dropped(names="GET /health", kinds=SpanKind.SERVER),
        dropped(scopes="opentelemetry.instrumentation.redis", under=0.001),
        dropped(attributes={"url.path": re.compile("^/internal/")}, errors=False),
    ]))

A span is dropped when one rule holds for it, and a rule holds when everything in it does. Patterns are those of
tracecore.processors.patterns. What is dropped is counted for each exporter in `removed["dropped_by_rule"]`.

Rules are for leaves. A child ends before its parent and may have been sent already, so where a span with children is
dropped, they name a parent that the receiver never gets: most draw them as roots of their own. Whether a whole trace is
recorded is for a sampler to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import StatusCode

from tracecore._core import drop as core
from tracecore._core import patterns as core_patterns
from tracecore.errors import ConfigurationError
from tracecore.processors.patterns import Pattern, compiled, each_compiled

__all__ = ["DropRule", "Dropping", "asgi_send_receive", "dropped"]

_EVERY = 0xFF
_ANY_DURATION = (1 << 64) - 1
_MAX_S = 1e9


class DropRule:
    """One rule; made by `dropped`."""

    __slots__ = ("attributes", "kinds", "names", "scopes", "statuses", "under_ns")

    def __init__(
        self, kinds: int, statuses: int, under_ns: int, names: Any, scopes: Any, attributes: tuple[Any, ...]
    ) -> None:
        self.kinds = kinds
        self.statuses = statuses
        self.under_ns = under_ns
        self.names = names
        self.scopes = scopes
        self.attributes = attributes


def dropped(
    *,
    names: Pattern | Iterable[Pattern] = (),
    kinds: SpanKind | Iterable[SpanKind] = (),
    scopes: Pattern | Iterable[Pattern] = (),
    attributes: Mapping[Any, Any] | None = None,
    under: float | None = None,
    errors: bool = True,
) -> DropRule:
    """Return a rule that holds for spans with all that is given; of several names, kinds or scopes one is enough.

    Arguments:
        names, scopes: of spans and of instrumentation scopes.
        attributes: keys that the span must have (patterns), each with what its value must be: a pattern, a str, int or
            bool to be equal to, or None for any.
        under: seconds; only spans shorter than that.
        errors: False spares spans whose status is ERROR.
    Raises: ConfigurationError; also where nothing is given, which would drop every span.
    """
    if not (names or kinds or scopes or attributes) and under is None:
        raise ConfigurationError("dropped()", "nothing", "names, kinds, scopes, attributes or under")
    if under is not None and (isinstance(under, bool) or not isinstance(under, (int, float)) or not 0 < under <= _MAX_S):
        raise ConfigurationError("under", under, f"seconds above 0, up to {_MAX_S:.0f}")
    statuses = _EVERY if errors else _EVERY & ~(1 << StatusCode.ERROR.value)
    under_ns = _ANY_DURATION if under is None else math.ceil(under * 1e9)
    return DropRule(
        _kinds(kinds), statuses, under_ns, each_compiled("names", names), each_compiled("scopes", scopes), _attributes(attributes)
    )


def asgi_send_receive() -> DropRule:
    """Return the rule for the spans that the ASGI, FastAPI and Starlette instrumentations make of every message sent
    or received: "... http send", "... http receive", and the same of "websocket"."""
    return dropped(
        names=("* http send", "* http receive", "* websocket send", "* websocket receive"),
        kinds=SpanKind.INTERNAL,
        attributes={"asgi.event.type": None},
    )


class Dropping:
    """Drops spans by rules, for all exporters of the provider that it is added to.

    Arguments: up to 63 rules made by `dropped`, of which one is enough; more go into another Dropping.
    Raises: ConfigurationError. Threads: any.
    """

    def __init__(self, rules: Iterable[DropRule]) -> None:
        checked = list(rules)
        for rule in checked:
            if not isinstance(rule, DropRule):
                raise ConfigurationError("rules", rule, "rules made by dropped() or asgi_send_receive()")
        if not 1 <= len(checked) <= core_patterns.MAX_RULES:
            raise ConfigurationError("rules", len(checked), f"from 1 to {core_patterns.MAX_RULES} rules")
        if (n := sum(len(rule.attributes) for rule in checked)) > core_patterns.MAX_RULES:
            raise ConfigurationError("attributes", n, f"at most {core_patterns.MAX_RULES} in all rules")
        self._rules = [
            (rule.kinds, rule.statuses, rule.under_ns, rule.names, rule.scopes, rule.attributes) for rule in checked
        ]

    def attach_stage(self, origin: Any, *, first: bool = True) -> core.DropStage:
        """Return the stage for one drain of a provider; `add_span_processor` calls it."""
        return core.DropStage(self._rules)


def _kinds(kinds: Any) -> int:
    if isinstance(kinds, SpanKind):
        kinds = (kinds,)
    bits = 0
    for kind in kinds:
        if not isinstance(kind, SpanKind):
            raise ConfigurationError("kinds", kind, "a SpanKind")
        bits |= 1 << kind.value
    return bits or _EVERY


def _attributes(attributes: Any) -> tuple[Any, ...]:
    if attributes is None:
        return ()
    if not isinstance(attributes, Mapping):
        raise ConfigurationError("attributes", attributes, "a mapping of key patterns to values")
    return tuple((compiled("attributes", key), _value(key, value)) for key, value in attributes.items())


def _value(key: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        return core_patterns.EXACT, b"true" if value else b"false", 0
    if isinstance(value, int):
        return core_patterns.EXACT, str(value).encode(), 0
    return compiled(f"attributes[{key!r}]", value)
