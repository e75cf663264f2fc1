"""As opentelemetry.sdk.trace.export."""

import logging

from tracecore.provider import BatchSpanProcessor
from tracecore.readable_span import ReadableSpan
from tracecore.sdk.environment_variables import (
    OTEL_BSP_EXPORT_TIMEOUT,
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
    OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED,
)
from tracecore.sdk.trace._span import Span
from tracecore.sdk.trace.export._console import ConsoleSpanExporter
from tracecore.simple_span_processor import SimpleSpanProcessor
from tracecore.span_exporter import SpanExporter, SpanExportResult
from tracecore.span_processor import SpanProcessor

__all__ = [
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED",
    "BatchSpanProcessor",
    "ConsoleSpanExporter",
    "ReadableSpan",
    "SimpleSpanProcessor",
    "Span",
    "SpanExportResult",
    "SpanExporter",
    "SpanProcessor",
    "logger",
]

logger = logging.getLogger("tracecore")
"""Where everything of ours logs."""
