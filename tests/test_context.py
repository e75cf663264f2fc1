"""The current span and the context around it, against opentelemetry-sdk on the API's own implementation.

    random program ---> opentelemetry-sdk's tracer ---> log of what was seen after every step
                   `--> tracecore's tracer ----------> the same log

A program is run by an interpreter that knows nothing of the side it is on; nested blocks are run by recursion, so
that `with`, generators, copied contexts and exceptions are the real ones. What is seen is the label of the current
span, of its parent, the baggage, and every key of the Context.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import queue
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import opentelemetry.context as context_api
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

import tracecore
from tracecore import errors

DIFFERENCES = Path(__file__).parent.parent / "docs" / "differences.md"

MODEST = settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
LONG = settings(MODEST, max_examples=10000, derandomize=False)


@pytest.fixture(params=["opentelemetry-sdk", "tracecore"])
def provider(request: pytest.FixtureRequest) -> Iterator[Any]:
    errors.reset_reports()
    made = new_provider(request.param)
    yield made
    made.shutdown()


@pytest.fixture
def ours() -> Iterator[tracecore.TracerProvider]:
    errors.reset_reports()
    made = new_provider("tracecore")
    yield made
    made.shutdown()


def new_provider(side: str) -> Any:
    return (tracecore if side == "tracecore" else sdk).TracerProvider(shutdown_on_exit=False)


# ---- programs ------------------------------------------------------------------------------------------------

LABELS = st.sampled_from("abcdef")
SLOTS = st.integers(0, 3)
RAISES = st.sampled_from([None, None, None, "error", "interrupt", "stop"])

SIMPLE = st.one_of(
    st.tuples(st.just("attach_span"), SLOTS, LABELS),  # start_span, set_span_in_context, attach; token into a slot
    st.tuples(st.just("attach_saved"), SLOTS, SLOTS),
    st.tuples(st.just("attach_empty"), SLOTS),
    st.tuples(st.just("attach_baggage"), SLOTS, LABELS, LABELS),
    st.tuples(st.just("attach_remote"), SLOTS, st.integers(1, 3)),
    st.tuples(st.just("attach_value"), SLOTS, LABELS),
    st.tuples(st.just("detach"), SLOTS),  # in any order, twice, in another context
    st.tuples(st.just("save"), SLOTS),
    st.tuples(st.just("enter"), SLOTS, LABELS),  # a scope that is left by hand
    st.tuples(st.just("leave"), SLOTS),
    st.tuples(st.just("generator"), SLOTS, LABELS, st.booleans()),
    st.tuples(st.just("next"), SLOTS),
    st.tuples(st.just("close"), SLOTS),
    st.tuples(st.just("throw"), SLOTS),
    st.tuples(st.just("end"), LABELS),
    st.tuples(st.just("start_in_saved"), SLOTS, LABELS),
    st.tuples(st.just("copy"), SLOTS),
)


def _blocks(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    body = st.lists(inner, max_size=5)
    return st.one_of(
        st.tuples(st.just("current"), LABELS, body, RAISES, st.booleans()),
        st.tuples(st.just("current_in_saved"), LABELS, SLOTS, body),
        st.tuples(st.just("use"), LABELS, body, RAISES, st.booleans()),
        st.tuples(st.just("with"), LABELS, body, RAISES),
        st.tuples(st.just("run_in_copy"), SLOTS, body),
        st.tuples(st.just("thread"), body),
        st.tuples(st.just("stack"), st.lists(LABELS, max_size=3), body, RAISES),
        st.tuples(st.just("decorated"), LABELS, body, RAISES),
    )


PROGRAMS = st.lists(st.recursive(SIMPLE, _blocks, max_leaves=12), max_size=10)


class Raised(Exception):
    pass


class Interrupt(BaseException):
    pass


RAISED: dict[Any, Any] = {"error": Raised, "interrupt": Interrupt, "stop": StopIteration}


class Interpreter:
    """Runs one program on one side."""

    def __init__(self, tracer: Any) -> None:
        self.tracer = tracer
        self.log: list[Any] = []
        self.labels: dict[int, str] = {}
        self.spans: dict[str, Any] = {}
        self.tokens: dict[int, Any] = {}
        self.saved: dict[int, Any] = {}
        self.scopes: dict[int, Any] = {}
        self.generators: dict[int, Iterator[Any]] = {}
        self.copies: dict[int, contextvars.Context] = {}
        self.n = 0
        self.detach_failed = 0

    def label(self, span_id: int) -> str:
        return self.labels.get(span_id, f"remote {span_id}")

    def known(self, label: str, span: Any) -> Any:
        self.n += 1
        self.labels[span.get_span_context().span_id] = f"{label}{self.n}"
        self.spans[label] = span
        return span

    def see(self, what: Any) -> None:
        span = trace.get_current_span()
        parent = getattr(span, "parent", None)
        current = context_api.get_current()
        self.log.append(
            (
                what,
                self.label(span.get_span_context().span_id) if span is not trace.INVALID_SPAN else None,
                span.is_recording(),
                self.label(parent.span_id) if parent is not None else None,
                dict(baggage.get_all()),
                sorted(re.sub("-[0-9a-f-]{36}$", "", key) for key in current),
                {key: value for key, value in current.items() if key in "abcdef"},
                type(current) is Context,
                [(e.name, (e.attributes or {}).get("exception.type")) for e in getattr(span, "events", ())],
            )
        )

    def run(self, program: list[tuple[Any, ...]]) -> None:
        for step in program:
            try:
                getattr(self, step[0])(*step[1:])
            except (Raised, Interrupt, StopIteration, RuntimeError) as error:
                self.see(("raised", type(error).__name__))
            self.see(step[0])

    def body(self, program: list[tuple[Any, ...]], raises: str | None = None) -> None:
        self.see("inside")
        self.run(program)
        if raises is not None:
            raise RAISED[raises]("raised")

    # -- steps

    def _attach(self, slot: int, context: Any) -> None:
        self.tokens[slot] = context_api.attach(context)

    def attach_span(self, slot: int, label: str) -> None:
        self._attach(slot, trace.set_span_in_context(self.known(label, self.tracer.start_span(label))))

    def attach_saved(self, slot: int, saved: int) -> None:
        self._attach(slot, self.saved.get(saved, context_api.get_current()))

    def attach_empty(self, slot: int) -> None:
        self._attach(slot, Context())

    def attach_baggage(self, slot: int, key: str, value: str) -> None:
        self._attach(slot, baggage.set_baggage(key, value))

    def attach_remote(self, slot: int, span_id: int) -> None:
        context = SpanContext(5, span_id, True, TraceFlags(1))
        self._attach(slot, trace.set_span_in_context(NonRecordingSpan(context)))

    def attach_value(self, slot: int, key: str) -> None:
        self._attach(slot, context_api.set_value(key, len(self.log)))

    def detach(self, slot: int) -> None:
        if slot in self.tokens:
            context_api.detach(self.tokens[slot])

    def save(self, slot: int) -> None:
        self.saved[slot] = context_api.get_current()

    def start_in_saved(self, slot: int, label: str) -> None:
        span = self.known(label, self.tracer.start_span(label, context=self.saved.get(slot)))
        self.log.append(self.label(span.parent.span_id) if span.parent is not None else None)

    def enter(self, slot: int, label: str) -> None:
        scope = self.tracer.start_as_current_span(label)
        self.known(label, scope.__enter__())
        self.scopes[slot] = scope

    def leave(self, slot: int) -> None:
        if slot in self.scopes:
            self.scopes.pop(slot).__exit__(None, None, None)

    def generator(self, slot: int, label: str, in_saved: bool) -> None:
        def steps() -> Iterator[int]:
            with self.tracer.start_as_current_span(label, context=self.saved.get(slot) if in_saved else None) as span:
                self.known(label, span)
                self.see("in generator")
                try:
                    yield 1
                    self.see("in generator")
                    yield 2
                except Raised:
                    self.see("in generator, after throw")
                    yield 3

        self.generators[slot] = steps()

    def next(self, slot: int) -> None:
        if slot in self.generators:
            self.log.append(next(self.generators[slot], None))

    def close(self, slot: int) -> None:
        if slot in self.generators:
            self.generators.pop(slot).close()  # type: ignore[attr-defined]

    def throw(self, slot: int) -> None:
        if slot in self.generators:
            self.log.append(self.generators[slot].throw(Raised("thrown")))  # type: ignore[attr-defined]

    def end(self, label: str) -> None:
        if label in self.spans:
            self.spans[label].end()

    def copy(self, slot: int) -> None:
        self.copies[slot] = contextvars.copy_context()

    # -- blocks

    def current(self, label: str, body: Any, raises: str | None, end_on_exit: bool) -> None:
        with self.tracer.start_as_current_span(label, end_on_exit=end_on_exit) as span:
            self.known(label, span)
            self.body(body, raises)

    def current_in_saved(self, label: str, slot: int, body: Any) -> None:
        with self.tracer.start_as_current_span(label, self.saved.get(slot)) as span:
            self.known(label, span)
            self.body(body)

    def use(self, label: str, body: Any, raises: str | None, end_on_exit: bool) -> None:
        span = self.spans.get(label) or self.known(label, self.tracer.start_span(label))
        with trace.use_span(span, end_on_exit=end_on_exit):
            self.body(body, raises)

    def with_(self, label: str, body: Any, raises: str | None) -> None:
        with self.tracer.start_span(label) as span:
            self.known(label, span)
            self.body(body, raises)

    def run_in_copy(self, slot: int, body: Any) -> None:
        copied = self.copies.get(slot) or contextvars.copy_context()
        copied.run(self.body, body)  # RuntimeError when it is entered already

    def thread(self, body: Any) -> None:
        thread = threading.Thread(target=self.body, args=(body,))
        thread.start()
        thread.join()

    def stack(self, labels: list[str], body: Any, raises: str | None) -> None:
        with contextlib.ExitStack() as stack:
            for label in labels:
                self.known(label, stack.enter_context(self.tracer.start_as_current_span(label)))
                self.see("entered")
            self.body(body, raises)

    def decorated(self, label: str, body: Any, raises: str | None) -> None:
        @self.tracer.start_as_current_span(label)
        def function(arguments: Any) -> None:
            self.known(label, trace.get_current_span())
            self.body(*arguments)

        function((body, raises))


setattr(Interpreter, "with", Interpreter.with_)


def run_on(side: str, program: list[tuple[Any, ...]]) -> Interpreter:
    provider = new_provider(side)
    interpreter = Interpreter(provider.get_tracer("lib"))
    contextvars.copy_context().run(interpreter.run, program)
    # Generators that are still open are closed by the collector, in whatever context that is.
    interpreter.generators.clear()
    interpreter.log.append([(s.is_recording(), s.status.status_code) for s in interpreter.spans.values()])
    interpreter.detach_failed = provider.stats()["spans"]["detach_failed"] if side == "tracecore" else 0
    provider.shutdown()
    return interpreter


class Tracebacks(logging.Handler):
    """Counts what the API logs when a detach fails."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.n += 1


