"""Stages: what stands between the drain and the exporters may change, drop and hold back spans, and all is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from program import run, until

from tracecore import TracerProvider
from tracecore._core.batch import Batch
from tracecore.drain import Drain
from tracecore.errors import ConfigurationError, reported, reset_reports
from tracecore.exporters import Outcome
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.provider import BatchSpanProcessor

NEVER_S = 600.0

made: list[TracerProvider] = []


@pytest.fixture(autouse=True)
def _after() -> Iterator[None]:
    reset_reports()
    yield
    for provider in made:
        provider.shutdown(1000)
    made.clear()


class Attaches:
    """A processor whose stages do what `make` returns; remembers them."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.stages: list[Any] = []
        self.firsts: list[bool] = []

    def attach_stage(self, origin: Any, *, first: bool) -> Any:
        self.origin = origin
        self.firsts.append(first)
        stage = self.make()
        stage.origin = origin
        self.stages.append(stage)
        return stage


class DropsOdd:
    """Takes out every second span of a batch."""

    reason = "dropped_odd"

    def process(self, batch: Batch) -> None:
        batch.remove(range(1, len(batch), 2))


class Holds:
    """Holds everything back until it is asked to finish."""

    reason = "never_dropped"
    held: Batch | None = None

    @property
    def n_held(self) -> int:
        return 0 if self.held is None else len(self.held)

    def process(self, batch: Batch) -> None:
        if self.held is None:
            self.held = Batch(self.origin)  # type: ignore[attr-defined]
        self.held.add(batch)
        batch.remove(range(len(batch)))

    def finish(self, batch: Batch) -> None:
        if self.held is not None:
            batch.add(self.held)
            self.held = None


class Fails:
    reason = "fails"

    def __init__(self, required: bool) -> None:
        self.required = required

    def process(self, batch: Batch) -> None:
        batch.remove([0])
        raise ValueError("on purpose")


class Sees:
    """Remembers the names that pass."""

    reason = "sees"

    def __init__(self) -> None:
        self.names: list[str] = []

    def process(self, batch: Batch) -> None:
        self.names += [span.name for span in batch.spans()]


def provider_of(*exporters: Any, **settings: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_exporter(exporter, **{"delay": NEVER_S, **settings})
    made.append(provider)
    return provider


def end_spans(provider: TracerProvider, names: str) -> None:
    tracer = provider.get_tracer("test")
    for name in names:
        tracer.start_span(name).end()


def names_of(exporter: InMemorySpanExporter) -> str:
    return "".join(span.name for span in exporter.get_finished_spans())


def counts(provider: TracerProvider, which: int = 0) -> dict[str, Any]:
    known: dict[str, Any] = provider.stats()["exporters"][which]
    lost, removed = sum(known["lost"].values()), sum(known["removed"].values())
    ended = known["exported"] + lost + removed + known["held"] + known["abandoned"]
    assert known["written"] == known["waiting"] + known["exporting"] + ended, known
    return known


def test_what_a_stage_takes_out_reaches_no_exporter_and_is_counted_under_its_reason() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter)
    provider.add_span_processor(Attaches(DropsOdd))
    end_spans(provider, "abcdefg")
    assert provider.force_flush()
    assert names_of(exporter) == "aceg"
    known = counts(provider)
    assert (known["exported"], known["removed"], known["lost"]) == (4, {"dropped_odd": 3}, {})


def test_stages_run_in_the_order_in_which_they_were_added() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter)
    before, after = Attaches(Sees), Attaches(Sees)
    for processor in (before, Attaches(DropsOdd), after, Attaches(DropsOdd)):
        provider.add_span_processor(processor)
    end_spans(provider, "abcdefgh")
    assert provider.force_flush()
    assert "".join(before.stages[0].names) == "abcdefgh"
    assert "".join(after.stages[0].names) == "aceg"
    assert names_of(exporter) == "ae"
    assert counts(provider)["removed"] == {"dropped_odd": 6}


