"""The otel.sdk.* metrics about ourselves, beside opentelemetry-sdk's on the same program."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.metrics import Counter, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import export as sdk_export
from opentelemetry.sdk.trace import sampling as sdk_sampling

import tracecore
from tracecore import errors, sampling
from tracecore.exporters import Outcome
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.exporters.otlp_http import OTLPHTTPExporter
from tracecore.provider import BatchSpanProcessor
from tracecore.simple_span_processor import SimpleSpanProcessor

ENABLED = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


@pytest.fixture(autouse=True)
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENABLED, "true")


class Meters:
    """A meter provider and what its reader sees."""

    def __init__(self, **preferences: Any) -> None:
        self.reader = InMemoryMetricReader(**preferences)
        self.provider = MeterProvider([self.reader])

    def metrics(self) -> dict[str, tuple[str, str, bool | None, set[tuple[frozenset[tuple[str, Any]], Any]]]]:
        """Return unit, description, whether it only grows, and points, of each metric; numbers of components as N."""
        data = self.reader.get_metrics_data()
        found = {}
        for scope in data.resource_metrics[0].scope_metrics if data is not None else ():
            assert scope.scope.name == "opentelemetry-sdk"
            for metric in scope.metrics:
                points = {
                    (
                        frozenset(
                            (key, re.sub(r"/\d+$", "/N", value) if key == "otel.component.name" else value)
                            for key, value in point.attributes.items()
                        ),
                        getattr(point, "value", None) if hasattr(point, "value") else point.count,
                    )
                    for point in metric.data.data_points
                }
                grows = getattr(metric.data, "is_monotonic", None)
                found[metric.name] = (metric.unit, metric.description, grows, points)
        return found

    def points(self, name: str) -> dict[tuple[Any, ...], Any]:
        """Return a metric's values by their attributes' values, those of components left out."""
        return {
            tuple(value for key, value in sorted(attributes) if key in ("error.type", *SPAN_ATTRIBUTES)): value
            for attributes, value in self.metrics().get(name, ("", "", None, set()))[3]
        }


SPAN_ATTRIBUTES = ("otel.span.parent.origin", "otel.span.sampling_result")


@pytest.fixture
def meters() -> Iterator[Meters]:
    made = Meters()
    yield made
    made.provider.shutdown()


class Scripted:
    """An exporter of ours that answers what it is told."""

    def __init__(self, *outcomes: Outcome, gate: threading.Event | None = None) -> None:
        self.outcomes = list(outcomes)
        self.gate = gate
        self.entered = threading.Event()

    def export(self, batch: Any, deadline: float) -> Outcome:
        self.entered.set()
        if self.gate is not None:
            assert self.gate.wait(30)
        return self.outcomes.pop(0) if self.outcomes else Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None:
        pass

    def shutdown(self) -> None:
        pass


# ---- beside the SDK ----------------------------------------------------------------------------------------------


class Named(sdk_sampling.Sampler):
    """Decides by the span's name, for either make of provider."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any) -> Any:
        return sdk_sampling.SamplingResult(sdk_sampling.Decision[name])

    def get_description(self) -> str:
        return "Named"


def every_origin_and_result(provider: Any) -> list[Any]:
    tracer = provider.get_tracer("lib")
    held = []
    for is_remote in (None, True, False):
        parent = trace.SpanContext(1, 2, bool(is_remote), trace.TraceFlags(1))
        context = None if is_remote is None else trace.set_span_in_context(trace.NonRecordingSpan(parent))
        for name in ("DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE"):
            for _ in range(3):
                tracer.start_span(name, context).end()
            held.append(tracer.start_span(name, context))
    invalid = trace.set_span_in_context(trace.INVALID_SPAN)
    tracer.start_span("DROP", invalid).end()
    return held


