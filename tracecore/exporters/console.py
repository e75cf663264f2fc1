"""ConsoleSpanExporter: each finished trace as a waterfall in the terminal.

Children end before their parents, so spans are kept by trace until the local root has come: the span
without a parent, or whose parent is in another process. What never gets a root is drawn at shutdown,
and the oldest trace is drawn early when too many wait.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from os import linesep
from typing import IO

from opentelemetry.trace import format_span_id, format_trace_id

from tracecore.errors import ConfigurationError, report
from tracecore.readable_span import ReadableSpan
from tracecore.sdk_classes import stands_for
from tracecore.span_exporter import SpanExporter, SpanExportResult
from tracecore.trace_tree import EventRow, LinkRow, SpanRow, Trace
from tracecore.waterfall import write

__all__ = ["ConsoleSpanExporter", "from_environment", "row_of"]

_MAX_WAITING_TRACES = 256
"""Traces kept for their root, at most."""


@stands_for("opentelemetry.sdk.trace.export", "ConsoleSpanExporter")
class ConsoleSpanExporter(SpanExporter):
    """Draws traces to `out` (default: standard output at the time of drawing), `width` columns wide.

    `service_name` and `formatter` are opentelemetry-sdk's: with a `formatter` each span is written as the text it
    returns, when it ends, and nothing is drawn.
    """

    def __init__(
        self,
        service_name: str | None = None,
        out: IO[str] | None = None,
        formatter: Callable[[ReadableSpan], str] | None = None,
        *,
        width: int | None = None,
    ) -> None:
        self.service_name = service_name
        self._out = out
        self._formatter = formatter
        self._width = width
        self._waiting: dict[int, list[SpanRow]] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Draw every trace whose local root is among the spans."""
        if self._formatter is not None:
            out = self._stream()
            out.write("".join(map(self._formatter, spans)))
            out.flush()
            return SpanExportResult.SUCCESS
        for span in spans:
            context = span.get_span_context()
            if context is None:
                continue
            self._waiting.setdefault(context.trace_id, []).append(row_of(span))
            if span.parent is None or span.parent.is_remote:
                self._draw(context.trace_id)
        while len(self._waiting) > _MAX_WAITING_TRACES:
            self._draw(next(iter(self._waiting)))
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Draw what still waits for its root."""
        for trace_id in list(self._waiting):
            self._draw(trace_id)

    def _draw(self, trace_id: int) -> None:
        out = self._stream()
        write(Trace(self._waiting.pop(trace_id)), out, width=self._width)
        out.write("\n")
        out.flush()

    def _stream(self) -> IO[str]:
        return sys.stdout if self._out is None else self._out


def from_environment(environment: Mapping[str, str]) -> ConsoleSpanExporter:
    """Return the exporter for OTEL_TRACES_EXPORTER=console.

    TRACECORE_CONSOLE_FORMAT is "waterfall", the default, or "json": each span as opentelemetry-sdk's console has it.
    """
    text = environment.get("TRACECORE_CONSOLE_FORMAT", "").strip().lower()
    if text not in ("", "waterfall", "json"):
        fault = ConfigurationError("TRACECORE_CONSOLE_FORMAT", text, "waterfall or json")
        report("console_settings", "%s; using 'waterfall' instead", fault)
    return ConsoleSpanExporter(formatter=_json_line if text == "json" else None)


def _json_line(span: ReadableSpan) -> str:
    return span.to_json() + linesep


def row_of(span: ReadableSpan) -> SpanRow:
    """Return a finished span as a row of the trace model."""
    context = span.get_span_context()
    assert context is not None
    return SpanRow(
        trace_id=format_trace_id(context.trace_id),
        span_id=format_span_id(context.span_id),
        parent_span_id=None if span.parent is None else format_span_id(span.parent.span_id),
        name=span.name,
        service=str((span.resource.attributes or {}).get("service.name", "")),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        kind=span.kind.name.lower(),  # type: ignore[arg-type]
        status=span.status.status_code.name.lower(),  # type: ignore[arg-type]
        status_message=span.status.description or "",
        attributes=dict(span.attributes),
        events=tuple(
            EventRow(name=event.name, time_ns=event.timestamp, attributes=dict(event.attributes or {}))
            for event in span.events
        ),
        links=tuple(
            LinkRow(
                trace_id=format_trace_id(link.context.trace_id),
                span_id=format_span_id(link.context.span_id),
                attributes=dict(link.attributes or {}),
            )
            for link in span.links
        ),
        scope=span.instrumentation_scope.name if span.instrumentation_scope is not None else "",
    )
