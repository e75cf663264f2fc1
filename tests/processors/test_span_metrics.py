"""SpanMetrics: counts and durations of all spans, compared with opentelemetry-sdk's own histogram of the same durations."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.trace import SpanKind, Status, StatusCode
from program import run

from tracecore import TracerProvider
from tracecore.errors import ConfigurationError, reported, reset_reports
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.otel.span_durations import view
from tracecore.processors.redaction import Redaction, drop, replaced
from tracecore.processors.span_metrics import SpanMetrics
from tracecore.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, SamplingResult, TraceIdRatioBased

CALLS, DURATION = "traces.span.metrics.calls", "traces.span.metrics.duration"


class Measured:
    """A provider with SpanMetrics, an in-memory exporter and the SDK's metrics."""

    def __init__(self, sampler: Any = ALWAYS_ON, *, views: Any = None, exporter: bool = True, **arguments: Any) -> None:
        preferred = arguments.pop("temporality", None)
        self.reader = InMemoryMetricReader(preferred_temporality=preferred)
        self.metrics = SpanMetrics(MeterProvider([self.reader], views=[view()] if views is None else views), **arguments)
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.exported = InMemorySpanExporter()
        if exporter:
            self.provider.add_exporter(self.exported)
        self.provider.add_span_processor(self.metrics)
        self.tracer = self.provider.get_tracer("test")

    def counted(self) -> Counter[tuple[str | None, str, str]]:
        self.provider.force_flush()
        return Counter({(each.name, each.kind, each.status): each.seconds.count for each in self.metrics.series()})

    def points(self, name: str) -> list[Any]:
        self.provider.force_flush()
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        metrics = [
            metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
        ]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def check_sums(self) -> None:
        self.provider.force_flush()
        stats = self.provider.stats()
        spans = stats["spans"]
        first = stats["exporters"][0]
        assert spans["queued"] + spans["measured"] == (
            first["written"] + first["dropped_full"] + first["dropped_after_shutdown"]
        )
        assert first["written"] == first["exported"] + sum(first["lost"].values()) + sum(first["removed"].values()) + first[
            "abandoned"
        ]
        assert first["removed"].get("measured", 0) == spans["measured"]


def test_unsampled_spans_are_measured_and_go_nowhere_else() -> None:
    measured = Measured(TraceIdRatioBased(0.3))
    for i in range(500):
        with measured.tracer.start_as_current_span("order", kind=SpanKind.SERVER):
            with measured.tracer.start_as_current_span("pay", kind=SpanKind.CLIENT) as span:
                if i % 5 == 0:
                    span.set_status(StatusCode.ERROR)
    assert measured.counted() == {
        ("order", "SERVER", "UNSET"): 500,
        ("pay", "CLIENT", "UNSET"): 400,
        ("pay", "CLIENT", "ERROR"): 100,
    }
    stats = measured.provider.stats()["spans"]
    assert 0 < stats["unsampled"] == stats["measured"] < 1000
    assert len(measured.exported.get_finished_spans()) == 1000 - stats["unsampled"]
    measured.check_sums()


def test_without_an_exporter_spans_are_measured_all_the_same() -> None:
    measured = Measured(TraceIdRatioBased(0.5), exporter=False)
    for _ in range(300):
        with measured.tracer.start_as_current_span("a"):
            pass
    assert measured.counted() == {("a", "INTERNAL", "UNSET"): 300}
    (end,) = measured.provider.stats()["exporters"]
    assert end["removed"]["measured"] + end["removed"]["no_exporter"] == 300
    assert end["exported"] == 0
    measured.check_sums()


