"""Every span is accounted for, exactly, in every process by itself; and the receiver's count is the exporters'."""

from __future__ import annotations

import gc
import json
import random
import threading
import time
from typing import Any

import pytest
from otlp_receiver import Receiver
from program import run, until

from tracecore import TracerProvider
from tracecore.exporters import Outcome
from tracecore.sampling import ParentBasedTraceIdRatio

CHECK = """
def check(stats, at_rest):
    # The rules of recorder.pyx and account.pyx. At rest nothing is in anybody's hands.
    spans = stats["spans"]
    assert all(value >= 0 for value in spans.values()), spans
    assert spans["started"] == spans["unsampled"] + spans["live"] + spans["unended"] + spans["ended"], spans
    assert spans["ended"] == spans["record_only"] + spans["no_exporter"] + spans["queued"], spans
    for of in stats["exporters"]:
        gone = sum(of["lost"].values()) + sum(of["removed"].values()) + of["held"]
        assert of["written"] == of["waiting"] + of["exporting"] + of["exported"] + gone + of["abandoned"], of
        names = ("waiting", "exporting", "exported", "abandoned", "held", "dropped_full", "dropped_after_shutdown")
        assert 0 <= min(of[name] for name in names) and max(of[name] for name in names) < 1 << 40, of
        if at_rest:
            assert spans["queued"] == of["written"] + of["dropped_full"] + of["dropped_after_shutdown"], (spans, of)
            assert of["waiting"] == of["exporting"] == 0, of
    if at_rest:
        assert spans["live"] == 0, spans
"""
exec(CHECK)  # noqa: S102 - the same text runs in other processes
check: Any = globals()["check"]


class Fails:
    """Takes some spans of each batch, refuses some, raises now and then."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.accepted = 0

    def export(self, batch: Any, deadline: float) -> Outcome:
        n = len(batch)
        what = self.random.random()
        if what < 0.2:
            raise RuntimeError("on purpose")
        if what < 0.4:
            return Outcome(0, n, "rejected_status", "on purpose")
        rejected = self.random.randrange(n + 1) if what < 0.7 else 0
        self.accepted += n - rejected
        return Outcome(n - rejected, rejected, "rejected_partial" if rejected else "", "")

    def interrupt(self) -> None: ...

    def shutdown(self) -> None: ...


def test_the_sums_hold_at_every_moment_under_threads_sampling_a_tiny_ring_and_failing_exporters() -> None:
    exporters = [Fails(1), Fails(2)]
    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(0.5), shutdown_on_exit=False)
    provider.add_exporter(exporters[0], ring_bytes=65536, batch=16, delay=0.01)
    provider.add_exporter(exporters[1], ring_bytes=1 << 20, batch=500, delay=0.05)
    tracer = provider.get_tracer("test")
    stop = threading.Event()
    n_ended = [0] * 4

    def work(which: int) -> None:
        pick = random.Random(which)
        while not stop.is_set():
            with tracer.start_as_current_span("a", attributes={"k": "x" * pick.randrange(300)}):
                tracer.start_span("b").end()
                tracer.start_span("never ended")
            n_ended[which] += 1

    threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 2.5
    n_checks = 0
    while time.monotonic() < deadline:
        check(provider.stats(), at_rest=False)
        n_checks += 1
    stop.set()
    for thread in threads:
        thread.join()
    provider.force_flush()
    gc.collect()
    check(provider.stats(), at_rest=True)
    spans = provider.stats()["spans"]
    assert spans["started"] == 3 * sum(n_ended)
    assert spans["unsampled"] % 3 == 0
    assert spans["unended"] == (spans["started"] - spans["unsampled"]) / 3
    assert spans["ended"] == 2 * spans["unended"]
    for exporter, known in zip(exporters, provider.stats()["exporters"], strict=True):
        assert known["exported"] == exporter.accepted
        assert sum(known["lost"].values()) > 0
    assert provider.stats()["exporters"][0]["dropped_full"] > 0
    assert n_checks > 20
    provider.shutdown()
    tracer.start_span("late").end()
    check(provider.stats(), at_rest=True)


@pytest.mark.parametrize("batch", [1, 100])
def test_the_sums_hold_when_shutdown_gives_up(batch: int) -> None:
    go = threading.Event()

    class Hangs(Fails):
        def export(self, batch: Any, deadline: float) -> Outcome:
            go.wait()
            return Outcome(len(batch), 0, "", "")

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(Hangs(1), batch=batch)
    tracer = provider.get_tracer("test")
    for _ in range(150):
        tracer.start_span("a").end()
    provider.shutdown(200)
    check(provider.stats(), at_rest=False)
    tracer.start_span("a").end()
    check(provider.stats(), at_rest=False)
    go.set()
    assert until(lambda: provider.stats()["exporters"][0]["exporting"] == 0)
    check(provider.stats(), at_rest=True)
    known = provider.stats()["exporters"][0]
    assert known["exported"] + known["abandoned"] == 150
    assert known["abandoned"] >= 50


def test_a_sampler_or_id_generator_that_asks_to_stop_leaves_the_sums_whole() -> None:
    class Stops:
        def should_sample(self, *args: Any, **kwargs: Any) -> Any:
            raise KeyboardInterrupt

        def get_description(self) -> str:
            return "stops"

    class StopsAtSpans:
        def generate_trace_id(self) -> int:
            return 1

        def generate_span_id(self) -> int:
            raise SystemExit

    for arguments in ({"sampler": Stops()}, {"id_generator": StopsAtSpans()}):
        provider = TracerProvider(shutdown_on_exit=False, **arguments)  # type: ignore[arg-type]
        for _ in range(3):
            try:
                provider.get_tracer("test").start_span("a")
            except (KeyboardInterrupt, SystemExit) as stop:
                stop.__traceback__ = None
            else:
                raise AssertionError("swallowed")
        check(provider.stats(), at_rest=True)
        provider.shutdown()


PROGRAM = (
    CHECK
    + """
