"""Several exporters on one provider: each with its own state, none in the way of another, and each form made once."""

from __future__ import annotations

import gc
import os
import random
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanContext, TraceFlags
from otlp_receiver import Receiver
from program import run, until
from test_accounting import check

from tracecore import TracerProvider
from tracecore._core.batch import Batch
from tracecore.errors import reported, reset_reports
from tracecore.exporters import Outcome
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.exporters.otlp_http import OTLPHTTPExporter
from tracecore.provider import BatchSpanProcessor
from tracecore.readable_span import ReadableSpan

NEVER_S = 600.0

made: list[TracerProvider] = []


@pytest.fixture(autouse=True)
def _after() -> Iterator[None]:
    reset_reports()
    yield
    for provider in made:
        provider.shutdown(1000)
    made.clear()


class Native:
    """Remembers names; `act(batch, deadline)` may do something else first."""

    def __init__(self, act: Callable[[Any, float], Any] | None = None) -> None:
        self.act = act
        self.names: list[str] = []
        self.threads: set[int] = set()
        self.n_shutdowns = 0

    def export(self, batch: Any, deadline: float) -> Any:
        self.threads.add(threading.get_ident())
        if self.act is not None and (outcome := self.act(batch, deadline)) is not None:
            return outcome
        self.names += [span.name for span in batch.spans()]
        return Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None: ...

    def shutdown(self) -> None:
        self.n_shutdowns += 1


class Hangs(Native):
    def __init__(self) -> None:
        super().__init__(self._hold)
        self.entered = threading.Event()
        self.go = threading.Event()

    def _hold(self, batch: Any, deadline: float) -> None:
        self.entered.set()
        assert self.go.wait(60)


