"""Real batches for tests of exporters: spans that went through a provider, as its pipeline hands them over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import SpanKind, StatusCode

import tracecore
from tracecore._core.batch import Batch
from tracecore.exporters import Outcome
from tracecore.resource import Resource

__all__ = ["batch_of", "recorded"]


class _Kept:
    def __init__(self) -> None:
        self.batch: Any = None

    def export(self, batch: Any, deadline: float) -> Outcome:
        if self.batch is None:
            self.batch = batch
        else:  # the queue hands out so many bytes at a time
            self.batch.add(batch)
        return Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None:
        pass

    def shutdown(self) -> None:
        pass


def batch_of(n_spans: int = 3, padding: int = 0, large: dict[int, int] | None = None, null: bool = True) -> Batch:
    """Return a batch of spans "span 0", "span 1", ..., each with `padding` bytes of attribute; `large` has exceptions.

    `null`: with a value that is None, which some readers of JSON do not know.
    """
    kept = _Kept()
    provider = tracecore.TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_exporter(kept, ring_bytes=1 << 26, batch=65536, delay=3600)
    for number in range(n_spans):
        tracer = provider.get_tracer(f"lib {number % 2}", "1.0")
        span = tracer.start_span(f"span {number}", kind=SpanKind.SERVER, attributes={"number": number, "half": 0.5})
        if n_bytes := (large or {}).get(number, padding):
            span.set_attribute("padding", "x" * n_bytes)
        span.add_event("event", {"é": [True, None if null else "x"]})
        span.set_status(StatusCode.ERROR, "broken")
        span.end()
    provider.shutdown()
    assert isinstance(kept.batch, Batch) and len(kept.batch) == n_spans
    return kept.batch


def recorded(play: Callable[[tracecore.TracerProvider], object], **arguments: Any) -> Batch | None:
    """Return the batch of the spans that `play` makes with a provider, made with `arguments`; None of no spans."""
    kept = _Kept()
    provider = tracecore.TracerProvider(shutdown_on_exit=False, **arguments)
    provider.add_exporter(kept, ring_bytes=1 << 24, batch=65536, delay=3600)
    play(provider)
    provider.shutdown()
    return kept.batch
