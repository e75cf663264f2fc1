"""Span and _Span: the SDK's class of spans, for isinstance(), for subclasses, and for spans made by hand.

    Span        abstract; the spans of tracecore's tracers are instances of it (tracecore._core.span is registered)
    _Span       a span without a tracer, as tests of exporters and propagators make them

What a tracer starts is never one of these: it is recorded by the core.  A span made by hand keeps its content in
Python's objects, tells its own `span_processor`, and takes part in nothing else: no counter knows it.

Threads: one at a time, as for any object of Python's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from types import TracebackType
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import AnyValue, Attributes

from tracecore._core import span as core
from tracecore._core.annotations import exception_type_name, is_valid_link
from tracecore.errors import report
from tracecore.instrumentation_scope import InstrumentationInfo, InstrumentationScope
from tracecore.limits import SpanLimits
from tracecore.readable_span import Event, ReadableSpan
from tracecore.resource import Resource
from tracecore.sampling import Sampler
from tracecore.sdk.util import BoundedList
from tracecore.span_processor import SpanProcessor

__all__ = ["Span", "_Span", "_UnsetLimits"]

_UnsetLimits = SpanLimits(
    max_attributes=SpanLimits.UNSET,
    max_events=SpanLimits.UNSET,
    max_links=SpanLimits.UNSET,
    max_span_attributes=SpanLimits.UNSET,
    max_event_attributes=SpanLimits.UNSET,
    max_link_attributes=SpanLimits.UNSET,
    max_attribute_length=SpanLimits.UNSET,
    max_span_attribute_length=SpanLimits.UNSET,
)
"""What a span made by hand is held to: nothing."""

_UNSET = Status(StatusCode.UNSET)


class Span(ApiSpan, ReadableSpan):
    """A span that is or was recorded.  Derive from it, or ask isinstance(); tracers make what programs use."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Span:
        if cls is Span:
            raise TypeError("Span must be instantiated via a tracer.")
        return super().__new__(cls)

    def __init__(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None = None,
        sampler: Sampler | None = None,
        trace_config: None = None,
        resource: Resource | None = None,
        attributes: Attributes = None,
        events: Sequence[Event] | None = None,
        links: Sequence[Link] = (),
        kind: SpanKind = SpanKind.INTERNAL,
        span_processor: SpanProcessor = SpanProcessor(),  # noqa: B008
        instrumentation_info: InstrumentationInfo | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        limits: SpanLimits = _UnsetLimits,
        instrumentation_scope: InstrumentationScope | None = None,
        *,
        record_end_metrics: Callable[[], None] | None = None,
    ) -> None:
        ReadableSpan.__init__(
            self,
            name=name,
            context=context,
            parent=parent,
            resource=resource,
            kind=kind,
            instrumentation_info=instrumentation_info,
            instrumentation_scope=instrumentation_scope,
            status=_UNSET,
        )
        self._sampler = sampler
        self._trace_config = trace_config
        self._record_exception = record_exception
        self._set_status_on_exception = set_status_on_exception
        self._span_processor = span_processor
        self._limits = limits
        self._record_end_metrics = record_end_metrics
        self._attributes: BoundedAttributes = BoundedAttributes(
            limits.max_span_attributes,
            attributes,
            immutable=False,
            max_value_len=limits.max_span_attribute_length,
        )
        self._events: BoundedList[Event] = BoundedList(limits.max_events)
        for event in events or ():
            event._attributes = self._kept(event.attributes, limits.max_event_attributes)
            self._events.append(event)
        self._links: BoundedList[Link] = BoundedList(limits.max_links)
        for link in links or ():
            if link and is_valid_link(link.context, link.attributes):
                self._links.append(Link(link.context, self._kept(link.attributes, limits.max_link_attributes)))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(name="{self._name}", context={self._context})'

    def _kept(self, attributes: Attributes, limit: int | None) -> BoundedAttributes:
        """Return attributes of an event or link, cleaned and cut."""
        return BoundedAttributes(limit, attributes, immutable=True, max_value_len=self._limits.max_attribute_length)

    def _readable_span(self) -> ReadableSpan:
        """Return what processors get when the span has ended."""
        return ReadableSpan(
            name=self._name,
            context=self._context,
            parent=self._parent,
            resource=self._resource,
            attributes=self._attributes,
            events=self._events,
            links=self._links,
            kind=self._kind,
            status=self._status,
            start_time=self._start_time,
            end_time=self._end_time,
            instrumentation_info=self._instrumentation_info,
            instrumentation_scope=self._instrumentation_scope,
        )

    def get_span_context(self) -> SpanContext:
        assert self._context is not None
        return self._context

    def is_recording(self) -> bool:
        return self._end_time is None

    def _has_ended(self, method: str) -> bool:
        if self._end_time is not None:
            report("after_end", "%s called on a span that has ended", method)
        return self._end_time is not None

    def start(self, start_time: int | None = None, parent_context: Context | None = None) -> None:
        """Start the span, now or at `start_time` (nanoseconds since 1970), and tell its processor."""
        if self._start_time is not None:
            report("started_again", "start called on a span that has started")
            return
        self._start_time = time_ns() if start_time is None else start_time
        self._span_processor.on_start(self, parent_context=parent_context)  # type: ignore[arg-type]

    def end(self, end_time: int | None = None) -> None:
        """End the span and tell its processor; only the first call counts.  Raises: RuntimeError before start()."""
        if self._start_time is None:
            raise RuntimeError("end() called on a span that was not started")
        if self._has_ended("end"):
            return
        self._end_time = time_ns() if end_time is None else end_time
        self._attributes._immutable = True
        if self._record_end_metrics is not None:
            self._record_end_metrics()
        self._span_processor._on_ending(self)  # type: ignore[arg-type]
        self._span_processor.on_end(self._readable_span())

    def set_attribute(self, key: str, value: AnyValue) -> None:
        if not self._has_ended("set_attribute"):
            self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        if not self._has_ended("set_attributes"):
            for key, value in attributes.items():
                self._attributes[key] = value

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        if not self._has_ended("add_event"):
            kept = self._kept(attributes, self._limits.max_event_attributes)
            self._events.append(Event(name=name, attributes=kept, timestamp=timestamp))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        if is_valid_link(context, attributes) and not self._has_ended("add_link"):
            self._links.append(Link(context, self._kept(attributes, self._limits.max_link_attributes)))

    def update_name(self, name: str) -> None:
        if not self._has_ended("update_name"):
            self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """OK is final, UNSET never overrides, else the last call holds."""
        if self._has_ended("set_status"):
            return
        if isinstance(status, Status):
            if description is not None:
                report("status_description", "description %r ignored: give a Status or a code with one", description)
            new = status
        elif isinstance(status, StatusCode):
            new = Status(status, description)
        else:
            report("status_type", "set_status(%r): expected a Status or a StatusCode", status)
            return
        if self._status.status_code is not StatusCode.OK and new.status_code is not StatusCode.UNSET:
            self._status = new

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        # Imported here: few spans have an exception.
        from traceback import format_exception

        described: dict[str, AnyValue] = {
            "exception.type": exception_type_name(type(exception)),
            "exception.message": str(exception),
            "exception.stacktrace": "".join(format_exception(exception)),
            "exception.escaped": str(escaped),
        }
        described.update(attributes or {})
        self.add_event("exception", described, timestamp)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Record what was raised, and end."""
        if exc_val is not None and self.is_recording():
            if self._record_exception:
                self.record_exception(exc_val, escaped=True)
            if self._set_status_on_exception:
                self.set_status(Status(StatusCode.ERROR, f"{type(exc_val).__name__}: {exc_val}"))
        super().__exit__(exc_type, exc_val, exc_tb)


class _Span(Span):
    """A span made by hand."""


# isinstance(): what a tracer of ours starts is a Span, and so a ReadableSpan.
Span.register(core.Span)