@contextlib.contextmanager
def tracebacks() -> Iterator[Tracebacks]:
    logger = logging.getLogger("opentelemetry.context")
    handler = Tracebacks()
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield handler
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)


def compare(program: list[tuple[Any, ...]]) -> None:
    before = context_api.get_current()
    with tracebacks() as theirs_failed:
        theirs = run_on("opentelemetry-sdk", program)
    with tracebacks() as ours_failed:
        ours = run_on("tracecore", program)
    assert context_api.get_current() is before
    for i, (our, their) in enumerate(zip(ours.log, theirs.log)):
        assert our == their, f"step {i} of {program}"
    assert len(ours.log) == len(theirs.log)
    # Every detach that fails there fails here: the program's own are logged by the API, a scope's are counted.
    assert ours_failed.n + ours.detach_failed == theirs_failed.n


@MODEST
@given(PROGRAMS)
def test_the_current_span_is_the_same_after_every_step(program: list[tuple[Any, ...]]) -> None:
    compare(program)


@pytest.mark.soak
@LONG
@given(PROGRAMS)
def test_the_current_span_is_the_same_after_every_step_for_long(program: list[tuple[Any, ...]]) -> None:
    compare(program)


# ---- where Python runs code: each of these on both sides ------------------------------------------------------------


