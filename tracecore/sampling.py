"""Samplers: which spans are recorded, and which of those are sent.

A sampler is asked once, before a span is made.  Its verdict:

    DROP               no span is recorded, its id still travels
    RECORD_ONLY        recorded, seen by processors, not sent
    RECORD_AND_SAMPLE  recorded, sent, and downstream services are told so by the sampled flag

The tracer does not call the samplers of this file.  It takes their `plan`, a tuple the native path decides from
with one comparison; only a sampler that is somebody's own is called, and pays for the call.

                        ParentBased
                       /     |
             no parent   remote or local parent, sampled or not
                |            |
              root       one of four branches      (each: on, off, ratio, or somebody's own)

Samplers hold no state that changes, so every thread may ask them at any time.

Source: specification, trace/sdk.md "Sampling".
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import FunctionType, MappingProxyType
from typing import Final, Literal, TypeAlias, cast

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import AnyValue, Attributes

from tracecore import config
from tracecore.entry_point import load_entry_point
from tracecore.errors import ConfigurationError, report
from tracecore.sdk_classes import StandIn, StandInMember, stands_for

__all__ = [
    "ALWAYS_OFF",
    "ALWAYS_ON",
    "DEFAULT_OFF",
    "DEFAULT_ON",
    "AlwaysRecordSampler",
    "Branch",
    "Decision",
    "ParentBased",
    "ParentBasedTraceIdRatio",
    "Plan",
    "Sampler",
    "SamplingResult",
    "StaticSampler",
    "TraceIdRatioBased",
    "from_environment",
    "plan",
]


@stands_for("opentelemetry.sdk.trace.sampling", "Decision")
class Decision(StandInMember, Enum):
    """A sampler's verdict on a span that is about to be made."""

    DROP = 0
    RECORD_ONLY = 1
    RECORD_AND_SAMPLE = 2

    def is_recording(self) -> bool:
        return self is not Decision.DROP

    def is_sampled(self) -> bool:
        return self is Decision.RECORD_AND_SAMPLE


@stands_for("opentelemetry.sdk.trace.sampling", "SamplingResult")
class SamplingResult(StandIn):
    """A verdict, with the attributes the new span starts with and the trace state it carries on."""

    def __init__(
        self,
        decision: Decision,
        attributes: Attributes = None,
        trace_state: TraceState | None = None,
    ) -> None:
        self.decision = decision
        self.attributes: Mapping[str, AnyValue] = MappingProxyType({} if attributes is None else attributes)
        self.trace_state = trace_state

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.decision!s}, attributes={self.attributes!s})"


@stands_for("opentelemetry.sdk.trace.sampling", "Sampler")
class Sampler(StandIn, ABC):
    """What decides about spans.  Derive from it, or have its two methods: nothing here asks for the class."""

    @abstractmethod
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
        """Return the verdict on a span with these properties; `parent_context` holds its parent, if it has one.

        Threads: called on every thread that starts a span, before the span exists.
        """

    @abstractmethod
    def get_description(self) -> str:
        """Return the sampler's name and configuration, as the specification writes them."""


@stands_for("opentelemetry.sdk.trace.sampling", "StaticSampler")
class StaticSampler(Sampler):
    """The same verdict for every span."""

    def __init__(self, decision: Decision) -> None:
        self._decision = decision

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
        return _result(self._decision, attributes, parent_context)

    def get_description(self) -> str:
        return "AlwaysOffSampler" if self._decision is Decision.DROP else "AlwaysOnSampler"


ALWAYS_OFF: Final = StaticSampler(Decision.DROP)
ALWAYS_ON: Final = StaticSampler(Decision.RECORD_AND_SAMPLE)


@stands_for("opentelemetry.sdk.trace.sampling", "TraceIdRatioBased")
class TraceIdRatioBased(Sampler):
    """Sample a share of all traces: `rate`, from 0 to 1.

    The trace id decides, so that every service with the same rate keeps the same traces: a trace is kept if the
    low 64 bits of its id, read as a number, are below ``rate * 2**64``.
    """

    TRACE_ID_LIMIT = (1 << 64) - 1
    """The part of a trace id that is compared."""

    def __init__(self, rate: float) -> None:
        if not 0.0 <= rate <= 1.0:
            raise ConfigurationError("rate", rate, "a number from 0.0 to 1.0")
        self._rate = rate
        self._bound = self.get_bound_for_rate(rate)

    @classmethod
    def get_bound_for_rate(cls, rate: float) -> int:
        """Return the lowest id that is not kept, 0 (none is) to 2**64 (all are)."""
        return round(rate * (cls.TRACE_ID_LIMIT + 1))

    @property
    def rate(self) -> float:
        return self._rate

    @property
    def bound(self) -> int:
        return self._bound

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
        kept = trace_id & self.TRACE_ID_LIMIT < self.bound
        return _result(Decision.RECORD_AND_SAMPLE if kept else Decision.DROP, attributes, parent_context)

    def get_description(self) -> str:
        return f"TraceIdRatioBased{{{self._rate}}}"


