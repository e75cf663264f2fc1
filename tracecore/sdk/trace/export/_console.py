"""ConsoleSpanExporter: each span as a line of text, JSON unless a formatter says otherwise.

As opentelemetry-sdk's, for whoever reads its output with a program. For people there is the exporter of the same name
in tracecore.exporters.console, which draws traces; it is also what OTEL_TRACES_EXPORTER=console gives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from os import linesep
from typing import IO

from tracecore.readable_span import ReadableSpan
from tracecore.span_exporter import SpanExporter, SpanExportResult

__all__ = ["ConsoleSpanExporter"]


class ConsoleSpanExporter(SpanExporter):
    """Writes `formatter(span)` of every span to `out`. Threads: one at a time, as its processor calls it."""

    def __init__(
        self,
        service_name: str | None = None,
        out: IO[str] = sys.stdout,
        formatter: Callable[[ReadableSpan], str] = lambda span: span.to_json() + linesep,
    ) -> None:
        self.service_name = service_name
        self.out = out
        self.formatter = formatter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans, and flush."""
        for span in spans:
            self.out.write(self.formatter(span))
        self.out.flush()
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True