def test_a_batch_that_a_stage_empties_is_not_exported() -> None:
    calls = []

    class Empties:
        reason = "emptied"

        def process(self, batch: Batch) -> None:
            batch.remove(range(len(batch)))

    class Counts(InMemorySpanExporter):
        def export(self, spans: Any) -> Any:
            calls.append(len(spans))
            return super().export(spans)

    provider = provider_of(Counts())
    provider.add_span_processor(Attaches(Empties))
    end_spans(provider, "abc")
    assert provider.force_flush()
    assert calls == []
    assert counts(provider)["removed"] == {"emptied": 3}


def test_spans_that_a_stage_holds_back_are_counted_as_held_and_come_at_the_flush_in_order() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter, batch=2)
    processor = Attaches(Holds)
    after = Attaches(Sees)
    provider.add_span_processor(processor)
    provider.add_span_processor(after)
    end_spans(provider, "abcdef")
    assert until(lambda: counts(provider)["held"] == 6)
    assert names_of(exporter) == ""
    assert provider.force_flush()
    assert names_of(exporter) == "abcdef"
    assert "".join(after.stages[0].names) == "abcdef"
    known = counts(provider)
    assert (known["held"], known["exported"], known["removed"]) == (0, 6, {})


def test_what_is_held_back_goes_out_at_the_delay_and_at_shutdown() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter, delay=0.2, batch=100)
    provider.add_span_processor(Attaches(Holds))
    end_spans(provider, "ab")
    assert until(lambda: names_of(exporter) == "ab")
    end_spans(provider, "cd")
    provider.shutdown()
    assert names_of(exporter) == "abcd"
    assert counts(provider)["held"] == 0


def test_a_stage_that_fails_costs_what_it_took_out_and_no_more() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter)
    provider.add_span_processor(Attaches(lambda: Fails(required=False)))
    end_spans(provider, "abc")
    assert provider.force_flush()
    assert names_of(exporter) == "bc"
    known = counts(provider)
    assert (known["removed"], known["lost"]) == ({"fails": 1}, {})
    assert reported()["stage_error"] == 1


def test_a_required_stage_that_fails_keeps_the_batch_from_every_exporter_and_it_is_counted() -> None:
    exporters = [InMemorySpanExporter(), InMemorySpanExporter()]
    provider = provider_of(*exporters)
    provider.add_span_processor(Attaches(lambda: Fails(required=True)))
    after = Attaches(Sees)
    provider.add_span_processor(after)
    end_spans(provider, "abc")
    assert provider.force_flush() is False
    for which, exporter in enumerate(exporters):
        assert names_of(exporter) == ""
        known = counts(provider, which)
        assert (known["removed"], known["lost"]) == ({"fails": 1}, {"stage_error": 2})
    assert after.stages[0].names == []


def test_a_required_stage_that_fails_while_finishing_loses_what_it_holds_and_says_so() -> None:
    class FailsToFinish(Holds):
        required = True

        def finish(self, batch: Batch) -> None:
            raise RuntimeError("on purpose")

    exporter = InMemorySpanExporter()
    provider = provider_of(exporter)
    provider.add_span_processor(Attaches(FailsToFinish))
    end_spans(provider, "abc")
    provider.shutdown()
    assert names_of(exporter) == ""
    known = counts(provider)
    assert (known["held"], known["lost"], known["waiting"]) == (0, {"stage_error": 3}, 0)


def test_a_stage_without_finish_and_n_held_is_enough() -> None:
    exporter = InMemorySpanExporter()
    provider = provider_of(exporter)
    sees = Attaches(Sees)
    provider.add_span_processor(sees)
    end_spans(provider, "ab")
    assert provider.force_flush()
    assert names_of(exporter) == "ab" == "".join(sees.stages[0].names)


def test_a_stage_is_attached_to_every_drain_and_one_of_them_is_the_first() -> None:
    provider = provider_of(InMemorySpanExporter())
    processor = Attaches(Sees)
    provider.add_span_processor(processor)
    provider.add_exporter(InMemorySpanExporter(), batch=7, delay=NEVER_S)
    provider.add_exporter(InMemorySpanExporter(), batch=8, delay=NEVER_S)
    assert processor.firsts == [True, False, False]
    end_spans(provider, "abc")
    assert provider.force_flush()
    assert ["".join(stage.names) for stage in processor.stages] == ["abc"] * 3


