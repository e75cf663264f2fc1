"""Predicates of `composable_rule_based`: whether a rule applies to a span that is about to be made.

Each is called with what a sampler knows, and its `str` is what the sampler's description shows.

Source: the configuration schema's "rule_based" sampler.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import AnyValue, Attributes

__all__ = [
    "AllPredicate",
    "AlwaysMatchPredicate",
    "AttributePatternsPredicate",
    "AttributePredicate",
    "AttributeValuesPredicate",
    "ParentPredicate",
    "Predicate",
    "SpanKindPredicate",
]


class Predicate(Protocol):
    """Any function of these arguments, called by name."""

    def __call__(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None,
    ) -> bool: ...


class AlwaysMatchPredicate:
    """Applies to every span."""

    def __call__(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None,
    ) -> bool:
        return True

    def __str__(self) -> str:
        return "AlwaysMatch"


class AllPredicate:
    """Applies where all of `predicates` do."""

    def __init__(self, predicates: Sequence[Predicate]) -> None:
        self._predicates = tuple(predicates)

    def __call__(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None,
    ) -> bool:
        return all(
            applies(parent_ctx, name, span_kind, attributes, links, trace_state) for applies in self._predicates
        )

    def __str__(self) -> str:
        return " && ".join(map(str, self._predicates))


class AttributePredicate:
    """Applies where the attribute `key` equals `value`.  Deprecated: use AttributeValuesPredicate."""

    def __init__(self, key: str, value: AnyValue) -> None:
        warnings.warn(
            "AttributePredicate is deprecated, use AttributeValuesPredicate", DeprecationWarning, stacklevel=2
        )
        self.key = key
        self.value = value

    def __call__(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None,
    ) -> bool:
        return bool(attributes) and attributes.get(self.key) == self.value  # type: ignore[union-attr]

    def __str__(self) -> str:
        return f"{self.key}={self.value!s}"


class AttributeValuesPredicate:
    """Applies where the attribute `key`, or an element of it if it is a sequence, is one of `values`, as text."""

    def __init__(self, key: str, values: Sequence[str]) -> None:
        self._key = key
        self._values = frozenset(values)

    def __call__(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None,
    ) -> bool:
        return any(text in self._values for text in _texts(attributes, self._key))

    def __str__(self) -> str:
        return f"{self._key} in [{','.join(sorted(self._values))}]"


class AttributePatternsPredicate:
    """Applies where the attribute `key`, or an element of it, matches one of `included` and none of `excluded`.

    Patterns are globs, and tell upper and lower case apart; without `included` everything is.
    """

    def __init__(
        self,
        key: str,
        included: Sequence[str] | None = None,
        excluded: Sequence[str] | None = None,
    ) -> None:
        self._key = key
        self._included = tuple(included or ("*",))
        self._excluded = tuple(excluded or ())

    def __call__(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None,
    ) -> bool:
        return any(
            _matches(text, self._included) and not _matches(text, self._excluded)
            for text in _texts(attributes, self._key)
        )

    def __str__(self) -> str:
        return f"{self._key} matches"


class SpanKindPredicate:
    """Applies to spans of these kinds."""

    def __init__(self, span_kinds: Sequence[SpanKind]) -> None:
        self._span_kinds = frozenset(span_kinds)

    def __call__(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None,
    ) -> bool:
        return span_kind in self._span_kinds

    def __str__(self) -> str:
        return f"span_kind in [{','.join(sorted(kind.name.lower() for kind in self._span_kinds))}]"


class ParentPredicate:
    """Applies to spans whose parent is one of `parents`: "none", "remote", "local"."""

    def __init__(self, parents: Sequence[str]) -> None:
        self._parents = frozenset(parents)

    def __call__(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None,
    ) -> bool:
        parent = get_current_span(parent_ctx).get_span_context()
        if not parent.is_valid:
            return "none" in self._parents
        return ("remote" if parent.is_remote else "local") in self._parents

    def __str__(self) -> str:
        return f"parent in [{','.join(sorted(self._parents))}]"


def _texts(attributes: Attributes, key: str) -> Iterable[str]:
    """Return the attribute, or its elements if it is a sequence, as text; nothing where there is none."""
    if not attributes or key not in attributes:
        return ()
    value = attributes[key]
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)):
        return map(str, value)
    return (str(value),)


def _matches(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