@pytest.mark.parametrize("sampler", [Named(), sdk_sampling.ALWAYS_ON, sdk_sampling.ALWAYS_OFF, sdk_sampling.DEFAULT_ON])
def test_spans_are_counted_as_the_sdk_counts_them(sampler: Any) -> None:
    seen = []
    for make in (tracecore.TracerProvider, sdk.TracerProvider):
        meters = Meters()
        provider = make(sampler=sampler, shutdown_on_exit=False, meter_provider=meters.provider)
        held = every_origin_and_result(provider)
        seen.append(meters.metrics())
        for span in held:
            span.end()
            span.end()
        seen.append(meters.metrics())
        provider.shutdown()
    assert seen[:2] == seen[2:]
    assert set(seen[0]) == {"otel.sdk.span.started"} | (
        set() if sampler is sdk_sampling.ALWAYS_OFF else {"otel.sdk.span.live"}
    )


@pytest.mark.parametrize("temporality", AggregationTemporality)
@pytest.mark.parametrize("n", [1, 10])
def test_processors_are_counted_as_the_sdk_counts_them(temporality: Any, n: int) -> None:
    seen = []
    for make, batch, simple in (
        (tracecore.TracerProvider, BatchSpanProcessor, SimpleSpanProcessor),
        (sdk.TracerProvider, sdk_export.BatchSpanProcessor, sdk_export.SimpleSpanProcessor),
    ):
        preferences = {Counter: temporality, ObservableCounter: temporality}
        meters = Meters(preferred_temporality=preferences if temporality.value else None)
        provider = make(shutdown_on_exit=False)
        processors = [
            batch(InMemorySpanExporter(), max_queue_size=600, max_export_batch_size=512, meter_provider=meters.provider),
            simple(InMemorySpanExporter(), meter_provider=meters.provider),
        ]
        for processor in processors:
            provider.add_span_processor(processor)
        for _ in range(2):
            for _ in range(n):
                provider.get_tracer("lib").start_span("span").end()
            provider.force_flush()
            seen.append(meters.metrics())
        for processor in processors:
            processor.shutdown()
        provider.get_tracer("lib").start_span("late").end()
        seen.append(meters.metrics())
        provider.shutdown()
        meters.provider.shutdown()
    if temporality is AggregationTemporality.DELTA:  # where nothing was added, the SDK's counters have no point, ours a 0
        for metrics in seen:
            points = metrics["otel.sdk.processor.span.processed"][3]
            points -= {point for point in points if point[1] == 0}
    assert seen[:3] == seen[3:]
    assert set(seen[0]) == {
        f"otel.sdk.processor.span.{name}" for name in ("processed", "queue.size", "queue.capacity")
    }