def provider_of(*exporters: Any, **options: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_exporter(exporter, **{"delay": NEVER_S, **options})
    made.append(provider)
    return provider


def end_spans(provider: TracerProvider, first: int, n: int, text: str = "") -> list[str]:
    tracer = provider.get_tracer("test")
    names = [str(i) for i in range(first, first + n)]
    for name in names:
        tracer.start_span(name, attributes={"text": text} if text else None).end()
    return names


def counts(provider: TracerProvider, which: int) -> dict[str, Any]:
    known: dict[str, Any] = provider.stats()["exporters"][which]
    return known


def n_tasks() -> int:
    """Threads of this process, once those that other tests ended are gone."""
    known = -1
    while known != (known := len(os.listdir("/proc/self/task"))):
        time.sleep(0.2)
    return known


# --- sharing ------------------------------------------------------------------------------------------------


def test_exporters_with_equal_settings_share_a_ring_and_others_have_one_of_their_own() -> None:
    provider = provider_of(Native(), Native(), batch=10)
    provider.add_exporter(Native(), batch=11, delay=NEVER_S)
    provider.add_span_processor(BatchSpanProcessor(Native(), schedule_delay_millis=NEVER_S * 1000, max_export_batch_size=10))
    assert [len(drain.pipelines) for drain in provider._drains] == [3, 1]
    end_spans(provider, 0, 10)
    assert provider.force_flush()
    assert [known["exported"] for known in provider.stats()["exporters"]] == [10] * 4


def test_one_exporter_alone_is_called_by_the_only_thread_there_is() -> None:
    before = n_tasks()
    exporter = Native()
    provider = provider_of(exporter)
    end_spans(provider, 0, 10)
    assert provider.force_flush()
    assert n_tasks() == before + 1


def test_all_threads_are_gone_after_shutdown() -> None:
    before = n_tasks()
    exporters = [Native() for _ in range(3)]
    provider = provider_of(*exporters)
    end_spans(provider, 0, 10)
    assert n_tasks() == before + 4
    provider.shutdown()
    assert until(lambda: n_tasks() == before)
    assert [exporter.n_shutdowns for exporter in exporters] == [1, 1, 1]


def test_every_exporter_gets_every_span_in_the_order_in_which_they_ended() -> None:
    exporters = [Native(), Native(lambda batch, deadline: time.sleep(0.001)), Native()]
    provider = provider_of(*exporters, batch=7)
    names = end_spans(provider, 0, 500)
    assert provider.force_flush()
    assert [exporter.names for exporter in exporters] == [names] * 3
    assert all(len(exporter.threads) == 1 for exporter in exporters)
    assert len(set.union(*(exporter.threads for exporter in exporters))) == 3


# --- slow, hanging and failing ones ---------------------------------------------------------------------------


def test_a_hanging_exporter_takes_nothing_from_the_one_beside_it() -> None:
    hanging, quick = Hangs(), Native()
    provider = provider_of(hanging, quick, batch=50, ring_bytes=65536)
    first = 0
    for _ in range(40):  # many times what the ring and the backlog hold
        names = end_spans(provider, first, 50, "x" * 200)
        first += 50
        assert until(lambda: len(quick.names) == first, 20), counts(provider, 1)  # noqa: B023
    assert quick.names == [str(i) for i in range(first)]
    assert counts(provider, 1)["dropped_full"] == 0
    known = counts(provider, 0)
    assert known["dropped_full"] > 0 and known["exporting"] == 50
    assert known["written"] + known["dropped_full"] == first
    check(provider.stats(), at_rest=False)
    hanging.go.set()
    assert until(lambda: counts(provider, 0)["waiting"] == 0)
    provider.force_flush()
    check(provider.stats(), at_rest=True)
    assert counts(provider, 0)["exported"] == known["written"]
    assert hanging.names == [str(i) for i in range(known["written"])], "what is lost is the newest"
    names = end_spans(provider, first, 10)
    assert provider.force_flush()
    assert hanging.names[-10:] == names == quick.names[-10:]


def test_a_flush_says_no_for_the_hanging_one_and_has_delivered_to_the_others() -> None:
    hanging, quick = Hangs(), Native()
    provider = provider_of(hanging, quick)
    names = end_spans(provider, 0, 5)
    began = time.monotonic()
    assert provider.force_flush(400) is False
    assert time.monotonic() - began < 10
    assert quick.names == names
    hanging.go.set()
    assert provider.force_flush() is True
    assert hanging.names == names


def test_a_flush_says_no_when_a_backlog_had_no_room() -> None:
    hanging, quick = Hangs(), Native()
    provider = provider_of(hanging, quick, batch=20, ring_bytes=65536)
    end_spans(provider, 0, 1)
    assert until(lambda: provider._pipelines[1].force_flush(100))
    assert hanging.entered.wait(20)
    for i in range(20):
        end_spans(provider, i * 20, 20, "x" * 200)
        provider._pipelines[1].force_flush(5000)
    answers: list[bool] = []
    flush = threading.Thread(target=lambda: answers.append(provider._pipelines[0].force_flush(20)))
    end_spans(provider, 0, 10, "x" * 200)  # no full batch: the flush has the drain take it
    flush.start()
    assert until(lambda: counts(provider, 0)["dropped_full"] > 0 and provider._pipelines[1].force_flush(1000))
    time.sleep(0.2)
    hanging.go.set()
    flush.join()
    assert answers == [False]


def test_an_exporter_that_raises_costs_only_itself() -> None:
    def fail(batch: Any, deadline: float) -> None:
        raise SystemExit(3)

    failing, well = Native(fail), Native()
    provider = provider_of(failing, well, batch=10)
    names = end_spans(provider, 0, 100)
    provider.force_flush()
    assert well.names == names
    assert counts(provider, 0)["lost"] == {"exporter_error": 100}
    assert counts(provider, 1)["lost"] == {}
    check(provider.stats(), at_rest=True)


def test_shutdown_gives_up_the_hanging_one_only() -> None:
    hanging, quick = Hangs(), Native()
    provider = provider_of(hanging, quick, batch=10)
    end_spans(provider, 0, 35)
    began = time.monotonic()
    provider.shutdown(500)
    assert time.monotonic() - began < 10
    assert len(quick.names) == 35 and quick.n_shutdowns == 1
    known = counts(provider, 0)
    assert known["exporting"] == 10 and known["abandoned"] == 25
    check(provider.stats(), at_rest=False)
    hanging.go.set()
    assert until(lambda: hanging.n_shutdowns == 1)
    end_spans(provider, 0, 3)
    check(provider.stats(), at_rest=True)
    assert [counts(provider, i)["dropped_after_shutdown"] for i in (0, 1)] == [3, 3]


# --- joining and leaving ------------------------------------------------------------------------------------------


def test_an_exporter_that_joins_gets_what_ends_from_then_on() -> None:
    first, second = Native(), Native()
    provider = provider_of(first, batch=1000)
    before = end_spans(provider, 0, 10)  # still in the ring when the second one joins
    provider.add_exporter(second, batch=1000, delay=NEVER_S)
    queued = provider.stats()["spans"]["queued"]
    after = end_spans(provider, 10, 10)
    assert provider.force_flush()
    assert first.names == before + after
    assert second.names == after
    known = counts(provider, 1)
    assert provider.stats()["spans"]["queued"] - queued == known["written"] == known["exported"] == 10


def test_an_exporter_that_joins_while_the_first_one_hangs_does_not_wait_for_it() -> None:
    hanging, quick = Hangs(), Native()
    provider = provider_of(hanging, batch=10)
    end_spans(provider, 0, 10)
    assert hanging.entered.wait(20)  # the drain's only worker is inside it
    provider.add_exporter(quick, batch=10, delay=NEVER_S)
    names = end_spans(provider, 10, 30)
    assert until(lambda: quick.names == names), counts(provider, 1)
    third = Native()
    provider.add_exporter(third, batch=10, delay=NEVER_S)
    names = end_spans(provider, 40, 10)
    assert until(lambda: third.names == names)
    hanging.go.set()
    assert provider.force_flush()
    assert hanging.names == [str(i) for i in range(50)]
    assert len(hanging.threads) == 1
    provider.shutdown()
    check({"spans": provider.stats()["spans"], "exporters": provider.stats()["exporters"][:1]}, at_rest=True)


def test_a_processor_that_is_shut_down_leaves_its_neighbours_alone() -> None:
    exporters = [Native() for _ in range(3)]
    processors = [BatchSpanProcessor(exporter, schedule_delay_millis=NEVER_S * 1000) for exporter in exporters]
    provider = provider_of()
    for processor in processors:
        provider.add_span_processor(processor)
    before = end_spans(provider, 0, 10)
    processors[1].shutdown()
    assert exporters[1].names == before and exporters[1].n_shutdowns == 1
    after = end_spans(provider, 10, 10)
    assert processors[0].force_flush()
    assert provider.force_flush()
    assert exporters[0].names == exporters[2].names == before + after
    assert exporters[1].names == before
    assert counts(provider, 1)["dropped_after_shutdown"] == 10
    assert (exporters[0].n_shutdowns, exporters[2].n_shutdowns) == (0, 0)
    check(provider.stats(), at_rest=True)
    for processor in processors:
        processor.shutdown()
    assert [exporter.n_shutdowns for exporter in exporters] == [1, 1, 1]


def test_a_processor_flushes_its_own_exporter_without_waiting_for_a_hanging_neighbour() -> None:
    hanging, quick = Hangs(), Native()
    processors = [BatchSpanProcessor(exporter, schedule_delay_millis=NEVER_S * 1000) for exporter in (hanging, quick)]
    provider = provider_of()
    for processor in processors:
        provider.add_span_processor(processor)
    names = end_spans(provider, 0, 10)
    assert processors[1].force_flush(20000)
    assert quick.names == names
    processors[1].shutdown(20000)
    assert quick.n_shutdowns == 1
    hanging.go.set()
    assert processors[0].force_flush(20000)


def test_a_processor_that_is_handed_spans_beside_its_provider_keeps_them_from_its_neighbours() -> None:
    fed = ReadableSpan("fed", context=SpanContext(1, 2, False, TraceFlags(1)))
    alone, other, third = Native(), Native(), Native()
    processors = [BatchSpanProcessor(exporter, schedule_delay_millis=NEVER_S * 1000) for exporter in (alone, other, third)]
    provider = provider_of()
    provider.add_span_processor(processors[0])
    processors[0].on_end(fed)  # into its queue, which nobody can share from now on
    provider.add_span_processor(processors[1])
    provider.add_span_processor(processors[2])
    assert [len(drain.pipelines) for drain in provider._drains] == [1, 2]
    processors[1].on_end(fed)  # it shares its queue already
    names = end_spans(provider, 0, 3)
    assert provider.force_flush()
    assert sorted(alone.names) == sorted(["fed", *names])
    assert other.names == third.names == names
    assert reported()["span_refused"] == 1


def test_an_exporter_added_after_all_others_were_shut_down_works() -> None:
    processor = BatchSpanProcessor(Native(), schedule_delay_millis=NEVER_S * 1000)
    provider = provider_of()
    provider.add_span_processor(processor)
    end_spans(provider, 0, 3)
    processor.shutdown()
    late = Native()
    provider.add_exporter(late, delay=NEVER_S)
    names = end_spans(provider, 3, 3)
    assert provider.force_flush()
    assert late.names == names


def test_shutdown_delivers_to_each_when_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise RuntimeError("can't start new thread")

    exporters = [Native() for _ in range(3)]
    provider = provider_of(*exporters, batch=10)
    monkeypatch.setattr("tracecore.worker._thread.start_new_thread", refuse)
    names = end_spans(provider, 0, 35)
    began = time.monotonic()
    assert not provider.force_flush(20000)
    assert time.monotonic() - began < 10
    provider.shutdown()
    assert [exporter.names for exporter in exporters] == [names] * 3
    assert [exporter.n_shutdowns for exporter in exporters] == [1, 1, 1]
    check(provider.stats(), at_rest=True)


def test_an_exporters_thread_is_tried_again_when_none_could_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    import _thread

    start = _thread.start_new_thread
    n_started = 0

    def one_only(*args: Any) -> int:
        nonlocal n_started
        n_started += 1
        if n_started > 1:
            raise RuntimeError("can't start new thread")
        return start(*args)

    exporters = [Native(), Native()]
    provider = provider_of(*exporters, batch=10)
    with monkeypatch.context() as patch:
        patch.setattr("tracecore.worker._thread.start_new_thread", one_only)
        end_spans(provider, 0, 10)
        assert until(lambda: n_started >= 5)
    names = end_spans(provider, 10, 10)
    assert provider.force_flush()
    assert [exporter.names[-10:] for exporter in exporters] == [names] * 2
    assert [len(exporter.names) for exporter in exporters] == [20, 20]
    assert reported()["worker_start"] >= 2


# --- each form once -----------------------------------------------------------------------------------------------


def test_a_batch_is_encoded_and_compressed_once_for_all_that_want_the_same_bytes() -> None:
    bodies: list[tuple[int, bytes, bytes]] = []
    texts: list[bytes] = []
    n_compressed = 0
    together = threading.Barrier(4)

    def compress(data: bytes) -> bytes:
        nonlocal n_compressed
        n_compressed += 1
        return zlib.compress(data)

    def act(batch: Any, deadline: float) -> Outcome:
        together.wait(20)
        plain = batch.otlp()
        texts.append(batch.otlp_json())
        bodies.append((id(batch), plain, batch.packed(plain, "deflate", compress)))
        assert batch.packed(plain, "none", compress) is plain
        return Outcome(len(batch), 0, "", "")

    provider = provider_of(*(Native(act) for _ in range(4)), batch=1000)
    for i in range(5):
        end_spans(provider, i * 1000, 1000)
        assert provider.force_flush()
    assert n_compressed == 5
    assert len(bodies) == 20
    assert len({id(plain) for _, plain, _ in bodies}) == 5, "one encoding a batch: the very same object"
    assert len({id(packed) for _, _, packed in bodies}) == len({id(text) for text in texts}) == 5
    for _, plain, packed in bodies:
        assert zlib.decompress(packed) == plain
        (resource,) = ExportTraceServiceRequest.FromString(plain).resource_spans
        assert len(resource.scope_spans[0].spans) == 1000


def test_two_otlp_exporters_with_gzip_compress_once(monkeypatch: pytest.MonkeyPatch) -> None:
    receivers = [Receiver(), Receiver()]
    try:
        exporters = [OTLPHTTPExporter(f"{receiver.endpoint}/v1/traces", compression="gzip") for receiver in receivers]
        calls = []
        for exporter in exporters:
            compress = exporter._compress
            monkeypatch.setattr(exporter, "_compress", lambda data, of=compress: (calls.append(len(data)), of(data))[1])
        provider = provider_of(*exporters)
        end_spans(provider, 0, 100)
        assert provider.force_flush()
        assert [len(receiver.spans) for receiver in receivers] == [100, 100]
        assert len(calls) == 1
    finally:
        for receiver in receivers:
            receiver.close()


def test_a_form_that_fails_is_tried_again_by_the_next_one_who_asks() -> None:
    batch = Batch(provider_of()._origin)
    entered, go = threading.Event(), threading.Event()
    answers: list[object] = []

    def fails() -> bytes:
        entered.set()
        go.wait(20)
        raise MemoryError("on purpose")

    def first() -> None:
        with pytest.raises(MemoryError):
            batch.form("x", fails)
        answers.append("failed")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert entered.wait(20)
    threads.append(threading.Thread(target=lambda: answers.append(batch.form("x", lambda: b"made"))))
    threads[1].start()
    time.sleep(0.05)
    assert answers == []
    assert batch.form("y", lambda: b"another key waits for nobody") == b"another key waits for nobody"
    go.set()
    for thread in threads:
        thread.join(20)
    assert sorted(map(str, answers)) == ["b'made'", "failed"]
    assert batch.form("x", fails) == b"made"


def test_readable_spans_are_shared_while_held_and_no_longer() -> None:
    batches: list[Any] = []

    def keep(batch: Any, deadline: float) -> Outcome:
        batches.append(batch)
        return Outcome(len(batch), 0, "", "")

    provider = provider_of(Native(keep))
    end_spans(provider, 0, 3)
    assert provider.force_flush()
    spans = batches[0].spans()
    assert batches[0].spans() is spans
    assert isinstance(spans, list)
    seen = weakref.ref(spans)
    del spans
    assert seen() is None
    assert [span.name for span in batches[0].spans()] == ["0", "1", "2"]


def test_attributes_lost_in_the_encoding_count_for_the_exporter_that_encodes() -> None:
    def encode(batch: Any, deadline: float) -> Outcome:
        batch.otlp()
        return Outcome(len(batch), 0, "", "")

    provider = provider_of(Native(encode), Native(), Native(encode))
    provider.get_tracer("test").start_span("a", attributes={"big": 1 << 70}).end()
    assert provider.force_flush()
    assert [known["lost_attributes"] for known in provider.stats()["exporters"]] == [1, 0, 1]


def test_a_batch_is_gone_with_its_forms_when_the_last_exporter_is_done() -> None:
    class Form(list[int]):
        """Something that can be referred to weakly."""

    forms: list[Any] = []
    hanging = Hangs()

    def make(batch: Any, deadline: float) -> Outcome:
        form = batch.form("a form", Form)
        forms.append(weakref.ref(form))
        return Outcome(len(batch), 0, "", "")

    provider = provider_of(hanging, Native(make), Native(make), batch=10)
    end_spans(provider, 0, 10)
    assert until(lambda: len(forms) == 2)
    assert forms[0]() is forms[1]() is not None
    hanging.go.set()
    assert provider.force_flush()
    gc.collect()
    assert until(lambda: forms[0]() is None)


def test_a_backlog_of_tiny_batches_keeps_to_its_bytes() -> None:
    """A batch is made with room for many spans; one that waits must not keep it."""
    hanging, quick = Hangs(), Native()
    provider = provider_of(hanging, quick, ring_bytes=65536)
    n = 400
    for i in range(n):
        end_spans(provider, i, 1)
        assert provider._pipelines[1].force_flush(20000)
    known = counts(provider, 0)
    assert 65536 / 2048 < known["waiting"] < 65536 / 512
    assert known["dropped_full"] == n - known["waiting"] - known["exporting"]
    hanging.go.set()


# --- processes ------------------------------------------------------------------------------------------------------

FORKS = """
import json, os, sys, threading, time
import tracecore
from tracecore.exporters import Outcome
from tracecore.exporters.otlp_http import OTLPHTTPExporter

class Slow:
    n = 0
    def export(self, batch, deadline):
        batch.packed(batch.otlp(), "none", lambda data: data)
        time.sleep(0.003)
        self.n += len(batch)
        return Outcome(len(batch), 0, "", "")
    def interrupt(self): pass
    def shutdown(self): pass

slow = Slow()
provider = tracecore.TracerProvider()
for exporter in (OTLPHTTPExporter(sys.argv[1] + "/v1/traces", compression="gzip"), slow,
                 OTLPHTTPExporter(sys.argv[2] + "/v1/traces", compression="gzip")):
    provider.add_exporter(exporter, batch=20, delay=0.01, ring_bytes=1 << 22)
tracer = provider.get_tracer("a")
stop = threading.Event()
n_ended = [0, 0]

def work(which):
    while not stop.is_set():
        tracer.start_span("parent").end()
        n_ended[which] += 1
        if n_ended[which] % 50 == 0:
            time.sleep(0.001)

def told():
    stats = provider.stats()
    for of in stats["exporters"]:
        assert of["written"] == of["exported"], of
        assert stats["spans"]["queued"] == of["written"], (stats["spans"], of)
    return stats["spans"]["queued"]

threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
for thread in threads: thread.start()
pids = []
for i in range(12):
    time.sleep(0.02)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            before = slow.n
            for _ in range(25): tracer.start_span("child").end()
            assert provider.force_flush()
            assert told() == 25
            assert slow.n - before == 25
            provider.shutdown()
            code = 0
        finally:
            os._exit(code)
    pids.append(pid)
stop.set()
for thread in threads: thread.join()
codes = [os.waitpid(pid, 0)[1] for pid in pids]
assert codes == [0] * 12, codes
assert provider.force_flush(60000)
assert told() == sum(n_ended)
print(json.dumps(sum(n_ended)))
"""


def test_forks_while_several_exporters_are_busy() -> None:
    receivers = [Receiver(), Receiver()]
    try:
        ended = run(FORKS, *(receiver.endpoint for receiver in receivers), timeout=120)
        for receiver in receivers:
            assert len(receiver.spans) == len(receiver.ids) == ended.answer + 12 * 25
    finally:
        for receiver in receivers:
            receiver.close()


EXITS = """
import sys
import tracecore
from tracecore.exporters.otlp_http import OTLPHTTPExporter

class Hangs:
    def export(self, batch, deadline):
        import threading
        threading.Event().wait()
    def interrupt(self): pass
    def shutdown(self): pass

provider = tracecore.TracerProvider()
exporters = [OTLPHTTPExporter(endpoint + "/v1/traces") for endpoint in sys.argv[2:]]
for exporter in ([Hangs()] if sys.argv[1] == "hangs" else []) + exporters:
    provider.add_exporter(exporter)
for _ in range(100):
    provider.get_tracer("a").start_span("a").end()
if sys.argv[1] == "hangs":
    import atexit
    atexit.unregister(provider.shutdown)
    atexit.register(provider.shutdown, 1500)
"""


@pytest.mark.parametrize("neighbour", ["well", "hangs"])
def test_each_exporter_delivers_at_the_programs_end(neighbour: str) -> None:
    receivers = [Receiver(), Receiver()]
    try:
        run(EXITS, neighbour, *(receiver.endpoint for receiver in receivers), timeout=60)
        assert [len(receiver.spans) for receiver in receivers] == [100, 100]
    finally:
        for receiver in receivers:
            receiver.close()


CHILDREN = """
import multiprocessing, sys
import tracecore
from tracecore.exporters.otlp_http import OTLPHTTPExporter

provider = tracecore.TracerProvider()
for endpoint in sys.argv[1:]:
    provider.add_exporter(OTLPHTTPExporter(endpoint + "/v1/traces"))

def child():
    for _ in range(10):
        provider.get_tracer("a").start_span("a").end()

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    provider.get_tracer("a").start_span("a").end()
    children = [context.Process(target=child) for _ in range(3)]
    for each in children: each.start()
    for each in children: each.join()
    assert [each.exitcode for each in children] == [0] * 3
"""


def test_each_exporter_delivers_at_the_end_of_multiprocessings_children() -> None:
    receivers = [Receiver(), Receiver()]
    try:
        run(CHILDREN, *(receiver.endpoint for receiver in receivers), timeout=60)
        assert [len(receiver.spans) for receiver in receivers] == [31, 31]
    finally:
        for receiver in receivers:
            receiver.close()


# --- the sums, at random ----------------------------------------------------------------------------------------------


class Random(Native):
    """Delays, refuses and raises at random; knows what it took."""

    def __init__(self, seed: int, slow: bool, fails: bool) -> None:
        super().__init__(self._do)
        self.random = random.Random(seed)
        self.slow, self.fails = slow, fails
        self.accepted = 0

    def _do(self, batch: Any, deadline: float) -> Outcome:
        if self.slow:
            time.sleep(self.random.random() * 0.01)
        what = self.random.random() if self.fails else 1.0
        if what < 0.2:
            raise RuntimeError("on purpose")
        rejected = self.random.randrange(len(batch) + 1) if what < 0.5 else 0
        self.accepted += len(batch) - rejected
        if self.random.random() < 0.5:
            batch.otlp()
        return Outcome(len(batch) - rejected, rejected, "rejected_partial" if rejected else "", "")


class HoldsSome:
    """A stage that holds back and takes out at random."""

    reason = "thrown"

    def __init__(self, origin: Any, seed: int) -> None:
        self.origin = origin
        self.random = random.Random(seed)
        self.held = Batch(origin)

    @property
    def n_held(self) -> int:
        return len(self.held)

    def process(self, batch: Batch) -> None:
        if self.random.random() < 0.5:
            self.held.add(batch)
            batch.remove(range(len(batch)))
        elif self.random.random() < 0.5:
            batch.remove(range(0, len(batch), 3))

    def finish(self, batch: Batch) -> None:
        batch.add(self.held)
        self.held = Batch(self.origin)


class AttachesHoldsSome:
    def attach_stage(self, origin: Any, *, first: bool) -> HoldsSome:
        return HoldsSome(origin, 3)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("spans"), st.integers(1, 120)),
        st.tuples(st.just("flush"), st.integers(0, 5)),
        st.tuples(st.just("join"), st.sampled_from([(False, False), (True, False), (False, True), (True, True)])),
        st.tuples(st.just("leave"), st.integers(0, 5)),
    ),
    min_size=1,
    max_size=14,
)


