"""The pipeline: batches, flush, shutdown, faults of exporters and processors, threads, re-entrancy."""

from __future__ import annotations

import gc
import io
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import BatchSpanProcessor as SdkBatchSpanProcessor
from opentelemetry.sdk.trace.export import ConsoleSpanExporter as SdkConsoleSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor as SdkSimpleSpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter as SdkSpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult as SdkSpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter as SdkInMemorySpanExporter
from program import run, until

from tracecore import TracerProvider
from tracecore.errors import reset_reports
from tracecore.exporters import Outcome
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.provider import BatchSpanProcessor
from tracecore.sampling import ALWAYS_OFF
from tracecore.span_processor import SpanProcessor

NEVER_S = 600.0
"""A delay that no test waits for."""


class Collects:
    """An exporter written for the SDK: export and shutdown, nothing else."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.n_shutdowns = 0

    def export(self, spans: Any) -> Any:
        self.batches.append([span.name for span in spans])
        return SdkSpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.n_shutdowns += 1

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


class Native:
    """An exporter of the core's own interface, which does what `act(batch, deadline)` does."""

    def __init__(self, act: Callable[[Any, float], Any] | None = None) -> None:
        self.act = act
        self.n_spans = 0
        self.n_interrupts = 0
        self.n_shutdowns = 0

    def export(self, batch: Any, deadline: float) -> Any:
        self.n_spans += len(batch)
        return Outcome(len(batch), 0, "", "") if self.act is None else self.act(batch, deadline)

    def interrupt(self) -> None:
        self.n_interrupts += 1

    def shutdown(self) -> None:
        self.n_shutdowns += 1


class Hangs(Native):
    """Holds every batch until it is let go."""

    def __init__(self) -> None:
        super().__init__(self._hold)
        self.entered = threading.Event()
        self.go = threading.Event()

    def _hold(self, batch: Any, deadline: float) -> Outcome:
        self.entered.set()
        self.go.wait()
        return Outcome(len(batch), 0, "", "")


made: list[TracerProvider] = []


@pytest.fixture(autouse=True)
def _after() -> Iterator[None]:
    reset_reports()
    yield
    for provider in made:
        provider.shutdown(1000)
    made.clear()