def test_a_stage_added_before_any_exporter_serves_the_first_one() -> None:
    provider = provider_of()
    processor = Attaches(DropsOdd)
    provider.add_span_processor(processor)
    exporter = InMemorySpanExporter()
    provider.add_exporter(exporter, delay=NEVER_S)
    end_spans(provider, "ab")
    assert provider.force_flush()
    assert names_of(exporter) == "a"
    assert processor.firsts == [True]


def test_a_processor_with_a_stage_and_hooks_of_its_own_gets_both() -> None:
    class Both(Attaches):
        n_started = 0

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            self.n_started += 1
            span.set_attribute("by", "on_start")

    exporter = InMemorySpanExporter()
    provider = provider_of(exporter)
    processor = Both(DropsOdd)
    provider.add_span_processor(processor)
    end_spans(provider, "ab")
    assert provider.force_flush()
    assert processor.n_started == 2
    (span,) = exporter.get_finished_spans()
    assert span.attributes == {"by": "on_start"}


def test_stages_run_off_the_calling_thread() -> None:
    seen = []

    class Thread(Sees):
        def process(self, batch: Batch) -> None:
            seen.append(threading.get_ident())

    provider = provider_of(InMemorySpanExporter())
    provider.add_span_processor(Attaches(Thread))
    end_spans(provider, "a")
    assert provider.force_flush()
    assert seen and threading.get_ident() not in seen


def test_a_stage_may_flush_without_waiting_for_itself() -> None:
    answers = []

    class Flushes(Sees):
        def process(self, batch: Batch) -> None:
            answers.append(provider.force_flush(20000))

    provider = provider_of(InMemorySpanExporter())
    provider.add_span_processor(Attaches(Flushes))
    end_spans(provider, "a")
    assert provider.force_flush(10000)
    assert answers == [False]


def test_an_object_that_is_no_processor_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="attach_stage"):
        provider_of().add_span_processor(object())


def test_spans_are_taken_out_and_added_by_python_too() -> None:
    batches: list[Batch] = []

    class Keeps:
        def export(self, batch: Batch, deadline: float) -> Outcome:
            batches.append(batch)
            return Outcome(len(batch), 0, "", "")

        def interrupt(self) -> None: ...

        def shutdown(self) -> None: ...

    provider = provider_of(Keeps())
    end_spans(provider, "abcdef")
    assert provider.force_flush()
    (batch,) = batches
    with pytest.raises(IndexError):
        batch.remove([1, 6])
    assert len(batch) == 6
    other = Batch(provider._origin)
    other.add(batch)
    batch.remove([5, 0, 0, 2])
    assert "".join(span.name for span in batch.spans()) == "bde"
    other.add(batch)
    assert "".join(span.name for span in other.spans()) == "abcdefbde"
    with pytest.raises(ValueError):
        other.add(other)
    with pytest.raises(ValueError):
        other.add(Batch(TracerProvider(shutdown_on_exit=False)._origin))
    held = other.held_bytes
    other.trim()
    assert other.held_bytes < held
    assert "".join(span.name for span in other.spans()) == "abcdefbde"


def test_what_a_failed_stage_keeps_is_not_charged_to_an_exporter_that_joins() -> None:
    class Keeps(Holds):
        fails = True

        def finish(self, batch: Batch) -> None:
            if self.fails:
                raise RuntimeError("on purpose")
            super().finish(batch)

    first, second = InMemorySpanExporter(), InMemorySpanExporter()
    provider = provider_of(first)
    processor = Attaches(Keeps)
    provider.add_span_processor(processor)
    end_spans(provider, "abc")
    provider.force_flush()
    assert counts(provider)["held"] == 3
    provider.add_exporter(second, delay=NEVER_S)
    end_spans(provider, "de")
    provider.force_flush()
    assert (counts(provider)["lost"], counts(provider)["held"]) == ({"stage_error": 3}, 2)
    assert (counts(provider, 1)["lost"], counts(provider, 1)["held"]) == ({}, 2)
    provider.shutdown()
    assert counts(provider)["lost"] == {"stage_error": 5}
    assert counts(provider, 1)["lost"] == {"stage_error": 2}