@stands_for("opentelemetry.sdk.trace.sampling", "ParentBased")
class ParentBased(Sampler):
    """Do as the parent did; a span without a parent is for `root` to decide.

    The four other samplers decide for spans with a parent, by where it is and whether it was sampled.
    """

    def __init__(
        self,
        root: Sampler,
        remote_parent_sampled: Sampler = ALWAYS_ON,
        remote_parent_not_sampled: Sampler = ALWAYS_OFF,
        local_parent_sampled: Sampler = ALWAYS_ON,
        local_parent_not_sampled: Sampler = ALWAYS_OFF,
    ) -> None:
        self._root = root
        self._remote_parent_sampled = remote_parent_sampled
        self._remote_parent_not_sampled = remote_parent_not_sampled
        self._local_parent_sampled = local_parent_sampled
        self._local_parent_not_sampled = local_parent_not_sampled

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
        # trace_state is not passed on: each sampler takes it from the parent, as in opentelemetry-sdk.
        return self._delegate(parent_context).should_sample(
            parent_context=parent_context,
            trace_id=trace_id,
            name=name,
            kind=kind,
            attributes=attributes,
            links=links,
        )

    def get_description(self) -> str:
        return (
            f"ParentBased{{root:{self._root.get_description()},"
            f"remoteParentSampled:{self._remote_parent_sampled.get_description()},"
            f"remoteParentNotSampled:{self._remote_parent_not_sampled.get_description()},"
            f"localParentSampled:{self._local_parent_sampled.get_description()},"
            f"localParentNotSampled:{self._local_parent_not_sampled.get_description()}}}"
        )

    def _delegate(self, parent_context: Context | None) -> Sampler:
        parent = get_current_span(parent_context).get_span_context()
        if parent is None or not parent.is_valid:
            return self._root
        if parent.is_remote:
            return self._remote_parent_sampled if parent.trace_flags.sampled else self._remote_parent_not_sampled
        return self._local_parent_sampled if parent.trace_flags.sampled else self._local_parent_not_sampled


@stands_for("opentelemetry.sdk.trace.sampling", "ParentBasedTraceIdRatio")
class ParentBasedTraceIdRatio(ParentBased):
    """Do as the parent did; of traces that start here, sample the share `rate`, from 0 to 1."""

    def __init__(self, rate: float) -> None:
        super().__init__(root=TraceIdRatioBased(rate))


@stands_for("opentelemetry.sdk.trace.sampling", "AlwaysRecordSampler")
class AlwaysRecordSampler(Sampler):
    """Record every span for the processors, and send those that `root` samples."""

    def __init__(self, root: Sampler) -> None:
        if root is None:
            raise ConfigurationError("root", root, "a sampler")
        self._root = root

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
        result = self._root.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        # Asked, not compared: a sampler written against opentelemetry-sdk answers with that package's Decision.
        if result.decision.is_recording():
            return result
        return SamplingResult(Decision.RECORD_ONLY, result.attributes, result.trace_state)

    def get_description(self) -> str:
        return f"AlwaysRecordSampler{{{self._root.get_description()}}}"


DEFAULT_OFF: Final = ParentBased(ALWAYS_OFF)
DEFAULT_ON: Final = ParentBased(ALWAYS_ON)


def _result(decision: Decision, attributes: Attributes, parent_context: Context | None) -> SamplingResult:
    """Return a verdict that carries on the parent's trace state; a dropped span has no use for attributes."""
    parent = get_current_span(parent_context).get_span_context()
    trace_state = parent.trace_state if parent is not None and parent.is_valid else None
    return SamplingResult(decision, None if decision is Decision.DROP else attributes, trace_state)


# --- from the environment -------------------------------------------------------------------------------------

_BY_NAME: Final[dict[str, Sampler]] = {
    "always_on": ALWAYS_ON,
    "always_off": ALWAYS_OFF,
    "parentbased_always_on": DEFAULT_ON,
    "parentbased_always_off": DEFAULT_OFF,
}
_BY_NAME_AND_RATE: Final[dict[str, Callable[[float], Sampler]]] = {
    "traceidratio": TraceIdRatioBased,
    "parentbased_traceidratio": ParentBasedTraceIdRatio,
}


def from_environment() -> Sampler:
    """Return the sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name; DEFAULT_ON if they name none.

    A name that is not the specification's is looked up in the entry point group "opentelemetry_traces_sampler":
    a callable that takes the ARG (None when unset) and returns a sampler.  What cannot be used is warned about, and
    replaced by DEFAULT_ON, or by rate 1.0 if it is the ARG of a ratio sampler.
    """
    name = config.traces_sampler()
    if name is None:
        return DEFAULT_ON
    if (sampler := _BY_NAME.get(name.lower())) is not None:
        return sampler
    if (of_rate := _BY_NAME_AND_RATE.get(name.lower())) is not None:
        argument = config.traces_sampler_arg()
        try:
            return of_rate(float(argument or ""))
        except ValueError:
            report(
                "invalid_otel_traces_sampler_arg",
                "OTEL_TRACES_SAMPLER_ARG=%r: expected a number from 0.0 to 1.0; using 1.0",
                argument,
            )
            return of_rate(1.0)
    return _from_entry_point(name)