def label() -> str | None:
    """The name of the current span."""
    return getattr(trace.get_current_span(), "name", None)


def parent_of(span: Any) -> int | None:
    return span.parent.span_id if span.parent is not None else None


def id_of(span: Any) -> int:
    return int(span.get_span_context().span_id)


@pytest.fixture
def tracer(provider: Any) -> Iterator[Any]:
    before = context_api.get_current()
    yield provider.get_tracer("lib")
    assert context_api.get_current() is before


def test_tasks_have_the_span_they_were_made_in(tracer: Any) -> None:
    async def child(name: str, pause: asyncio.Event) -> list[str | None]:
        seen = [label()]
        with tracer.start_as_current_span(name) as span:
            await asyncio.sleep(0)
            seen.append(label())
            await pause.wait()
            seen.append(label())
            assert parent_of(span) == root
        return [*seen, label()]

    async def main() -> Any:
        nonlocal root
        pause = asyncio.Event()
        with tracer.start_as_current_span("root") as span:
            root = id_of(span)
            tasks = [asyncio.create_task(child(f"child {i}", pause)) for i in range(5)]
            await asyncio.sleep(0)
        assert label() is None
        pause.set()
        return await asyncio.gather(*tasks)

    root = 0
    assert asyncio.run(main()) == [["root", f"child {i}", f"child {i}", "root"] for i in range(5)]