def total(known: dict[str, Any]) -> int:
    return int(known["written"] + known["dropped_full"] + known["dropped_after_shutdown"])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, with_stage=st.booleans(), batch=st.sampled_from([1, 8, 50]))
def test_the_sums_hold_whatever_joins_leaves_fails_and_dawdles(steps: Any, with_stage: bool, batch: int) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    if with_stage:
        provider.add_span_processor(AttachesHoldsSome())
    exporters: list[Random] = []
    processors: list[BatchSpanProcessor] = []
    n_queued_before: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            check(provider.stats(), False)

    def offered() -> int:
        return int(provider.stats()["spans"]["queued"])

    faults: list[BaseException] = []

    def watched() -> None:
        try:
            look()
        except BaseException as fault:
            faults.append(fault)

    def join(how: tuple[bool, bool]) -> None:
        exporters.append(Random(len(exporters), *how))
        processors.append(
            BatchSpanProcessor(
                exporters[-1], schedule_delay_millis=20, max_export_batch_size=batch, export_timeout_millis=5000, ring_bytes=65536
            )
        )
        n_queued_before.append(offered())
        provider.add_span_processor(processors[-1])

    join((False, False))
    watcher = threading.Thread(target=watched)
    watcher.start()
    try:
        for step, argument in steps:
            if step == "spans":
                for i in range(argument):
                    tracer.start_span("a", attributes={"text": "x" * (i * 7 % 300)}).end()
            elif step == "join":
                join(argument)
            elif argument < len(processors):
                if step == "flush":
                    processors[argument].force_flush(10000)
                else:
                    processors[argument].shutdown(10000)
        provider.force_flush()
        stats = provider.stats()
        for exporter, known, before in zip(exporters, stats["exporters"], n_queued_before, strict=True):
            assert total(known) == stats["spans"]["queued"] - before, known
            assert known["waiting"] == known["exporting"] == known["held"] == 0, known
            assert known["exported"] == exporter.accepted, known
    finally:
        provider.shutdown()
        stop.set()
        watcher.join()
    assert faults == []
    for known in provider.stats()["exporters"]:
        assert known["waiting"] == known["exporting"] == known["held"] == known["abandoned"] == 0, known


