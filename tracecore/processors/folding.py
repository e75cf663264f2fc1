"""Folding: many equal siblings become one span that says how many they were.

    provider.add_span_processor(Folding(threshold=10))

A loop that makes 10,000 equal spans below one parent sends one instead, with the ids of the first, the earliest start, the
latest end, the attributes that all of them had with the same value, and

    tracecore.fold.count      how many spans it stands for, itself included
    tracecore.fold.total_ns   their durations added up, in nanoseconds
    tracecore.fold.min_ns     the shortest
    tracecore.fold.max_ns     the longest

Siblings are equal when trace, parent, name, kind, status and instrumentation scope are; `attributes` names those that must be
equal, too. Groups of up to `threshold` are sent as they are.

Never folded: roots and spans whose parent is in another process; spans with status ERROR, with a status description, events or
links; spans with children. That a span has children is known from a child that ended before it: the last 4,096 parents are
remembered (`max_parents`). A child that ends after its parent, which only code that goes on in the background makes, may find its
parent folded away, and is then shown without one.

A span that may be folded is held back until its parent ends, for `hold` seconds at most, and until `force_flush` or
`shutdown`. So it is sent later than without. A loop longer than `hold` makes one span every `hold` seconds. What is held
back is bounded; beyond that, spans pass as they are (`n_passed` of the stage).

Counted for each exporter: `held` now, and what others stand for in `removed["folded"]`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tracecore._core import fold as core
from tracecore.errors import ConfigurationError
from tracecore.processors.patterns import Pattern, each_compiled

__all__ = ["Folding"]

_MAX_HOLD_S = 3600
_MAX_PLACES = 1 << 20
_MAX_BYTES = 1 << 30


class Folding:
    """Folds equal siblings, for all exporters of the provider that it is added to.

    Arguments:
        threshold: siblings that are sent as they are; one more, and one stands for all. From 1 to 10,000.
        hold: seconds that a span is held back at most.
        attributes: keys (patterns) of the attributes whose values must be equal; "all" for every one.
        max_groups: groups held back at once; one for each parent and kind of child.
        max_parents: spans remembered for having children.
        max_bytes: of all records held back.
    Raises: ConfigurationError. Threads: any.
    """

    def __init__(
        self,
        threshold: int = 10,
        *,
        hold: float = 10.0,
        attributes: Pattern | Iterable[Pattern] = (),
        max_groups: int = 1024,
        max_parents: int = 4096,
        max_bytes: int = 4 << 20,
    ) -> None:
        if isinstance(hold, bool) or not isinstance(hold, (int, float)) or not 0 < hold <= _MAX_HOLD_S:
            raise ConfigurationError("hold", hold, f"seconds above 0, up to {_MAX_HOLD_S}")
        self._arguments = (
            _count("threshold", threshold, 10_000),
            int(hold * 1e9),
            _count("max_groups", max_groups, _MAX_PLACES),
            _count("max_parents", max_parents, _MAX_PLACES),
            _count("max_bytes", max_bytes, _MAX_BYTES),
            None if attributes == "all" else each_compiled("attributes", attributes),
        )

    def attach_stage(self, origin: Any, *, first: bool = True) -> core.FoldStage:
        """Return the stage for one drain of a provider; `add_span_processor` calls it."""
        return core.FoldStage(*self._arguments)


def _count(variable: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigurationError(variable, value, f"an integer from 1 to {most}")
    return value