def provider_of(*exporters: Any, **settings: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_exporter(exporter, **{"delay": NEVER_S, **settings})
    made.append(provider)
    return provider


def end_spans(provider: TracerProvider, n: int, name: str = "a") -> None:
    tracer = provider.get_tracer("test")
    for _ in range(n):
        tracer.start_span(name).end()


def counts(provider: TracerProvider, which: int = 0) -> dict[str, Any]:
    exporters: list[dict[str, Any]] = provider.stats()["exporters"]
    return exporters[which]


# --- batches ----------------------------------------------------------------------------------------------------


def test_a_full_batch_is_exported_at_once() -> None:
    exporter = Collects()
    provider = provider_of(exporter, batch=10)
    end_spans(provider, 10)
    assert until(lambda: len(exporter.names) == 10)
    assert exporter.batches == [["a"] * 10]


def test_no_batch_is_larger_than_its_size() -> None:
    exporter = Collects()
    provider = provider_of(exporter, batch=7)
    end_spans(provider, 100)
    assert provider.force_flush()
    assert len(exporter.names) == 100
    assert max(map(len, exporter.batches)) <= 7


def test_what_fills_no_batch_is_exported_after_the_delay() -> None:
    exporter = Collects()
    provider = provider_of(exporter, batch=100, delay=0.3)
    began = time.monotonic()
    end_spans(provider, 3)
    assert until(lambda: exporter.batches)
    assert 0.1 < time.monotonic() - began < 10
    assert exporter.batches == [["a"] * 3]


def test_the_delay_goes_on_while_wake_ups_come() -> None:
    """A ring far smaller than a batch: woken again and again, the worker must not wait anew each time."""
    exporter = Native()
    provider = provider_of(exporter, batch=65536, ring_bytes=65536)
    tracer = provider.get_tracer("test")
    for _ in range(300):
        span = tracer.start_span("a", attributes={"text": "x" * 1000})
        span.end()
        time.sleep(0.001)
    assert until(lambda: exporter.n_spans > 0)
    assert counts(provider)["dropped_full"] < 200


def test_half_a_ring_wakes_the_worker() -> None:
    exporter = Native()
    provider = provider_of(exporter, batch=65536, ring_bytes=65536)
    tracer = provider.get_tracer("test")
    end_spans(provider, 1)
    time.sleep(0.1)  # the worker sleeps
    for _ in range(40):
        tracer.start_span("a", attributes={"text": "x" * 1000}).end()
    assert until(lambda: exporter.n_spans > 0)
    assert counts(provider)["dropped_full"] == 0


def test_no_wake_up_is_missed_over_thousands_of_bursts() -> None:
    """Each burst fills one batch exactly: without the wake-up nothing would come before the delay, which never ends."""
    arrived = threading.Semaphore(0)

    def act(batch: Any, deadline: float) -> Outcome:
        arrived.release(len(batch))
        return Outcome(len(batch), 0, "", "")

    provider = provider_of(Native(act), batch=4)
    for burst in range(3000):
        end_spans(provider, 4)
        for _ in range(4):
            assert arrived.acquire(timeout=20), f"burst {burst}: {counts(provider)}"


@pytest.mark.soak
def test_no_wake_up_is_missed_from_many_threads() -> None:
    exporter = Native()
    provider = provider_of(exporter, batch=8, ring_bytes=1 << 26)
    deadline = time.monotonic() + 60

    def work() -> None:
        while time.monotonic() < deadline:
            end_spans(provider, 8)
            time.sleep(0.0001)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = counts(provider)["written"]
    assert until(lambda: exporter.n_spans > written - 8)


def test_an_idle_pipeline_does_not_spin() -> None:
    provider = provider_of(Native(), delay=0.2)
    end_spans(provider, 1)
    assert until(lambda: counts(provider)["exported"] == 1)
    began = time.process_time()
    time.sleep(1.5)
    assert time.process_time() - began < 0.3


def test_huge_spans_are_delivered() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter, ring_bytes=65536)
    text = "x" * (5 << 20)
    for i in range(3):
        provider.get_tracer("test").start_span(f"a{i}", attributes={"text": text, "i": i}).end()
        assert provider.force_flush()
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["a0", "a1", "a2"]
    assert all(span.attributes["text"] == text for span in spans)


def test_a_full_ring_drops_the_newest_span_and_counts_it() -> None:
    exporter = Hangs()
    provider = provider_of(exporter, batch=1, ring_bytes=65536)
    end_spans(provider, 1)
    assert exporter.entered.wait(20)
    end_spans(provider, 2000, "b")
    known = counts(provider)
    assert known["written"] + known["dropped_full"] == 2001
    assert known["dropped_full"] > 0
    collected = Collects()
    exporter.act = lambda batch, deadline: (collected.export(batch.spans()), Outcome(len(batch), 0, "", ""))[1]
    end_spans(provider, 1, "the newest")
    exporter.go.set()
    assert provider.force_flush()
    assert "the newest" not in collected.names
    end_spans(provider, 1, "after")
    assert provider.force_flush()
    assert collected.names[-1] == "after"
    assert counts(provider)["dropped_full"] == known["dropped_full"] + 1


def test_spans_after_shutdown_are_counted() -> None:
    exporter = Collects()
    provider = provider_of(exporter)
    span = provider.get_tracer("test").start_span("open over the shutdown")
    end_spans(provider, 1)
    provider.shutdown()
    span.end()
    end_spans(provider, 4)
    assert exporter.names == ["a"]
    assert counts(provider)["dropped_after_shutdown"] == 5


# --- threads -----------------------------------------------------------------------------------------------------

TASKS = """
import os, json
def n_tasks():
    return len(os.listdir("/proc/self/task"))
before = n_tasks()
"""


