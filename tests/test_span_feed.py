"""Spans that somebody hands to our processors: filters, processors in front, other providers, tests.

The comparison is with the native path: the same span, once through the recorder and once through Python.
"""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from program import run

from tracecore.errors import reported, reset_reports
from tracecore.exporters import Outcome
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.limits import SpanLimits
from tracecore.provider import BatchSpanProcessor, TracerProvider
from tracecore.readable_span import ReadableSpan
from tracecore.resource import Resource
from tracecore.simple_span_processor import SimpleSpanProcessor
from tracecore.span_processor import SpanProcessor, SynchronousMultiSpanProcessor

FOREVER_MS = 10**9


class Encoded:
    """An exporter of the core's kind that keeps what would be sent."""

    def __init__(self, outcome: Callable[[int], Outcome] = lambda n: Outcome(n, 0, "", "")) -> None:
        self.requests: list[bytes] = []
        self.outcome = outcome
        self.is_shut_down = False

    def export(self, batch: Any, deadline: float) -> Outcome:
        self.requests.append(batch.otlp())
        return self.outcome(len(batch))

    def interrupt(self) -> None:
        pass

    def shutdown(self) -> None:
        self.is_shut_down = True

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in ExportTraceServiceRequest.FromString(request).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Through(BatchSpanProcessor):
    """A subclass with an on_end of its own, as filters have it."""

    def on_end(self, span: ReadableSpan) -> None:
        super().on_end(span)