def test_two_exporters_with_rings_of_their_own_measure_each_span_once() -> None:
    measured = Measured(TraceIdRatioBased(0.5))
    other = InMemorySpanExporter()
    measured.provider.add_exporter(other, batch=7)
    for _ in range(200):
        with measured.tracer.start_as_current_span("a"):
            pass
    assert measured.counted() == {("a", "INTERNAL", "UNSET"): 200}
    assert len(other.get_finished_spans()) == len(measured.exported.get_finished_spans()) < 200
    measured.check_sums()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", ""]), st.sampled_from(list(SpanKind)), st.integers(0, 10**13)),
        min_size=1,
        max_size=200,
    )
)
def test_the_histograms_are_those_of_opentelemetry_sdk(spans: list[tuple[str, SpanKind, int]]) -> None:
    measured = Measured(TraceIdRatioBased(0.5))
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], views=[View(instrument_name="d", aggregation=ExponentialBucketHistogramAggregation())])
    histogram = provider.get_meter("sdk").create_histogram("d", "s")
    start = 1_700_000_000_000_000_000
    for name, kind, ns in spans:
        measured.tracer.start_span(name, kind=kind, start_time=start).end(start + ns)
        histogram.record(ns / 1e9, {"span.name": name, "span.kind": f"SPAN_KIND_{kind.name}"})
    theirs = {
        (point.attributes["span.name"], point.attributes["span.kind"]): point
        for point in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    }
    ours = {(point.attributes["span.name"], point.attributes["span.kind"]): point for point in measured.points(DURATION)}
    assert ours.keys() == theirs.keys()
    for key, point in ours.items():
        other = theirs[key]
        assert (point.count, point.zero_count, point.min, point.max) == (other.count, other.zero_count, other.min, other.max)
        assert math.isclose(point.sum, other.sum, rel_tol=1e-12)
        if point.count > point.zero_count:
            assert point.scale == other.scale
            assert point.positive.offset == other.positive.offset
            # The SDK's buckets are as many as it has room for, with zeros behind.
            n = len(point.positive.bucket_counts)
            assert list(other.positive.bucket_counts)[:n] == point.positive.bucket_counts
            assert not any(list(other.positive.bucket_counts)[n:])


def test_without_the_view_calls_and_seconds_are_counters_of_any_metrics_provider() -> None:
    measured = Measured(views=[])
    start = 1_700_000_000_000_000_000
    for ns in (500_000_000, 1_500_000_000):
        measured.tracer.start_span("a", start_time=start).end(start + ns)
    (calls,) = measured.points(CALLS)
    (seconds,) = measured.points(DURATION)
    assert (calls.value, seconds.value) == (2, 2.0)
    assert dict(calls.attributes) == {
        "service.name": measured.provider.resource.attributes["service.name"],
        "span.name": "a",
        "span.kind": "SPAN_KIND_INTERNAL",
        "status.code": "STATUS_CODE_UNSET",
    }


def test_a_reader_of_deltas_gets_what_came_since() -> None:
    from opentelemetry.sdk.metrics import ObservableCounter

    measured = Measured(temporality={ObservableCounter: AggregationTemporality.DELTA})
    start = 1_700_000_000_000_000_000

    def spans(*seconds: float) -> None:
        for each in seconds:
            measured.tracer.start_span("a", start_time=start).end(start + int(each * 1e9))

    spans(1, 2, 1000)
    (first,) = measured.points(DURATION)
    assert (first.count, first.sum) == (3, 1003)
    spans(0.5, 3)
    (second,) = measured.points(DURATION)
    assert (second.count, second.sum, sum(second.positive.bucket_counts)) == (2, 3.5, 2)
    assert second.start_time_unix_nano == first.time_unix_nano
    assert second.min <= 0.5 and second.max >= 3
    assert measured.points(DURATION) == []


def test_a_view_that_keeps_fewer_attributes_adds_the_series_up() -> None:
    from tracecore.otel.span_durations import SpanDurations

    only = View(instrument_name=DURATION, aggregation=SpanDurations(), attribute_keys={"service.name"})
    measured = Measured(views=[only])
    start = 1_700_000_000_000_000_000
    for name in "abc":
        measured.tracer.start_span(name, start_time=start).end(start + 10**9)
    (point,) = measured.points(DURATION)
    assert (point.count, point.sum, point.positive.bucket_counts) == (3, 3.0, [3])


def test_past_the_limit_series_are_counted_together() -> None:
    measured = Measured(max_series=5)
    for i in range(20):
        measured.tracer.start_span(f"user {i}").end()
    counted = measured.counted()
    assert len(counted) == 5
    assert sum(counted.values()) == 20
    assert counted[(None, "INTERNAL", "UNSET")] == 16
    overflow = [point for point in measured.points(CALLS) if point.attributes.get("otel.metric.overflow")]
    assert [point.value for point in overflow] == [16]


# --- the span that is measured ------------------------------------------------------------------------------------


