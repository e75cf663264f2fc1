"""ReadableSpan: a span that has ended, as processors and exporters written in Python see it.

The native path keeps a span as one contiguous record and exports it without ever making one of these.  Where a
Python processor or exporter is installed, the decoder makes one from the record: outside the calls above it, nothing
refers to it, and it does not change.

Underscore attributes are part of the contract here: processors in the wild rewrite ``span._attributes`` and
``span._name`` before they pass a span on, and the properties show what they wrote.

What was dropped is counted by the container it was dropped from: attributes in a BoundedAttributes, events and
links in a `Kept`.

Source: specification, trace/sdk.md "Additional span interfaces".
"""

from __future__ import annotations

import warnings
from abc import ABC, ABCMeta, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from time import time_ns
from types import MappingProxyType
from typing import Any, TypeVar

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.trace import Link, SpanContext, SpanKind, format_span_id, format_trace_id
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import AnyValue, Attributes

from tracecore._core.span import Span
from tracecore.instrumentation_scope import (
    InstrumentationInfo,
    InstrumentationScope,
    instrumentation_info_of,
)
from tracecore.resource import Resource
from tracecore.sdk_classes import StandIn, stands_for

__all__ = ["Event", "EventBase", "Kept", "ReadableSpan", "attributes_kept"]

T = TypeVar("T")

_UNSET = Status(StatusCode.UNSET)


class Kept(tuple[T, ...]):
    """Events or links that were kept, and in `dropped` how many were not."""

    dropped: int

    def __new__(cls, items: Iterable[T] = (), dropped: int = 0) -> Kept[T]:
        kept = super().__new__(cls, items)
        kept.dropped = dropped
        return kept


def attributes_kept(attributes: dict[str, AnyValue], dropped: int = 0) -> BoundedAttributes:
    """Return attributes that were cleaned when they were recorded, without cleaning them again.

    Takes over `attributes`: the caller keeps no reference.
    """
    kept = BoundedAttributes(immutable=True)
    kept._dict = attributes
    kept.dropped = dropped
    return kept


@stands_for("opentelemetry.sdk.trace", "EventBase")
class EventBase(StandIn, ABC):
    """What every event has: a name and a time, `timestamp`, in nanoseconds since 1970; None for now."""

    def __init__(self, name: str, timestamp: int | None = None) -> None:
        self._name = name
        self._timestamp = time_ns() if timestamp is None else timestamp

    @property
    def name(self) -> str:
        return self._name

    @property
    def timestamp(self) -> int:
        return self._timestamp

    @property
    @abstractmethod
    def attributes(self) -> Attributes:
        """Return what else is known of it."""


@stands_for("opentelemetry.sdk.trace", "Event")
class Event(EventBase):
    """Something that happened at one moment of a span."""

    def __init__(
        self,
        name: str,
        attributes: Attributes = None,
        timestamp: int | None = None,
        limit: int | None = 128,
    ) -> None:
        # `limit` is part of opentelemetry-sdk's signature and without effect there too.
        super().__init__(name, timestamp)
        self._attributes = attributes

    @property
    def attributes(self) -> Attributes:
        return self._attributes

    @property
    def dropped_attributes(self) -> int:
        return _dropped(self._attributes)


