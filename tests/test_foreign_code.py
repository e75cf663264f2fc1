"""Code of others that runs in the middle of the core's: it may end the span, stop the program, fork, or tie cycles."""

from __future__ import annotations

import contextvars
import gc
import os
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import SpanContext, TraceFlags, TraceState, set_span_in_context
from opentelemetry.trace.span import NonRecordingSpan

from tracecore import TracerProvider
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.span_processor import SpanProcessor


class Traced:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_exporter(self.exporter)
        self.tracer: Any = self.provider.get_tracer("test")

    def sent(self) -> list[Any]:
        assert self.provider.force_flush()
        return list(self.exporter.get_finished_spans())

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.provider.stats()["spans"]
        return counts


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.provider.shutdown()


def test_a_value_that_ends_its_span_closes_it_to_the_values_behind(traced: Traced) -> None:
    span = traced.tracer.start_span("a")

    class Ends:
        def __str__(self) -> str:
            span.end()
            return "late"

    span.set_attributes({"before": 1, "ends": Ends(), "behind": 2, **{f"k{i}": "x" * 50 for i in range(300)}})
    (sent,) = traced.sent()
    assert dict(sent.attributes) == {"before": 1} == dict(span.attributes)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_value_that_stops_the_program_is_let_through(traced: Traced, error: type[BaseException]) -> None:
    class Stops:
        def __str__(self) -> str:
            raise error

    with traced.tracer.start_as_current_span("a") as span:
        for set_it in (lambda: span.set_attribute("k", Stops()), lambda: span.set_attributes({"k": Stops()})):
            with pytest.raises(error):
                set_it()
        span.set_attribute("after", 1)
    (sent,) = traced.sent()
    assert dict(sent.attributes) == {"after": 1}


def test_a_tracestate_that_stops_the_program_at_the_end_is_let_through_and_the_span_is_sent(traced: Traced) -> None:
    class Stops(TraceState):
        def to_header(self) -> str:
            raise SystemExit

    parent = SpanContext(1, 2, True, TraceFlags(1), Stops([("a", "b")]))
    span = traced.tracer.start_span("a", context=set_span_in_context(NonRecordingSpan(parent)))
    with pytest.raises(SystemExit):
        span.end()
    assert [sent.name for sent in traced.sent()] == ["a"]


def test_an_interrupt_while_the_worker_starts_does_not_keep_it_from_starting(traced: Traced) -> None:
    end = traced.provider._drains[0]._process_end
    listen = end.listen
    tries = []

    def interrupted() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise KeyboardInterrupt
        listen()

    end.listen = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        traced.tracer.start_span("first").end()
    traced.tracer.start_span("second").end()
    assert [sent.name for sent in traced.sent()] == ["first", "second"] and len(tries) >= 2


def test_a_generator_left_in_a_context_of_its_own_is_collected_and_its_span_sent(traced: Traced) -> None:
    current: contextvars.ContextVar[Any] = contextvars.ContextVar("request")
    alive = []

    def steps() -> Iterator[int]:
        with traced.tracer.start_as_current_span("a"):
            yield 1

    class Request:
        pass

    def begin() -> None:
        request = Request()
        request.steps = steps()  # type: ignore[attr-defined]
        current.set(request)
        next(request.steps)  # type: ignore[attr-defined]
        alive.append(weakref.ref(request))

    for _ in range(10):
        contextvars.copy_context().run(begin)
    gc.collect()
    assert [ref() for ref in alive] == [None] * 10
    assert len(traced.sent()) == 10 and traced.counts()["live"] == 0


def test_a_name_is_kept_as_plain_text(traced: Traced) -> None:
    class Name(str):
        def __str__(self) -> str:
            return "not this"

    span = traced.tracer.start_span(Name("name"))
    assert type(span.name) is str and span.name == "name"
    span.update_name(7)
    assert span.name == "7"
    span.end()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_processor_that_forks_at_the_end_has_the_span_sent_by_the_parent_only(traced: Traced) -> None:
    class Forks(SpanProcessor):
        def on_end(self, span: Any) -> None:
            self.pid = os.fork()

    forks = Forks()
    traced.provider.add_span_processor(forks)
    traced.tracer.start_span("a").end()
    if forks.pid == 0:
        counts = traced.counts()
        os._exit(0 if (counts["inherited"], counts["queued"], counts["live"]) == (1, 0, 0) else 1)
    assert os.waitpid(forks.pid, 0)[1] == 0
    assert len(traced.sent()) == 1


def test_a_scope_is_made_by_a_tracer_only(traced: Traced) -> None:
    scope = traced.tracer.start_as_current_span("a")
    with pytest.raises(TypeError, match="start_as_current_span"):
        type(scope)()
