"""tracecore.sdk.exporter: the exporters beside opentelemetry-sdk, by their users' names, and the migration page's own words."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression as SdkCompression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as SdkHTTP
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor as SdkSimple
from otlp_receiver import Receiver
from program import run

from tracecore.errors import ConfigurationError
from tracecore.sdk.exporter import otlp_http, zipkin
from tracecore.sdk.trace import TracerProvider
from tracecore.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from tracecore.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PAGE = Path(__file__).parent.parent / "docs" / "migration.md"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def parameters(of: Any) -> list[tuple[str, Any, Any]]:
    found = inspect.signature(of).parameters.values()
    return [(each.name, each.kind, each.default) for each in found if not each.name.startswith("_")]


def test_the_arguments_are_those_of_the_sdks_exporters() -> None:
    assert parameters(otlp_http.OTLPSpanExporter) == parameters(SdkHTTP)
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as SdkGRPC
    from opentelemetry.exporter.zipkin.json import ZipkinExporter as SdkZipkin

    from tracecore.sdk.exporter import otlp_grpc

    assert grpc is not None
    assert parameters(otlp_grpc.OTLPSpanExporter) == parameters(SdkGRPC)
    theirs = parameters(SdkZipkin)
    ours = parameters(zipkin.ZipkinExporter)
    assert [each[0] for each in ours] == [each[0] for each in theirs]
    assert ours[1:] == theirs[1:]
    assert ours[0][2].name == theirs[0][2].name


def finished(n: int) -> tuple[Any, ...]:
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    for i in range(n):
        with tracer.start_as_current_span(f"span {i}", attributes={"i": i}):
            pass
    return memory.get_finished_spans()


def test_called_with_spans_an_exporter_delivers_them_and_says_so(receiver: Receiver) -> None:
    exporter = otlp_http.OTLPSpanExporter(endpoint=f"{receiver.endpoint}/v1/traces")
    assert exporter.export(finished(1000)) is SpanExportResult.SUCCESS
    assert len(receiver.ids) == len(receiver.spans) == 1000
    assert exporter.force_flush()
    receiver.status = 400
    assert exporter.export(finished(3)) is SpanExportResult.FAILURE
    exporter.shutdown()
    receiver.status = 200
    assert exporter.export(finished(3)) is SpanExportResult.FAILURE
    assert len(receiver.spans) == 1000


def test_a_provider_and_processor_of_the_sdk_can_use_it(receiver: Receiver) -> None:
    provider = SdkProvider(shutdown_on_exit=False)
    provider.add_span_processor(SdkSimple(otlp_http.OTLPSpanExporter(endpoint=f"{receiver.endpoint}/v1/traces")))
    with provider.get_tracer("t").start_as_current_span("a"):
        pass
    assert receiver.names == ["a"]


def test_in_our_batch_processor_it_takes_the_native_path(receiver: Receiver) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = otlp_http.OTLPSpanExporter(endpoint=f"{receiver.endpoint}/v1/traces", compression=SdkCompression.Gzip)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    for _ in range(100):
        with provider.get_tracer("t").start_as_current_span("a"):
            pass
    assert provider.force_flush()
    assert receiver.names == ["a"] * 100
    assert exporter._spans is None, "no ReadableSpan was made"
    provider.shutdown()


def test_what_is_not_given_comes_from_the_environment_and_what_is_given_wins() -> None:
    ended = run(
        """
import json
from tracecore.sdk.exporter.otlp_http import Compression, OTLPSpanExporter
from tracecore.sdk.exporter.zipkin import ZipkinExporter
print(json.dumps([repr(each) for each in (
    OTLPSpanExporter(),
    OTLPSpanExporter(endpoint="http://given:1/x", compression=Compression.NoCompression),
    ZipkinExporter(),
    ZipkinExporter(endpoint="http://given:2/y"),
)]))
""",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://variable:4318",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_ZIPKIN_ENDPOINT="http://variable:9411/api/v2/spans",
    )
    http, given, zipkins, given_zipkins = ended.answer
    assert "http://variable:4318/v1/traces" in http and "gzip" in http
    assert "http://given:1/x" in given and "none" in given
    assert "http://variable:9411" in zipkins
    assert "http://given:2/y" in given_zipkins


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: otlp_http.OTLPSpanExporter(session=object()), "session"),
        (lambda: zipkin.ZipkinExporter(session=object()), "session"),
        (lambda: zipkin.ZipkinExporter(max_tag_value_length=5), "max_tag_value_length"),
        (lambda: zipkin.ZipkinExporter(zipkin.Protocol.V1), "version"),
        (lambda: otlp_http.OTLPSpanExporter(timeout=-1), "timeout"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(make: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}="):
        make()


def test_zipkins_arrive_when_called_with_spans() -> None:
    bodies: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        exporter = zipkin.ZipkinExporter(endpoint=f"http://127.0.0.1:{server.server_address[1]}/api/v2/spans")
        assert exporter.export(finished(3)) is SpanExportResult.SUCCESS
    finally:
        server.shutdown()
        server.server_close()
    assert sorted(each["name"] for each in bodies) == ["span 0", "span 1", "span 2"]


# --- the page -----------------------------------------------------------------------------------------------------


def block(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, marker
    return found[1]


USE = """
with trace.get_tracer("shop").start_as_current_span("buy", attributes={"k": 1}) as span:
    span.add_event("paid")
provider.shutdown()
print(type(provider).__module__)
"""


def test_the_program_on_the_page_sends_the_same_before_and_after(receiver: Receiver) -> None:
    for marker, module in (("before", "opentelemetry.sdk.trace"), ("after", "tracecore.provider")):
        ended = run(block(marker) + USE, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        assert ended.out.split() == [module]
        assert ended.err == ""
    before, after = receiver.spans
    assert (before.name, before.attributes, before.kind, [event.name for event in before.events]) == (
        after.name, after.attributes, after.kind, [event.name for event in after.events],
    )  # fmt: skip
    assert [resource["service.name"] for resource in receiver.resources] == ["checkout", "checkout"]


def test_the_command_on_the_page_turns_the_one_program_into_the_other(tmp_path: Path) -> None:
    (tmp_path / "tracing.py").write_text(block("before"))
    metrics = "from opentelemetry.sdk.metrics import MeterProvider\n"
    (tmp_path / "metrics.py").write_text(metrics)
    (tmp_path / "other names.py").write_text("from opentelemetry.sdk import trace\nfrom opentelemetry.sdk import metrics\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed.py").write_text(block("before"))
    (tmp_path / ".gitignore").write_text(".venv\n")
    subprocess.run(["bash", "-ec", "git init -q . && git add -A && " + block("replace")], cwd=tmp_path, check=True)
    assert (tmp_path / "other names.py").read_text() == "from tracecore.sdk import trace\nfrom opentelemetry.sdk import metrics\n"
    assert (tmp_path / ".venv" / "installed.py").read_text() == block("before"), "what is not the project's own"
    lines = {line for line in (tmp_path / "tracing.py").read_text().splitlines() if line}
    assert lines == {line for line in block("after").splitlines() if line}
    assert (tmp_path / "metrics.py").read_text() == metrics


def test_the_look_on_the_page_shows_the_counters() -> None:
    ended = run("import tracecore; tracecore.init()\n" + block("look"), OTEL_TRACES_EXPORTER="none")
    assert "'started': 0" in ended.out
