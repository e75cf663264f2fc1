"""What is measured, and on whom: every operation as a loop, every rival as a tracer with its pipeline.

The same loop serves all rivals, because all of them speak the OpenTelemetry API (the floor as much of
it as it has). The pipeline of both real ones is a batch processor with an exporter that encodes each
batch as OTLP and throws the bytes away; `drain` empties it, outside the clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import get_current_span

Loop = Callable[[Any, int], None]

NEVER_S = 3600.0
"""Seconds between exports that nobody asked for: longer than any measurement, so that the worker rests."""


def empty(tracer: Any, n: int) -> None:
    for _ in itertools.repeat(None, n):
        with tracer.start_as_current_span("operation"):
            pass


def five(tracer: Any, n: int) -> None:
    for i in range(n):
        with tracer.start_as_current_span("operation") as span:
            span.set_attribute("http.request.method", "POST")
            span.set_attribute("http.route", "/checkout")
            span.set_attribute("cart.item_count", i)
            span.set_attribute("user.vip", True)
            span.set_attribute("cart.total", 99.99)


def five_by_argument(tracer: Any, n: int) -> None:
    for i in range(n):
        with tracer.start_as_current_span(
            "operation",
            attributes={
                "http.request.method": "POST",
                "http.route": "/checkout",
                "cart.item_count": i,
                "user.vip": True,
                "cart.total": 99.99,
            },
        ):
            pass


def start_end(tracer: Any, n: int) -> None:
    for _ in itertools.repeat(None, n):
        tracer.start_span("operation").end()


def event(tracer: Any, n: int) -> None:
    for _ in itertools.repeat(None, n):
        with tracer.start_as_current_span("operation") as span:
            span.add_event("cache miss", {"key": "user:42"})


def exception(tracer: Any, n: int) -> None:
    for _ in itertools.repeat(None, n):
        try:
            with tracer.start_as_current_span("operation"):
                raise ValueError("no such user")
        except ValueError:
            pass


def current(tracer: Any, n: int) -> None:
    """The API's own Python function, so at best equal for all; what differs is the Context it reads."""
    get = get_current_span
    with tracer.start_as_current_span("operation"):
        for _ in itertools.repeat(None, n):
            get()


def current_of_floor(tracer: Any, n: int) -> None:
    get = tracer.get_current_span
    with tracer.start_as_current_span("operation"):
        for _ in itertools.repeat(None, n):
            get()


def nothing(tracer: Any, n: int) -> None:
    """The loop itself, which is counted in everywhere."""
    for _ in itertools.repeat(None, n):
        pass


@dataclass(frozen=True)
class Workload:
    """One operation; `floor_loop` where the floor has a counterpart."""

    name: str
    title: str
    loop: Loop
    floor_loop: Loop | None = None
    sampled: bool = True


WORKLOADS = (
    Workload("W1", "current span", empty, empty),
    Workload("W2", "current span, 5 set_attribute", five, five),
    Workload("W2b", "current span, 5 attributes by argument", five_by_argument),
    Workload("W4", "current span, unsampled", empty, sampled=False),
    Workload("W4b", "unsampled, 5 set_attribute", five, sampled=False),
    Workload("W5", "start_span, end", start_end),
    Workload("event", "current span, 1 event with 1 attribute", event),
    Workload("exception", "current span left by a ValueError", exception),
    Workload("current", "get_current_span", current, current_of_floor),
)


def workload(name: str) -> Workload:
    """Return the workload of that name. Raises: StopIteration."""
    return next(w for w in WORKLOADS if w.name == name)


# ---- rivals ----------------------------------------------------------------------------------------


class TracecoreDiscard:
    """Encodes each batch and forgets it; counts the spans. Threads: the worker."""

    def __init__(self) -> None:
        self.n_spans = 0
        self.n_bytes = 0

    def export(self, batch: Any, deadline: float) -> Any:
        from tracecore.exporters import Outcome

        self.n_spans += len(batch)
        self.n_bytes += len(batch.otlp())
        return Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None:
        """Nothing: it never waits."""

    def shutdown(self) -> None:
        """Nothing: it holds nothing."""


def sdk_discard() -> Any:
    """Return an exporter for opentelemetry-sdk that does the same with the SDK's encoder."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class SdkDiscard(SpanExporter):
        def __init__(self) -> None:
            self.n_spans = 0
            self.n_bytes = 0

        def export(self, spans: Any) -> Any:
            self.n_spans += len(spans)
            self.n_bytes += len(encode_spans(spans).SerializeToString())
            return SpanExportResult.SUCCESS

    return SdkDiscard()


class Rival:
    """Tracers of one implementation, one sampled and one not, and how to empty its queue."""

    def __init__(self, name: str, providers: tuple[Any, Any], exporter: Any) -> None:
        self.name = name
        self._providers = providers
        self.exporter = exporter
        self._tracers = {
            sampled: provider.get_tracer("bench") for sampled, provider in zip((True, False), providers, strict=True)
        }

    def tracer(self, sampled: bool = True) -> Any:
        return self._tracers[sampled]

    def drain(self) -> None:
        """Export what is queued. Raises: RuntimeError when that fails."""
        if not self._providers[0].force_flush():
            raise RuntimeError(f"{self.name}: force_flush failed")

    def shutdown(self) -> None:
        for provider in self._providers:
            provider.shutdown()


def tracecore_rival(**settings: Any) -> Rival:
    """Return tracecore; `settings` are TracerProvider.add_exporter's."""
    from tracecore import TracerProvider
    from tracecore.sampling import ALWAYS_OFF

    exporter = TracecoreDiscard()
    sampled, unsampled = TracerProvider(), TracerProvider(sampler=ALWAYS_OFF)
    for provider in (sampled, unsampled):
        provider.add_exporter(exporter, delay=NEVER_S, **settings)
    return Rival("tracecore", (sampled, unsampled), exporter)


def sdk_rival(**settings: Any) -> Rival:
    """Return opentelemetry-sdk; `settings` are BatchSpanProcessor's."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    exporter = sdk_discard()
    sampled, unsampled = TracerProvider(), TracerProvider(sampler=ALWAYS_OFF)
    for provider in (sampled, unsampled):
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=int(NEVER_S * 1000), **settings))
    return Rival("opentelemetry-sdk", (sampled, unsampled), exporter)


class FloorRival:
    """bench/floor.c behind the part of Rival's interface that it has."""

    def __init__(self, name: str, tracer: Any) -> None:
        self.name = name
        self._tracer = tracer

    def tracer(self, sampled: bool = True) -> Any:
        return self._tracer

    def drain(self) -> None:
        """Nothing: the floor keeps nothing."""

    def shutdown(self) -> None:
        """Nothing: the floor has no threads."""
