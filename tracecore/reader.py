"""Records read without the core that wrote them: walked, decoded, queued and encoded through cffi.

    bytes of a record -> read_record -> Record -> its Items -> Python values
    records -> Ring -> take            records -> otlp -> one ExportTraceServiceRequest

For tests of the C units and for what looks at records from another process: it uses nothing else of
this package. Needs cffi: pip install 'tracecore-native[reader]'.

Threads: one at a time for each object, except where a method says otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

try:
    from tracecore._reader import ffi, lib
except ModuleNotFoundError as error:  # cffi's own module
    raise ModuleNotFoundError(
        f"{error}: tracecore.reader needs cffi, pip install 'tracecore-native[reader]'", name=error.name
    ) from None

RECORD_HEAD_BYTES: int = lib.TC_RECORD_HEAD_BYTES
RING_BYTES_RANGE: tuple[int, int] = (lib.TC_RING_MIN_BYTES, lib.TC_RING_MAX_BYTES)
# How deep arrays and maps may stand in one another.
MAX_DEPTH: int = lib.TC_RECORD_MAX_DEPTH

Value: TypeAlias = "None | bool | int | float | str | bytes | tuple[Value, ...] | dict[str, Value]"


class MalformedRecord(ValueError):
    """These bytes are no record that the core writes."""


class ItemType(IntEnum):
    """What an item holds; see csrc/tc_record.h for each payload."""

    NULL = lib.TC_NULL
    FALSE = lib.TC_FALSE
    TRUE = lib.TC_TRUE
    INT = lib.TC_INT
    DOUBLE = lib.TC_DOUBLE
    STR = lib.TC_STR
    WTF8 = lib.TC_WTF8
    BYTES = lib.TC_BYTES
    BIGINT = lib.TC_BIGINT
    ARRAY = lib.TC_ARRAY
    MAP = lib.TC_MAP
    EVENT = lib.TC_EVENT
    LINK = lib.TC_LINK
    NAME = lib.TC_NAME
    MESSAGE = lib.TC_MESSAGE
    EXTRA = lib.TC_EXTRA

    @property
    def is_attribute(self) -> bool:
        return self <= ItemType.MAP


class Outcome(IntEnum):
    """What became of a record that was put into a Ring."""

    OK = lib.TC_OK
    FULL = lib.TC_FULL
    NO_MEMORY = lib.TC_NO_MEMORY


@dataclass(frozen=True)
class Item:
    """One item of a record: an attribute, an event, a link, or a part of one.

    The key is either an id of the string table (`key_id`) or the bytes themselves (`key`); elements
    of arrays have neither.
    """

    type: ItemType
    is_dead: bool
    key_id: int
    key: bytes | None
    payload: bytes

    def inner(self) -> Iterator[Item]:
        """Walk what an ARRAY, MAP, EVENT or LINK holds. Raises: MalformedRecord."""
        if not ItemType.ARRAY <= self.type <= ItemType.LINK:
            return iter(())
        head = {ItemType.EVENT: lib.TC_EVENT_HEAD_BYTES, ItemType.LINK: lib.TC_LINK_HEAD_BYTES}.get(self.type, 0)
        return read_items(self.payload[head:])

    def value(self, name: Callable[[int], str]) -> Value:
        """Decode an attribute's value.

        Arguments:
            name: the text of a key id, for maps.
        Raises: MalformedRecord, also beyond MAX_DEPTH.
        """
        return _value(self, name, 0)

    def key_text(self, name: Callable[[int], str]) -> str:
        """The key as text, lone surrogates included."""
        return name(self.key_id) if self.key is None else _text(self.key)


def _text(encoded: bytes) -> str:
    try:
        return encoded.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise MalformedRecord(str(error)) from None


def _value(item: Item, name: Callable[[int], str], depth: int) -> Value:
    match item.type:
        case ItemType.NULL:
            return None
        case ItemType.FALSE | ItemType.TRUE:
            return item.type is ItemType.TRUE
        case ItemType.INT:
            return int.from_bytes(item.payload, "little", signed=True)
        case ItemType.DOUBLE:
            real: float = struct.unpack("<d", item.payload)[0]
            return real
        case ItemType.STR | ItemType.WTF8:
            return _text(item.payload)
        case ItemType.BYTES:
            return item.payload
        case ItemType.BIGINT:
            try:
                return int(item.payload, 16)
            except ValueError:
                raise MalformedRecord(f"no hexadecimal number: {item.payload!r}") from None
        case ItemType.ARRAY | ItemType.MAP:
            depth += lib.TC_RECORD_ARRAY_DEPTH if item.type is ItemType.ARRAY else lib.TC_RECORD_MAP_DEPTH
            if depth > MAX_DEPTH:
                raise MalformedRecord(f"nested deeper than {MAX_DEPTH} messages")
            if item.type is ItemType.ARRAY:
                return tuple(_value(inner, name, depth) for inner in item.inner())
            return {inner.key_text(name): _value(inner, name, depth) for inner in item.inner()}
    raise MalformedRecord(f"{item.type.name} is no value")


def read_items(items: bytes) -> Iterator[Item]:
    """Walk items, dead ones included, in the order they were set.

    Raises: MalformedRecord at the first item that is cut off or impossible.
    """
    data = ffi.from_buffer("uint8_t[]", items)
    at = ffi.new("uint8_t const **", data)
    end = data + len(items)
    item = ffi.new("tc_item *")
    while (more := lib.tc_item_next(at, end, item)) == 1:
        yield Item(
            type=ItemType(item.type),
            is_dead=item.dead,
            key_id=item.key_id,
            key=None if item.key_view == ffi.NULL else ffi.unpack(ffi.cast("char *", item.key_view), item.key_length),
            payload=ffi.unpack(ffi.cast("char *", item.payload_view), item.payload_length),
        )
    if more != 0:
        raise MalformedRecord(f"no item at byte {at[0] - data} of {len(items)}")


@dataclass(frozen=True)
class Record:
    """One span as the core wrote it; times in nanoseconds since the Unix epoch."""

    scope: int
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes | None
    start_ns: int
    end_ns: int
    name_id: int
    flags: int
    kind: int
    status: int
    n_attributes: int
    dropped_attributes: int
    items: tuple[Item, ...]

    def attributes(self, name: Callable[[int], str]) -> dict[str, Value]:
        """The span's attributes, oldest first. `name`: the text of a key id."""
        living = (item for item in self.items if item.type.is_attribute and not item.is_dead)
        return {item.key_text(name): item.value(name) for item in living}


