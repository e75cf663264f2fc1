"""Composable samplers against opentelemetry-sdk's, and where the tracestate goes."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from tracecore.errors import ConfigurationError
from tracecore.provider import TracerProvider

EXPERIMENTAL = "trace._sampling_experimental"
ours: Any = importlib.import_module(f"tracecore.sdk.{EXPERIMENTAL}")
theirs: Any = importlib.import_module(f"opentelemetry.sdk.{EXPERIMENTAL}")
our_rules: Any = importlib.import_module(f"tracecore.sdk.{EXPERIMENTAL}._rule_based")
their_rules: Any = importlib.import_module(f"opentelemetry.sdk.{EXPERIMENTAL}._rule_based")
our_state: Any = importlib.import_module(f"tracecore.sdk.{EXPERIMENTAL}._trace_state")
their_state: Any = importlib.import_module(f"opentelemetry.sdk.{EXPERIMENTAL}._trace_state")

HEX = "0123456789abcdef"
MEMBERS = st.one_of(
    st.text(HEX, max_size=16).map("th:{}".format),
    st.text(HEX, min_size=14, max_size=14).map("th:{}".format),
    st.text(HEX, max_size=16).map("rv:{}".format),
    st.text(HEX, min_size=14, max_size=14).map("rv:{}".format),
    st.text("abxyz:", max_size=60),
)
ENTRIES = st.lists(MEMBERS, max_size=6).map(";".join)
STATES = st.none() | ENTRIES.map(lambda entry: TraceState([("ot", entry), ("x", "y")] if entry else [("x", "y")]))

KINDS = st.sampled_from(SpanKind)
ATTRIBUTES = st.none() | st.dictionaries(
    st.sampled_from(["k", "l"]), st.sampled_from(["v", "w", "very", 1, True, ["v", "x"], ("w",), b"v"]), max_size=2
)


@given(entry=ENTRIES)
def test_the_entry_is_read_and_written_as_the_sdk_does(entry: str) -> None:
    state = TraceState([("ot", entry)]) if entry else None
    our, their = our_state.OtelTraceState.parse(state), their_state.OtelTraceState.parse(state)
    assert (our.random_value, our.threshold, list(our.rest)) == (their.random_value, their.threshold, list(their.rest))
    written = our.serialize()
    assert len(written) <= 256 or ";" not in written
    if len(entry) <= 200 and our.threshold != 0:
        assert written == their.serialize()


@given(threshold=st.integers(0, 2**56))
def test_a_threshold_survives_the_tracestate(threshold: int) -> None:
    state = our_state.OtelTraceState.invalid()
    state.threshold = threshold
    text = state.serialize()
    their = their_state.OtelTraceState.invalid()
    their.threshold = threshold
    assert text == their.serialize()
    if threshold < 2**56:
        assert our_state.OtelTraceState.parse(TraceState([("ot", text)])).threshold == threshold


@pytest.mark.parametrize("value", ["0x12", "+1", "1_0", " 1", "g", "-1"])
def test_what_is_no_hexadecimal_number_is_no_threshold(value: str) -> None:
    assert our_state.OtelTraceState.parse(TraceState([("ot", f"th:{value}")])).threshold == -1


def predicates(rules: Any) -> dict[str, Any]:
    return {
        "always": rules.AlwaysMatchPredicate(),
        "values": rules.AttributeValuesPredicate("k", ["v", "1", "True"]),
        "patterns": rules.AttributePatternsPredicate("k", included=["v*"], excluded=["very"]),
        "excluded": rules.AttributePatternsPredicate("l", excluded=["w"]),
        "kind": rules.SpanKindPredicate([SpanKind.SERVER]),
        "remote": rules.ParentPredicate(["remote"]),
        "root": rules.ParentPredicate(["none"]),
        "local": rules.ParentPredicate(["local"]),
        "all": rules.AllPredicate([rules.SpanKindPredicate([SpanKind.CLIENT]), rules.ParentPredicate(["local"])]),
    }


PLANS = st.recursive(
    st.one_of(st.just(("on",)), st.just(("off",)), st.sampled_from([0.0, 1e-18, 0.1, 0.5, 1.0]).map(lambda r: ("ratio", r))),
    lambda inner: st.one_of(
        inner.map(lambda root: ("parent", root)),
        st.lists(st.tuples(st.sampled_from(sorted(predicates(our_rules))), inner), max_size=3).map(lambda r: ("rules", r)),
    ),
    max_leaves=4,
)


def built(plan: Any, experimental: Any, rules: Any) -> Any:
    if plan[0] == "on":
        return experimental.composable_always_on()
    if plan[0] == "off":
        return experimental.composable_always_off()
    if plan[0] == "ratio":
        return experimental.composable_traceid_ratio_based(plan[1])
    if plan[0] == "parent":
        return experimental.composable_parent_threshold(built(plan[1], experimental, rules))
    known = predicates(rules)
    return experimental.composable_rule_based([(known[name], built(inner, experimental, rules)) for name, inner in plan[1]])


@given(
    plan=PLANS,
    parent=st.sampled_from(["none", "local", "remote"]),
    parent_sampled=st.booleans(),
    state=STATES,
    trace_id=st.integers(1, 2**128 - 1),
    kind=KINDS,
    attributes=ATTRIBUTES,
)
def test_a_composite_sampler_decides_as_the_sdks(
    plan: Any, parent: str, parent_sampled: bool, state: TraceState | None, trace_id: int, kind: SpanKind, attributes: Any
) -> None:
    context = None
    if parent != "none":
        span_context = SpanContext(trace_id, 1, parent == "remote", TraceFlags(parent_sampled), state)
        context = set_span_in_context(NonRecordingSpan(span_context))
    else:
        state = None
    our = ours.composite_sampler(built(plan, ours, our_rules))
    their = theirs.composite_sampler(built(plan, theirs, their_rules))
    assert our.get_description() == their.get_description()
    a = our.should_sample(context, trace_id, "name", kind, attributes, (), state)
    b = their.should_sample(context, trace_id, "name", kind, attributes, (), state)
    assert (a.decision.name, dict(a.attributes)) == (b.decision.name, dict(b.attributes))
    mine, expected = dict(a.trace_state or {}), dict(b.trace_state or {})
    if "ot" not in mine:
        # Nothing to say: the SDK leaves the parent's entry where it is, with a threshold that does not hold.
        assert expected.pop("ot", None) == (state or {}).get("ot")
    elif len(mine["ot"]) > 200:
        del mine["ot"], expected["ot"]  # where an entry is too long, they cut differently
    assert mine == expected


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(ConfigurationError, match="ratio"):
        ours.composable_traceid_ratio_based(ratio)


def test_descriptions_of_predicates_are_the_sdks() -> None:
    assert {name: str(p) for name, p in predicates(our_rules).items()} == {
        name: str(p) for name, p in predicates(their_rules).items()
    }


def test_the_old_predicate_still_works_and_warns() -> None:
    with pytest.warns(DeprecationWarning):
        predicate = our_rules.AttributePredicate("k", "v")
    assert str(predicate) == "k=v"
    assert predicate(None, "n", None, {"k": "v"}, None, None) and not predicate(None, "n", None, None, None, None)


# ---- in a tracer: `composite-trace-state` of docs/differences.md ------------------------------------------------


def children(provider: Any, state: TraceState) -> Any:
    parent = SpanContext(0xFFFFFFFFFFFFFFFF, 1, True, TraceFlags(1), state)
    return provider.get_tracer("lib").start_span("child", set_span_in_context(NonRecordingSpan(parent)))


def test_a_child_sees_the_tracestate_of_its_parent() -> None:
    sampler = ours.composite_sampler(ours.composable_parent_threshold(ours.composable_always_off()))
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    child = children(provider, TraceState([("ot", "th:8;k:v"), ("x", "y")]))
    assert child.is_recording()
    assert dict(child.get_span_context().trace_state) == {"ot": "th:8;k:v", "x": "y"}

    # opentelemetry-sdk's tracer does not tell its sampler: the threshold is lost, and the rest with it.
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

    their_sampler = theirs.composite_sampler(theirs.composable_parent_threshold(theirs.composable_always_off()))
    theirs_child = children(
        SdkTracerProvider(sampler=their_sampler, shutdown_on_exit=False), TraceState([("ot", "th:8;k:v"), ("x", "y")])
    )
    assert dict(theirs_child.get_span_context().trace_state) == {}


def test_a_threshold_that_does_not_hold_for_the_child_is_not_handed_on() -> None:
    sampler = ours.composite_sampler(ours.composable_always_off())
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    child = children(provider, TraceState([("ot", "th:8"), ("x", "y")]))
    assert not child.is_recording() and dict(child.get_span_context().trace_state) == {"x": "y"}


def test_a_root_tells_its_threshold_and_the_trace_is_kept_by_its_randomness() -> None:
    sampler = ours.composite_sampler(ours.composable_traceid_ratio_based(0.5))
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    tracer = provider.get_tracer("lib")
    spans = [tracer.start_span("a") for _ in range(200)]
    for span in spans:
        context = span.get_span_context()
        randomness = context.trace_id & (1 << 56) - 1
        assert span.is_recording() is (randomness >= 1 << 55)
        assert dict(context.trace_state) == ({"ot": "th:8"} if span.is_recording() else {})
    assert 0 < sum(span.is_recording() for span in spans) < 200


def test_names_that_opentelemetry_configuration_imports_are_there() -> None:
    names = {"AllPredicate", "AlwaysMatchPredicate", "AttributePatternsPredicate", "AttributeValuesPredicate", "ParentPredicate"}
    for name in names | {"PredicateT", "RulesT", "SpanKindPredicate"}:
        assert hasattr(their_rules, name) and hasattr(our_rules, name), name
