"""SpanLimits: how many attributes, events and links a span keeps, and how long its texts may be.

Each limit is settled once, at construction, by the first of

    the argument                          SpanLimits.UNSET (-1) means "no limit"
    its environment variable              set to nothing means "no limit"
    the general limit it belongs to       max_attributes, max_attribute_length
    128 for counts, no limit for lengths

and None then stands for "no limit".  This class holds limits; what records spans enforces them.

Source: specification, trace/sdk.md "Span Limits" and common/README.md "Attribute Limits".
"""

from __future__ import annotations

from typing import Final

from tracecore import config
from tracecore.errors import ConfigurationError
from tracecore.sdk_classes import StandIn, stands_for

__all__ = ["SpanLimits"]

_DEFAULT_COUNT: Final = 128
"""The specification's default for every count."""


@stands_for("opentelemetry.sdk.trace", "SpanLimits")
class SpanLimits(StandIn):
    """The limits one tracer provider applies.  Arguments are non-negative integers, None or UNSET.

    Counts: `max_span_attributes`, `max_event_attributes` and `max_link_attributes` (each a case of
    `max_attributes`), `max_events`, `max_links`.  Lengths, in characters: `max_span_attribute_length` (a case
    of `max_attribute_length`).

    Raises: ConfigurationError (a ValueError) naming the argument that holds something else; a variable that does is
    warned about, and passed over.
    Threads: any; nothing here changes after construction.
    """

    UNSET = -1

    def __init__(
        self,
        max_attributes: int | None = None,
        max_events: int | None = None,
        max_links: int | None = None,
        max_span_attributes: int | None = None,
        max_event_attributes: int | None = None,
        max_link_attributes: int | None = None,
        max_attribute_length: int | None = None,
        max_span_attribute_length: int | None = None,
    ) -> None:
        limit = self._limit
        self.max_events = limit("max_events", max_events, "OTEL_SPAN_EVENT_COUNT_LIMIT", _DEFAULT_COUNT)
        self.max_links = limit("max_links", max_links, "OTEL_SPAN_LINK_COUNT_LIMIT", _DEFAULT_COUNT)

        # A general limit of "no limit" reads as "not given" to the limits below it, and they keep their own
        # default of 128: so opentelemetry-sdk does it, and a program that swaps backends must keep its limits.
        general = limit("max_attributes", max_attributes, "OTEL_ATTRIBUTE_COUNT_LIMIT", None)
        count = general if general is not None else _DEFAULT_COUNT
        self.max_attributes = count
        self.max_span_attributes = limit(
            "max_span_attributes", max_span_attributes, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count
        )
        self.max_event_attributes = limit(
            "max_event_attributes", max_event_attributes, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", count
        )
        self.max_link_attributes = limit(
            "max_link_attributes", max_link_attributes, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", count
        )

        self.max_attribute_length = limit(
            "max_attribute_length", max_attribute_length, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", None
        )
        self.max_span_attribute_length = limit(
            "max_span_attribute_length",
            max_span_attribute_length,
            "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            self.max_attribute_length,
        )

    def __repr__(self) -> str:
        # "max_events_attributes" is how opentelemetry-sdk spells it here, and what people's snapshots hold.
        return (
            f"{type(self).__name__}(max_span_attributes={self.max_span_attributes}, "
            f"max_events_attributes={self.max_event_attributes}, "
            f"max_link_attributes={self.max_link_attributes}, "
            f"max_attributes={self.max_attributes}, "
            f"max_events={self.max_events}, "
            f"max_links={self.max_links}, "
            f"max_attribute_length={self.max_attribute_length})"
        )

    @classmethod
    def _limit(cls, name: str, value: int | None, variable: str, default: int | None) -> int | None:
        """Return the argument if there is one, else what the environment or the default says."""
        if value is None:
            return config.limit(variable, default)
        if value == cls.UNSET:
            return None
        if not isinstance(value, int) or value < 0:
            raise ConfigurationError(name, value, "a non-negative integer, None or SpanLimits.UNSET")
        return value