def read_record(record: bytes) -> Record:
    """Decode a record's head and list its items, dead ones included.

    Raises: MalformedRecord.
    """
    if len(record) < RECORD_HEAD_BYTES:
        raise MalformedRecord(f"{len(record)} bytes: a head alone is {RECORD_HEAD_BYTES}")
    data = ffi.new("uint8_t[]", RECORD_HEAD_BYTES)  # a copy: structs want an alignment
    ffi.memmove(data, record, RECORD_HEAD_BYTES)
    header = ffi.cast("tc_header *", data)
    body = ffi.cast("tc_body *", data + ffi.sizeof("tc_header"))
    if header.length != len(record):
        raise MalformedRecord(f"a record of {header.length} bytes in {len(record)}")
    return Record(
        scope=header.scope,
        trace_id=bytes(body.trace_id),
        span_id=bytes(body.span_id),
        parent_span_id=bytes(body.parent_span_id) if header.flags & lib.TC_HAS_PARENT else None,
        start_ns=body.start_ns,
        end_ns=body.end_ns,
        name_id=body.name_id,
        flags=body.flags,
        kind=body.kind,
        status=body.status,
        n_attributes=body.n_attributes,
        dropped_attributes=body.dropped_attributes,
        items=tuple(read_items(record[RECORD_HEAD_BYTES:])),
    )


def _checked(record: bytes) -> Any:
    """The record as C wants it. Raises: MalformedRecord unless it says its own length."""
    if len(record) < RECORD_HEAD_BYTES or int.from_bytes(record[:4], "little") != len(record):
        raise MalformedRecord(f"{len(record)} bytes that do not start with their length")
    return ffi.from_buffer("uint8_t[]", record)


def _owned(made: Any, free: Callable[[Any], None]) -> Any:
    if made == ffi.NULL:
        raise MemoryError
    return ffi.gc(made, free)


