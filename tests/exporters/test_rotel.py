"""The OTLP exporters against rotel, an OpenTelemetry collector written in Rust, from its package on PyPI.

    exporter --gRPC, HTTP/protobuf, HTTP/JSON--> rotel --OTLP/HTTP--> our receiver, decoded by opentelemetry-proto

What comes out is compared with what the exporter was given: another implementation has read it and written it again.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batches import batch_of
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_receiver import Receiver

from tracecore.exporters import Outcome
from tracecore.exporters.otlp_grpc import OTLPGRPCExporter
from tracecore.exporters.otlp_http import OTLPHTTPExporter

rotel = pytest.importorskip("rotel", reason="no rotel for this machine")

PATIENCE_S = 30.0


def free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(condition: Any, what: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, what
        time.sleep(0.05)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def behind() -> Iterator[Receiver]:
    """What rotel sends on to."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def agent(behind: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The ports of a running rotel: gRPC, HTTP."""
    where = tmp_path_factory.mktemp("rotel")
    grpc_port, http_port = free_ports(2)
    program = Path(rotel.__file__).parent / "rotel-agent"
    # It is linked with the shared library of the Python it was made for, which an interpreter built without one lacks.
    missing = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    if "error while loading shared libraries" in missing.stderr:
        pytest.skip(f"rotel does not start here: {missing.stderr.strip()}")
    arguments = {
        "otlp-grpc-endpoint": f"127.0.0.1:{grpc_port}",
        "otlp-http-endpoint": f"127.0.0.1:{http_port}",
        "exporter": "otlp",
        "otlp-exporter-endpoint": behind.endpoint,
        "otlp-exporter-protocol": "http",
        "otlp-exporter-compression": "none",
        "batch-timeout": "50ms",
        "pid-file": str(where / "pid"),
        "log-file": str(where / "log"),
    }
    with (where / "output").open("wb") as output:
        process = subprocess.Popen(
            [program, "start", *(f"--{name}={value}" for name, value in arguments.items())],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(
            lambda: process.poll() is not None or (listens(grpc_port) and listens(http_port)), "rotel did not start"
        )
        assert process.poll() is None, (where / "output").read_text()
        yield grpc_port, http_port
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE_S)


def exporter_of(transport: str, agent: tuple[int, int], **arguments: Any) -> Any:
    grpc_port, http_port = agent
    if transport == "grpc":
        return OTLPGRPCExporter(f"http://127.0.0.1:{grpc_port}", **arguments)
    return OTLPHTTPExporter(f"http://127.0.0.1:{http_port}/v1/traces", encoding=transport, **arguments)


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("transport", ["grpc", "protobuf", "json"])
def test_what_comes_out_of_rotel_is_what_was_exported(
    behind: Receiver, agent: tuple[int, int], transport: str, compression: str
) -> None:
    behind.spans.clear()
    behind.resources.clear()
    # rotel 0.0.1a15 refuses a request with an AnyValue of nothing ("value":{}) when it is JSON.
    batch = batch_of(20, padding=50, null=transport != "json")
    exporter = exporter_of(transport, agent, compression=compression)
    assert exporter.export(batch, time.monotonic() + PATIENCE_S) == Outcome(20, 0, "", "")
    exporter.shutdown()
    wait_for(lambda: len(behind.spans) >= 20, "the spans did not come out")
    sent = [
        span
        for of_resource in ExportTraceServiceRequest.FromString(batch.otlp()).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]
    assert sorted(behind.spans, key=lambda span: span.span_id) == sorted(sent, key=lambda span: span.span_id)
    assert behind.resources == [{"service.name": "shop"}] * 20


def test_a_batch_beyond_rotels_limit_for_grpc_arrives_whole(behind: Receiver, agent: tuple[int, int]) -> None:
    behind.spans.clear()
    batch = batch_of(60, padding=100_000)
    assert len(batch.otlp()) > 4 << 20
    exporter = exporter_of("grpc", agent)
    assert exporter.export(batch, time.monotonic() + PATIENCE_S) == Outcome(60, 0, "", "")
    exporter.shutdown()
    wait_for(lambda: len(behind.spans) >= 60, "the spans did not come out")
    assert len(behind.ids) == 60