@stands_for("opentelemetry.sdk.trace", "ReadableSpan")
class ReadableSpan(StandIn, metaclass=ABCMeta):
    """A span's content.  Times are nanoseconds since 1970; `resource` None stands for ``Resource.create()``."""

    def __init__(
        self,
        name: str,
        context: SpanContext | None = None,
        parent: SpanContext | None = None,
        resource: Resource | None = None,
        attributes: Attributes = None,
        events: Sequence[Event] = (),
        links: Sequence[Link] = (),
        kind: SpanKind = SpanKind.INTERNAL,
        instrumentation_info: InstrumentationInfo | None = None,
        status: Status = _UNSET,
        start_time: int | None = None,
        end_time: int | None = None,
        instrumentation_scope: InstrumentationScope | None = None,
    ) -> None:
        self._name = name
        self._context = context
        self._parent = parent
        self._resource = Resource.create() if resource is None else resource
        self._attributes = attributes
        self._events = events
        self._links = links
        self._kind = kind
        self._instrumentation_info = instrumentation_info
        self._status = status
        self._start_time = start_time
        self._end_time = end_time
        self._instrumentation_scope = instrumentation_scope

    @property
    def name(self) -> str:
        return self._name

    @property
    def context(self) -> SpanContext | None:
        return self._context

    def get_span_context(self) -> SpanContext | None:
        return self._context

    @property
    def parent(self) -> SpanContext | None:
        return self._parent

    @property
    def resource(self) -> Resource:
        return self._resource

    @property
    def attributes(self) -> Mapping[str, AnyValue]:
        return MappingProxyType(self._attributes or {})

    @property
    def events(self) -> Sequence[Event]:
        return tuple(self._events)

    @property
    def links(self) -> Sequence[Link]:
        return tuple(self._links)

    @property
    def kind(self) -> SpanKind:
        return self._kind

    @property
    def status(self) -> Status:
        return self._status

    @property
    def start_time(self) -> int | None:
        return self._start_time

    @property
    def end_time(self) -> int | None:
        return self._end_time

    @property
    def instrumentation_scope(self) -> InstrumentationScope | None:
        return self._instrumentation_scope

    @property
    def instrumentation_info(self) -> InstrumentationInfo | None:
        """The scope in its deprecated form, made when it is asked for."""
        warnings.warn("instrumentation_info is deprecated, use instrumentation_scope", DeprecationWarning, stacklevel=2)
        if self._instrumentation_info is None and self._instrumentation_scope is not None:
            return instrumentation_info_of(self._instrumentation_scope)
        return self._instrumentation_info

    @property
    def dropped_attributes(self) -> int:
        return _dropped(self._attributes)

    @property
    def dropped_events(self) -> int:
        return _dropped(self._events)

    @property
    def dropped_links(self) -> int:
        return _dropped(self._links)

    def to_json(self, indent: int | None = 4) -> str:
        """Return the span as JSON, ids and times as text, the field names and their order as in opentelemetry-sdk."""
        status = {"status_code": self._status.status_code.name}
        if self._status.description:
            status["description"] = self._status.description
        # Imported here: nothing on the way to a sent span needs json.
        from json import dumps

        return dumps(
            {
                "name": self._name,
                "context": self._format_context(self._context) if self._context else None,
                "kind": str(self._kind),
                "parent_id": f"0x{format_span_id(self._parent.span_id)}" if self._parent is not None else None,
                "start_time": _iso_time(self._start_time) if self._start_time else None,
                "end_time": _iso_time(self._end_time) if self._end_time else None,
                "status": status,
                "attributes": self._format_attributes(self._attributes),
                "events": self._format_events(self._events),
                "links": self._format_links(self._links),
                "resource": {
                    "attributes": dict(self._resource.attributes),
                    "schema_url": self._resource.schema_url,
                },
            },
            indent=indent,
            # bytes are the one kind of value an attribute may have that JSON has not.
            default=bytes.hex,
        )

    # Parts of it, by the names that code which formats a span in its own way calls in opentelemetry-sdk.

    @staticmethod
    def _format_context(context: SpanContext) -> dict[str, str]:
        return {
            "trace_id": f"0x{format_trace_id(context.trace_id)}",
            "span_id": f"0x{format_span_id(context.span_id)}",
            "trace_state": repr(context.trace_state),
        }

    @staticmethod
    def _format_attributes(attributes: Attributes) -> dict[str, Any] | None:
        return None if attributes is None else dict(attributes)

    @staticmethod
    def _format_events(events: Sequence[Event]) -> list[dict[str, Any]]:
        return [
            {
                "name": event.name,
                "timestamp": _iso_time(event.timestamp),
                "attributes": ReadableSpan._format_attributes(event.attributes),
            }
            for event in events
        ]

    @staticmethod
    def _format_links(links: Sequence[Link]) -> list[dict[str, Any]]:
        return [
            {
                "context": ReadableSpan._format_context(link.context),
                "attributes": ReadableSpan._format_attributes(link.attributes),
            }
            for link in links
        ]


# isinstance(): a live span can be read like one that has ended.
ReadableSpan.register(Span)


def _dropped(container: object) -> int:
    """Return what a container says it dropped: a BoundedAttributes, a Kept, opentelemetry-sdk's BoundedList."""
    dropped = getattr(container, "dropped", 0)
    return dropped if isinstance(dropped, int) else 0


def _iso_time(at_ns: int) -> str:
    """Return a time to the microsecond; through a float, so that the last digit is opentelemetry-sdk's too."""
    return datetime.fromtimestamp(at_ns / 1e9, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
