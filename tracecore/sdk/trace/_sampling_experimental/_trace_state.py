"""As opentelemetry.sdk.trace._sampling_experimental._trace_state."""

from tracecore.ot_trace_state import OTEL_TRACE_STATE_KEY, OtelTraceState, serialize_th

__all__ = ["OTEL_TRACE_STATE_KEY", "OtelTraceState", "serialize_th"]
