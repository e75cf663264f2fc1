"""SpanExporter: the SDK's interface for exporters written in Python, which get ReadableSpans.

Exporters of the core take encoded batches instead, see tracecore.exporters.

Source: specification, trace/sdk.md "Span Exporter".
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from tracecore.readable_span import ReadableSpan
from tracecore.sdk_classes import StandIn, StandInMember, stands_for

__all__ = ["SpanExportResult", "SpanExporter"]


@stands_for("opentelemetry.sdk.trace.export", "SpanExportResult")
class SpanExportResult(StandInMember, enum.Enum):
    """Whether a batch was delivered."""

    SUCCESS = 0
    FAILURE = 1


@stands_for("opentelemetry.sdk.trace.export", "SpanExporter")
class SpanExporter(StandIn):
    """What an exporter overrides. `export` is never called by two threads at once."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver the spans."""
        raise NotImplementedError

    def shutdown(self) -> None:
        """Let go of connections and files. Called once."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Deliver what is buffered; False when `timeout_millis` were not enough."""
        return True
