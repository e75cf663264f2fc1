"""The C units against models of them in Python, through cffi; and the reader's own errors."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from collections import OrderedDict, deque
from typing import Any

import pytest

pytest.importorskip("cffi", reason="tracecore.reader needs cffi: the extra named reader")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tracecore._reader import ffi, lib
from tracecore.reader import (
    MAX_DEPTH,
    RECORD_HEAD_BYTES,
    RING_BYTES_RANGE,
    ItemType,
    MalformedRecord,
    Outcome,
    Ring,
    Strings,
    Value,
    otlp,
    read_items,
    read_record,
)

NO_LIMIT = 0xFFFFFFFF

thorough = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Draft:
    """A record being written, as the span path writes it."""

    def __init__(self, strings: Strings) -> None:
        self.strings = strings
        self.pool = ffi.gc(ffi.new("tc_draft_pool *"), lib.tc_draft_pool_clear)
        self.c = lib.tc_draft_take(self.pool)
        body = ffi.cast("tc_body *", self.c.data + ffi.sizeof("tc_header"))
        body.start_ns, body.end_ns, body.flags = 1, 2, 0x101

    def _key(self, key: str | None) -> tuple[int, Any, int]:
        """Interned when the table takes it; else inline."""
        if key is None:
            return 0, ffi.NULL, 0
        encoded = key.encode("utf-8", "surrogatepass")
        id = self.strings.intern(encoded) if encoded.isascii() else 0
        return (id, ffi.NULL, 0) if id else (0, ffi.from_buffer("uint8_t[]", encoded), len(encoded))

    def _word(self, type: int, key: tuple[int, Any, int], packed: bytes) -> None:
        assert lib.tc_draft_put_word(self.c, type, *key, int.from_bytes(packed, "little"))

    def put(self, key: str | None, value: Value) -> None:
        k = self._key(key)
        if value is None or isinstance(value, bool):
            flat = lib.TC_NULL if value is None else lib.TC_TRUE if value else lib.TC_FALSE
            assert lib.tc_draft_put_tag(self.c, flat, *k)
        elif isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
            self._word(lib.TC_INT, k, struct.pack("<q", value))
        elif isinstance(value, float):
            self._word(lib.TC_DOUBLE, k, struct.pack("<d", value))
        elif isinstance(value, (tuple, dict)):
            content = lib.tc_draft_open(self.c, lib.TC_MAP if isinstance(value, dict) else lib.TC_ARRAY, *k)
            for inner in value.items() if isinstance(value, dict) else ((None, element) for element in value):
                self.put(*inner)
            lib.tc_draft_close(self.c, content)
        else:
            if isinstance(value, str):
                encoded = value.encode("utf-8", "surrogatepass")
                has_surrogate = any("\ud800" <= character <= "\udfff" for character in value)
                type = lib.TC_WTF8 if has_surrogate else lib.TC_STR
            elif isinstance(value, int):
                type, encoded = lib.TC_BIGINT, f"{value:x}".encode()
            else:
                type, encoded = lib.TC_BYTES, value
            assert lib.tc_draft_put_bytes(self.c, type, *k, encoded, len(encoded))

    def set_attribute(self, key: str, value: Value, limit: int) -> None:
        at = self.c.length
        self.put(key, value)
        lib.tc_draft_settle_attribute(self.c, at, self._key(key)[0], limit)

    def add(self, type: int, head: bytes, limit: int) -> None:
        """An event or a link."""
        content = lib.tc_draft_open(self.c, type, 0, ffi.NULL, 0)
        ffi.memmove(lib.tc_draft_reserve(self.c, len(head)), head, len(head))
        lib.tc_draft_close(self.c, content)
        (lib.tc_draft_settle_event if type == lib.TC_EVENT else lib.tc_draft_settle_link)(self.c, limit)

    def finish(self, scope: int = 0) -> bytes:
        lib.tc_draft_finish(self.c, scope)
        record = bytes(ffi.buffer(self.c.data, self.c.length))
        lib.tc_draft_give_back(self.pool, self.c)
        return record


# ---- attributes -----------------------------------------------------------------------------

# Few enough to meet again; more than the bloom's 64 bits; long, inline, and not UTF-8.
keys = st.one_of(
    st.sampled_from(["http.method", "http.route", "a", "b", "é", "lone \ud800", "k" * 300, "k" * 299 + "j"]),
    st.integers(0, 90).map("key.{}".format),
    st.text(min_size=1, max_size=8),
)
texts = st.one_of(st.text(max_size=40), st.text(st.characters(codec=None), max_size=4), st.just("x" * 3000))
flat_values: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(1 << 70), 1 << 70), st.floats(), texts, st.binary(max_size=40)
)
values: st.SearchStrategy[Value] = st.recursive(
    flat_values,
    lambda inner: st.one_of(st.lists(inner, max_size=4).map(tuple), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=8,
)
limits = st.one_of(st.just(NO_LIMIT), st.integers(0, 6), st.just(128))


class Model:
    """Attributes under opentelemetry-sdk's rules, in the simplest words."""

    def __init__(self, limit: int) -> None:
        self.limit, self.kept, self.dropped = limit, OrderedDict[str, Value](), 0

    def set(self, key: str, value: Value) -> None:
        if self.limit == 0:
            self.dropped += 1
        elif key in self.kept:
            self.kept[key] = value
            self.kept.move_to_end(key)
        else:
            if len(self.kept) == self.limit:
                self.kept.popitem(last=False)
                self.dropped += 1
            self.kept[key] = value


