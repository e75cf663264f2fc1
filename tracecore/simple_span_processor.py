"""SimpleSpanProcessor: exports each span as it ends, on the thread that ends it. For tests and consoles.

An exporter of the SDK's kind gets `export((span,))`. One of tracecore's takes batches: it gets one of the span's record,
and one at a time.

Source: specification, trace/sdk.md "Simple processor".
"""

from __future__ import annotations

from typing import Any

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

from tracecore.errors import report
from tracecore.exporters.foreign import takes_batches
from tracecore.readable_span import ReadableSpan
from tracecore.sdk_classes import stands_for
from tracecore.self_metrics import self_metrics
from tracecore.span_batches import SpanBatches
from tracecore.span_processor import SpanProcessor

__all__ = ["SimpleSpanProcessor"]


@stands_for("opentelemetry.sdk.trace.export", "SimpleSpanProcessor")
class SimpleSpanProcessor(SpanProcessor):
    """Hands every sampled span to `span_exporter`. Threads: any, an exporter of the SDK's kind as well."""

    def __init__(self, span_exporter: Any, *, meter_provider: Any = None) -> None:
        self.span_exporter = span_exporter
        self._is_shut_down = False
        self._batches = SpanBatches(span_exporter) if takes_batches(span_exporter) else None
        self.n_processed = 0  # handed to the exporter, whatever it said
        self.n_after_shutdown = 0
        if (metrics := self_metrics(meter_provider)) is not None:
            metrics.add_simple_processor(self)

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        if self._is_shut_down:
            report("processor_shut_down", "a span ended after its SimpleSpanProcessor was shut down")
            self.n_after_shutdown += 1
            return
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        self.n_processed += 1  # one step under the GIL: no call and no jump in between
        try:
            if self._batches is not None:
                self._batches.export((span,))
            else:
                self.span_exporter.export((span,))
        except Exception as fault:  # the application's request goes on
            report("exporter_error", "%s: %s: %s", type(self.span_exporter).__name__, type(fault).__name__, fault)
        finally:
            detach(token)

    def shutdown(self) -> None:
        self._is_shut_down = True
        self.span_exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True
