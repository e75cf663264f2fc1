"""Jaeger's own client for Node beside ours: its decoder reads our datagrams, and its spans are read beside ours.

Needs node and npm, and the package jaeger-client from npm's registry: skipped, and said why, where one is missing.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batches import batch_of, recorded
from jaeger_reference import batch_of_call, fields_of, tags_of
from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from tracecore.exporters.jaeger import JaegerAgentExporter
from tracecore.resource import Resource

_VERSION = "3.19.0"

_READ = """
const dgram = require('dgram');
const { Thrift } = require('thriftrw');
const paths = require('jaeger-client/dist/src/thrift.js').default;
const idl = new Thrift({
    entryPoint: paths.buildAgentThriftPath(), allowOptionalArguments: true, allowFilesystemAccess: true });
const digits = (_, value) => value && value.type === 'Buffer' ? Buffer.from(value.data).toString('hex') : value;
const socket = dgram.createSocket('udp4');
socket.on('message', (datagram) => {
    const read = idl.Agent.emitBatch.argumentsMessageRW.readFrom(datagram, 0);
    console.log(JSON.stringify({
        error: read.err ? String(read.err) : null, left: datagram.length - read.offset, message: read.value }, digits));
});
socket.bind(0, '127.0.0.1', () => console.log(socket.address().port));
"""

_WRITE = """
const jaeger = require('jaeger-client');
const opentracing = require('opentracing');
const UDPSender = require('jaeger-client/dist/src/reporters/udp_sender.js').default;
const sender = new UDPSender({ host: '127.0.0.1', port: Number(process.argv[2]) });
const reporter = new jaeger.RemoteReporter(sender);
const tracer = new jaeger.Tracer('shop', reporter, new jaeger.ConstSampler(true), { tags: { region: 'eu' } });
const id = (hex) => Buffer.from(hex, 'hex');
const other = new jaeger.SpanContext(id('00000000000000f1'), id('00000000000000f2'), null);
const parent = new jaeger.SpanContext(id('80000000000000010000000000000002'), id('ff00000000000003'), null,
    undefined, undefined, undefined, 1);
const span = tracer.startSpan('charge', { startTime: 1700000000000, childOf: parent,
    references: [opentracing.followsFrom(other)],
    tags: { 'span.kind': 'client', text: 'é', yes: true, half: 0.5 } });