def test_an_unsampled_span_that_is_measured_records_and_is_not_sampled() -> None:
    measured = Measured(ALWAYS_OFF)
    with measured.tracer.start_as_current_span("parent", kind=SpanKind.SERVER) as span:
        assert trace.get_current_span() is span
        assert isinstance(span, trace.Span)
        assert span.is_recording()
        assert not span.get_span_context().trace_flags.sampled
        span.set_attribute("k", "v")
        span.set_attributes({"k": "v"})
        span.add_event("e", {"a": 1})
        span.add_link(span.get_span_context())
        span.record_exception(ValueError())
        span.update_name("renamed")
        assert (dict(span.attributes), span.events, span.links) == ({}, (), ())
        assert (span.name, span.kind, span.status.status_code) == ("renamed", SpanKind.SERVER, StatusCode.UNSET)
        with measured.tracer.start_as_current_span("child") as child:
            assert child.get_span_context().trace_id == span.get_span_context().trace_id
    assert not span.is_recording()
    span.end()
    span.set_status(StatusCode.ERROR)
    span.update_name("late")
    assert measured.counted() == {("renamed", "SERVER", "UNSET"): 1, ("child", "INTERNAL", "UNSET"): 1}
    assert measured.exported.get_finished_spans() == ()


def test_status_follows_the_rules_of_the_api() -> None:
    measured = Measured(ALWAYS_OFF)
    with measured.tracer.start_as_current_span("ok is final") as span:
        span.set_status(Status(StatusCode.OK))
        span.set_status(Status(StatusCode.ERROR, "late"))
    with measured.tracer.start_as_current_span("unset never overrides") as span:
        span.set_status(Status(StatusCode.ERROR))
        span.set_status(StatusCode.UNSET)
    with measured.tracer.start_as_current_span("nonsense") as span:
        span.set_status("ERROR")  # type: ignore[arg-type]
    assert {name: status for name, _, status in measured.counted()} == {
        "ok is final": "OK",
        "unset never overrides": "ERROR",
        "nonsense": "UNSET",
    }


def test_a_scope_left_by_an_exception_counts_as_an_error_where_a_sampled_one_would() -> None:
    """The same program, sampled and not: the series are equal but for the durations."""

    def program(measured: Measured) -> None:
        tracer = measured.tracer

        class Odd(BaseException):
            pass

        def leave(error: BaseException | None, name: str, **options: Any) -> None:
            try:
                with tracer.start_as_current_span(name, **options):
                    if error is not None:
                        raise error
            except BaseException:
                pass

        leave(ValueError(), "error")
        leave(ValueError(), "not to be set", set_status_on_exception=False)
        leave(Odd(), "no Exception")
        leave(None, "fine")
        try:
            with tracer.start_span("without context"):
                raise ValueError
        except ValueError:
            pass

        @tracer.start_as_current_span("decorated")
        def failing() -> None:
            raise ValueError

        @tracer.start_as_current_span("coroutine")
        async def failing_coroutine() -> None:
            raise ValueError

        @tracer.start_as_current_span("generator")
        def failing_generator() -> Any:
            yield 1
            raise ValueError

        for function in (failing, lambda: asyncio.run(failing_coroutine()), lambda: list(failing_generator())):
            try:
                function()
            except ValueError:
                pass
        span = tracer.start_span("used")
        try:
            with trace.use_span(span, end_on_exit=True):
                raise ValueError
        except ValueError:
            pass
        with tracer.start_as_current_span("not ended", end_on_exit=False) as open_span:
            pass
        assert open_span.is_recording()

    sampled, unsampled = Measured(ALWAYS_ON), Measured(ALWAYS_OFF)
    program(sampled)
    program(unsampled)
    assert sampled.counted() == unsampled.counted()
    assert unsampled.counted()[("error", "INTERNAL", "ERROR")] == 1
    assert unsampled.exported.get_finished_spans() == ()


def test_a_flask_request_that_fails_counts_as_an_error_though_it_is_not_sampled() -> None:
    flask = pytest.importorskip("flask")
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.flask")
    measured = Measured(ALWAYS_OFF)
    app = flask.Flask("shop")

    @app.route("/fail")
    def fail() -> tuple[str, int]:
        return "no", 500

    instrumentation.FlaskInstrumentor().instrument_app(app, tracer_provider=measured.provider)
    for _ in range(3):
        app.test_client().get("/fail")
    assert measured.counted() == {("GET /fail", "SERVER", "ERROR"): 3}


def test_record_only_spans_are_as_their_sampler_says() -> None:
    class RecordOnly:
        def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
            return SamplingResult(Decision.RECORD_ONLY)

        def get_description(self) -> str:
            return "record only"

    measured = Measured(RecordOnly())
    with measured.tracer.start_as_current_span("a") as span:
        span.set_attribute("k", 1)
        assert dict(span.attributes) == {"k": 1}
    assert measured.counted() == {("a", "INTERNAL", "UNSET"): 1}
    assert measured.exported.get_finished_spans() == ()