def test_nothing_is_started_by_import_configuration_or_unsampled_spans() -> None:
    ended = run(
        TASKS
        + """
import tracecore
from tracecore.sampling import ALWAYS_OFF
seen = [n_tasks()]
provider = tracecore.init(service="a", endpoint="http://127.0.0.1:1", sample=ALWAYS_OFF)
seen.append(n_tasks())
for _ in range(10000):
    with tracecore.span("a"):
        pass
seen.append(n_tasks())
provider.force_flush()
seen.append(n_tasks())
other = tracecore.TracerProvider()
from tracecore.exporters.memory import InMemorySpanExporter
other.add_exporter(InMemorySpanExporter())
seen.append(n_tasks())
open_span = other.get_tracer("a").start_span("b")
seen.append(n_tasks())
open_span.end()
after_first = n_tasks()
print(json.dumps([before, seen, after_first]))
"""
    )
    before, seen, after_first = ended.answer
    assert seen == [before] * len(seen)
    assert after_first == before + 1


def test_the_worker_is_gone_after_shutdown() -> None:
    def n_tasks() -> int:
        return len(os.listdir("/proc/self/task"))

    before = n_tasks()
    providers = [provider_of(Native()) for _ in range(5)]
    for provider in providers:
        end_spans(provider, 1)
    assert n_tasks() == before + 5
    for provider in providers:
        provider.shutdown()
    assert until(lambda: n_tasks() == before)


def test_the_worker_is_tried_again_when_no_thread_could_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = Native()
    provider = provider_of(exporter, batch=10)

    def refuse(*args: object) -> int:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("tracecore.pipeline._thread.start_new_thread", refuse)
        end_spans(provider, 5)
        began = time.monotonic()
        assert not provider.force_flush(20000)
        assert time.monotonic() - began < 10
    assert exporter.n_spans == 0
    end_spans(provider, 20)
    assert until(lambda: exporter.n_spans >= 20)
    assert provider.force_flush()
    assert exporter.n_spans == 25


def test_shutdown_drains_when_no_thread_could_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = Native()
    provider = provider_of(exporter, batch=10)

    def refuse(*args: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("tracecore.pipeline._thread.start_new_thread", refuse)
    end_spans(provider, 25)
    provider.shutdown()
    assert exporter.n_spans == 25
    assert exporter.n_shutdowns == 1
    assert counts(provider)["exported"] == 25


# --- force_flush ---------------------------------------------------------------------------------------------------


def test_force_flush_of_nothing_is_at_once() -> None:
    provider = provider_of(Native())
    began = time.monotonic()
    assert provider.force_flush()
    assert time.monotonic() - began < 5


def test_force_flush_honours_its_deadline_while_the_exporter_hangs() -> None:
    exporter = Hangs()
    provider = provider_of(exporter)
    end_spans(provider, 3)
    began = time.monotonic()
    assert provider.force_flush(300) is False
    assert 0.25 < time.monotonic() - began < 5
    exporter.go.set()
    assert provider.force_flush() is True


@pytest.mark.parametrize("fault", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), MemoryError()])
@pytest.mark.parametrize("native", [True, False])
def test_an_exporter_that_raises_loses_its_batch_only(fault: BaseException, native: bool) -> None:
    def act(*args: Any) -> Any:
        raise fault

    exporter: Any = Native(act)
    if not native:
        exporter = Collects()
        exporter.export = act
    provider = provider_of(exporter)
    end_spans(provider, 3)
    assert provider.force_flush(20000) is False
    assert counts(provider)["lost"] == {"exporter_error": 3}
    if native:
        exporter.act = None
        end_spans(provider, 2)
        assert provider.force_flush(20000) is True
        assert counts(provider)["exported"] == 2
    provider.shutdown(20000)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


NONSENSE = [None, 17, "all is well", (), (1, 2), object(), Outcome(0, -5, "", ""), Outcome(9, 10**30, "x", ""),
            Outcome("a", "b", "c", "d"), Outcome(0, 1, ["no", "word"], None), Outcome(1, 0, "", b"\xff"),
            Outcome(None, None, None, None)]  # fmt: skip


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
def test_an_exporter_that_returns_nonsense_does_no_harm(nonsense: Any) -> None:
    exporter = Native(lambda batch, deadline: nonsense)
    provider = provider_of(exporter)
    end_spans(provider, 3)
    began = time.monotonic()
    provider.force_flush(20000)
    assert time.monotonic() - began < 10
    known = counts(provider)
    assert known["exported"] + sum(known["lost"].values()) == 3
    assert known["waiting"] == known["exporting"] == 0
    exporter.act = None
    end_spans(provider, 1)
    assert provider.force_flush(20000) is True
    began = time.monotonic()
    provider.shutdown(20000)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("result", [SdkSpanExportResult.FAILURE, 0, False, "SUCCESS", object()], ids=repr)