class Receiver(BaseHTTPRequestHandler):
    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def endpoint(status: int) -> Iterator[str]:
    handler = type("Handler", (Receiver,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces"
        server.shutdown()


@pytest.mark.parametrize("status", [200, 400])
def test_an_otlp_exporter_is_counted_as_the_sdks_and_its_errors_have_our_words(endpoint: str, status: int) -> None:
    seen = []
    for make, batch in (
        (tracecore.TracerProvider, lambda m: BatchSpanProcessor(OTLPHTTPExporter(endpoint), meter_provider=m)),
        (sdk.TracerProvider, lambda m: sdk_export.BatchSpanProcessor(OTLPSpanExporter(endpoint, meter_provider=m))),
    ):
        meters = Meters()
        provider = make(shutdown_on_exit=False)
        provider.add_span_processor(batch(meters.provider))
        for _ in range(5):
            provider.get_tracer("lib").start_span("span").end()
        provider.force_flush()
        seen.append({name: metric for name, metric in meters.metrics().items() if ".exporter." in name})
        provider.shutdown()
        meters.provider.shutdown()
    if status == 200:
        assert seen[0] == seen[1]
    # The conventions want the cause of a failure in error.type: the SDK gives none where there was an answer.
    for name in seen[1]:
        (ours, n), (theirs, n_theirs) = (*seen[0][name][3], *seen[1][name][3])
        assert n == n_theirs
        expected = {} if status == 200 or name.endswith("inflight") else {"error.type": "rejected_status"}
        assert dict(ours) == {**{k: v for k, v in theirs if k != "http.response.status_code"}, **expected}
    assert len(seen[0]) == len(seen[1]) == 3


# ---- what only we have -------------------------------------------------------------------------------------------


def test_every_way_to_lose_a_span_has_its_word(meters: Meters) -> None:
    exporter = Scripted(Outcome(1, 2, "rejected_partial", ""), Outcome(0, 4, "connection", ""))
    provider = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)
    provider.add_exporter(exporter, delay=3600)
    tracer = provider.get_tracer("lib")
    for n in (3, 4, 5):
        for _ in range(n):
            tracer.start_span("span").end()
        provider.force_flush()
    assert meters.points("otel.sdk.exporter.span.exported") == {(): 6, ("rejected",): 2, ("connection",): 4}
    assert meters.points("otel.sdk.exporter.operation.duration") == {(): 1, ("rejected",): 1, ("connection",): 1}
    assert meters.points("otel.sdk.exporter.span.inflight") == {(): 0}
    assert meters.points("otel.sdk.processor.span.processed") == {(): 12}
    ((attributes, _),) = meters.metrics()["otel.sdk.exporter.span.inflight"][3]
    assert dict(attributes)["otel.component.type"] == f"{__name__}.Scripted"
    provider.shutdown()


def test_a_full_queue_and_spans_in_flight_are_seen(meters: Meters) -> None:
    gate = threading.Event()
    exporter = Scripted(gate=gate)
    provider = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)
    provider.add_exporter(exporter, ring_bytes=1 << 16, batch=10, delay=3600)
    tracer = provider.get_tracer("lib")
    for _ in range(10):
        tracer.start_span("span").end()
    assert exporter.entered.wait(30)
    for _ in range(5000):
        tracer.start_span("span").end()
    exported = provider.stats()["exporters"][0]
    assert meters.points("otel.sdk.exporter.span.inflight") == {(): 10}
    assert meters.points("otel.sdk.processor.span.queue.size") == {(): exported["waiting"]}
    assert meters.points("otel.sdk.processor.span.queue.capacity") == {(): 128}
    assert meters.points("otel.sdk.processor.span.processed") == {(): 10, ("queue_full",): exported["dropped_full"]}
    assert exported["dropped_full"] + exported["waiting"] == 5000
    gate.set()
    provider.shutdown()
    assert meters.points("otel.sdk.processor.span.processed")[()] == 5010 - exported["dropped_full"]


def test_an_exporter_written_for_the_sdk_reports_for_itself(meters: Meters) -> None:
    provider = tracecore.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter(), meter_provider=meters.provider))
    provider.get_tracer("lib").start_span("span").end()
    provider.force_flush()
    assert not any(".exporter." in name for name in meters.metrics())
    provider.shutdown()


def test_providers_are_summed_and_one_that_is_gone_stays_in_the_sum(meters: Meters) -> None:
    def make() -> Any:
        return tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)

    first, second = make(), make()
    for provider, n in ((first, 2), (second, 3)):
        for _ in range(n):
            provider.get_tracer("lib").start_span("span").end()
    forgotten = first.get_tracer("lib").start_span("never ended")
    one = ("none", "RECORD_AND_SAMPLE")
    assert meters.points("otel.sdk.span.started") == {one: 6}
    assert meters.points("otel.sdk.span.live") == {one[1:]: 1}
    first.shutdown()
    del first, provider, forgotten
    gc.collect()
    for _ in range(2):
        assert meters.points("otel.sdk.span.started") == {one: 6}
        assert meters.points("otel.sdk.span.live") == {one[1:]: 1}
    metrics = second._self_metrics
    assert len(metrics._tallies) == 1
    second.get_tracer("lib").start_span("span").end()
    assert meters.points("otel.sdk.span.started") == {one: 7}
    second.shutdown()


def test_processors_that_are_gone_are_forgotten_and_nothing_keeps_them(meters: Meters) -> None:
    kept = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)
    for _ in range(5):
        provider = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)
        provider.add_exporter(Scripted())
        provider.shutdown()
    del provider
    gc.collect()
    assert meters.points("otel.sdk.processor.span.queue.size") == {}
    assert kept._self_metrics._queues == kept._self_metrics._exporters == []
    kept.shutdown()


