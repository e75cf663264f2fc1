"""What an OTLP receiver says in its answer: a tolerant reader of a few protobuf messages, and of their JSON.

No protobuf library: of a response only a number and a sentence are wanted, and a malformed one must not cost the
batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = [
    "read_json_partial_success",
    "read_json_status_message",
    "read_partial_success",
    "read_retry_delay_s",
    "read_status_message",
]

_RETRY_INFO = b"/google.rpc.RetryInfo"
"""How the type of that message ends, whatever stands before it."""


def read_partial_success(body: bytes) -> tuple[int, str]:
    """Return (rejected spans, error message) of an ExportTraceServiceResponse; (0, "") when it is malformed.

    The number is as sent: it may be negative or exceed the batch.  Unknown fields are passed over.

    Source: opentelemetry-proto, collector/trace/v1/trace_service.proto: ``partial_success`` = 1 with
    ``rejected_spans`` = 1 (int64) and ``error_message`` = 2.
    """
    n_rejected, message = 0, b""
    try:
        for number, value in _fields(body):
            if number == 1 and isinstance(value, bytes):
                for inner, part in _fields(value):
                    if inner == 1 and isinstance(part, int):
                        n_rejected = part - (1 << 64) if part >> 63 else part
                    elif inner == 2 and isinstance(part, bytes):
                        message = part
    except ValueError:
        return 0, ""
    return n_rejected, message.decode("utf-8", "replace")


def read_status_message(body: bytes) -> str:
    """Return the message of a google.rpc.Status (``message`` = 2), "" when it is malformed."""
    message = b""
    try:
        for number, value in _fields(body):
            if number == 2 and isinstance(value, bytes):
                message = value
    except ValueError:
        return ""
    return message.decode("utf-8", "replace")


def read_retry_delay_s(status: bytes) -> float | None:
    """Return the seconds of the RetryInfo in a google.rpc.Status; None without one, or when it is malformed.

    Source: googleapis, google/rpc/status.proto (``details`` = 3: Any), error_details.proto (``retry_delay`` = 1:
    Duration of ``seconds`` = 1 and ``nanos`` = 2).
    """
    try:
        for number, detail in _fields(status):
            if number == 3 and isinstance(detail, bytes):
                parts = dict(_fields(detail))
                kind, content = parts.get(1), parts.get(2, b"")
                if isinstance(kind, bytes) and isinstance(content, bytes) and kind.endswith(_RETRY_INFO):
                    return _retry_info_s(content)
    except ValueError:
        pass
    return None


def _retry_info_s(message: bytes) -> float:
    delay = dict(_fields(message)).get(1, b"")
    parts = dict(_fields(delay)) if isinstance(delay, bytes) else {}
    seconds, nanos = parts.get(1, 0), parts.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int) or seconds >> 63 or nanos >> 63:
        return 0.0
    return seconds + nanos / 1e9


def read_json_partial_success(body: bytes) -> tuple[int, str]:
    """Return what read_partial_success does, of a response in JSON."""
    partial = _object(_object(_json(body)).get("partialSuccess"))
    text = partial.get("errorMessage")
    try:
        n_rejected = int(partial.get("rejectedSpans", 0))  # an int64, in JSON a string
    except (TypeError, ValueError):
        n_rejected = 0
    return n_rejected, text if isinstance(text, str) else ""


def read_json_status_message(body: bytes) -> str:
    """Return the message of a google.rpc.Status in JSON, "" when it is malformed."""
    text = _object(_json(body)).get("message")
    return text if isinstance(text, str) else ""


def _json(body: bytes) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a protobuf message: an int for varint and fixed fields, bytes for the rest.

    Raises: ValueError, when the bytes are not a message (or use groups, which proto3 has not).
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire_type = key >> 3, key & 7
        if number == 0 or key >> 32:
            raise ValueError("field number out of range")
        if wire_type == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire_type == 2:
            n_bytes, at = _varint(data, at)
        elif wire_type in (1, 5):
            n_bytes = 8 if wire_type == 1 else 4
        else:
            raise ValueError("group or unknown wire type")
        if n_bytes > len(data) - at:
            raise ValueError("truncated field")
        part = data[at : at + n_bytes]
        at += n_bytes
        yield number, part if wire_type == 2 else int.from_bytes(part, "little")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at `at`, cut to 64 bits, and the position behind it.  Raises: ValueError."""
    value = 0
    for n_bytes, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * n_bytes)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + n_bytes + 1
    raise ValueError("truncated or overlong varint")
