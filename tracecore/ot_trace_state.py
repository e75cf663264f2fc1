"""OtelTraceState: the "ot" entry of a W3C tracestate, in which services agree on how a trace was sampled.

    ot=th:c;rv:d29d6a7215ced0;other
       |    |                 |
       |    |                 kept as it came
       |    randomness, 14 hexadecimal digits: what decides instead of the trace id's low 56 bits
       threshold, up to 14 digits without their trailing zeros: sampled if randomness >= threshold

A threshold of 0 samples everything, one of 2**56 nothing, and it is written by nobody: what it stands for is not sent.

Source: specification, trace/tracestate-handling.md and trace/tracestate-probability-sampling.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import TraceState

__all__ = [
    "INVALID_RANDOM_VALUE",
    "INVALID_THRESHOLD",
    "MAX_RANDOM_VALUE",
    "MAX_THRESHOLD",
    "MIN_THRESHOLD",
    "OTEL_TRACE_STATE_KEY",
    "RANDOM_VALUE_BITS",
    "OtelTraceState",
    "calculate_threshold",
    "is_valid_random_value",
    "is_valid_threshold",
    "serialize_th",
]

RANDOM_VALUE_BITS: Final = 56
MIN_THRESHOLD: Final = 0
"""Every span."""
MAX_THRESHOLD: Final = 1 << RANDOM_VALUE_BITS
"""No span."""
MAX_RANDOM_VALUE: Final = MAX_THRESHOLD - 1
INVALID_THRESHOLD: Final = -1
INVALID_RANDOM_VALUE: Final = -1

OTEL_TRACE_STATE_KEY: Final = "ot"

_DIGITS: Final = RANDOM_VALUE_BITS // 4
_MAX_LENGTH: Final = 256
"""Characters of the whole entry, as the specification allows it."""

_HEX: Final = re.compile(r"[0-9a-fA-F]+\Z")


@dataclass
class OtelTraceState:
    """The entry's two numbers, INVALID_* where it has none, and what else it says."""

    random_value: int
    threshold: int
    rest: Sequence[str]

    @staticmethod
    def invalid() -> OtelTraceState:
        return OtelTraceState(INVALID_RANDOM_VALUE, INVALID_THRESHOLD, ())

    @staticmethod
    def parse(trace_state: TraceState | None) -> OtelTraceState:
        """Return what the entry says; of what is missing or malformed, nothing."""
        parsed = OtelTraceState.invalid()
        entry = trace_state.get(OTEL_TRACE_STATE_KEY, "") if trace_state else ""
        if not entry or len(entry) > _MAX_LENGTH:
            return parsed
        rest = []
        for member in entry.split(";"):
            key, _, value = member.partition(":")
            if key == "th":
                if len(value) <= _DIGITS and _HEX.match(value):
                    parsed.threshold = int(value.ljust(_DIGITS, "0"), 16)
                else:
                    parsed.threshold = INVALID_THRESHOLD
            elif key == "rv":
                if len(value) == _DIGITS and _HEX.match(value):
                    parsed.random_value = int(value, 16)
                else:
                    parsed.random_value = INVALID_RANDOM_VALUE
            else:
                rest.append(member)
        parsed.rest = rest or ()
        return parsed

    def serialize(self) -> str:
        """Return the entry, without the last members if all were too long; "" if there is nothing to say."""
        members = []
        if is_valid_threshold(self.threshold) and self.threshold != MAX_THRESHOLD:
            members.append(f"th:{serialize_th(self.threshold)}")
        if is_valid_random_value(self.random_value):
            members.append(f"rv:{self.random_value:0{_DIGITS}x}")
        members += self.rest
        while len(members) > 1 and len(";".join(members)) > _MAX_LENGTH:
            members.pop()
        return ";".join(members)


def calculate_threshold(sampling_probability: float) -> int:
    """Return the threshold that samples this share, 0 to 1, of all traces."""
    return MAX_THRESHOLD - round(sampling_probability * MAX_THRESHOLD)


def is_valid_threshold(threshold: int) -> bool:
    return MIN_THRESHOLD <= threshold <= MAX_THRESHOLD


def is_valid_random_value(random_value: int) -> bool:
    return 0 <= random_value <= MAX_RANDOM_VALUE


def serialize_th(threshold: int) -> str:
    """Return the threshold's digits as the entry has them."""
    return f"{threshold:0{_DIGITS}x}".rstrip("0") or "0"