def test_every_exporter_of_a_drain_sees_what_one_stage_left() -> None:
    exporters = [InMemorySpanExporter() for _ in range(3)]
    provider = provider_of(*exporters)
    processor = Attaches(DropsOdd)
    provider.add_span_processor(processor)
    assert len(processor.stages) == 1
    end_spans(provider, "abcdefg")
    assert provider.force_flush()
    assert [names_of(exporter) for exporter in exporters] == ["aceg"] * 3
    assert [counts(provider, i)["removed"] for i in range(3)] == [{"dropped_odd": 3}] * 3


def test_shutting_one_exporter_down_brings_it_what_is_held_back() -> None:
    exporters = [InMemorySpanExporter(), InMemorySpanExporter()]
    processors = [BatchSpanProcessor(exporter, schedule_delay_millis=NEVER_S * 1000) for exporter in exporters]
    provider = provider_of()
    for processor in processors:
        provider.add_span_processor(processor)
    provider.add_span_processor(Attaches(Holds))
    end_spans(provider, "abc")
    processors[0].shutdown()
    end_spans(provider, "de")
    assert names_of(exporters[0]) == "abc"
    assert provider.force_flush()
    assert names_of(exporters[1]) == "abcde"
    assert counts(provider)["dropped_after_shutdown"] == 2


FORK = """
import os, sys
from test_stages import *

exporter = InMemorySpanExporter()
provider = provider_of(exporter, batch=2)

class Required(Holds):
    required = True

def make():
    if os.getpid() != parent and sys.argv[1] == "fails":
        raise RuntimeError("on purpose")
    return Required()

parent = os.getpid()
processor = Attaches(make)
provider.add_span_processor(processor)
end_spans(provider, "ab")
assert until(lambda: counts(provider)["held"] == 2)
pid = os.fork()
if pid == 0:
    code = 1
    try:
        assert counts(provider)["held"] == 0
        end_spans(provider, "cd")
        if sys.argv[1] == "fails":
            assert provider.force_flush() is False
            assert names_of(exporter) == ""
            assert counts(provider)["lost"] == {"stage_error": 2}
        else:
            assert provider.force_flush()
            assert names_of(exporter) == "cd"
            assert len(processor.stages) == 2 and processor.firsts == [True, True]
            end_spans(provider, "e")
            provider.shutdown()
            assert names_of(exporter) == "cde"
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)
assert os.waitpid(pid, 0)[1] == 0
assert provider.force_flush()
assert names_of(exporter) == "ab"
"""


@pytest.mark.parametrize("attaching", ["works", "fails"])
def test_a_forked_child_gets_stages_of_its_own_and_sends_nothing_without_a_required_one(attaching: str) -> None:
    run(f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n" + FORK, attaching)


def test_a_drain_that_is_being_made_does_not_miss_a_stage_that_is_added_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider()
    made.append(provider)
    provider.add_exporter(InMemorySpanExporter())
    inside, go_on = threading.Event(), threading.Event()
    add = Drain.add

    def slowly(drain: Drain, *args: Any, **kwargs: Any) -> Any:
        inside.set()
        go_on.wait(10)
        return add(drain, *args, **kwargs)

    monkeypatch.setattr(Drain, "add", slowly)
    late = InMemorySpanExporter()
    adds_exporter = threading.Thread(target=lambda: provider.add_exporter(late, batch=7))  # on a drain of its own
    adds_exporter.start()
    assert inside.wait(10)
    processor = Attaches(DropsOdd)
    adds_stage = threading.Thread(target=lambda: provider.add_span_processor(processor))
    adds_stage.start()
    adds_stage.join(0.2)  # where nothing orders the two it is through by now, and has not seen the drain
    go_on.set()
    adds_stage.join()
    adds_exporter.join()
    assert processor.firsts == [True, False]
    tracer = provider.get_tracer("lib")
    for name in "abcd":
        tracer.start_span(name).end()
    assert provider.force_flush()
    assert "".join(span.name for span in late.get_finished_spans()) == "ac"
