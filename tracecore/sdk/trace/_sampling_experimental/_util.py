"""As opentelemetry.sdk.trace._sampling_experimental._util."""

from tracecore.ot_trace_state import (
    INVALID_RANDOM_VALUE,
    INVALID_THRESHOLD,
    MAX_RANDOM_VALUE,
    MAX_THRESHOLD,
    MIN_THRESHOLD,
    RANDOM_VALUE_BITS,
    calculate_threshold,
    is_valid_random_value,
    is_valid_threshold,
)

__all__ = [
    "INVALID_RANDOM_VALUE",
    "INVALID_THRESHOLD",
    "MAX_RANDOM_VALUE",
    "MAX_THRESHOLD",
    "MIN_THRESHOLD",
    "RANDOM_VALUE_BITS",
    "calculate_threshold",
    "is_valid_random_value",
    "is_valid_threshold",
]
