"""MessagePackFileExporter: what was recorded is read back, with all its types, by our reader and by another package."""

from __future__ import annotations

import errno
import logging
import math
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
from batches import batch_of, recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from test_differential import MODEST, PROGRAMS, Counting, Program, _sampler, play

import tracecore
from tracecore import errors
from tracecore.exporters import Outcome
from tracecore.exporters.by_name import exporters_by_name
from tracecore.exporters.msgpack_file import MessagePackFileExporter, _records, read
from tracecore.exporters.rotating_file import RotatingFile
from tracecore.limits import SpanLimits
from tracecore.resource import Resource


def soon() -> float:
    return time.monotonic() + 20


def encoded(play_one: Any, **arguments: Any) -> bytes:
    batch = recorded(play_one, **arguments)
    assert batch is not None
    with tempfile.TemporaryDirectory() as directory:
        return MessagePackFileExporter(Path(directory) / "spans")._encode(batch)


# --- the record -----------------------------------------------------------------------------------------------


def test_a_record_is_what_its_description_says() -> None:
    parent = SpanContext(5 << 100, 6, True, TraceFlags(1), TraceState([("a", "1")]))

    def one(provider: Any) -> None:
        span = provider.get_tracer("lib", "1.0", "https://scope", {"s": 1}).start_span(
            "name",
            trace.set_span_in_context(NonRecordingSpan(parent)),
            SpanKind.SERVER,
            {"bytes": b"\x00\xff", "map": {"k": [1, None]}},
            [Link(SpanContext(1, 2, False, TraceFlags(1)), {"l": True})],
            start_time=1,
        )
        span.add_event("event", {"half": 0.5}, 2)
        span.set_status(StatusCode.ERROR, "broken")
        span.end(3)

    data = encoded(one, resource=Resource({"service.name": "shop"}, "https://resource"))
    (record,) = _records(data)
    span_id = record.pop("span_id")
    assert len(span_id) == 8
    assert record == {
        "trace_id": (5 << 100).to_bytes(16, "big"),
        "parent_span_id": b"\0\0\0\0\0\0\0\6",
        "parent_is_remote": True,
        "trace_state": "a=1",
        "trace_flags": record["trace_flags"],
        "name": "name",
        "kind": "SERVER",
        "start_time_unix_nano": 1,
        "end_time_unix_nano": 3,
        "status_code": "ERROR",
        "status_message": "broken",
        "attributes": {"bytes": b"\x00\xff", "map": {"k": [1, None]}},
        "dropped_attributes_count": 0,
        "events": [{"name": "event", "time_unix_nano": 2, "attributes": {"half": 0.5}, "dropped_attributes_count": 0}],
        "dropped_events_count": 0,
        "links": [
            {
                "trace_id": (1).to_bytes(16, "big"), "span_id": (2).to_bytes(8, "big"), "trace_state": "", "trace_flags": 1,
                "is_remote": False, "attributes": {"l": True}, "dropped_attributes_count": 0,
            }
        ],
        "dropped_links_count": 0,
        "scope": {"name": "lib", "version": "1.0", "schema_url": "https://scope", "attributes": {"s": 1}},
        "resource": {"attributes": {"service.name": "shop"}, "schema_url": "https://resource"},
    }  # fmt: skip
    assert data.startswith(b"\xde\x00\x14\xa8trace_id\xc4\x10")


@pytest.mark.parametrize(
    "value",
    [
        2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400, -(10**400), "\ud800", ["\udfff", 2**70],
        {"k": {"n": -(2**99)}}, math.inf,
    ],
)  # fmt: skip
def test_what_messagepack_has_no_place_for_survives_too(value: Any) -> None:
    def one(provider: Any) -> None:
        provider.get_tracer("lib").start_span("n\ud800", attributes={"value": value, "other": 1}).end()

    (record,) = _records(encoded(one))
    assert record["attributes"] == {"value": value, "other": 1}


def _lists(value: Any) -> Any:
    """Sequences as they are read: MessagePack has one kind."""
    if isinstance(value, (list, tuple)):
        return [_lists(inner) for inner in value]
    if isinstance(value, float) and math.isnan(value):
        return "not a number"
    if hasattr(value, "items"):
        return {key.encode("utf-16", "surrogatepass").decode("utf-16", "replace"): _lists(inner) for key, inner in value.items()}
    return value