def test_each_processor_has_a_name_of_its_own(meters: Meters) -> None:
    provider = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)
    for _ in range(3):
        provider.add_exporter(Scripted())
    data = meters.reader.get_metrics_data()
    names = [
        point.attributes["otel.component.name"]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        if metric.name == "otel.sdk.processor.span.queue.capacity"
        for point in metric.data.data_points
    ]
    assert len(set(names)) == 3 and all(name.startswith("batching_span_processor/") for name in names)
    provider.shutdown()


@pytest.mark.parametrize(
    "endpoint, server",
    [
        ("http://here:4318/v1/traces", ("here", 4318)),
        ("http://here/v1/traces", ("here", 80)),
        ("https://[::1]/v1/traces", ("::1", 443)),
        ("here:4317", ("here", 4317)),
        ("[::1]:4317", ("::1", 4317)),
        ("unix:/run/collector.sock", (None, None)),
        ("http://here:port", ("here", None)),
        (None, (None, None)),
    ],
)
def test_the_server_of_an_exporter_is_read_from_its_endpoint(meters: Meters, endpoint: Any, server: Any) -> None:
    exporter: Any = Scripted()
    if endpoint is not None:
        exporter.endpoint = endpoint
    exporter.component_type = "otlp_grpc_span_exporter"
    provider = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)
    provider.add_exporter(exporter)
    provider.get_tracer("lib").start_span("span").end()
    assert provider.force_flush()
    ((attributes, _),) = meters.metrics()["otel.sdk.exporter.span.exported"][3]
    told = dict(attributes)
    assert (told.get("server.address"), told.get("server.port")) == server
    assert told["otel.component.type"] == "otlp_grpc_span_exporter"
    provider.shutdown()


def test_our_scope_can_be_told_from_the_sdks(meters: Meters) -> None:
    ours = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)
    theirs = sdk.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)
    for provider in (ours, theirs):
        provider.get_tracer("lib").start_span("span").end()
    scopes = meters.reader.get_metrics_data().resource_metrics[0].scope_metrics
    assert sorted(dict(scope.scope.attributes or {}).get("telemetry.sdk.name", "") for scope in scopes) == ["", "tracecore"]
    assert all(len(scope.metrics) == 2 for scope in scopes)


@pytest.mark.parametrize("value", ["false", "", None, "yes"])
def test_the_metrics_are_off_unless_asked_for(
    meters: Meters, monkeypatch: pytest.MonkeyPatch, value: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    errors.reset_reports()
    if value is None:
        monkeypatch.delenv(ENABLED)
    else:
        monkeypatch.setenv(ENABLED, value)
    provider = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meters.provider)
    provider.add_span_processor(BatchSpanProcessor(Scripted(), meter_provider=meters.provider))
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter(), meter_provider=meters.provider))
    provider.get_tracer("lib").start_span("span").end()
    provider.shutdown()
    assert meters.reader.get_metrics_data() is None
    assert (f"{ENABLED}='yes'" in caplog.text) is (value == "yes")


PROGRAM = """if True:
    import json, os, sys
    import tracecore
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from tracecore.exporters import Outcome

    class Exporter:
        def export(self, batch, deadline): return Outcome(len(batch), 0, "", "")
        def interrupt(self): pass
        def shutdown(self): pass

    reader = InMemoryMetricReader()
    def set_global(): metrics.set_meter_provider(MeterProvider([reader]))
    def values():
        found = {}
        for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics:
            for point in metric.data.data_points:
                found[metric.name] = getattr(point, "value", None) or getattr(point, "count", 0)
        return found
    provider = None
    def make():
        global provider
        provider = tracecore.TracerProvider()
        provider.add_exporter(Exporter())
    def span(): provider.get_tracer("lib").start_span("span").end()
"""


