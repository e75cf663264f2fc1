"""MessagePackFileExporter: spans as a stream of MessagePack maps, one a span, in a file that rotates; and its reader.

Every type that an attribute can have survives, which is what this format is for: a program reads back the values that
were set.  A record is a map with these keys, all of them present, in this order (so that each record begins with the
same 14 bytes):

    trace_id                   16 bytes            attributes                 map of text to value
    span_id                    8 bytes             dropped_attributes_count   integer
    parent_span_id             8 bytes or nil      events                     array of {name, time_unix_nano,
    parent_is_remote           boolean                                        attributes, dropped_attributes_count}
    trace_state                text, as in HTTP    dropped_events_count       integer
    trace_flags                integer             links                      array of {trace_id, span_id, trace_state,
    name                       text                                           trace_flags, is_remote, attributes,
    kind                       "INTERNAL", ...                                dropped_attributes_count}
    start_time_unix_nano       integer             dropped_links_count        integer
    end_time_unix_nano         integer             scope                      {name, version, schema_url, attributes}
    status_code                "UNSET", ...        resource                   {attributes, schema_url}
    status_message             text or nil

Values are nil, booleans, integers, doubles, text, bytes, arrays and maps of text to values.  Two kinds have no place
in MessagePack and are extensions: type 1 is an integer beyond 64 bits (two's complement, big-endian), type 2 is text
with lone surrogates (UTF-8 with the surrogates' own three bytes; in a key they become U+FFFD).

A process that is killed in the middle of a write leaves half a record.  Writers append behind it; `read` passes over
it and goes on at the next record that begins as one and is whole.  (Where an attribute of the torn record held a whole
record in its bytes, that one is read.)

Source: MessagePack specification; specification, trace/api.md for the fields' names.
"""

from __future__ import annotations

import gzip
import mmap
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from opentelemetry.trace import SpanContext

from tracecore.exporters import SpanBatch
from tracecore.exporters.file_exporter import FileExporter, file_arguments
from tracecore.exporters.non_otlp import sound
from tracecore.exporters.rotating_file import RotatingFile
from tracecore.readable_span import ReadableSpan

__all__ = ["MessagePackFileExporter", "from_environment", "read"]

_INTEGER: Final = 1
_TEXT: Final = 2

_START: Final = re.compile(rb"\xde[\x00-\xff]{2}\xa8trace_id\xc4\x10")
"""How a record begins: a map of more than 15 keys, the first of them trace_id, with 16 bytes."""
_N_START_BYTES: Final = 14

_KEYS: Final = frozenset(
    (
        "trace_id span_id parent_span_id parent_is_remote trace_state trace_flags name kind start_time_unix_nano"
        " end_time_unix_nano status_code status_message attributes dropped_attributes_count events dropped_events_count"
        " links dropped_links_count scope resource"
    ).split()
)

_MAX_STARTS_IN_A_RECORD: Final = 64
"""Attributes may hold the same bytes, so a record may go on behind them; this many are tried before it is given up."""

_PREFIX: Final = "TRACECORE_MSGPACK_FILE_"


class MessagePackFileExporter(FileExporter):
    """Append spans to a file of MessagePack maps.  Arguments, faults and threads: as FileExporter."""

    def _encode(self, batch: SpanBatch) -> bytes:
        encode = msgspec.msgpack.Encoder().encode
        encoded = bytearray()
        shared: dict[int, msgspec.Raw] = {}
        for span in batch.spans():
            record = _record(span, shared)
            try:
                encoded += encode(record)
            except (OverflowError, UnicodeEncodeError):
                encoded += encode(_extended(record))
        return bytes(encoded)


def _record(span: ReadableSpan, shared: dict[int, msgspec.Raw]) -> dict[str, Any]:
    context = span.get_span_context()
    assert context is not None
    status = span.status
    scope, resource = span.instrumentation_scope, span.resource
    # Scopes and resources repeat from span to span and are encoded once a batch; the spans keep them alive meanwhile.
    if id(scope) not in shared:
        fields: dict[str, Any] = {"name": "", "version": None, "schema_url": None, "attributes": {}}
        if scope is not None:
            fields = {
                "name": scope.name,
                "version": scope.version or None,
                "schema_url": scope.schema_url or None,
                "attributes": dict(scope.attributes or {}),
            }
        shared[id(scope)] = _raw(fields)
    if id(resource) not in shared:
        shared[id(resource)] = _raw(
            {"attributes": dict(resource.attributes or {}), "schema_url": resource.schema_url or None}
        )
    return {
        **_ids(context),
        "parent_span_id": None if span.parent is None else span.parent.span_id.to_bytes(8, "big"),
        "parent_is_remote": span.parent is not None and span.parent.is_remote,
        "trace_state": context.trace_state.to_header(),
        "trace_flags": int(context.trace_flags),
        "name": span.name,
        "kind": span.kind.name,
        "start_time_unix_nano": span.start_time,
        "end_time_unix_nano": span.end_time,
        "status_code": status.status_code.name,
        "status_message": status.description,
        "attributes": dict(span.attributes),
        "dropped_attributes_count": span.dropped_attributes,
        "events": [
            {
                "name": event.name,
                "time_unix_nano": event.timestamp,
                "attributes": dict(event.attributes or {}),
                "dropped_attributes_count": event.dropped_attributes,
            }
            for event in span.events
        ],
        "dropped_events_count": span.dropped_events,
        "links": [
            {
                **_ids(link.context),
                "trace_state": link.context.trace_state.to_header(),
                "trace_flags": int(link.context.trace_flags),
                "is_remote": link.context.is_remote,
                "attributes": dict(link.attributes or {}),
                "dropped_attributes_count": getattr(link.attributes, "dropped", 0),
            }
            for link in span.links
        ],
        "dropped_links_count": span.dropped_links,
        "scope": shared[id(scope)],
        "resource": shared[id(resource)],
    }


