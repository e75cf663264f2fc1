"""What an OTLP receiver says in the body of its answer: a tolerant reader of two protobuf messages.

No protobuf library: of a response only a number and a sentence are wanted, and a malformed one must not cost the
batch.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["read_partial_success", "read_status_message"]


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
