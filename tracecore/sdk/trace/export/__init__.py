"""As opentelemetry.sdk.trace.export."""

from tracecore.exporters.console import ConsoleSpanExporter
from tracecore.provider import BatchSpanProcessor
from tracecore.simple_span_processor import SimpleSpanProcessor
from tracecore.span_exporter import SpanExporter, SpanExportResult

__all__ = [
    "BatchSpanProcessor",
    "ConsoleSpanExporter",
    "SimpleSpanProcessor",
    "SpanExportResult",
    "SpanExporter",
]