def test_what_a_foreign_exporter_does_not_call_success_is_lost(result: Any) -> None:
    exporter = Collects()
    exporter.export = lambda spans: result  # type: ignore[method-assign]
    provider = provider_of(exporter)
    end_spans(provider, 2)
    assert provider.force_flush(20000) is False
    assert counts(provider)["lost"] == {"exporter_error": 2}


def test_an_exporter_whose_error_cannot_be_shown_does_no_harm() -> None:
    def act(batch: Any, deadline: float) -> Any:
        raise Unprintable

    provider = provider_of(Native(act))
    end_spans(provider, 1)
    assert provider.force_flush(20000) is False
    assert counts(provider)["lost"] == {"exporter_error": 1}


def test_force_flush_by_the_exporter_itself_answers_at_once() -> None:
    seen: list[Any] = []

    def act(batch: Any, deadline: float) -> Outcome:
        end_spans(provider, 1, "from the exporter")
        began = time.monotonic()
        seen.append(provider.force_flush(20000))
        seen.append(time.monotonic() - began < 10)
        return Outcome(len(batch), 0, "", "")

    exporter = Native(act)
    provider = provider_of(exporter)
    end_spans(provider, 1)
    assert provider.force_flush(20000)
    assert seen[:2] == [False, True]
    exporter.act = None


def test_force_flush_waits_only_for_what_ended_before_it() -> None:
    """Spans that keep coming do not hold it."""
    provider = provider_of(Native(lambda batch, deadline: (time.sleep(0.001), Outcome(len(batch), 0, "", ""))[1]), batch=8)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            end_spans(provider, 1)
            time.sleep(0.002)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            assert provider.force_flush(20000)
    finally:
        stop.set()
        thread.join()


def test_force_flush_from_many_threads_at_once() -> None:
    exporter = Native()
    provider = provider_of(exporter, batch=5)
    answers: list[bool] = []

    def work() -> None:
        for _ in range(20):
            end_spans(provider, 3)
            answers.append(provider.force_flush(20000))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [True] * 160
    assert exporter.n_spans == 480


def test_ctrl_c_ends_the_wait_of_force_flush() -> None:
    exporter = Hangs()
    provider = provider_of(exporter)
    end_spans(provider, 1)
    timer = threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT))
    # raise_signal on another thread sets the flag; the handler runs on the main thread, which waits in the core.
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        provider.force_flush(30000)
    assert time.monotonic() - began < 10
    exporter.go.set()
    assert provider.force_flush(20000)


# --- shutdown -------------------------------------------------------------------------------------------------------


def test_shutdown_honours_its_deadline_while_the_exporter_hangs_and_counts_what_it_gives_up() -> None:
    exporter = Hangs()
    provider = provider_of(exporter, batch=2)
    end_spans(provider, 2)
    assert exporter.entered.wait(20)
    end_spans(provider, 5)
    began = time.monotonic()
    provider.shutdown(300)
    assert 0.25 < time.monotonic() - began < 5
    known = counts(provider)
    assert (known["abandoned"], known["exporting"], known["waiting"]) == (5, 2, 0)
    exporter.go.set()
    assert until(lambda: counts(provider)["exported"] == 2)
    assert counts(provider)["abandoned"] == 5
    assert until(lambda: exporter.n_shutdowns == 1)


def test_a_second_shutdown_of_a_processor_counts_nothing_twice() -> None:
    exporter = Hangs()
    processor = BatchSpanProcessor(exporter, max_export_batch_size=1)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    made.append(provider)
    end_spans(provider, 3)
    assert exporter.entered.wait(20)
    processor.shutdown(100)
    processor.shutdown(100)
    known = counts(provider)
    assert known["abandoned"] == 2
    assert known["written"] == known["waiting"] + known["exporting"] + known["exported"] + known["abandoned"]
    exporter.go.set()


