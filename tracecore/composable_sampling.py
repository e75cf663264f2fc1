"""Composable samplers: consistent probability sampling that can be put together from parts.

A composable sampler does not decide; it says with what threshold it would:

    composable_rule_based          the first rule that applies
    composable_parent_threshold    what the parent did, else a root sampler
    composable_traceid_ratio_based a share of all traces
    composable_always_on, composable_always_off
            |
            |  SamplingIntent(threshold, ...)
            v
    composite_sampler              an ordinary Sampler: compares the threshold with the trace's randomness, and tells
                                   services downstream the threshold in the tracestate

So every service decides alike on the same trace, and whoever counts spans can tell how many each stands for.

Source: specification, trace/sdk.md "CompositeSampler" and trace/tracestate-probability-sampling.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from tracecore.errors import ConfigurationError
from tracecore.ot_trace_state import (
    INVALID_THRESHOLD,
    MAX_RANDOM_VALUE,
    MAX_THRESHOLD,
    MIN_THRESHOLD,
    OTEL_TRACE_STATE_KEY,
    OtelTraceState,
    calculate_threshold,
    is_valid_random_value,
    is_valid_threshold,
    serialize_th,
)
from tracecore.sampling import Decision, Sampler, SamplingResult
from tracecore.sampling_rules import Predicate

__all__ = [
    "ComposableSampler",
    "SamplingIntent",
    "composable_always_off",
    "composable_always_on",
    "composable_parent_threshold",
    "composable_rule_based",
    "composable_traceid_ratio_based",
    "composite_sampler",
]


def _unchanged(ts: TraceState) -> TraceState:
    return ts


@dataclass(frozen=True)
class SamplingIntent:
    """What a composable sampler says of a span that is about to be made."""

    threshold: int
    """The span is sampled if its trace's randomness is not below; INVALID_THRESHOLD: it is not sampled."""

    threshold_reliable: bool = True
    """Whether the threshold tells how many spans a sampled one stands for."""

    attributes: Attributes = None
    """What the span starts with."""

    update_trace_state: Callable[[TraceState], TraceState] = _unchanged
    """Applied to the parent's trace state."""


class ComposableSampler(Protocol):
    """Something that says with what threshold a span should be sampled.  Threads: any, several at once."""

    def sampling_intent(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None,
    ) -> SamplingIntent:
        """Return the intent; `parent_ctx` holds the span's parent and `trace_state` is that of the parent."""
        ...

    def get_description(self) -> str:
        """Return the sampler's name and configuration."""
        ...


_NOT_SAMPLED: Final = SamplingIntent(INVALID_THRESHOLD, threshold_reliable=False)


class _Fixed(ComposableSampler):
    """The same intent for every span."""

    def __init__(self, intent: SamplingIntent, description: str) -> None:
        self._intent = intent
        self._description = description

    def sampling_intent(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None = None,
    ) -> SamplingIntent:
        return self._intent

    def get_description(self) -> str:
        return self._description


_ALWAYS_ON: Final = _Fixed(SamplingIntent(MIN_THRESHOLD), "ComposableAlwaysOn")
_ALWAYS_OFF: Final = _Fixed(_NOT_SAMPLED, "ComposableAlwaysOff")


def composable_always_on() -> ComposableSampler:
    """Return the sampler that wants every span."""
    return _ALWAYS_ON


def composable_always_off() -> ComposableSampler:
    """Return the sampler that wants no span."""
    return _ALWAYS_OFF


def composable_traceid_ratio_based(ratio: float) -> ComposableSampler:
    """Return the sampler that wants the share `ratio`, 0 to 1, of all traces.  Raises: ConfigurationError."""
    if not 0.0 <= ratio <= 1.0:
        raise ConfigurationError("ratio", ratio, "a number from 0.0 to 1.0")
    threshold = calculate_threshold(ratio)
    # A ratio too small for the 56 bits is one of 0.
    is_off = threshold == MAX_THRESHOLD
    shown = "max" if is_off else serialize_th(threshold)
    return _Fixed(
        _NOT_SAMPLED if is_off else SamplingIntent(threshold),
        f"ComposableTraceIDRatioBased{{threshold={shown}, ratio={ratio}}}",
    )


