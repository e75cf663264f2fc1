"""SpanProcessor: code that is told of every recorded span, when it starts and when it has ended.

    span starts  -> on_start(span, parent_context)     the span is open: attributes may be added
    span ends    -> _on_ending(span)                   its end time is set, it cannot be changed any more
                 -> on_end(readable_span)              it is over

All three run on the thread that owns the span and inside its start or end call: what they take, the traced
program waits for. What they raise is reported (in a provider of ours; the SDK's lets it through).

The two multi processors stand for any number of them: one after another, or in parallel on a thread pool.
They hold the processors in a tuple that is replaced, never changed, so that a span in flight on another thread
goes to the old ones or the new ones, and a loop needs no lock.

Source: specification, trace/sdk.md "Span processor".
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context

from tracecore.readable_span import ReadableSpan
from tracecore.sdk_classes import StandIn, stands_for

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tracecore._core.span import Span

__all__ = ["ConcurrentMultiSpanProcessor", "SpanProcessor", "SynchronousMultiSpanProcessor"]

_NS_PER_MS: Final = 1_000_000


@stands_for("opentelemetry.sdk.trace", "SpanProcessor")
class SpanProcessor(StandIn):
    """The hooks, all empty: a processor overrides those it needs.  Threads: any, several at once."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Take note of a span that has just started.  Must not block and must not raise."""

    def _on_ending(self, span: Span) -> None:
        """Take note of a span that is ending: its end time is set.  Must not block and must not raise."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take note of a span that has ended.  Must not block and must not raise."""

    def shutdown(self) -> None:
        """Hand over what is held and let go of everything.  Called once."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Hand over what is held now; return False if `timeout_millis` were not enough."""
        return True


class _MultiSpanProcessor(SpanProcessor):
    """The processors that spans are passed on to, in the order they were added."""

    def __init__(self) -> None:
        self._span_processors: tuple[SpanProcessor, ...] = ()
        self._lock = threading.Lock()
        _alive.add(self)

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Pass spans on to one more.  It gets whatever starts or ends from now on.  Threads: any."""
        # Replacing the tuple reads and writes it: without the lock one of two additions could be lost.
        with self._lock:
            self._span_processors += (span_processor,)

    def _after_fork_in_child(self) -> None:
        # The thread that held the lock, if any did, was not forked and will never release it.
        self._lock = threading.Lock()


@stands_for("opentelemetry.sdk.trace", "SynchronousMultiSpanProcessor")
class SynchronousMultiSpanProcessor(_MultiSpanProcessor):
    """Pass each call on to every processor, one after another, on the calling thread."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for processor in self._span_processors:
            processor.on_start(span, parent_context=parent_context)

    def _on_ending(self, span: Span) -> None:
        for processor in self._span_processors:
            processor._on_ending(span)

    def on_end(self, span: ReadableSpan) -> None:
        for processor in self._span_processors:
            processor.on_end(span)

    def shutdown(self) -> None:
        """Shut down every processor, also those behind one that fails; raise the first failure in the end."""
        failure: Exception | None = None
        for processor in self._span_processors:
            try:
                processor.shutdown()
            except Exception as fault:  # kept for the caller, after the others had their turn
                failure = failure or fault
        if failure is not None:
            raise failure

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush one after another; return whether all did within `timeout_millis` together.

        When the time is used up the remaining processors are not asked, and the answer is False.
        """
        deadline_ns = monotonic_ns() + timeout_millis * _NS_PER_MS
        all_flushed = True
        for processor in self._span_processors:
            left_ns = deadline_ns - monotonic_ns()
            if left_ns <= 0:
                return False
            # "is False": processors in the wild return None and mean that all went well.
            if processor.force_flush(left_ns // _NS_PER_MS) is False:
                all_flushed = False
        return all_flushed


@stands_for("opentelemetry.sdk.trace", "ConcurrentMultiSpanProcessor")
class ConcurrentMultiSpanProcessor(_MultiSpanProcessor):
    """Pass each call on to every processor, in parallel on `num_threads` threads, and wait for all of them."""

    def __init__(self, num_threads: int = 2) -> None:
        super().__init__()
        self._num_threads = num_threads
        self._start_threads()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._call_all(lambda processor: processor.on_start(span, parent_context=parent_context))

    def _on_ending(self, span: Span) -> None:
        self._call_all(lambda processor: processor._on_ending(span))

    def on_end(self, span: ReadableSpan) -> None:
        self._call_all(lambda processor: processor.on_end(span))

    def shutdown(self) -> None:
        """Shut down every processor in parallel; raise the first failure when all are done."""
        self._call_all(lambda processor: processor.shutdown())

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush all in parallel, each with `timeout_millis`; return whether all did within them."""
        from concurrent.futures import wait

        futures = [self._submit(processor.force_flush, timeout_millis) for processor in self._span_processors]
        done, late = wait(futures, timeout_millis / 1e3)
        return not late and all(future.result() is not False for future in done)

    def _call_all(self, call: Callable[[SpanProcessor], None]) -> None:
        futures = [self._submit(call, processor) for processor in self._span_processors]
        # All are waited for before any is asked: the first result() may raise, and a span must not go on to
        # its next stage while another processor is still busy with this one.
        failures = [failure for future in futures if (failure := future.exception()) is not None]
        if failures:
            raise failures[0]

    def _submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        try:
            return self._executor.submit(call, *args)
        except RuntimeError:
            # No thread to be had, as while the interpreter exits: spans that end then must still get through.
            return _done_here(call, *args)

    def _start_threads(self) -> None:
        # Imported here: it is slow to import, and few programs use this class.
        from concurrent.futures import ThreadPoolExecutor

        self._executor = ThreadPoolExecutor(max_workers=self._num_threads, thread_name_prefix="tracecore-processor")

    def _after_fork_in_child(self) -> None:
        super()._after_fork_in_child()
        # The pool's threads stayed in the parent; its queue would be filled and never read.
        self._start_threads()


def _done_here(call: Callable[..., Any], *args: Any) -> Future[Any]:
    """Run `call` on this thread, and return what happened in the form a pool would have."""
    from concurrent.futures import Future

    future: Future[Any] = Future()
    try:
        future.set_result(call(*args))
    except Exception as fault:  # whoever asks the future gets it
        future.set_exception(fault)
    return future


# --- fork -----------------------------------------------------------------------------------------------------

_alive: Final[weakref.WeakSet[_MultiSpanProcessor]] = weakref.WeakSet()
"""All multi processors, for the one fork hook below: hooks cannot be taken back, so one for each would pile up."""


def _after_fork_in_child() -> None:
    for processor in list(_alive):
        processor._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
