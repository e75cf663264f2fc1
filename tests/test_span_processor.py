"""Span processors, and the two that stand for many, against opentelemetry-sdk's."""

from __future__ import annotations

import gc
import inspect
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import INVALID_SPAN

from tracecore import span_processor as tested
from tracecore.readable_span import ReadableSpan
from tracecore.resource import Resource
from tracecore.span_processor import (
    ConcurrentMultiSpanProcessor,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
)

MULTI: list[Callable[[], Any]] = [SynchronousMultiSpanProcessor, ConcurrentMultiSpanProcessor]
ENDED = ReadableSpan("a", resource=Resource.get_empty())


class Notes(SpanProcessor):
    """A processor that writes down what it is told."""

    def __init__(self, name: str = "", notes: list[Any] | None = None) -> None:
        self.name = name
        self.notes: list[Any] = [] if notes is None else notes

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.notes.append((self.name, "on_start", span, parent_context))

    def _on_ending(self, span: Any) -> None:
        self.notes.append((self.name, "on_ending", span))

    def on_end(self, span: Any) -> None:
        self.notes.append((self.name, "on_end", span))

    def shutdown(self) -> None:
        self.notes.append((self.name, "shutdown"))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self.notes.append((self.name, "force_flush", timeout_millis))
        return True


class Fails(Notes):
    def on_end(self, span: Any) -> None:
        raise RuntimeError(self.name)

    def shutdown(self) -> None:
        raise RuntimeError(self.name)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        raise RuntimeError(self.name)


class Answers(Notes):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def force_flush(self, timeout_millis: int = 30000) -> Any:
        super().force_flush(timeout_millis)
        return self.answer


def tell_everything(multi: Any) -> None:
    multi.on_start(INVALID_SPAN, parent_context={"a": 1})
    multi._on_ending(INVALID_SPAN)
    multi.on_end(ENDED)
    multi.shutdown()


def test_a_processor_that_overrides_nothing_does_nothing_and_flushes() -> None:
    tell_everything(SpanProcessor())
    assert SpanProcessor().force_flush() is True


def arguments_of(method: Callable[..., Any]) -> list[tuple[str, Any]]:
    return [(argument.name, argument.default) for argument in inspect.signature(method).parameters.values()]


@pytest.mark.parametrize("name", ["SpanProcessor", "SynchronousMultiSpanProcessor", "ConcurrentMultiSpanProcessor"])
def test_the_methods_take_the_sdks_arguments(name: str) -> None:
    ours, theirs = getattr(tested, name), getattr(sdk, name)
    for method in ("on_start", "_on_ending", "on_end", "shutdown", "force_flush"):
        assert arguments_of(getattr(ours, method)) == arguments_of(getattr(theirs, method))


@pytest.mark.parametrize("make", MULTI)
def test_every_processor_is_told_everything(make: Callable[[], Any]) -> None:
    multi, processors = make(), [Notes(), Notes(), Notes()]
    for processor in processors:
        multi.add_span_processor(processor)
    tell_everything(multi)
    for processor in processors:
        assert processor.notes == [
            ("", "on_start", INVALID_SPAN, {"a": 1}),
            ("", "on_ending", INVALID_SPAN),
            ("", "on_end", ENDED),
            ("", "shutdown"),
        ]


@pytest.mark.parametrize("make", MULTI)
def test_without_processors_nothing_happens_and_all_is_flushed(make: Callable[[], Any]) -> None:
    tell_everything(make())
    assert make().force_flush() is True


def test_the_synchronous_one_tells_them_in_the_order_they_were_added() -> None:
    multi, notes = SynchronousMultiSpanProcessor(), list[Any]()
    for name in ("first", "second", "third"):
        multi.add_span_processor(Notes(name, notes))
    multi.on_end(ENDED)
    assert [note[0] for note in notes] == ["first", "second", "third"]


def test_the_concurrent_one_tells_them_at_the_same_time() -> None:
    both_are_in = threading.Barrier(2)

    class Meets(Notes):
        def on_end(self, span: Any) -> None:
            # One after another, the first would wait here for the second until the barrier breaks.
            both_are_in.wait(timeout=10)
            super().on_end(span)

    multi, processors = ConcurrentMultiSpanProcessor(num_threads=2), [Meets(), Meets()]
    for processor in processors:
        multi.add_span_processor(processor)
    multi.on_end(ENDED)
    assert [len(processor.notes) for processor in processors] == [1, 1]


