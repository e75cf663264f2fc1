"""span and traced: tracing without ceremony.

Both go through the OpenTelemetry API, so they follow whatever provider is set, ours or not.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, overload

from opentelemetry import trace
from opentelemetry.util.types import AnyValue

from tracecore._core.decorate import decorate

__all__ = ["span", "traced"]

F = TypeVar("F", bound=Callable[..., Any])

_provider: trace.TracerProvider | None = None
_tracer: trace.Tracer = trace.NoOpTracer()


def _current_tracer() -> trace.Tracer:
    """The tracer named "tracecore" of the provider that is set now."""
    global _provider, _tracer
    provider = trace.get_tracer_provider()
    if provider is not _provider:
        _tracer = provider.get_tracer("tracecore")
        _provider = provider
    return _tracer


def span(name: str, /, **attributes: AnyValue) -> AbstractContextManager[trace.Span]:
    """Return a context manager: a span that is current inside the `with`, with these attributes."""
    return _current_tracer().start_as_current_span(name, attributes=attributes)


class _Calls:
    """What a decorated function enters on each call: a span of the provider set by then."""

    def __init__(self, name: str, attributes: dict[str, AnyValue]) -> None:
        self._name = name
        self._attributes = attributes

    def again(self) -> AbstractContextManager[trace.Span]:
        return _current_tracer().start_as_current_span(self._name, attributes=self._attributes)

    def start(self) -> tuple[trace.Span, bool, bool]:
        return _current_tracer().start_span(self._name, attributes=self._attributes), True, True


@overload
def traced(function: F, /) -> F: ...
@overload
def traced(name: str | None = None, /, **attributes: AnyValue) -> Callable[[F], F]: ...


def traced(function: Any = None, /, **attributes: AnyValue) -> Any:
    """Decorate a function, coroutine function or (async) generator with a span a call.

    ``@traced`` names the span after the function, ``@traced("name", key=value)`` as told.
    """
    if function is None or isinstance(function, str):
        return lambda decorated: _with_span(function, attributes, decorated)
    return _with_span(None, attributes, function)


def _with_span(name: str | None, attributes: dict[str, AnyValue], function: Any) -> Any:
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(_with_span(name, attributes, function.__func__))
    if not callable(function):
        raise TypeError(f"traced decorates functions, or takes the span's name as a str; it got {function!r}")
    return decorate(_Calls(function.__qualname__ if name is None else name, attributes), function)