class _ParentThreshold(ComposableSampler):
    def __init__(self, root_sampler: ComposableSampler) -> None:
        self._root_sampler = root_sampler

    def sampling_intent(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None = None,
    ) -> SamplingIntent:
        parent = get_current_span(parent_ctx).get_span_context()
        if not parent.is_valid:
            return self._root_sampler.sampling_intent(parent_ctx, name, span_kind, attributes, links, trace_state)
        threshold = OtelTraceState.parse(trace_state).threshold
        if is_valid_threshold(threshold):
            return SamplingIntent(threshold)
        # A parent of a service that knows no thresholds: its flag is followed, but says nothing of how many.
        return SamplingIntent(MIN_THRESHOLD, threshold_reliable=False) if parent.trace_flags.sampled else _NOT_SAMPLED

    def get_description(self) -> str:
        return f"ComposableParentThreshold{{root={self._root_sampler.get_description()}}}"


def composable_parent_threshold(root_sampler: ComposableSampler) -> ComposableSampler:
    """Return the sampler that does as the parent did; spans without a parent are for `root_sampler`."""
    return _ParentThreshold(root_sampler)


class _RuleBased(ComposableSampler):
    def __init__(self, rules: Sequence[tuple[Predicate, ComposableSampler]]) -> None:
        self._rules = tuple(rules)

    def sampling_intent(
        self,
        parent_ctx: Context | None,
        name: str,
        span_kind: SpanKind | None,
        attributes: Attributes,
        links: Sequence[Link] | None,
        trace_state: TraceState | None = None,
    ) -> SamplingIntent:
        for applies, sampler in self._rules:
            if applies(
                parent_ctx=parent_ctx,
                name=name,
                span_kind=span_kind,
                attributes=attributes,
                links=links,
                trace_state=trace_state,
            ):
                return sampler.sampling_intent(
                    parent_ctx=parent_ctx,
                    name=name,
                    span_kind=span_kind,
                    attributes=attributes,
                    links=links,
                    trace_state=trace_state,
                )
        return _NOT_SAMPLED

    def get_description(self) -> str:
        rules = ",".join(f"({predicate}:{sampler.get_description()})" for predicate, sampler in self._rules)
        return f"ComposableRuleBased{{[{rules}]}}"


def composable_rule_based(rules: Sequence[tuple[Predicate, ComposableSampler]]) -> ComposableSampler:
    """Return the sampler that asks the first one whose predicate (see tracecore.sampling_rules) says yes.

    Where none does, the span is not sampled.
    """
    return _RuleBased(rules)


class _CompositeSampler(Sampler):
    def __init__(self, delegate: ComposableSampler) -> None:
        self._delegate = delegate

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if trace_state is None:
            # A tracer passes none: it is the parent's, by the specification.
            parent = get_current_span(parent_context).get_span_context()
            trace_state = parent.trace_state if parent.is_valid else None
        entry = OtelTraceState.parse(trace_state)
        intent = self._delegate.sampling_intent(parent_context, name, kind, attributes, links, trace_state)
        randomness = entry.random_value if is_valid_random_value(entry.random_value) else trace_id & MAX_RANDOM_VALUE
        is_sampled = is_valid_threshold(intent.threshold) and intent.threshold <= randomness
        entry.threshold = intent.threshold if is_sampled and intent.threshold_reliable else INVALID_THRESHOLD
        return SamplingResult(
            Decision.RECORD_AND_SAMPLE if is_sampled else Decision.DROP,
            intent.attributes,
            _carried_on(trace_state, entry, intent),
        )

    def get_description(self) -> str:
        return self._delegate.get_description()


def _carried_on(trace_state: TraceState | None, entry: OtelTraceState, intent: SamplingIntent) -> TraceState | None:
    """Return the trace state of the new span."""
    text = entry.serialize()
    if not trace_state:
        return TraceState([(OTEL_TRACE_STATE_KEY, text)]) if text else None
    carried = intent.update_trace_state(trace_state)
    if text:
        return carried.update(OTEL_TRACE_STATE_KEY, text)
    # An entry that has nothing left to say: the parent's threshold does not hold for this span.
    return carried.delete(OTEL_TRACE_STATE_KEY) if OTEL_TRACE_STATE_KEY in carried else carried


def composite_sampler(delegate: ComposableSampler) -> Sampler:
    """Return the Sampler that decides by what `delegate` says, and keeps the trace state."""
    return _CompositeSampler(delegate)