def test_shutdown_tells_the_exporter_first_and_closes_it_last() -> None:
    order: list[str] = []
    exporter = Native(lambda batch, deadline: (order.append("export"), Outcome(len(batch), 0, "", ""))[1])
    exporter.interrupt = lambda: order.append("interrupt")  # type: ignore[method-assign]
    exporter.shutdown = lambda: order.append("shutdown")  # type: ignore[method-assign]
    provider = provider_of(exporter)
    end_spans(provider, 1)
    provider.shutdown()
    assert order == ["interrupt", "export", "shutdown"]


def test_shutdown_is_idempotent_and_may_come_from_several_threads() -> None:
    exporter = Collects()
    provider = provider_of(exporter)
    end_spans(provider, 10)
    threads = [threading.Thread(target=provider.shutdown) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    provider.shutdown()
    assert len(exporter.names) == 10
    assert exporter.n_shutdowns == 1


def test_shutdown_of_a_pipeline_from_several_threads_waits_in_each() -> None:
    exporter = Hangs()
    processor = BatchSpanProcessor(exporter)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider, 3)
    threads = [threading.Thread(target=processor.shutdown) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert exporter.entered.wait(20)
    exporter.go.set()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert exporter.n_spans == 3
    assert exporter.n_shutdowns == 1
    provider.shutdown()


def test_shutdown_from_the_exporter_does_not_deadlock() -> None:
    def act(batch: Any, deadline: float) -> Outcome:
        provider.shutdown(20000)
        return Outcome(len(batch), 0, "", "")

    exporter = Native(act)
    provider = provider_of(exporter, batch=1)
    began = time.monotonic()
    end_spans(provider, 3)
    assert until(lambda: exporter.n_shutdowns == 1)
    assert time.monotonic() - began < 10
    known = counts(provider)
    assert known["exported"] + known["dropped_after_shutdown"] == 3


@pytest.mark.parametrize("method", ["interrupt", "shutdown"])
def test_an_exporter_that_cannot_be_shut_down_stands_in_nobodys_way(method: str) -> None:
    def refuse() -> None:
        raise RuntimeError(method)

    bad, good = Native(), Native()
    setattr(bad, method, refuse)
    provider = provider_of(bad, good)
    end_spans(provider, 2)
    began = time.monotonic()
    provider.shutdown(20000)
    assert time.monotonic() - began < 10
    assert bad.n_spans == good.n_spans == 2
    assert good.n_shutdowns == 1


def test_an_exporter_that_hangs_in_shutdown_is_left_behind() -> None:
    go = threading.Event()
    exporter = Native()
    exporter.shutdown = go.wait  # type: ignore[assignment,method-assign]
    provider = provider_of(exporter)
    end_spans(provider, 1)
    began = time.monotonic()
    provider.shutdown(300)
    assert time.monotonic() - began < 5
    go.set()


def test_force_flush_after_shutdown_answers_at_once() -> None:
    provider = provider_of(Native())
    end_spans(provider, 1)
    provider.shutdown()
    began = time.monotonic()
    assert provider.force_flush(20000) is True
    assert time.monotonic() - began < 10


# --- several pipelines ------------------------------------------------------------------------------------------------


def test_a_slow_pipeline_does_not_starve_another() -> None:
    slow, quick = Hangs(), Native()
    provider = provider_of(slow, quick, batch=10)
    end_spans(provider, 100)
    assert until(lambda: quick.n_spans == 100)
    assert provider.force_flush(300) is False
    end_spans(provider, 5)
    assert provider.force_flush(300) is False
    assert quick.n_spans == 105
    slow.go.set()
    assert provider.force_flush(20000) is True
    assert slow.n_spans == 105


def test_a_hanging_exporter_leaves_the_others_their_time_at_shutdown() -> None:
    left: list[float] = []

    def act(batch: Any, deadline: float) -> Outcome:
        left.append(deadline - time.monotonic())
        return Outcome(len(batch), 0, "", "")

    slow, quick = Hangs(), Native(act)
    provider = provider_of(slow, quick)
    end_spans(provider, 5)
    provider.shutdown(2000)
    assert quick.n_spans == 5
    assert left[0] > 0.5
    slow.go.set()


def test_more_exporters_than_rings_each_get_every_span() -> None:
    exporters = [Native() for _ in range(12)]
    provider = provider_of(*exporters, batch=50)
    end_spans(provider, 333)
    assert provider.force_flush()
    assert [exporter.n_spans for exporter in exporters] == [333] * 12


def test_eight_different_batch_settings_are_the_most_a_provider_takes() -> None:
    exporters = [Native() for _ in range(8)]
    provider = provider_of()
    for number, exporter in enumerate(exporters):
        provider.add_exporter(exporter, batch=50 + number, delay=NEVER_S)
    end_spans(provider, 333)
    assert provider.force_flush()
    assert [exporter.n_spans for exporter in exporters] == [333] * 8
    with pytest.raises(ValueError, match="at most 8 different batch settings"):
        provider.add_exporter(Native(), batch=1, delay=NEVER_S)
    provider.add_exporter(Native(), batch=50, delay=NEVER_S)


def test_an_exporter_added_later_gets_what_ends_later() -> None:
    first, second = Native(), Native()
    provider = provider_of(first)
    end_spans(provider, 2)
    provider.add_exporter(second, delay=NEVER_S)
    end_spans(provider, 3)
    assert provider.force_flush()
    assert (first.n_spans, second.n_spans) == (5, 3)


# --- made for opentelemetry-sdk -----------------------------------------------------------------------------------------


def test_the_sdks_in_memory_exporter_works() -> None:
    exporter = SdkInMemorySpanExporter()
    provider = provider_of(exporter)
    with provider.get_tracer("test").start_as_current_span("a", attributes={"k": 1}):
        pass
    assert provider.force_flush()
    (span,) = exporter.get_finished_spans()
    assert (span.name, dict(span.attributes or {})) == ("a", {"k": 1})
    provider.shutdown()
    end_spans(provider, 1)
    assert len(exporter.get_finished_spans()) == 1


def test_the_sdks_console_exporter_works() -> None:
    out = io.StringIO()
    provider = provider_of(SdkConsoleSpanExporter(out=out))
    with provider.get_tracer("test").start_as_current_span("a", attributes={"k": 1}) as span:
        span.add_event("b", {"c": [1, 2]})
    assert provider.force_flush()
    assert '"name": "a"' in out.getvalue()


@pytest.mark.parametrize("kind", [SdkSimpleSpanProcessor, SdkBatchSpanProcessor])
def test_the_sdks_processors_work(kind: Any) -> None:
    exporter = SdkInMemorySpanExporter()
    provider = provider_of()
    provider.add_span_processor(kind(exporter))
    tracer = provider.get_tracer("test", "1")
    with tracer.start_as_current_span("a", attributes={"k": 1}), tracer.start_as_current_span("b") as span:
        span.add_event("e", {"x": "y"})
    assert provider.force_flush()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"a", "b"}
    assert spans["b"].parent is not None
    assert spans["b"].parent.span_id == spans["a"].context.span_id
    assert [event.name for event in spans["b"].events] == ["e"]
    provider.shutdown()


