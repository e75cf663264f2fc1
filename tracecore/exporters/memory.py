"""InMemorySpanExporter: keeps finished spans for tests to look at."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tracecore.readable_span import ReadableSpan
from tracecore.sdk_classes import stands_for
from tracecore.span_exporter import SpanExporter, SpanExportResult

__all__ = ["InMemorySpanExporter"]


@stands_for("opentelemetry.sdk.trace.export.in_memory_span_exporter", "InMemorySpanExporter")
class InMemorySpanExporter(SpanExporter):
    """Keeps the last `max_spans` spans; all of them when None. Threads: any."""

    def __init__(self, max_spans: int | None = None) -> None:
        # A deque's extend, clear and copy are one step each under the GIL.
        self._finished_spans: deque[ReadableSpan] = deque(maxlen=max_spans)
        self._stopped = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep the spans; FAILURE after shutdown."""
        if self._stopped:
            return SpanExportResult.FAILURE
        self._finished_spans.extend(spans)
        return SpanExportResult.SUCCESS

    def get_finished_spans(self) -> tuple[ReadableSpan, ...]:
        """Return what was kept, oldest first."""
        return tuple(self._finished_spans)

    def clear(self) -> None:
        """Forget everything kept."""
        self._finished_spans.clear()

    def shutdown(self) -> None:
        """Refuse later spans."""
        self._stopped = True
