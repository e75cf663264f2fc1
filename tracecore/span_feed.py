"""SpanFeed: the way back from ReadableSpans to the core's queues.

    a provider of ours       -> records, straight into the queues            (nothing of this file)
    on_end(readable_span)    -> SpanFeed -> records, into the same kind of queue

Who comes this way: our processors where something else calls them, as a filter in front of them does, a subclass with
an `on_end` of its own, opentelemetry-sdk's TracerProvider, or a test.

Threads: any.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tracecore._core.adopt import adopt
from tracecore._core.ids import fork_generation
from tracecore._core.origin import Origin
from tracecore._core.queue import SpanQueue
from tracecore._core.recorder import Recorder
from tracecore._core.tracer import Tracer
from tracecore.instrumentation_scope import InstrumentationScope
from tracecore.limits import SpanLimits
from tracecore.resource import Resource
from tracecore.sampling import ALWAYS_ON, plan

__all__ = ["SpanFeed"]

_NO_LIMITS = SpanLimits(*[SpanLimits.UNSET] * 8)
"""What is fed was limited when it was recorded."""

_NO_SCOPE = InstrumentationScope("")


class SpanFeed:
    """Turns ended spans into records of `origin`, for the queue that `open_queue` makes.

    Arguments:
        origin: whose resource and scopes the records name; None: made for the first span, of its resource.
        open_queue: Origin -> the queue that takes the records.
        on_fork: called in a forked child, before its first span is taken.
        settle: called before the resource is replaced by another: to send what names the old one.
    """

    def __init__(
        self,
        origin: Origin | None,
        open_queue: Callable[[Origin], SpanQueue],
        on_fork: Callable[[], object],
        settle: Callable[[], object],
    ) -> None:
        self._origin = origin
        self._follows_resource = origin is None
        self._open_queue = open_queue
        self._on_fork = on_fork
        self._settle = settle
        self._recorder: Recorder | None = None
        self._tracers: dict[Any, Tracer] = {}
        self._locks: dict[int, threading.Lock] = {}  # one a process: a fork may leave the parent's held for ever

    def put(self, span: Any) -> None:
        """Take one ended span.  Raises: what reading it raises."""
        recorder = self._recorder or self._open(span)
        if self._follows_resource and span.resource is not recorder.origin.resource:
            self._change_resource(recorder.origin, span.resource)
        scope = getattr(span, "instrumentation_scope", None) or _NO_SCOPE
        tracer = self._tracers.get(scope)
        if tracer is None:
            tracer = self._tracers.setdefault(scope, Tracer(recorder, recorder.origin.add_scope(scope), scope))
        adopt(tracer, span)

    def _open(self, span: Any) -> Recorder:
        with self._lock():
            if self._recorder is None:
                origin = self._origin or Origin(span.resource or Resource.get_empty())
                recorder = Recorder(origin, ALWAYS_ON, plan(ALWAYS_ON), _NO_LIMITS, None, self._on_fork)
                recorder.add_queue(self._open_queue(origin))
                self._recorder = recorder
            return self._recorder

    def _change_resource(self, origin: Origin, resource: Any) -> None:
        # A resource goes out once with a batch: those of the old one leave first.
        with self._lock():
            if resource is origin.resource:
                return
            if _content(resource) != _content(origin.resource):
                self._settle()
            origin.set_resource(resource)

    def _lock(self) -> threading.Lock:
        generation = fork_generation()
        return self._locks.get(generation) or self._locks.setdefault(generation, threading.Lock())

    @property
    def is_alone(self) -> bool:
        """Whether no provider's Origin is fed."""
        return self._follows_resource

    def after_fork_in_child(self) -> None:
        """Start clean; does nothing a second time, and nothing in the process it was made in."""
        if self._recorder is not None:
            self._recorder.notice()


def _content(resource: Any) -> tuple[dict[str, Any], str]:
    return dict(resource.attributes), resource.schema_url