def test_threads_of_to_thread_and_callbacks_have_the_callers_span(tracer: Any) -> None:
    async def main() -> None:
        seen: list[Any] = []
        with tracer.start_as_current_span("root"):
            seen.append(await asyncio.to_thread(label))
            called = asyncio.Event()
            asyncio.get_running_loop().call_soon(lambda: (seen.append(label()), called.set()))
            await called.wait()
            # What was set inside the thread stays there.
            await asyncio.to_thread(lambda: tracer.start_as_current_span("left open").__enter__())
            seen.append(label())
            seen.append(await asyncio.get_running_loop().run_in_executor(None, label))
        assert seen == ["root", "root", "root", None]

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.TaskGroup is of Python 3.11")
def test_a_task_group_that_fails_leaves_the_context_as_it_was(tracer: Any) -> None:
    spans: list[Any] = []

    async def child(i: int) -> None:
        with tracer.start_as_current_span(f"child {i}") as span:
            spans.append(span)
            await asyncio.sleep(0)
            if i == 1:
                raise ValueError(i)
            await asyncio.sleep(60)  # cancelled

    async def main() -> None:
        with tracer.start_as_current_span("root") as root:
            with contextlib.suppress(ValueError, BaseException):
                async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined]
                    for i in range(3):
                        group.create_task(child(i))
            assert label() == "root"
            assert {parent_of(span) for span in spans} == {id_of(root)}

    asyncio.run(main())
    # Cancellation is no error of the operation.
    assert [span.status.status_code for span in spans] == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.UNSET]
    assert not any(span.is_recording() for span in spans)


def test_threads_start_without_a_span_and_do_not_see_each_other(tracer: Any) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    barrier = threading.Barrier(4)

    def work(i: int) -> None:
        before = label()
        for _ in range(50):
            with tracer.start_as_current_span(f"thread {i}"):
                barrier.wait()
                with tracer.start_as_current_span(f"inner {i}") as inner:
                    if label() != f"inner {i}":
                        seen.put(("inside", i, label()))
                    del inner
                if label() != f"thread {i}":
                    seen.put(("back", i, label()))
        seen.put((before, label()))

    with tracer.start_as_current_span("main"):
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert label() == "main"
    assert [seen.get_nowait() for _ in range(seen.qsize())] == [(None, None)] * 4