def _from_entry_point(name: str) -> Sampler:
    try:
        sampler = load_entry_point("opentelemetry_traces_sampler", name)(config.traces_sampler_arg())
        if not callable(getattr(sampler, "should_sample", None)):
            raise TypeError(f"the entry point returned {sampler!r}, which is not a sampler")
    except Exception as fault:  # code of another package; the program must start without it
        report("invalid_otel_traces_sampler", "OTEL_TRACES_SAMPLER=%r: %s; using parentbased_always_on", name, fault)
        return DEFAULT_ON
    return cast(Sampler, sampler)


# --- the native plan ------------------------------------------------------------------------------------------

Branch: TypeAlias = (
    "tuple[Literal['on']] | tuple[Literal['off']] | tuple[Literal['ratio'], int] | tuple[Literal['foreign'], object]"
)
"""How one sampler decides.  "ratio" carries the bound, 0 to 2**64; "foreign" the sampler that must be called."""

Plan: TypeAlias = (
    "tuple[Literal['on']] | tuple[Literal['off']] | tuple[Literal['ratio'], int]"
    " | tuple[Literal['parent'], Branch, Branch, Branch, Branch, Branch]"
)
"""What the native path takes: a decision without Python, or "parent" with root, remote sampled, remote not
sampled, local sampled, local not sampled."""

_ON: Final[tuple[Literal["on"]]] = ("on",)
_OFF: Final[tuple[Literal["off"]]] = ("off",)

_SDK_MODULE: Final = "opentelemetry.sdk.trace.sampling"

_SHAPES: Final[dict[str, Literal["static", "ratio", "parent"]]] = {
    "StaticSampler": "static",
    "TraceIdRatioBased": "ratio",
    "ParentBased": "parent",
    "ParentBasedTraceIdRatio": "parent",
    # What opentelemetry-sdk makes of OTEL_TRACES_SAMPLER: the same samplers with another constructor.
    "_AlwaysOn": "static",
    "_AlwaysOff": "static",
    "_ParentBasedAlwaysOn": "parent",
    "_ParentBasedAlwaysOff": "parent",
}
"""Classes of this module and of opentelemetry-sdk's that the native path stands in for, by what they hold."""


def plan(sampler: object) -> Plan | None:
    """Return how `sampler` decides, in the form the native path takes, or None if it must be called.

    Only a sampler whose decisions are known is planned: its class is one of `_SHAPES`, exactly, from this module or
    from opentelemetry-sdk (found in sys.modules, never imported), and nobody has replaced its methods, in the class
    or in the instance.  In a ParentBased each branch is judged alone; one that must be called is "foreign", and so
    is a ParentBased within a ParentBased.

    The plan is what the sampler is now: changing its underscore attributes later has no effect on a tracer.
    """
    if _shape(sampler) != "parent":
        own = _branch(sampler)
        return None if own[0] == "foreign" else own
    branches = [
        getattr(sampler, attribute, None)
        for attribute in (
            "_root",
            "_remote_parent_sampled",
            "_remote_parent_not_sampled",
            "_local_parent_sampled",
            "_local_parent_not_sampled",
        )
    ]
    if any(branch is None for branch in branches):
        return None
    root, remote_sampled, remote_not_sampled, local_sampled, local_not_sampled = map(_branch, branches)
    return "parent", root, remote_sampled, remote_not_sampled, local_sampled, local_not_sampled


def _branch(sampler: object) -> Branch:
    shape = _shape(sampler)
    if shape == "static":
        # By name, as there are two Decision classes.  RECORD_ONLY is left to the sampler.
        decision = getattr(getattr(sampler, "_decision", None), "name", None)
        if decision == "RECORD_AND_SAMPLE":
            return _ON
        if decision == "DROP":
            return _OFF
    elif shape == "ratio":
        bound = getattr(sampler, "bound", None)
        if isinstance(bound, int) and 0 <= bound <= 1 << 64:
            return "ratio", bound
    return "foreign", sampler


def _shape(sampler: object) -> Literal["static", "ratio", "parent"] | None:
    """Return what kind of known sampler this is, or None if it decides in a way of its own."""
    cls = type(sampler)
    if cls.__module__ not in (__name__, _SDK_MODULE):
        return None
    # A class only says where it is from.  It is from there if the module has it under that name.
    module = sys.modules.get(cls.__module__)
    if module is None or getattr(module, cls.__name__, None) is not cls:
        return None
    shape = _SHAPES.get(cls.__name__)
    if shape is None or "should_sample" in getattr(sampler, "__dict__", ()):
        return None
    # A replaced method, a decorated one too, was not compiled in that module, whatever it calls itself.
    method = getattr(cls, "should_sample", None)
    if not isinstance(method, FunctionType) or method.__globals__ is not vars(module):
        return None
    return shape