@settings(MODEST, max_examples=100)
@given(PROGRAMS)
def test_whatever_was_recorded_is_read_back_with_its_types(program: Program) -> None:
    logging.disable(logging.CRITICAL)
    try:
        batch = recorded(
            lambda provider: play(program, provider),
            sampler=_sampler(program),
            resource=Resource(*program.resource),
            id_generator=Counting(program.is_random),
            span_limits=SpanLimits(**program.limits),
        )
        if batch is None:
            return
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "spans"
            assert MessagePackFileExporter(path).export(batch, soon()) == Outcome(len(batch), 0, "", "")
            records = list(read(path))
    finally:
        logging.disable(logging.NOTSET)
    spans = batch.spans()
    assert [record["name"] for record in records] == [span.name for span in spans]
    for record, span in zip(records, spans):
        assert int.from_bytes(record["trace_id"], "big") == span.context.trace_id
        assert int.from_bytes(record["span_id"], "big") == span.context.span_id
        assert (record["parent_span_id"] is None) == (span.parent is None)
        assert (record["start_time_unix_nano"], record["end_time_unix_nano"]) == (span.start_time, span.end_time)
        assert (record["kind"], record["status_code"]) == (span.kind.name, span.status.status_code.name)
        assert record["status_message"] == span.status.description
        _same(record["attributes"], span.attributes)
        _same(record["resource"]["attributes"], span.resource.attributes)
        _same(record["scope"]["attributes"], span.instrumentation_scope.attributes or {})
        counts = ("attributes", "events", "links")
        assert [record[f"dropped_{what}_count"] for what in counts] == [getattr(span, f"dropped_{what}") for what in counts]
        assert [event["name"] for event in record["events"]] == [event.name for event in span.events]
        for mine, event in zip(record["events"], span.events):
            assert mine["time_unix_nano"] == event.timestamp
            _same(mine["attributes"], event.attributes or {})
        assert len(record["links"]) == len(span.links)
        for mine, link in zip(record["links"], span.links):
            assert int.from_bytes(mine["span_id"], "big") == link.context.span_id
            assert mine["trace_state"] == link.context.trace_state.to_header()
            _same(mine["attributes"], link.attributes or {})


def _same(read_back: Any, recorded_value: Any) -> None:
    read_back, recorded_value = _lists(read_back), _lists(recorded_value)
    assert read_back == recorded_value
    assert str(read_back) == str(recorded_value), "True is no 1, and 1.0 is no 1"


def test_another_package_reads_the_stream() -> None:
    data = encoded(lambda provider: [provider.get_tracer("lib").start_span(f"span {n}").end() for n in range(5)])
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    assert [record["name"] for record in unpacker] == [f"span {n}" for n in range(5)]


# --- files ----------------------------------------------------------------------------------------------------


def test_batches_follow_each_other_across_exporters_and_rotation(tmp_path: Path) -> None:
    path = tmp_path / "spans.msgpack"
    for number in range(6):
        exporter = MessagePackFileExporter(path, max_bytes=4000, compress=number % 2 == 0)
        assert exporter.export(batch_of(5, padding=100), soon()) == Outcome(5, 0, "", "")
        exporter.shutdown()
        assert exporter.export(batch_of(1), soon())[:3] == (0, 1, "export_shutdown")
    assert len(RotatingFile(path).rotated()) > 1
    assert [record["name"] for record in read(path, rotated=True)] == [f"span {n}" for n in range(5)] * 6
    assert 0 < len(list(read(path))) < 30


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_reader_passes_over_what_is_torn_and_loses_nothing_else(data: st.DataObject) -> None:
    whole = _PIECES
    stream, expected = bytearray(), []
    for _ in range(data.draw(st.integers(1, 8))):
        piece = data.draw(st.sampled_from(whole))
        if piece is whole[-1] or data.draw(st.booleans()):  # torn, it would leave the record within it
            stream += piece
            expected.append(piece)
        else:
            stream += piece[: data.draw(st.integers(0, len(piece) - 1))]
    found = list(_records(bytes(stream)))
    assert found == [next(_records(piece)) for piece in expected]


def test_a_record_torn_at_any_byte_costs_itself_only() -> None:
    before, behind = _PIECES[0], _PIECES[2]
    expected = [next(_records(before)), next(_records(behind))]
    for torn in _PIECES[:-1]:
        for n_bytes in range(len(torn)):
            assert list(_records(before + torn[:n_bytes] + behind)) == expected, n_bytes