def test_a_pool_with_copied_contexts_has_the_submitters_span(tracer: Any) -> None:
    def work() -> tuple[str | None, int | None]:
        before = label()
        with tracer.start_as_current_span("work") as span:
            return before, parent_of(span)

    with ThreadPoolExecutor(2) as pool:
        for i in range(20):
            with tracer.start_as_current_span(f"submit {i}") as span:
                copied = pool.submit(contextvars.copy_context().run, work)
                bare = pool.submit(work)
                assert copied.result() == (f"submit {i}", id_of(span))
                assert bare.result() == (None, None)


def test_exit_stacks_enter_and_leave_in_order(tracer: Any) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            outer = stack.enter_context(tracer.start_as_current_span("outer"))
            await asyncio.sleep(0)
            inner = stack.enter_context(tracer.start_as_current_span("inner"))
            assert (label(), parent_of(inner)) == ("inner", id_of(outer))
            kept = stack.pop_all()
        assert label() == "inner"
        await kept.aclose()
        assert label() is None
        assert not inner.is_recording()

    asyncio.run(main())
    with contextlib.ExitStack() as stack:
        stack.push(tracer.start_as_current_span("pushed").__exit__)  # never entered: leaving is nothing
        stack.pop_all()


def test_an_exception_is_recorded_by_every_span_it_leaves(tracer: Any) -> None:
    with pytest.raises(ValueError):
        with tracer.start_as_current_span("outer") as outer:
            with tracer.start_as_current_span("silent", record_exception=False, set_status_on_exception=False) as silent:
                with tracer.start_as_current_span("inner", end_on_exit=False) as inner:
                    raise ValueError("words")
    for span, n in ((outer, 1), (silent, 0), (inner, 1)):
        assert [event.attributes["exception.message"] for event in span.events] == ["words"] * n
        assert span.status.description == ("ValueError: words" if n else None)
    assert inner.is_recording() and not outer.is_recording()


def test_an_entered_scope_that_is_let_go_ends_its_span(tracer: Any) -> None:
    scope = tracer.start_as_current_span("abandoned")
    span = scope.__enter__()
    assert label() == "abandoned"
    del scope
    assert label() is None
    assert not span.is_recording()


