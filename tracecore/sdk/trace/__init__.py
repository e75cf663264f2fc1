"""As opentelemetry.sdk.trace."""

from tracecore._core.span import Span
from tracecore._core.tracer import Tracer
from tracecore.limits import SpanLimits
from tracecore.provider import TracerProvider
from tracecore.readable_span import Event, ReadableSpan
from tracecore.span_processor import (
    ConcurrentMultiSpanProcessor,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
)

__all__ = [
    "ConcurrentMultiSpanProcessor",
    "Event",
    "ReadableSpan",
    "Span",
    "SpanLimits",
    "SpanProcessor",
    "SynchronousMultiSpanProcessor",
    "Tracer",
    "TracerProvider",
]