class OfSomebody(SpanProcessor):
    """A processor in front of another."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def on_end(self, span: ReadableSpan) -> None:
        self.inner.on_end(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return bool(self.inner.force_flush(timeout_millis))

    def shutdown(self) -> None:
        self.inner.shutdown()


@pytest.fixture(autouse=True)
def _own_reports() -> None:
    reset_reports()


def provider_with(*processors: Any, **arguments: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False, **arguments)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


# ---- the same bytes --------------------------------------------------------------------------------------------

VALUES = st.one_of(
    st.text(max_size=8),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(allow_nan=False),
    st.binary(max_size=5),
    st.none(),
    st.lists(st.integers(0, 9), max_size=3),
    st.lists(st.text(max_size=3), max_size=3),
)
ATTRIBUTES = st.dictionaries(st.text(min_size=1, max_size=5), VALUES, max_size=6)
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from([0, 1, 2, 3]).map(TraceFlags),
    st.sampled_from([None, TraceState([("a", "b")]), TraceState([("c", "d"), ("e", "f")])]),
)


@settings(max_examples=150, deadline=None)
@given(
    name=st.text(max_size=10),
    kind=st.sampled_from(SpanKind),
    attributes=ATTRIBUTES,
    events=st.lists(st.tuples(st.text(max_size=5), ATTRIBUTES, st.integers(1, 2**62)), max_size=4),
    links=st.lists(st.tuples(CONTEXTS, ATTRIBUTES), max_size=4),
    parent=st.none() | CONTEXTS,
    status=st.sampled_from([None, Status(StatusCode.OK), Status(StatusCode.ERROR), Status(StatusCode.ERROR, "why")]),
)
def test_a_span_handed_on_is_sent_as_the_one_that_was_recorded(
    name: str, kind: SpanKind, attributes: Any, events: Any, links: Any, parent: SpanContext | None, status: Status | None
) -> None:
    native, fed, one_by_one = Encoded(), Encoded(), Encoded()
    from tracecore.sampling import ALWAYS_ON

    provider = provider_with(
        BatchSpanProcessor(native),
        Through(fed),
        SimpleSpanProcessor(one_by_one),
        sampler=ALWAYS_ON,
        resource=Resource({"service.name": "s", "n": 1}, "https://schema"),
        span_limits=SpanLimits(max_span_attributes=4, max_events=2, max_links=2, max_event_attributes=2, max_link_attributes=1),
    )
    context = None if parent is None else set_span_in_context(NonRecordingSpan(parent))
    tracer = provider.get_tracer("lib", "1", "https://scope", {"a": True})
    span = tracer.start_span(name, context, kind, attributes, [Link(*link) for link in links], start_time=5)
    for event in events:
        span.add_event(*event)
    if status is not None:
        span.set_status(status)
    span.end(9)
    assert provider.force_flush()
    provider.shutdown()
    assert fed.requests == native.requests
    assert one_by_one.requests == native.requests


def test_what_a_processor_changed_in_the_span_is_what_is_sent() -> None:
    class Renames(BatchSpanProcessor):
        def on_end(self, span: Any) -> None:
            span._name = "renamed"
            span._attributes = {**span.attributes, "added": 1}
            super().on_end(span)

    fed, foreign = Encoded(), InMemorySpanExporter()
    provider = provider_with(Renames(fed), OfSomebody(Renames(foreign)))
    provider.get_tracer("lib").start_span("secret", attributes={"k": "v"}).end()
    assert provider.force_flush()
    (sent,) = fed.spans()
    assert (sent.name, sorted(a.key for a in sent.attributes)) == ("renamed", ["added", "k"])
    (span,) = foreign.get_finished_spans()
    assert (span.name, dict(span.attributes)) == ("renamed", {"k": "v", "added": 1})
    provider.shutdown()


# ---- who hands spans over --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Encoded, InMemorySpanExporter])
def test_a_subclass_that_filters_keeps_its_filter(make: Any) -> None:
    class Filter(BatchSpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            if span.name != "health":
                super().on_end(span)

    exporter = make()
    provider = provider_with(Filter(exporter))
    for name in ("health", "order", "health"):
        provider.get_tracer("lib").start_span(name).end()
    assert provider.force_flush()
    spans = exporter.spans() if make is Encoded else exporter.get_finished_spans()
    assert [span.name for span in spans] == ["order"]
    (counts,) = provider.stats()["exporters"]
    assert (counts["exporter"], counts["written"], counts["exported"]) == (make.__name__, 1, 1)
    provider.shutdown()
    if make is Encoded:
        assert exporter.is_shut_down


@pytest.mark.parametrize("hook", ["on_start", "_on_ending", "force_flush", "shutdown"])
def test_any_hook_of_a_subclass_is_called(hook: str) -> None:
    called = []

    def own(self: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(hook)
        return getattr(BatchSpanProcessor, hook)(self, *args, **kwargs)

    exporter = Encoded()
    provider = provider_with(type("Own", (BatchSpanProcessor,), {hook: own})(exporter))
    provider.get_tracer("lib").start_span("a").end()
    assert provider.force_flush()
    provider.shutdown()
    assert called == [hook] and [span.name for span in exporter.spans()] == ["a"]


def test_a_method_replaced_in_the_instance_is_called_too() -> None:
    processor = BatchSpanProcessor(Encoded())
    assert processor.takes_records
    processor.on_end = mock.Mock()  # type: ignore[method-assign]
    provider = provider_with(processor)
    provider.get_tracer("lib").start_span("a").end()
    processor.on_end.assert_called_once()
    provider.shutdown()


def test_an_active_span_processor_may_hold_a_batch_processor() -> None:
    exporter = Encoded()
    several = SynchronousMultiSpanProcessor()
    several.add_span_processor(BatchSpanProcessor(exporter))
    provider = TracerProvider(active_span_processor=several, shutdown_on_exit=False)
    provider.get_tracer("lib").start_span("a").end()
    assert provider.force_flush() and [span.name for span in exporter.spans()] == ["a"]
    provider.shutdown()
    assert exporter.is_shut_down


@pytest.mark.parametrize("kind", [BatchSpanProcessor, SimpleSpanProcessor])
def test_opentelemetry_sdks_provider_can_use_our_processors(kind: Any) -> None:
    exporter = Encoded()
    provider = sdk_trace.TracerProvider(resource=SdkResource({"service.name": "theirs"}), shutdown_on_exit=False)
    provider.add_span_processor(kind(exporter))
    with provider.get_tracer("lib", "2").start_as_current_span("outer", attributes={"k": [1, 2]}):
        with provider.get_tracer("lib", "2").start_as_current_span("inner") as inner:
            inner.add_event("e", {"x": 1})
    assert provider.force_flush()
    provider.shutdown()
    inner_sent, outer_sent = exporter.spans()
    assert (inner_sent.name, outer_sent.name) == ("inner", "outer")
    assert inner_sent.parent_span_id == outer_sent.span_id and inner_sent.events[0].name == "e"
    (attribute,) = ExportTraceServiceRequest.FromString(exporter.requests[0]).resource_spans[0].resource.attributes
    assert attribute.value.string_value == "theirs"
    assert exporter.is_shut_down


def test_each_span_goes_out_with_the_resource_it_names() -> None:
    exporter = Encoded()
    shared = Through(exporter)
    providers = [provider_with(OfSomebody(shared), resource=Resource({"n": n})) for n in (1, 2)]
    for provider in (*providers, *providers):
        provider.get_tracer("lib").start_span(str(provider.resource.attributes["n"])).end()
    assert shared.force_flush()
    sent = [
        (resource.resource.attributes[0].value.int_value, span.name)
        for request in exporter.requests
        for resource in ExportTraceServiceRequest.FromString(request).resource_spans
        for span in resource.scope_spans[0].spans
    ]
    assert sent == [(1, "1"), (2, "2"), (1, "1"), (2, "2")]
    shared.shutdown()


def test_a_span_that_is_not_sampled_or_none_is_left_out() -> None:
    exporter = Encoded()
    for processor in (BatchSpanProcessor(exporter), SimpleSpanProcessor(exporter)):
        processor.on_end(ReadableSpan("no context", resource=Resource({})))
        processor.on_end(ReadableSpan("not sampled", SpanContext(1, 2, False), resource=Resource({})))
        processor.force_flush()
        processor.shutdown()
    assert exporter.requests == [] and reported() == {}


def test_nonsense_in_a_span_is_reported_and_costs_nobody_else() -> None:
    exporter = Encoded()
    processor = BatchSpanProcessor(exporter)
    sampled = SpanContext(1, 2, False, TraceFlags(1))
    processor.on_end(ReadableSpan("bad", sampled, resource=Resource({}), start_time=-5))
    processor.on_end(ReadableSpan("good", sampled, resource=Resource({})))
    assert processor.force_flush()
    processor.shutdown()
    assert [span.name for span in exporter.spans()] == ["good"] and reported() == {"span_refused": 1}


# ---- opentelemetry-sdk's own tests of its batch processor, through on_end ----------------------------------------

SPAN = ReadableSpan(
    "MySpan", SpanContext(1, 2, False, TraceFlags(1)), resource=Resource({"r": 1}), attributes={"k": "v"}, end_time=2
)


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def names(call: Any) -> list[str]:
    return [span.name for span in call.args[0]]


def test_spans_are_exported_once_the_batch_size_is_reached() -> None:
    exporter = mock.Mock(**{"export.return_value": None})
    processor = BatchSpanProcessor(exporter, max_queue_size=15, max_export_batch_size=15, schedule_delay_millis=FOREVER_MS)
    for _ in range(15):
        processor.on_end(SPAN)
    wait_for(lambda: exporter.export.called)
    assert names(exporter.export.call_args) == ["MySpan"] * 15
    processor.shutdown()
    exporter.export.assert_called_once()


def test_spans_are_exported_once_the_delay_is_over() -> None:
    exporter = mock.Mock(**{"export.return_value": None})
    processor = BatchSpanProcessor(exporter, schedule_delay_millis=50)
    processor.on_end(SPAN)
    wait_for(lambda: exporter.export.called)
    (span,) = exporter.export.call_args.args[0]
    assert span.to_json() == SPAN.to_json()
    processor.shutdown()


def test_spans_are_flushed_before_shutdown_and_dropped_after_it() -> None:
    exporter = mock.Mock(**{"export.return_value": None})
    processor = BatchSpanProcessor(exporter, schedule_delay_millis=FOREVER_MS)
    processor.on_end(SPAN)
    processor.shutdown()
    exporter.export.assert_called_once()
    exporter.shutdown.assert_called_once()
    processor.on_end(SPAN)
    processor.shutdown()
    exporter.export.assert_called_once()
    exporter.shutdown.assert_called_once()
    assert processor.pipeline is not None
    assert processor.pipeline.counts()["dropped_after_shutdown"] == 1


def test_force_flush_exports_what_waits() -> None:
    exporter = mock.Mock(**{"export.return_value": None})
    processor = BatchSpanProcessor(exporter, schedule_delay_millis=FOREVER_MS)
    for _ in range(10):
        processor.on_end(SPAN)
    assert processor.force_flush()
    exporter.export.assert_called_once()
    assert len(exporter.export.call_args.args[0]) == 10
    processor.shutdown()


def test_a_processor_that_never_had_a_span_shuts_its_exporter_down() -> None:
    exporter = mock.Mock(**{"export.return_value": None})
    processor = BatchSpanProcessor(exporter)
    assert processor.force_flush()
    processor.shutdown()
    processor.shutdown()
    exporter.shutdown.assert_called_once()
    processor.on_end(SPAN)
    exporter.export.assert_not_called()
    assert reported() == {"processor_shut_down": 1}


def test_shutdown_lets_one_export_finish_and_gives_up_the_rest() -> None:
    release, started = threading.Event(), threading.Event()

    class Slow:
        n = 0

        def export(self, spans: Any) -> None:
            self.n += 1
            started.set()
            release.wait(20)

        def shutdown(self) -> None:
            release.set()

    exporter = Slow()
    processor = BatchSpanProcessor(exporter, max_export_batch_size=1, schedule_delay_millis=FOREVER_MS)
    for _ in range(3):
        processor.on_end(SPAN)
    assert started.wait(20)
    before = time.monotonic()
    processor.shutdown(timeout_millis=200)
    assert time.monotonic() - before < 15
    assert processor.pipeline is not None and processor.pipeline.counts()["abandoned"] == 2
    release.set()
    assert exporter.n == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("subclass", [BatchSpanProcessor, Through])
def test_a_forked_child_starts_with_none_of_the_parents_spans(subclass: Any) -> None:
    exporter = mock.Mock(**{"export.return_value": None})
    processor = subclass(exporter, max_queue_size=200, max_export_batch_size=10, schedule_delay_millis=FOREVER_MS)
    for _ in range(9):
        processor.on_end(SPAN)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        for _ in range(100):
            processor.on_end(SPAN)
        flushed = processor.force_flush()
        n = sum(len(call.args[0]) for call in exporter.export.call_args_list)
        os.write(write, f"{flushed} {n}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"True 100"
    os.close(read)
    os.close(write)
    assert processor.force_flush()
    assert sum(len(call.args[0]) for call in exporter.export.call_args_list) == 9
    processor.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_that_flushes_first_has_nothing_to_flush() -> None:
    exporter = mock.Mock(**{"export.return_value": None})
    processor = BatchSpanProcessor(exporter, schedule_delay_millis=FOREVER_MS)
    processor.on_end(SPAN)
    child = os.fork()
    if child == 0:
        flushed = processor.force_flush()
        os._exit(0 if flushed and not exporter.export.called else 1)
    assert os.waitpid(child, 0)[1] == 0
    processor.shutdown()
    exporter.export.assert_called_once()


def test_a_fed_processor_is_collected() -> None:
    processor = BatchSpanProcessor(mock.Mock(**{"export.return_value": None}))
    processor.on_end(SPAN)
    processor.shutdown()
    gone = weakref.ref(processor)
    del processor
    gc.collect()
    assert gone() is None


# ---- the simple processor ----------------------------------------------------------------------------------------


def test_a_simple_processor_reports_what_our_exporter_refuses() -> None:
    exporter = Encoded(lambda n: Outcome(0, n, "rejected_status", "no"))
    provider = provider_with(SimpleSpanProcessor(exporter))
    provider.get_tracer("lib").start_span("a").end()
    assert len(exporter.requests) == 1 and reported() == {"rejected_status": 1}
    provider.shutdown()
    assert exporter.is_shut_down


def test_a_simple_processor_calls_our_exporter_by_one_thread_at_a_time() -> None:
    busy = threading.Lock()
    clashes = []

    class Alone(Encoded):
        def export(self, batch: Any, deadline: float) -> Outcome:
            if not busy.acquire(blocking=False):
                clashes.append(1)
                return Outcome(len(batch), 0, "", "")
            try:
                time.sleep(0.001)
                return super().export(batch, deadline)
            finally:
                busy.release()

    exporter = Alone()
    provider = provider_with(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("lib")
    threads = [threading.Thread(target=lambda: [tracer.start_span("a").end() for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes and len(exporter.spans()) == 80
    provider.shutdown()


@pytest.mark.parametrize("kind", [BatchSpanProcessor, SimpleSpanProcessor])
def test_a_mock_is_an_exporter_of_the_sdks_kind(kind: Any) -> None:
    exporter = mock.MagicMock(**{"export.return_value": None})
    provider = provider_with(kind(exporter))
    provider.get_tracer("lib").start_span("a").end()
    assert provider.force_flush()
    exporter.export.assert_called_once()
    assert names(exporter.export.call_args) == ["a"]
    provider.shutdown()
    exporter.shutdown.assert_called_once()


def test_a_mock_is_a_processor() -> None:
    processor = mock.Mock()
    provider = provider_with(BatchSpanProcessor(InMemorySpanExporter()), processor)
    provider.get_tracer("lib").start_span("a").end()
    processor.on_start.assert_called_once()
    processor.on_end.assert_called_once()
    provider.shutdown()


FORK_WHILE_OPENING = """
import os, signal, threading
from tracecore import TracerProvider, span_feed
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.provider import BatchSpanProcessor

inside, go_on = threading.Event(), threading.Event()
Recorder = span_feed.Recorder


def slowly(*args):
    span_feed.Recorder = Recorder
    inside.set()
    go_on.wait(10)
    return Recorder(*args)


class Filter(BatchSpanProcessor):
    def on_end(self, span):
        super().on_end(span)


exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(Filter(exporter))
tracer = provider.get_tracer("lib")
span_feed.Recorder = slowly
first = threading.Thread(target=lambda: tracer.start_span("a").end())
first.start()
assert inside.wait(10)
pid = os.fork()
if pid == 0:
    signal.alarm(10)
    tracer.start_span("b").end()
    provider.force_flush()
    os._exit([span.name for span in exporter.get_finished_spans()] != ["b"])
go_on.set()
first.join()
assert os.waitpid(pid, 0)[1] == 0
assert provider.force_flush()
assert [span.name for span in exporter.get_finished_spans()] == ["a"]
"""


def test_a_fork_while_another_thread_brings_the_first_span_does_not_hang_the_child() -> None:
    run(FORK_WHILE_OPENING)