def test_a_processor_may_change_the_context_when_a_span_starts(provider: Any, tracer: Any) -> None:
    tokens = []

    class Attaching(sdk.SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            tokens.append(context_api.attach(context_api.set_value("of the processor", span.name)))

    provider.add_span_processor(Attaching())
    with tracer.start_as_current_span("span"):
        assert context_api.get_value("of the processor") == "span"
        assert label() == "span"
    context_api.detach(tokens.pop())
    assert not tokens


# ---- decorators --------------------------------------------------------------------------------------------------


def test_functions_and_coroutine_functions_have_a_span_a_call(tracer: Any) -> None:
    spans: list[Any] = []

    @tracer.start_as_current_span("call", attributes={"a": 1})
    def function(a: int, *, b: int = 2) -> int:
        """Words."""
        spans.append(trace.get_current_span())
        return a + b

    @tracer.start_as_current_span("await")
    async def coroutine(fail: bool) -> str | None:
        await asyncio.sleep(0)
        spans.append(trace.get_current_span())
        if fail:
            raise ValueError("words")
        return label()

    assert (function(1), function(1, b=3)) == (3, 4)
    assert (function.__name__, function.__doc__, inspect.signature(function).parameters.keys()) == (
        "function",
        "Words.",
        {"a", "b"},
    )
    assert inspect.iscoroutinefunction(coroutine)
    assert asyncio.run(coroutine(False)) == "await"
    with pytest.raises(ValueError):
        asyncio.run(coroutine(True))
    assert len({id_of(span) for span in spans}) == 4
    assert [span.name for span in spans] == ["call", "call", "await", "await"]
    assert spans[0].attributes == {"a": 1}
    assert spans[-1].status.status_code is StatusCode.ERROR
    assert not any(span.is_recording() for span in spans)


def test_methods_and_recursion_can_be_decorated(tracer: Any) -> None:
    class Holder:
        @tracer.start_as_current_span("method")
        def method(self, depth: int) -> list[int | None]:
            own = parent_of(trace.get_current_span())
            return [own, *(self.method(depth - 1) if depth else [])]

        @staticmethod
        @tracer.start_as_current_span("static")
        def static() -> str | None:
            return label()

    parents = Holder().method(2)
    assert parents[0] is None and len(set(parents)) == 3
    assert Holder.static() == "static"


# From here on tracecore alone: opentelemetry-sdk ends the span of a generator when it is made.


class Written:
    """Which entries of docs/differences.md the tests below stand for."""

    names: set[str] = set()


def difference(name: str) -> Callable[[Any], Any]:
    Written.names.add(name)
    return lambda test: test


def test_every_written_difference_of_contexts_has_its_test() -> None:
    section = DIFFERENCES.read_text().partition("## The current span")[2].partition("\n## ")[0]
    assert set(re.findall(r"^- `([a-z0-9-]+)`:", section, re.MULTILINE)) == Written.names


@difference("generator-decorators")
def test_a_decorated_generator_has_its_span_while_its_own_code_runs(ours: Any) -> None:
    tracer = ours.get_tracer("lib")
    spans: list[Any] = []

    @tracer.start_as_current_span("generator")
    def steps(n: int) -> Iterator[Any]:
        spans.append(trace.get_current_span())
        for i in range(n):
            with tracer.start_as_current_span(f"inner {i}"):
                pass
            try:
                got = yield label()
            except KeyError:
                got = "thrown"
            if got is not None:
                yield got, label()
        return "result"

    assert inspect.isgeneratorfunction(steps)
    with tracer.start_as_current_span("consumer") as consumer:
        running = steps(4)
        assert not spans, "nothing starts before the first step"
        assert (next(running), label()) == ("generator", "consumer")
        assert (running.send("sent"), label()) == (("sent", "generator"), "consumer")
        next(running)
        assert (running.throw(KeyError()), label()) == (("thrown", "generator"), "consumer")
        assert spans[0].is_recording()
        with tracer.start_as_current_span("between"):
            assert (next(running), label()) == ("generator", "between")
        next(running)
        with pytest.raises(StopIteration) as stop:
            next(running)
        assert stop.value.value == "result"
        assert parent_of(spans[0]) == id_of(consumer)
    assert not spans[0].is_recording()
    assert spans[0].status.status_code is StatusCode.UNSET

    def delegating() -> Iterator[Any]:
        return (yield from steps(1))

    assert list(delegating()) == ["generator"]


@difference("generator-decorators")
@pytest.mark.parametrize("how", ["close", "collect", "raise", "throw"])
def test_a_decorated_generator_ends_its_span_however_it_ends(ours: Any, how: str) -> None:
    tracer = ours.get_tracer("lib")
    spans: list[Any] = []
    seen: list[Any] = []

    @tracer.start_as_current_span("generator")
    def steps() -> Iterator[Any]:
        spans.append(trace.get_current_span())
        try:
            yield 1
            raise ValueError("own")
        finally:
            seen.append(label())

    running = steps()
    next(running)
    # Every later step in another context than the first: of a thread, of a task, of a copied context.
    elsewhere = contextvars.copy_context()
    if how == "close":
        elsewhere.run(running.close)  # type: ignore[attr-defined]
    elif how == "collect":
        del running
    elif how == "raise":
        with pytest.raises(ValueError):
            elsewhere.run(next, running)
    else:
        with pytest.raises(KeyError):
            elsewhere.run(running.throw, KeyError("given"))  # type: ignore[attr-defined]
    assert seen == ["generator"]
    assert not spans[0].is_recording()
    failed = how in ("raise", "throw")
    assert spans[0].status.status_code is (StatusCode.ERROR if failed else StatusCode.UNSET)
    assert [event.name for event in spans[0].events] == ["exception"] * failed
    assert label() is None
    assert ours.stats()["spans"]["detach_failed"] == 0


@difference("generator-decorators")
def test_a_decorated_async_generator_has_its_span_while_its_own_code_runs(ours: Any) -> None:
    tracer = ours.get_tracer("lib")
    spans: list[Any] = []
    seen: list[Any] = []

    @tracer.start_as_current_span("generator")
    async def steps(n: int) -> AsyncIterator[Any]:
        spans.append(trace.get_current_span())
        try:
            for i in range(n):
                await asyncio.sleep(0)
                try:
                    got = yield label()
                except KeyError:
                    got = "thrown"
                if got is not None:
                    yield got, label()
                if i == 7:
                    raise ValueError("own")
        finally:
            await asyncio.sleep(0)
            seen.append(label())

    assert inspect.isasyncgenfunction(steps)

    async def main() -> None:
        with tracer.start_as_current_span("consumer") as consumer:
            running: Any = steps(9)
            assert (await running.__anext__(), label()) == ("generator", "consumer")
            assert (await running.asend("sent"), label()) == (("sent", "generator"), "consumer")
            await running.__anext__()
            assert (await running.athrow(KeyError()), label()) == (("thrown", "generator"), "consumer")
            # A step in a task, which has a context of its own.
            assert await asyncio.create_task(running.__anext__()) == "generator"
            assert label() == "consumer"
            await running.aclose()
            assert (seen, label()) == (["generator"], "consumer")
            assert not spans[0].is_recording()
            assert parent_of(spans[0]) == id_of(consumer)
            assert spans[0].status.status_code is StatusCode.UNSET
            assert [value async for value in steps(2)] == ["generator"] * 2
            with pytest.raises(ValueError):
                async for _ in steps(9):
                    pass
            assert spans[2].status.status_code is StatusCode.ERROR
            running = steps(3)
            await running.__anext__()
            with pytest.raises(ZeroDivisionError):
                await running.athrow(ZeroDivisionError())
            assert not spans[3].is_recording()
            running = steps(3)
            await running.__anext__()
            await asyncio.create_task(running.aclose())
            assert not spans[4].is_recording()
            assert label() == "consumer"

    asyncio.run(main())
    assert ours.stats()["spans"]["detach_failed"] == 0


@difference("detach-elsewhere")
def test_a_scope_left_in_another_context_is_counted_and_logs_nothing(
    ours: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tracer = ours.get_tracer("lib")

    def holding() -> Iterator[Any]:
        with tracer.start_as_current_span("held") as span:
            yield span

    with caplog.at_level(logging.DEBUG):
        with tracer.start_as_current_span("outer"):
            running = holding()
            span = contextvars.copy_context().run(next, running)
            running.close()  # type: ignore[attr-defined]
            assert label() == "outer"
            assert not span.is_recording()
            assert span.status.status_code is StatusCode.UNSET

        async def main() -> None:
            async def agen() -> AsyncIterator[Any]:
                with tracer.start_as_current_span("held"):
                    yield 1

            running: Any = agen()
            await asyncio.create_task(running.__anext__())
            await asyncio.create_task(running.aclose())

        asyncio.run(main())
    assert ours.stats()["spans"]["detach_failed"] == 2
    assert [record.getMessage() for record in caplog.records if record.name != "asyncio"] == []


@difference("scope-reuse")
def test_a_scope_may_be_used_again_but_not_inside_itself(ours: Any) -> None:
    tracer = ours.get_tracer("lib")
    scope = tracer.start_as_current_span("again")
    with scope as first:
        with pytest.raises(RuntimeError):
            scope.__enter__()
        assert label() == "again"
    with scope as second:
        assert id_of(second) != id_of(first)
        assert not first.is_recording()
    assert scope.__exit__(None, None, None) is None
    assert label() is None
    theirs = new_provider("opentelemetry-sdk").get_tracer("lib").start_as_current_span("again")
    with theirs:
        pass
    with pytest.raises(AttributeError):
        theirs.__enter__()


# ---- another runtime context -------------------------------------------------------------------------------------


class Subclass(ContextVarsRuntimeContext):
    """As people write it: counts, and leaves the work to the API's own."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def attach(self, context: Any) -> Any:
        self.calls.append("attach")
        return super().attach(context)

    def detach(self, token: Any) -> None:
        self.calls.append("detach")
        super().detach(token)


class Wrapper:
    """Not a subclass of anything; its token is of its own kind."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._inner = ContextVarsRuntimeContext()

    def attach(self, context: Any) -> Any:
        self.calls.append("attach")
        return {"token": self._inner.attach(context)}

    def get_current(self) -> Any:
        return self._inner.get_current()

    def detach(self, token: Any) -> None:
        self.calls.append("detach")
        self._inner.detach(token["token"])


class ThreadLocal:
    """No contextvars at all; its token is None at the bottom, as a falsy one may be."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._local = threading.local()

    def attach(self, context: Any) -> Any:
        self.calls.append("attach")
        before = getattr(self._local, "context", None)
        self._local.context = context
        return before

    def get_current(self) -> Any:
        context = getattr(self._local, "context", None)
        return Context() if context is None else context

    def detach(self, token: Any) -> None:
        self.calls.append("detach")
        self._local.context = token


@pytest.mark.parametrize("kind", [Subclass, Wrapper, ThreadLocal])
def test_another_runtime_context_is_asked(provider: Any, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    tracer = provider.get_tracer("lib")
    with tracer.start_as_current_span("in the api's own"):
        runtime = kind()
        with monkeypatch.context() as patch:
            patch.setattr(context_api, "_RUNTIME_CONTEXT", runtime)
            assert label() is None
            with tracer.start_as_current_span("outer") as outer:
                token = context_api.attach(baggage.set_baggage("k", "v"))
                with tracer.start_as_current_span("inner") as inner:
                    assert (label(), parent_of(inner)) == ("inner", id_of(outer))
                    assert baggage.get_all() == {"k": "v"}
                    with trace.use_span(outer):
                        assert label() == "outer"
                context_api.detach(token)
                assert (label(), baggage.get_all()) == ("outer", {})
            assert label() is None
            assert sorted(runtime.calls) == ["attach"] * 4 + ["detach"] * 4
        assert label() == "in the api's own"
    assert label() is None


@difference("detach-elsewhere")
def test_a_scope_is_put_back_where_it_was_set_though_the_runtime_context_was_replaced(
    ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer = ours.get_tracer("lib")
    before = context_api.get_current()
    for kind in (Subclass, Wrapper, ThreadLocal):
        scope = tracer.start_as_current_span("span")
        span = scope.__enter__()
        with monkeypatch.context() as patch:
            patch.setattr(context_api, "_RUNTIME_CONTEXT", kind())
            scope.__exit__(None, None, None)
            assert label() is None
        assert not span.is_recording()
        assert context_api.get_current() is before
    assert ours.stats()["spans"]["detach_failed"] == 0


class Fading(Context):
    """A Context that makes its span when it is asked: nothing but the call holds it."""

    def get(self, key: str, default: Any = None) -> Any:
        if key == trace.propagation._SPAN_KEY:
            return NonRecordingSpan(SpanContext(5 << 64, 7, True, TraceFlags(1)))
        return default


def test_a_context_of_a_class_of_its_own_gives_the_parent(tracer: Any) -> None:
    for context in (Fading(), {trace.propagation._SPAN_KEY: NonRecordingSpan(SpanContext(5 << 64, 7, True, TraceFlags(1)))}):
        span = tracer.start_span("span", context=context)
        assert (span.parent.trace_id, span.parent.span_id) == (5 << 64, 7)
    assert tracer.start_span("span", context={}).parent is None
    assert tracer.start_span("span", context={trace.propagation._SPAN_KEY: "no span"}).parent is None