class Strings:
    """Byte strings as small ids: the table that keys, names and scopes are looked up in.

    Arguments:
        max_length: bytes of the longest string that gets an id.
    Raises: MemoryError.
    """

    def __init__(self, max_length: int = 256) -> None:
        self.c = _owned(lib.tc_strings_new(max_length), lib.tc_strings_free)

    def intern(self, text: bytes, limit: int = 0xFFFFFFFF) -> int:
        """The id of these bytes, 0 when there is no room. No new id is given once `limit` exist."""
        return int(lib.tc_strings_intern(self.c, text, len(text), limit))

    def view(self, id: int) -> bytes | None:
        """The bytes of an id, None for one that was not handed out."""
        string = lib.tc_strings_view(self.c, id)
        return None if string.bytes == ffi.NULL else bytes(ffi.buffer(string.bytes, string.length))

    def text(self, id: int) -> str:
        """The text of a key id. Raises: MalformedRecord for one that was not handed out."""
        found = self.view(id)
        if found is None:
            raise MalformedRecord(f"key id {id} is not in the table")
        return _text(found)

    @property
    def n_bytes(self) -> int:
        """Bytes of all strings."""
        return int(self.c.n_bytes)


@dataclass(frozen=True)
class RingCounts:
    """Records, but for `indirect_bytes`: what records too large for the ring hold outside it."""

    written: int
    dropped: int
    taken: int
    waiting: int
    indirect_bytes: int


class Ring:
    """Records in flight, as the span path and the worker see them.

    Arguments:
        n_bytes: a power of two within RING_BYTES_RANGE.
    Threads: one that puts and one that takes; this class takes the GIL for both.
    Raises: ValueError, MemoryError.
    """

    def __init__(self, n_bytes: int = RING_BYTES_RANGE[0]) -> None:
        lowest, highest = RING_BYTES_RANGE
        if not lowest <= n_bytes <= highest or n_bytes & (n_bytes - 1):
            raise ValueError(f"n_bytes={n_bytes}: expected a power of two from {lowest} to {highest}")
        self.c = _owned(lib.tc_ring_new(n_bytes), lib.tc_ring_free)

    def put(self, record: bytes) -> Outcome:
        """Copy a record in. What is not OK is counted as dropped. Raises: MalformedRecord."""
        return Outcome(lib.tc_ring_put_spsc(self.c, _checked(record)))

    def take(self) -> bytes | None:
        """Copy the oldest record out, None when there is none."""
        record = lib.tc_ring_take_spsc(self.c)
        if record == ffi.NULL:
            return None
        taken = bytes(ffi.buffer(record, ffi.cast("tc_header *", record).length))
        lib.tc_ring_take_done_spsc(self.c)
        return taken

    def counts(self) -> RingCounts:
        written, dropped, taken, indirect = (ffi.new("uint64_t *") for _ in range(4))
        lib.ring_counts(self.c, written, dropped, taken, indirect)
        return RingCounts(written[0], dropped[0], taken[0], lib.tc_ring_n_waiting(self.c), indirect[0])


def otlp(records: Iterable[bytes], strings: Strings, scopes: Strings | None = None, resource: bytes = b"") -> tuple[bytes, int]:
    """Encode records as one ExportTraceServiceRequest.

    Arguments:
        strings: keys and names that the records refer to.
        scopes: a record's scope id -> fields of ScopeSpans without its spans, encoded.
        resource: fields of ResourceSpans without its scope_spans, encoded.
    Returns: the request, and how many attributes protobuf cannot hold.
    Raises: MalformedRecord, MemoryError.
    """
    scopes = Strings() if scopes is None else scopes
    ring = Ring()
    batch = ffi.gc(ffi.new("tc_batch *"), lib.tc_batch_clear)
    out = ffi.gc(ffi.new("tc_bytes *"), lib.tc_bytes_clear)
    lib.tc_batch_init(batch)
    for record in records:
        if ring.put(record) is not Outcome.OK or lib.tc_batch_take(batch, ring.c, 1, 0) != lib.TC_OK:
            raise MemoryError
    resource_view = ffi.from_buffer("uint8_t[]", resource)
    names = ffi.new("tc_otlp_names *", [strings.c, scopes.c, resource_view, len(resource)])
    n_lost = ffi.new("uint64_t *")
    if lib.tc_otlp_request(out, batch, 0, batch.n, names, n_lost) != lib.TC_OK:
        raise MemoryError
    return bytes(ffi.buffer(out.data, out.n)), int(n_lost[0])