def _ids(context: SpanContext) -> dict[str, bytes]:
    return {"trace_id": context.trace_id.to_bytes(16, "big"), "span_id": context.span_id.to_bytes(8, "big")}


def _raw(value: dict[str, Any]) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.msgpack.encode(value))
    except (OverflowError, UnicodeEncodeError):
        return msgspec.Raw(msgspec.msgpack.encode(_extended(value)))


def _extended(value: Any) -> Any:
    """Return a value with what MessagePack cannot hold as extensions."""
    if isinstance(value, str):
        return value if sound(value) == value else msgspec.msgpack.Ext(_TEXT, value.encode("utf-8", "surrogatepass"))
    if isinstance(value, int) and not isinstance(value, bool):
        if -(1 << 63) <= value < 1 << 64:
            return value
        return msgspec.msgpack.Ext(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if isinstance(value, Mapping):
        return {sound(key): _extended(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_extended(inner) for inner in value]
    return value


# --- reading --------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str], *, rotated: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the records of a file, oldest first, each as a dict; what is torn or foreign in it is passed over.

    path: a file that was written to, or one that was put aside, packed (its name ends with .gz) or not.
    rotated: read the files that were put aside from `path` too, before it.  One that is deleted meanwhile is missed.
    Raises: OSError; EOFError and zlib.error for a packed file that is broken.
    """
    if rotated:
        for earlier in RotatingFile(path).rotated():
            try:
                yield from read(earlier)
            except FileNotFoundError:
                # Packed meanwhile, or deleted.
                if not earlier.endswith(".gz") and os.path.exists(earlier + ".gz"):
                    yield from read(earlier + ".gz")
    with open(path, "rb") as file:
        if os.fspath(path).endswith(".gz"):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield from _records(unpacked.read())
        elif os.fstat(file.fileno()).st_size:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield from _records(mapped)


def _records(data: bytes | mmap.mmap) -> Iterator[dict[str, Any]]:
    decoder = msgspec.msgpack.Decoder(ext_hook=_from_extension)
    starts = [match.start() for match in _START.finditer(data)]
    starts.append(len(data))
    number = 0
    while number < len(starts) - 1:
        # Up to the next start, or one of those behind it, where an attribute holds the bytes of a start.
        for behind in range(number + 1, min(number + _MAX_STARTS_IN_A_RECORD, len(starts))):
            record = _whole(decoder, data[starts[number] : starts[behind]])
            if record is not None:
                yield record
                number = behind
                break
        else:
            number += 1


def _whole(decoder: msgspec.msgpack.Decoder[Any], data: bytes) -> dict[str, Any] | None:
    """Return the record that `data` is; None if it is not one."""
    try:
        record = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The next record may have been torn before it could be told to be one: a map's first byte and a few behind it.
        at = data.rfind(b"\xde", max(len(data) - _N_START_BYTES + 1, 1))
        return None if at < 0 else _whole(decoder, data[:at])
    if not isinstance(record, dict) or not record.keys() >= _KEYS:
        return None
    resource = record["resource"]
    # Of a record that was torn before its last value, or that value's own last, the next record would be that value.
    if not isinstance(resource, dict) or not isinstance(resource.get("schema_url", 0), (str, type(None))):
        return None
    return record


def _from_extension(code: int, data: memoryview) -> Any:
    if code == _INTEGER:
        return int.from_bytes(data, "big", signed=True)
    if code == _TEXT:
        return bytes(data).decode("utf-8", "surrogatepass")
    return msgspec.msgpack.Ext(code, bytes(data))


def from_environment(environment: Mapping[str, str]) -> MessagePackFileExporter:
    """Return the exporter that TRACECORE_MSGPACK_FILE_PATH, _MAX_BYTES, _MAX_AGE, _KEEP and _COMPRESSION describe."""
    return MessagePackFileExporter(**file_arguments(environment, _PREFIX, "spans.msgpack"))