span.log({ event: 'retry', reason: 'slow' }, 1700000000001);
span.finish(1700000000002);
reporter.close(() => {});
"""


@pytest.fixture(scope="module")
def node() -> Iterator[Path]:
    """A directory with jaeger-client installed."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here: Jaeger's client for Node cannot be asked")
    with tempfile.TemporaryDirectory() as name:
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", f"jaeger-client@{_VERSION}"]
        try:
            done = subprocess.run(command, cwd=name, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            pytest.skip("npm did not answer in time: Jaeger's client for Node cannot be asked")
        if done.returncode != 0:
            pytest.skip(f"npm cannot install jaeger-client: {done.stderr[-200:]}")
        directory = Path(name)
        (directory / "read.js").write_text(_READ)
        (directory / "write.js").write_text(_WRITE)
        yield directory


@pytest.fixture
def reader(node: Path) -> Iterator[Any]:
    """Jaeger's decoder behind a UDP port: (port, a function that returns the next datagram as it was read)."""
    process = subprocess.Popen(["node", "read.js"], cwd=node, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline()), lambda: json.loads(process.stdout.readline())
    process.kill()
    process.wait(30)
    process.stdout.close()


def test_jaegers_decoder_reads_our_datagrams(reader: Any) -> None:
    port, next_datagram = reader

    def one(provider: Any) -> None:
        parent = SpanContext(0x8000000000000001_0000000000000002, 0xFF00000000000003, True, TraceFlags(1))
        span = provider.get_tracer("lib", "1.0").start_span(
            "charge é",
            trace.set_span_in_context(NonRecordingSpan(parent)),
            SpanKind.CLIENT,
            {"text": "é", "yes": True, "n": -7, "half": 0.5, "bytes": b"\x00\xff", "list": [1, "a"]},
            [Link(SpanContext(0xF1, 0xF2, False))],
            start_time=1_700_000_000_000_000_000,
        )
        span.add_event("retry", {"reason": "slow"}, 1_700_000_000_001_000_000)
        span.end(1_700_000_000_002_000_000)

    batch = recorded(one, resource=Resource({"service.name": "shop", "region": "eu"}))
    assert batch is not None
    exporter = JaegerAgentExporter("127.0.0.1", port, protocol="binary")
    assert exporter.export(batch, time.monotonic() + 20).accepted == 1
    read = next_datagram()
    assert (read["error"], read["left"], read["message"]["name"]) == (None, 0, "emitBatch")
    process = read["message"]["body"]["batch"]["process"]
    assert (process["serviceName"], _tags(process["tags"])) == ("shop", {"region": "eu"})
    (span,) = read["message"]["body"]["batch"]["spans"]
    assert (span["traceIdHigh"], span["traceIdLow"]) == ("8000000000000001", "0000000000000002")
    assert (span["parentSpanId"], span["operationName"], span["flags"]) == ("ff00000000000003", "charge é", 1)
    assert (int(span["startTime"], 16), int(span["duration"], 16)) == (1_700_000_000_000_000, 2000)
    (reference,) = span["references"]
    assert reference == {
        "refType": "FOLLOWS_FROM", "traceIdLow": "00000000000000f1", "traceIdHigh": "0" * 16, "spanId": "00000000000000f2",
    }  # fmt: skip
    assert _tags(span["tags"]) == {
        "text": "é", "yes": True, "n": f"{2**64 - 7:016x}", "half": 0.5, "bytes": "00ff", "list": '[1,"a"]',
        "span.kind": "client", "otel.scope.name": "lib", "otel.scope.version": "1.0", "otel.library.name": "lib",
        "otel.library.version": "1.0",
    }  # fmt: skip
    (log,) = span["logs"]
    assert (int(log["timestamp"], 16), _tags(log["fields"])) == (1_700_000_000_001_000, {"event": "retry", "reason": "slow"})


def _tags(tags: Any) -> dict[str, Any]:
    field = {"STRING": "vStr", "DOUBLE": "vDouble", "BOOL": "vBool", "LONG": "vLong", "BINARY": "vBinary"}
    return {tag["key"]: tag[field[tag["vType"]]] for tag in tags}


def test_jaegers_decoder_reads_every_datagram_of_a_batch(reader: Any) -> None:
    port, next_datagram = reader
    exporter = JaegerAgentExporter("127.0.0.1", port, protocol="binary", max_packet_bytes=9000)
    assert exporter.export(batch_of(100, padding=500), time.monotonic() + 20).accepted == 100
    names: list[str] = []
    while len(names) < 100:
        read = next_datagram()
        assert (read["error"], read["left"]) == (None, 0)
        names += [span["operationName"] for span in read["message"]["body"]["batch"]["spans"]]
    assert names == [f"span {number}" for number in range(100)]


def test_a_span_of_jaegers_client_and_the_same_one_of_ours_read_alike(node: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(("127.0.0.1", 0))
        port.settimeout(60)
        subprocess.run(["node", "write.js", str(port.getsockname()[1])], cwd=node, check=True, timeout=60)
        theirs = batch_of_call(port.recv(1 << 16), "binary")

        def one(provider: Any) -> None:
            parent = SpanContext(0x8000000000000001_0000000000000002, 0xFF00000000000003, True, TraceFlags(1))
            span = provider.get_tracer("lib").start_span(
                "charge",
                trace.set_span_in_context(NonRecordingSpan(parent)),
                SpanKind.CLIENT,
                {"text": "é", "yes": True, "half": 0.5},
                [Link(SpanContext(0xF1, 0xF2, False))],
                start_time=1_700_000_000_000_000_000,
            )
            span.add_event("retry", {"reason": "slow"}, 1_700_000_000_001_000_000)
            span.end(1_700_000_000_002_000_000)

        batch = recorded(one, resource=Resource({"service.name": "shop", "region": "eu"}))
        assert batch is not None
        exporter = JaegerAgentExporter("127.0.0.1", port.getsockname()[1], protocol="binary")
        assert exporter.export(batch, time.monotonic() + 20).accepted == 1
        ours = batch_of_call(port.recv(1 << 16), "binary")
    assert ours.process.serviceName == theirs.process.serviceName == "shop"
    assert tags_of(ours.process.tags)["region"] == tags_of(theirs.process.tags, strict=False)["region"] == "eu"
    (mine,), (other,) = ours.spans, theirs.spans
    # Their client fills the fields of the other types too, names the parent in the references, draws an id of its own.
    same = {**fields_of(other), "span_id": fields_of(mine)["span_id"]}
    same["references"] = [reference for reference in same["references"] if reference[0] == 1]
    assert fields_of(mine) == same
    assert mine.flags == other.flags == 1
    tags = tags_of(mine.tags)
    assert {key: value for key, value in tags.items() if not key.startswith("otel.")} == {
        key: value for key, value in tags_of(other.tags, strict=False).items() if not key.startswith(("sampler.", "internal."))
    }
    assert [(log.timestamp, tags_of(log.fields)) for log in mine.logs] == [
        (log.timestamp, tags_of(log.fields, strict=False)) for log in other.logs
    ]