def same(a: Value, b: Value) -> bool:
    """Equal in type too; NaN is itself, 0.0 is not -0.0."""
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@given(st.lists(st.tuples(keys, st.integers(0, 9)), max_size=80), limits)
@settings(deadline=None)
def test_the_model_is_the_reference_implementation(sets: list[tuple[str, int]], limit: int) -> None:
    model, reference = Model(limit), BoundedAttributes(None if limit == NO_LIMIT else limit, immutable=False)
    for key, value in sets:
        model.set(key, value)
        reference[key] = value
    assert list(model.kept.items()) == list(reference.items())
    assert model.dropped == reference.dropped


@given(st.lists(st.tuples(keys, values), max_size=120), limits)
@thorough
def test_a_draft_keeps_the_attributes_that_the_model_keeps(sets: list[tuple[str, Value]], limit: int) -> None:
    strings = Strings()
    draft, model = Draft(strings), Model(limit)
    for key, value in sets:
        draft.set_attribute(key, value, limit)
        model.set(key, value)
    record = read_record(draft.finish(scope=7))
    assert same(record.attributes(strings.text), dict(model.kept))
    assert record.n_attributes == len(model.kept)
    assert record.dropped_attributes == model.dropped
    assert record.scope == 7
    assert len([item for item in record.items if not item.is_dead]) == len(model.kept)


@given(st.lists(st.sampled_from(["event", "link", "attribute"]), max_size=200), st.integers(0, 5), st.integers(0, 5))
@settings(deadline=None)
def test_events_and_links_keep_the_newest_and_count_the_rest(kinds: list[str], max_events: int, max_links: int) -> None:
    strings = Strings()
    draft = Draft(strings)
    events, links = deque[int](maxlen=max_events), deque[int](maxlen=max_links)
    for number, kind in enumerate(kinds):
        if kind == "event":
            draft.add(lib.TC_EVENT, struct.pack("<QI", number, 0), max_events)
            events.append(number)
        elif kind == "link":
            draft.add(lib.TC_LINK, struct.pack("<Q24x", number), max_links)
            links.append(number)
        else:
            draft.set_attribute("key", number, 2)
    living = [item for item in read_record(draft.finish()).items if not item.is_dead]
    numbers = {
        type: [int.from_bytes(item.payload[:8], "little") for item in living if item.type is type]
        for type in (ItemType.EVENT, ItemType.LINK)
    }
    assert numbers == {ItemType.EVENT: list(events), ItemType.LINK: list(links)}
    dropped = (kinds.count("event") - len(events), kinds.count("link") - len(links))
    extras = [item for item in living if item.type is ItemType.EXTRA]
    assert [struct.unpack("<II", extra.payload) for extra in extras] == ([dropped] if any(dropped) else [])