@pytest.mark.parametrize("make", MULTI)
def test_what_a_processor_raises_reaches_the_caller(make: Callable[[], Any]) -> None:
    multi = make()
    multi.add_span_processor(Fails("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        multi.on_end(ENDED)
    with pytest.raises(RuntimeError, match="broken"):
        multi.force_flush()


@pytest.mark.parametrize("make", MULTI)
def test_a_processor_that_fails_to_shut_down_does_not_keep_the_others_from_it(make: Callable[[], Any]) -> None:
    multi, last = make(), Notes()
    for processor in (Fails("first"), Fails("second"), last):
        multi.add_span_processor(processor)
    with pytest.raises(RuntimeError, match="first"):
        multi.shutdown()
    assert last.notes == [("", "shutdown")]


@pytest.mark.parametrize("make", MULTI)
@pytest.mark.parametrize(
    ("answers", "flushed"), [((True, True), True), ((True, False), False), ((False, True), False), ((None, True), True)]
)
def test_all_is_flushed_unless_one_says_no(make: Callable[[], Any], answers: tuple[Any, ...], flushed: bool) -> None:
    multi, processors = make(), [Answers(answer) for answer in answers]
    for processor in processors:
        multi.add_span_processor(processor)
    assert multi.force_flush() is flushed
    assert [len(processor.notes) for processor in processors] == [1, 1]


def test_one_after_another_they_share_the_time_and_the_late_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 0
    monkeypatch.setattr(tested, "monotonic_ns", lambda: now_ns)

    class Takes600Ms(Notes):
        def force_flush(self, timeout_millis: int = 30000) -> bool:
            nonlocal now_ns
            now_ns += 600_000_000
            return super().force_flush(timeout_millis)

    multi, processors = SynchronousMultiSpanProcessor(), [Takes600Ms(), Takes600Ms(), Takes600Ms()]
    for processor in processors:
        multi.add_span_processor(processor)
    assert multi.force_flush(1000) is False
    assert [processor.notes for processor in processors] == [
        [("", "force_flush", 1000)],
        [("", "force_flush", 400)],
        [],
    ]


def test_in_parallel_one_that_is_late_makes_the_answer_no() -> None:
    test_is_over = threading.Event()

    class Late(Notes):
        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return test_is_over.wait()

    multi = ConcurrentMultiSpanProcessor()
    multi.add_span_processor(Late())
    try:
        assert multi.force_flush(20) is False
    finally:
        test_is_over.set()


@pytest.mark.parametrize("make", MULTI)
def test_processors_added_from_many_threads_are_all_there(make: Callable[[], Any]) -> None:
    multi, processors = make(), [SpanProcessor() for _ in range(200)]
    threads = [
        threading.Thread(target=lambda part: [multi.add_span_processor(one) for one in part], args=(processors[at::4],))
        for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(multi._span_processors) == set(processors)


@pytest.mark.parametrize("make", MULTI)
def test_a_processor_may_be_added_while_a_span_is_passed_on(make: Callable[[], Any]) -> None:
    multi, late = make(), Notes()

    class Adds(SpanProcessor):
        def on_end(self, span: Any) -> None:
            multi.add_span_processor(late)

    multi.add_span_processor(Adds())
    multi.on_end(ENDED)
    assert late.notes == []
    multi.on_start(INVALID_SPAN)
    assert len(late.notes) == 1


@pytest.mark.parametrize("make", MULTI)
def test_a_multi_processor_is_not_kept_alive_by_its_fork_hook(make: Callable[[], Any]) -> None:
    multi = make()
    gone = weakref.ref(multi)
    del multi
    gc.collect()
    assert gone() is None


# --- fork and exit, each in a process of its own --------------------------------------------------------------


def run(script: str) -> str:
    root = str(Path(tested.__file__).parent.parent)
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


FORK = """
import os, signal, sys
from tracecore.span_processor import ConcurrentMultiSpanProcessor, SpanProcessor, SynchronousMultiSpanProcessor

class Prints(SpanProcessor):
    def on_end(self, span):
        print(span, flush=True)

multi = {multi}
multi.add_span_processor(Prints())
multi.on_end("in the parent")
multi._lock.acquire()
child = os.fork()
if child == 0:
    signal.alarm(20)  # a child that hangs is a failure, not a wait
    multi.add_span_processor(Prints())
    multi.on_end("in the child")
    os._exit(0)
_, status = os.waitpid(child, 0)
multi._lock.release()
multi.on_end("in the parent again")
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
# One thread: with more, a pool that lost it in the fork could start another and hide that.
@pytest.mark.parametrize("multi", ["SynchronousMultiSpanProcessor()", "ConcurrentMultiSpanProcessor(num_threads=1)"])
def test_a_multi_processor_works_on_both_sides_of_a_fork(multi: str) -> None:
    printed = run(FORK.format(multi=multi)).splitlines()
    assert printed == ["in the parent", "in the child", "in the child", "in the parent again"]


EXIT = """
import atexit
from tracecore.span_processor import ConcurrentMultiSpanProcessor, SpanProcessor

class Prints(SpanProcessor):
    def on_end(self, span):
        print(span, flush=True)
    def shutdown(self):
        print("shut down", flush=True)
    def force_flush(self, timeout_millis=30000):
        print("flushed", flush=True)
        return True

multi = ConcurrentMultiSpanProcessor()
multi.add_span_processor(Prints())

@atexit.register
def last():
    multi.on_end("ended at exit")
    assert multi.force_flush()
    multi.shutdown()
"""


def test_a_span_that_ends_while_the_interpreter_exits_still_gets_through() -> None:
    assert run(EXIT).splitlines() == ["ended at exit", "flushed", "shut down"]
