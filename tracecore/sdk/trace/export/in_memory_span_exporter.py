"""As opentelemetry.sdk.trace.export.in_memory_span_exporter."""

from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.readable_span import ReadableSpan
from tracecore.span_exporter import SpanExporter, SpanExportResult

__all__ = ["InMemorySpanExporter", "ReadableSpan", "SpanExportResult", "SpanExporter"]