def run(program: str) -> Any:
    code = PROGRAM + "\n".join("    " + line for line in program.splitlines())
    done = subprocess.run([sys.executable, "-W", "error::ResourceWarning", "-c", code], capture_output=True, text=True,
                          timeout=60, env={**os.environ, ENABLED: "true"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("order", ["set_global(); make()", "make(); set_global()", "make(); span(); set_global()"])
def test_the_global_meter_provider_may_be_set_before_or_after(order: str) -> None:
    seen = run(f"{order}; span(); provider.force_flush(); print(json.dumps(values()))")
    n = 2 if order.count("span") else 1
    assert seen["otel.sdk.span.started"] == n
    assert seen["otel.sdk.processor.span.processed"] == seen["otel.sdk.exporter.span.exported"] == n
    assert set(seen) == {
        "otel.sdk.span.started", "otel.sdk.span.live", "otel.sdk.processor.span.queue.size",
        "otel.sdk.processor.span.queue.capacity", "otel.sdk.processor.span.processed",
        "otel.sdk.exporter.span.inflight", "otel.sdk.exporter.span.exported", "otel.sdk.exporter.operation.duration",
    }


def test_a_forked_child_goes_on_from_its_parents_numbers_and_stats_start_anew() -> None:
    program = """
set_global(); make(); span(); span(); held = provider.get_tracer("lib").start_span("held")
provider.force_flush()
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    span()
    held.end()
    told = {**values(), "stats": provider.stats()["spans"]["started"], "inherited": provider.stats()["spans"]["inherited"]}
    os.write(write, json.dumps(told).encode())
    os._exit(0)
os.waitpid(pid, 0)
print(json.dumps([json.loads(os.read(read, 10000)), values()]))
"""
    child, parent = run(program)
    assert (child["otel.sdk.span.started"], child["otel.sdk.span.live"]) == (4, 0)
    assert (child["stats"], child["inherited"]) == (1, 1)
    assert (parent["otel.sdk.span.started"], parent["otel.sdk.span.live"]) == (3, 1)


def test_without_them_the_metrics_api_is_not_imported() -> None:
    program = "import sys, tracecore; tracecore.TracerProvider(); print('opentelemetry.metrics' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != ENABLED}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "False"


class Broken:
    """A meter provider that raises, and instruments that do."""

    def __init__(self, at: str) -> None:
        self.at = at

    def get_meter(self, *args: Any, **kwargs: Any) -> Any:
        if self.at == "meter":
            raise RuntimeError("no meter")
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("create_"):
            return lambda *args, **kwargs: Broken("instrument")
        raise RuntimeError(f"no {name}")


@pytest.mark.parametrize("at", ["meter", "instrument"])
def test_a_meter_that_fails_is_reported_and_costs_no_span(at: str) -> None:
    errors.reset_reports()
    meter_provider, memory = Broken(at), InMemorySpanExporter()
    provider = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meter_provider)
    provider.add_span_processor(SimpleSpanProcessor(memory, meter_provider=meter_provider))
    provider.add_exporter(Scripted())
    provider.get_tracer("lib").start_span("span").end()
    assert provider.force_flush()
    assert len(memory.get_finished_spans()) == 1
    assert provider.stats()["exporters"][0]["exported"] == 1
    assert errors.reported()["self_metrics"] > 0
    provider.shutdown()


def test_the_tally_agrees_with_the_counters_at_any_moment(meters: Meters) -> None:
    provider = tracecore.TracerProvider(
        sampler=sampling.TraceIdRatioBased(0.5), shutdown_on_exit=False, meter_provider=meters.provider
    )
    tracer = provider.get_tracer("lib")
    held = []
    for i in range(1000):
        span = tracer.start_span("span")
        held.append(span) if i % 3 == 0 else span.end()
        if i % 100 == 99:
            counts, started = provider.stats()["spans"], meters.points("otel.sdk.span.started")
            assert sum(started.values()) == counts["started"] == i + 1
            assert started.get(("none", "DROP"), 0) == counts["unsampled"]
            assert sum(meters.points("otel.sdk.span.live").values()) == counts["live"]
    provider.shutdown()
