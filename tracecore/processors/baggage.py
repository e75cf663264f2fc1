"""BaggageAttributes: baggage of the context in which a span starts, as attributes of the span.

    provider.add_span_processor(BaggageAttributes(["tenant.*", "user.tier"]))

As opentelemetry-processor-baggage does, but only the copying is done on the calling thread: which entries are taken is decided
on the worker, and a program without baggage pays for one look into the context. Entries and attributes go by the rules of
set_attribute at the start of the span: an entry replaces an attribute that was given at the start, an attribute that is set
later replaces the entry, and the limits of attributes hold. (Where the
limit was reached and a key was set twice, the count of dropped attributes may differ: what went when is not told any more.)

Baggage goes out with every request that the program makes, and comes in from whoever calls it. Take what you know, not "*".

Order: before Folding and Dropping, whose rules may ask for these attributes. Redaction acts on entries, too, wherever it stands.

Not there: on the calling thread `span.attributes`, and what processors written in Python see, do not show the entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry import baggage

from tracecore._core import baggage as core
from tracecore.errors import ConfigurationError
from tracecore.processors.patterns import Pattern, each_compiled

__all__ = ["BaggageAttributes"]


class BaggageAttributes:
    """Takes the entries whose keys match into every span that starts from then on.

    Arguments: one or more patterns.
    Raises: ConfigurationError. Threads: any.
    """

    def __init__(self, keys: Pattern | Iterable[Pattern]) -> None:
        self._keys = each_compiled("keys", keys)
        if not self._keys:
            raise ConfigurationError("keys", keys, "a pattern at least")

    @property
    def baggage_key(self) -> str:
        """Where a Context keeps its baggage: the provider has spans take it along."""
        return baggage._BAGGAGE_KEY

    def attach_stage(self, origin: Any, *, first: bool = True) -> core.BaggageStage:
        """Return the stage for one drain of a provider; `add_span_processor` calls it."""
        return core.BaggageStage(self._keys)
