"""As opentelemetry.sdk.trace.export.in_memory_span_exporter."""

from tracecore.exporters.memory import InMemorySpanExporter

__all__ = ["InMemorySpanExporter"]