def _pieces() -> list[bytes]:
    start = b"\xde\x00\x14\xa8trace_id\xc4\x10"
    values: list[dict[str, Any]] = [
        {},
        {"text": "t" * 300, "list": [1, 2.5, None, True]},
        {"a record's first bytes": start, "twice": start + b"\0" * 40 + start},
        {"big": 2**80, "surrogate": "\ud800"},
    ]
    found = []
    for attributes in values:
        found.append(encoded(lambda provider, a=attributes: provider.get_tracer("lib").start_span("s", attributes=a).end()))
    # A record within a record: what another program had read from such a file.
    found.append(encoded(lambda provider: provider.get_tracer("lib").start_span("s", attributes={"inner": found[1]}).end()))
    return found


_PIECES = _pieces()


def test_a_writer_that_is_killed_costs_at_most_its_last_batch(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    program = textwrap.dedent(
        """
        import sys, time
        import tracecore
        from tracecore.exporters.msgpack_file import MessagePackFileExporter
        provider = tracecore.TracerProvider()
        provider.add_exporter(MessagePackFileExporter(sys.argv[1]), batch=100, delay=0.01)
        tracer = provider.get_tracer("lib")
        number = 0
        while True:
            tracer.start_span(str(number), attributes={"text": "t" * 1000}).end()
            number += 1
            if number % 100 == 0:
                provider.force_flush()
                print(number, flush=True)
        """
    )
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        flushed = 0
        while flushed < 1000:
            flushed = int(writer.stdout.readline())
        writer.kill()
        writer.wait(30)
        writer.stdout.close()
    names = [int(record["name"]) for record in read(path)]
    runs = [index for index, name in enumerate(names) if name == 0] + [len(names)]
    assert len(runs) == 4
    for begin, end in zip(runs, runs[1:]):
        assert names[begin:end] == list(range(end - begin)) and end - begin >= 1000


def test_faults_of_the_file_system_are_outcomes_and_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "d"
    directory.write_text("a file in the way")
    exporter = MessagePackFileExporter(directory / "spans")
    outcome = exporter.export(batch_of(3), soon())
    assert outcome[:3] == (0, 3, "file") and str(directory) in outcome.message
    directory.unlink()
    assert exporter.export(batch_of(3), soon()) == Outcome(3, 0, "", "")
    with monkeypatch.context() as patch:

        def full(*_: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "write", full)
        assert exporter.export(batch_of(2), soon())[:3] == (0, 2, "file")
    assert exporter.export(batch_of(2), soon()) == Outcome(2, 0, "", "")
    assert [record["name"] for record in read(directory / "spans")] == ["span 0", "span 1", "span 2", "span 0", "span 1"]


def test_spans_of_a_provider_arrive_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    provider = tracecore.TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(MessagePackFileExporter(path))
    for number in range(100):
        with provider.get_tracer("lib").start_as_current_span(f"span {number}"):
            pass
    assert provider.force_flush()
    provider.shutdown()
    assert sorted(record["name"] for record in read(path)) == sorted(f"span {number}" for number in range(100))


def test_the_environment_decides_and_wrong_values_are_told(tmp_path: Path) -> None:
    errors.reset_reports()
    path = tmp_path / "spans"
    environment = {
        "TRACECORE_MSGPACK_FILE_PATH": str(path), "TRACECORE_MSGPACK_FILE_MAX_BYTES": "1000",
        "TRACECORE_MSGPACK_FILE_MAX_AGE": "3600", "TRACECORE_MSGPACK_FILE_KEEP": "all",
        "TRACECORE_MSGPACK_FILE_COMPRESSION": "gzip",
    }  # fmt: skip
    (exporter,) = exporters_by_name(["msgpack_file"], environment)
    file = exporter._file
    assert (file.path, file._max_bytes, file._max_age_s, file._keep, file._compress) == (str(path), 1000, 3600, None, True)
    assert errors.reported() == {}
    wrong = {name: "wrong" for name in environment} | {"TRACECORE_MSGPACK_FILE_PATH": ""}
    (exporter,) = exporters_by_name(["msgpack_file"], wrong)
    file = exporter._file
    assert os.path.basename(file.path) == "spans.msgpack"
    assert (file._max_bytes, file._max_age_s, file._keep, file._compress) == (100 << 20, 0, 10, False)
    assert errors.reported() == {"file_settings": 1}


def test_an_empty_file_and_a_foreign_one_have_no_records(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    path.write_bytes(b"")
    assert list(read(path)) == []
    path.write_bytes(msgspec.msgpack.encode({"trace_id": b"\0" * 16}) + b"\xde\x00\x14\xa8trace_id\xc4\x10" + b"x" * 100)
    assert list(read(path)) == []
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "missing"))