# ---- the encoder ------------------------------------------------------------------------------


def encodable(value: Value) -> bool:
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    if isinstance(value, tuple):
        return all(map(encodable, value))
    if isinstance(value, dict):
        return all(encodable(key) and encodable(inner) for key, inner in value.items())
    return True


def any_value(message: Any) -> Value:
    which = message.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return tuple(any_value(inner) for inner in message.array_value.values)
    if which == "kvlist_value":
        return {pair.key: any_value(pair.value) for pair in message.kvlist_value.values}
    plain: Value = getattr(message, which)
    return plain


@given(st.lists(st.dictionaries(keys, values, max_size=6), max_size=5))
@thorough
def test_protobuf_reads_what_the_encoder_writes(spans: list[dict[str, Value]]) -> None:
    strings = Strings()
    records = []
    for attributes in spans:
        draft = Draft(strings)
        for key, value in attributes.items():
            draft.set_attribute(key, value, NO_LIMIT)
        records.append(draft.finish())
    encoded, n_lost = otlp(records, strings)
    request = ExportTraceServiceRequest.FromString(encoded)
    kept = [{key: value for key, value in attributes.items() if encodable(key) and encodable(value)} for attributes in spans]
    decoded = [
        {pair.key: any_value(pair.value) for pair in span.attributes}
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
    assert len(decoded) == len(kept) and all(map(same, decoded, kept))
    assert n_lost == sum(map(len, spans)) - sum(map(len, kept))
    # No length takes a byte more than protobuf's own writer needs.
    assert len(request.SerializeToString()) == len(encoded)


def test_an_attribute_nested_too_deep_is_lost_alone() -> None:
    strings = Strings()
    deepest = MAX_DEPTH // lib.TC_RECORD_ARRAY_DEPTH
    for depth, lost in [(1, 0), (deepest, 0), (deepest + 1, 1), (100_000, 1)]:
        draft = Draft(strings)
        contents = [lib.tc_draft_open(draft.c, lib.TC_ARRAY, 0, ffi.NULL, 0) for _ in range(depth)]
        for content in reversed(contents):
            lib.tc_draft_close(draft.c, content)
        draft.put("other", 1)
        record = draft.finish()
        assert otlp([record], strings)[1] == lost
        if lost:
            with pytest.raises(MalformedRecord, match="nested deeper"):
                read_record(record).items[0].value(strings.text)


# ---- foreign bytes -------------------------------------------------------------------------------


@given(st.binary(max_size=200))
@thorough
def test_any_bytes_are_items_or_malformed(items: bytes) -> None:
    strings = Strings()
    head = struct.pack("<IHBBQ", RECORD_HEAD_BYTES + len(items), 0, 0, 0, 0).ljust(RECORD_HEAD_BYTES, b"\0")
    otlp([head + items], strings)
    try:
        for item in read_items(items):
            assert len(item.payload) <= len(items)
            list(item.inner())
            item.value(strings.text)
    except MalformedRecord:
        pass


@given(st.dictionaries(keys, values, max_size=5), st.data())
@settings(deadline=None)
def test_a_record_cut_short_is_malformed(attributes: dict[str, Value], data: st.DataObject) -> None:
    draft = Draft(Strings())
    for key, value in attributes.items():
        draft.set_attribute(key, value, NO_LIMIT)
    record = draft.finish()
    n = data.draw(st.integers(0, len(record) - 1))
    with pytest.raises(MalformedRecord):
        read_record(record[:n])
    with pytest.raises(MalformedRecord):
        Ring().put(record[:n])


# ---- the ring ---------------------------------------------------------------------------------------


class RingModel:
    """A deque of byte strings, and the arithmetic of the drawing in tc_ring.h."""

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes, self.head, self.tail, self.indirect = n_bytes, 0, 0, 0
        self.records = deque[tuple[bytes, int]]()
        self.written = self.dropped = self.taken = 0

    def put(self, record: bytes) -> Outcome:
        by_address = len(record) > self.n_bytes // 8
        place = 32 if by_address else -(-len(record) // 16) * 16
        to_end = self.n_bytes - self.head % self.n_bytes
        place += to_end if to_end < place else 0
        is_full = self.head + place - self.tail > self.n_bytes
        if is_full or (by_address and self.indirect and self.indirect + len(record) > self.n_bytes):
            self.dropped += 1
            return Outcome.FULL
        self.head += place
        self.indirect += len(record) if by_address else 0
        self.records.append((record[:6] + b"\1" + record[7:], place))
        self.written += 1
        return Outcome.OK

    def take(self) -> bytes | None:
        if not self.records:
            return None
        record, place = self.records.popleft()
        self.tail += place
        self.indirect -= len(record) if len(record) > self.n_bytes // 8 else 0
        self.taken += 1
        return record


lengths = st.one_of(
    st.integers(RECORD_HEAD_BYTES, 600),
    st.integers(RECORD_HEAD_BYTES, RING_BYTES_RANGE[0] // 8),
    st.sampled_from([RING_BYTES_RANGE[0] // 8 + delta for delta in (-16, -1, 0, 1, 16)]),
    st.integers(RING_BYTES_RANGE[0] // 8 + 1, RING_BYTES_RANGE[0] * 2),
)


def record_of(number: int, length: int) -> bytes:
    pattern = struct.pack("<I", number) * (length // 4 + 1)
    return struct.pack("<IHBBQ", length, number & 0xFFFF, 0, 0, 0) + pattern[: length - 16]


@given(st.lists(st.one_of(lengths, st.just(0)), max_size=60), st.integers(1, 12))
@thorough
def test_a_ring_loses_and_changes_nothing_but_what_it_counts(steps: list[int], laps: int) -> None:
    """A length puts a record of it, 0 takes one; the steps are gone through several times."""
    ring, model = Ring(), RingModel(RING_BYTES_RANGE[0])
    for number, length in enumerate(steps * laps):
        if length:
            record = record_of(number, length)
            assert ring.put(record) is model.put(record)
        else:
            assert ring.take() == model.take()
    counts = ring.counts()
    assert (counts.written, counts.dropped, counts.taken) == (model.written, model.dropped, model.taken)
    assert (counts.waiting, counts.indirect_bytes) == (len(model.records), model.indirect)
    while (record_taken := model.take()) is not None:
        assert ring.take() == record_taken
    assert ring.take() is None
    assert ring.counts().waiting == ring.counts().indirect_bytes == 0


@pytest.mark.parametrize("n_bytes", [0, -1, RING_BYTES_RANGE[0] - 1, RING_BYTES_RANGE[0] * 3, RING_BYTES_RANGE[1] * 2])
def test_a_ring_says_which_sizes_it_takes(n_bytes: int) -> None:
    with pytest.raises(ValueError, match=str(RING_BYTES_RANGE[0])):
        Ring(n_bytes)


# ---- strings -------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.one_of(st.binary(max_size=3), st.binary(max_size=40)), st.integers(0, 30)), max_size=200),
    st.integers(0, 40),
)
@thorough
def test_a_string_table_is_a_dict_with_bounds(interned: list[tuple[bytes, int]], max_length: int) -> None:
    strings, model = Strings(max_length), dict[bytes, int]()
    for text, limit in interned:
        if text not in model and len(text) <= max_length and len(model) < limit:
            model[text] = len(model) + 1
        assert strings.intern(text, limit) == model.get(text, 0)
    for text, id in model.items():
        assert strings.view(id) == text
    assert strings.view(0) is strings.view(len(model) + 1) is None
    assert strings.n_bytes == sum(map(len, model))


def test_a_key_id_that_nobody_handed_out_is_malformed() -> None:
    with pytest.raises(MalformedRecord, match="key id 5"):
        Strings().text(5)


# ---- standing apart ---------------------------------------------------------------------------------------


def test_tracecore_does_not_import_the_reader() -> None:
    check = "import sys, tracecore; sys.exit(bool({'cffi', '_cffi_backend', 'tracecore.reader'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_the_reader_imports_without_a_warning_and_without_the_compiler_of_cffi() -> None:
    check = "import sys, tracecore.reader; sys.exit('cffi.api' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error", "-c", check], check=False).returncode == 0