import gc, json, os, random, sys, threading, time
import tracecore
from tracecore.exporters import Outcome
from tracecore.sampling import ParentBasedTraceIdRatio

endpoint, report_to = sys.argv[1:]
provider = tracecore.init(service="accounts", endpoint=endpoint, sample=0.5, ring_bytes=1 << 22, batch=100, delay=0.02)

class Fails:
    def export(self, batch, deadline):
        return Outcome(0, len(batch), "rejected_status", "on purpose")
    def interrupt(self): pass
    def shutdown(self): pass
provider.add_exporter(Fails(), ring_bytes=65536, batch=10, delay=0.01)
tracer = provider.get_tracer("a")

def spans(n, seed):
    pick = random.Random(seed)
    for i in range(n):
        with tracer.start_as_current_span("a", attributes={"k": "x" * pick.randrange(200)}) as span:
            tracer.start_span("b").end()
            tracer.start_span("never ended")

def account(name):
    provider.force_flush(30000)
    provider.shutdown()
    gc.collect()
    check(provider.stats(), True)
    with open(report_to, "a") as out:
        out.write(json.dumps([name, provider.stats()]) + chr(10))

def child(depth, seed):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        stats = provider.stats()
        assert stats["spans"]["started"] == stats["spans"]["inherited"] == 0, stats
        assert stats["exporters"][0]["written"] == 0, stats
        check(stats, True)
        threads = [threading.Thread(target=spans, args=(100, seed + i)) for i in range(3)]
        for thread in threads: thread.start()
        pids = [child(depth - 1, seed * 10)] if depth else []
        for thread in threads: thread.join()
        for pid in pids: assert os.waitpid(pid, 0)[1] == 0
        account("child")
        code = 0
    finally:
        os._exit(code)

workers = [threading.Thread(target=spans, args=(1500, i)) for i in range(3)]
for worker in workers: worker.start()
pids = [child(1, i + 10) for i in range(6)]
for worker in workers: worker.join()
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
account("parent")
"""
)


def test_the_sums_hold_in_every_process_and_the_receiver_got_what_was_exported(tmp_path: Any) -> None:
    receiver = Receiver()
    report_to = tmp_path / "stats"
    try:
        run(PROGRAM, receiver.endpoint, str(report_to), timeout=120)
        told = [json.loads(line) for line in report_to.read_text().splitlines()]
        assert len(told) == 1 + 6 * 2
        exported = sum(stats["exporters"][0]["exported"] for _, stats in told)
        assert exported > 1000
        assert all(stats["exporters"][0]["lost"] == {} for _, stats in told)
        assert len(receiver.spans) == exported
        assert len(receiver.ids) == exported, "a span arrived twice, or two spans share an id"
        parent = next(stats for name, stats in told if name == "parent")
        assert parent["spans"]["started"] == 3 * 3 * 1500
    finally:
        receiver.close()