def test_unsampled_spans_reach_no_exporter_and_start_no_worker() -> None:
    exporter = Native()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_exporter(exporter)
    made.append(provider)
    before = len(os.listdir("/proc/self/task"))
    end_spans(provider, 1000)
    assert len(os.listdir("/proc/self/task")) == before
    assert provider.force_flush()
    assert exporter.n_spans == 0
    assert provider.stats()["spans"]["unsampled"] == 1000


# --- processors -----------------------------------------------------------------------------------------------------------


class Refuses(SpanProcessor):
    """Raises `fault` in the hooks named."""

    def __init__(self, fault: BaseException, *hooks: str) -> None:
        for hook in hooks:
            setattr(self, hook, self._refuse)
        self.fault = fault

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise self.fault


@pytest.mark.parametrize("hook", ["on_start", "_on_ending", "on_end"])
def test_a_processor_that_raises_costs_no_span(hook: str) -> None:
    exporter = Native()
    provider = provider_of(exporter)
    provider.add_span_processor(Refuses(ValueError("no"), hook))
    with provider.get_tracer("test").start_as_current_span("a") as span:
        span.set_attribute("k", 1)
    assert provider.force_flush()
    assert exporter.n_spans == 1


@pytest.mark.parametrize("hook", ["on_start", "_on_ending", "on_end"])
@pytest.mark.parametrize("fault", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_inside_a_processor_reaches_the_program_and_costs_no_span(hook: str, fault: type[BaseException]) -> None:
    exporter = Native()
    provider = provider_of(exporter)
    provider.add_span_processor(Refuses(fault(), hook))
    reached = False
    try:
        provider.get_tracer("test").start_span("a").end()
    except fault as error:
        reached = True
        error.__traceback__ = None  # its frames hold the span
    assert reached
    if hook != "on_start":
        assert provider.force_flush()
        assert exporter.n_spans == 1
    known = provider.stats()["spans"]
    assert known["live"] == 0
    assert known["started"] == known["ended"] + known["unended"]


def test_processors_that_raise_when_flushed_or_shut_down_leave_the_exporters_theirs() -> None:
    exporter = Native()
    provider = provider_of(exporter)
    provider.add_span_processor(Refuses(ValueError("no"), "force_flush", "shutdown"))
    end_spans(provider, 1)
    with pytest.raises(ValueError, match="no"):
        provider.shutdown()
    assert exporter.n_spans == 1
    assert exporter.n_shutdowns == 1


# --- re-entrancy --------------------------------------------------------------------------------------------------------------


class Says:
    """An attribute value of no attribute type, whose text makes spans."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __str__(self) -> str:
        self.act()
        return "said"


def test_an_attribute_value_whose_text_makes_spans() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter, batch=1)
    tracer = provider.get_tracer("test")

    def act() -> None:
        with tracer.start_as_current_span("inner") as inner:
            inner.set_attribute("k", 1)

    with tracer.start_as_current_span("outer") as span:
        span.set_attribute("a", Says(act))  # type: ignore[arg-type]
        span.add_event("e", {"b": Says(act)})  # type: ignore[dict-item]
        span.set_attributes({"c": [Says(act)]})  # type: ignore[dict-item,list-item]
    assert provider.force_flush()
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["inner"] * 3 + ["outer"]
    outer = spans[-1]
    assert dict(outer.attributes) == {"a": "said", "c": ("said",)}
    assert dict(outer.events[0].attributes or {}) == {"b": "said"}
    assert all(span.parent.span_id == outer.context.span_id for span in spans[:-1])


def test_an_event_attribute_whose_text_writes_to_its_own_span() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter)
    span = provider.get_tracer("test").start_span("a")

    def act() -> None:
        span.set_attribute("from inside", "x" * 2000)
        span.add_event("from inside")

    span.add_event("outer", {"b": Says(act), "c": 1})  # type: ignore[dict-item]
    span.add_link(span.get_span_context(), {"d": Says(lambda: span.set_attribute("from a link", 1))})  # type: ignore[dict-item]
    span.end()
    assert provider.force_flush()
    (read,) = exporter.get_finished_spans()
    assert dict(read.attributes) == {"from inside": "x" * 2000, "from a link": 1}
    assert sorted(event.name for event in read.events) == ["from inside", "outer"]
    (outer,) = (event for event in read.events if event.name == "outer")
    assert dict(outer.attributes or {}) == {"b": "said", "c": 1}
    assert dict(read.links[0].attributes or {}) == {"d": "said"}


def test_an_event_attribute_whose_text_ends_its_own_span() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter)
    span = provider.get_tracer("test").start_span("a", attributes={"k": 1})
    span.add_event("outer", {"b": Says(span.end)})  # type: ignore[dict-item]
    span.end()
    assert provider.force_flush()
    (read,) = exporter.get_finished_spans()
    assert dict(read.attributes) == {"k": 1}
    assert read.events == ()


def test_an_attribute_whose_text_writes_to_or_ends_its_own_span() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter)
    span = provider.get_tracer("test").start_span("a")
    span.set_attribute("a", [Says(lambda: span.set_attribute("b", "x" * 2000)), 2])  # type: ignore[list-item]
    span.set_attribute("c", {"d": Says(span.end), "e": 1})  # type: ignore[dict-item]
    assert provider.force_flush()
    (read,) = exporter.get_finished_spans()
    assert dict(read.attributes) == {"a": ("said", 2), "b": "x" * 2000}


def test_a_logging_handler_that_makes_spans() -> None:
    """It runs inside the core's own warnings: on the span path and on the worker."""
    exporter = Native(lambda batch, deadline: Outcome(0, len(batch), "rejected_status", "no"))
    provider = provider_of(exporter, batch=1)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reset_reports()  # the next one is logged as well
            if threading.current_thread() is threading.main_thread():
                end_spans(provider, 1, "from the handler")

    logger = logging.getLogger("tracecore")
    handler = Handler()
    logger.addHandler(handler)
    try:
        span = provider.get_tracer("test").start_span("a")
        span.end()
        span.end()  # reported
        span.set_attribute("k", object())  # reported  # type: ignore[arg-type]
        provider.force_flush(20000)
    finally:
        logger.removeHandler(handler)
    provider.shutdown(20000)
    known = counts(provider)
    assert known["written"] == sum(known["lost"].values()) >= 3


def test_a_finalizer_that_makes_spans() -> None:
    exporter = Native()
    provider = provider_of(exporter, batch=3)
    n_made = 0

    class Trash:
        def __init__(self) -> None:
            self.me = self  # only the garbage collector lets it go

        def __del__(self) -> None:
            nonlocal n_made
            n_made += 1
            with provider.get_tracer("test").start_as_current_span("from a finalizer"):
                pass

    threshold = gc.get_threshold()
    gc.set_threshold(3, 2, 2)
    try:
        for i in range(2000):
            Trash()
            with provider.get_tracer("test").start_as_current_span("a", attributes={"k": [i, {"m": i}]}) as span:
                span.add_event("e", {"l": [i]})
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert provider.force_flush()
    assert n_made == 2000
    assert exporter.n_spans == 2000 + n_made
    assert counts(provider)["dropped_full"] == 0


def test_a_signal_handler_that_makes_spans_also_while_force_flush_waits() -> None:
    exporter = Native(lambda batch, deadline: (time.sleep(0.02), Outcome(len(batch), 0, "", ""))[1])
    provider = provider_of(exporter, batch=64, ring_bytes=1 << 24)
    tracer = provider.get_tracer("test")
    n_handled = 0

    def handler(*args: object) -> None:
        nonlocal n_handled
        n_handled += 1
        with tracer.start_as_current_span("from the handler"):
            pass
        if n_handled % 50 == 0:
            provider.force_flush(20)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        n_made = 0
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for _ in range(100):
                with tracer.start_as_current_span("a", attributes={"k": "v"}) as span:
                    span.add_event("e", {"f": 1})
                n_made += 1
            assert provider.force_flush(30000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert provider.force_flush(30000)
    assert n_handled > 10
    assert exporter.n_spans == n_made + n_handled
    known = provider.stats()["spans"]
    assert (known["live"], known["detach_failed"]) == (0, 0)


def test_the_exporters_own_calls_make_no_spans_and_its_spans_do_no_harm() -> None:
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value

    seen: list[object] = []

    def act(batch: Any, deadline: float) -> Outcome:
        seen.append(get_value(_SUPPRESS_INSTRUMENTATION_KEY))
        return Outcome(len(batch), 0, "", "")

    provider = provider_of(Native(act))
    end_spans(provider, 1)
    assert provider.force_flush()
    assert seen == [True]


def test_an_sdk_exporter_base_class_without_interrupt_is_foreign() -> None:
    class Exporter(SdkSpanExporter):
        def __init__(self) -> None:
            self.names: list[str] = []

        def export(self, spans: Any) -> SdkSpanExportResult:
            self.names.extend(span.name for span in spans)
            return SdkSpanExportResult.SUCCESS

    exporter = Exporter()
    provider = provider_of(exporter)
    end_spans(provider, 2)
    provider.shutdown()
    assert exporter.names == ["a", "a"]


def test_an_object_without_export_is_refused() -> None:
    with pytest.raises(TypeError, match="no exporter"):
        provider_of(object())