def test_spans_of_many_threads_are_all_counted() -> None:
    measured = Measured(TraceIdRatioBased(0.5))

    def work() -> None:
        for _ in range(500):
            with measured.tracer.start_as_current_span("a"):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    reading = threading.Event()

    def read() -> None:
        while not reading.is_set():
            measured.metrics.series()
            measured.reader.get_metrics_data()

    reader = threading.Thread(target=read)
    reader.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading.set()
    reader.join()
    assert measured.counted() == {("a", "INTERNAL", "UNSET"): 4000}
    measured.check_sums()


def test_a_forked_child_measures_its_own_spans_only() -> None:
    ended = run(
        """
import json, os, sys
from tracecore import TracerProvider
from tracecore.processors.redaction import Redaction, drop, replaced
from tracecore.processors.span_metrics import SpanMetrics
from tracecore.sampling import ALWAYS_OFF
metrics = SpanMetrics()
provider = TracerProvider(sampler=ALWAYS_OFF)
provider.add_span_processor(metrics)
tracer = provider.get_tracer("t")
def spans(n, name):
    for _ in range(n):
        with tracer.start_as_current_span(name):
            pass
def counted():
    provider.force_flush()
    return {each.name: each.seconds.count for each in metrics.series()}
spans(10, "parent")
assert counted() == {"parent": 10}
with tracer.start_as_current_span("across"):
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        spans(3, "child")
        os.write(write, json.dumps(counted()).encode())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
print(json.dumps([json.loads(os.read(read, 1000)), counted()]))
"""
    )
    child, parent = ended.answer
    assert child == {"child": 3}
    assert parent == {"parent": 10, "across": 1}


def test_without_opentelemetry_sdk_the_histograms_can_be_read() -> None:
    ended = run(
        """
import json, sys
sys.modules["opentelemetry.sdk"] = None
from tracecore import TracerProvider
from tracecore.processors.redaction import Redaction, drop, replaced
from tracecore.processors.span_metrics import SpanMetrics
provider = TracerProvider()
metrics = SpanMetrics()
provider.add_span_processor(metrics)
with provider.get_tracer("t").start_as_current_span("a"):
    pass
provider.force_flush()
print(json.dumps([[each.name, each.seconds.count] for each in metrics.series()]))
"""
    )
    assert ended.answer == [["a", 1]]


@pytest.mark.parametrize(
    "arguments", [{"max_series": 0}, {"max_series": True}, {"max_series": "9"}, {"namespace": ""}, {"namespace": "9 lives"}]
)
def test_wrong_arguments_are_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        SpanMetrics(**arguments)


def test_a_second_provider_is_refused() -> None:
    measured = Measured()
    with pytest.raises(RuntimeError, match="belongs to a provider"):
        TracerProvider(shutdown_on_exit=False).add_span_processor(measured.metrics)


def test_series_survive_as_json_the_way_docs_show_them() -> None:
    measured = Measured()
    measured.tracer.start_span("a").end()
    assert measured.counted()
    text = json.dumps([each._asdict() | {"seconds": each.seconds.sum} for each in measured.metrics.series()])
    assert '"name": "a"' in text


def test_behind_a_redaction_names_are_measured_as_redacted_and_before_one_that_is_reported() -> None:
    def names(*processors: Any) -> set[str | None]:
        provider = TracerProvider(sampler=TraceIdRatioBased(0.5))
        provider.add_exporter(InMemorySpanExporter())
        for processor in processors:
            provider.add_span_processor(processor)
        for _ in range(20):
            provider.get_tracer("lib").start_span("user 1234").end()
        assert provider.force_flush()
        provider.shutdown()
        (metrics,) = (each for each in processors if isinstance(each, SpanMetrics))
        return {series.name for series in metrics.series()}

    hides = replaced(values=r"\d{4}", text="#")
    reset_reports()
    assert names(Redaction([hides]), SpanMetrics()) == {"user #"}
    assert names(SpanMetrics(), Redaction([drop("password")])) == {"user 1234"}  # about no names
    assert names(SpanMetrics(), Redaction([hides], names=False)) == {"user 1234"}
    assert "redaction_bypassed" not in reported()
    assert names(SpanMetrics(), Redaction([hides])) == {"user 1234"}
    assert reported()["redaction_bypassed"] == 1