FORKS_AND_GOES_ON = """
import os, signal, sys, threading, time
from tracecore import TracerProvider
from tracecore.exporters.memory import InMemorySpanExporter

class Forks(InMemorySpanExporter):
    forked = False
    def export(self, spans):
        if not self.forked:
            self.forked = True
            if (pid := os.fork()) == 0:
                signal.alarm(20)
                threading.Thread(target=child).start()
            else:
                codes.append(os.waitpid(pid, 0)[1])
        return super().export(spans)

def child():
    time.sleep(0.2)  # by now the thread that forked has come back from the exporter
    exporter.clear()
    for _ in range(5):
        tracer.start_span("child").end()
    flushed = provider.force_flush(5000)
    names = [span.name for span in exporter.get_finished_spans()]
    os._exit(0 if flushed and names == ["child"] * 5 else 1)

codes = []
exporter = Forks()
provider = TracerProvider()
provider.add_exporter(exporter)
if sys.argv[1] == "several":
    provider.add_exporter(InMemorySpanExporter())
tracer = provider.get_tracer("lib")
for _ in range(10):
    tracer.start_span("parent").end()
assert provider.force_flush(15000)
assert codes == [0], codes
assert len(exporter.get_finished_spans()) == 10
"""


@pytest.mark.parametrize("exporters", ["one", "several"])
def test_in_a_child_that_the_exporter_forked_a_flush_waits_for_the_childs_own_spans(exporters: str) -> None:
    run(FORKS_AND_GOES_ON, exporters)
