"""Samplers against opentelemetry-sdk's, and their plans against the samplers."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling as typed_sdk
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from tracecore import sampling
from tracecore.errors import ConfigurationError, reported, reset_reports
from tracecore.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    AlwaysRecordSampler,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
    from_environment,
    plan,
)

# Half of it has no types.
sdk: Any = typed_sdk


@pytest.fixture(autouse=True)
def _no_reports_from_elsewhere() -> Iterator[None]:
    reset_reports()
    yield
    reset_reports()


# --- the same sampler, from this package and from opentelemetry-sdk -------------------------------------------

Recipe = tuple[Any, ...]
"""How to make a sampler: its class's name and the arguments, recipes themselves where those are samplers."""

RATES = st.floats(0.0, 1.0) | st.sampled_from([0.0, 1.0, 1, 0, 2**-64, 2**-65, 0.5])
LEAVES = st.one_of(
    st.sampled_from([("StaticSampler", name) for name in ("DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE")]),
    st.tuples(st.just("TraceIdRatioBased"), RATES),
    st.tuples(st.just("ParentBasedTraceIdRatio"), RATES),
)
RECIPES: st.SearchStrategy[Recipe] = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(st.just("AlwaysRecordSampler"), inner)
        | st.tuples(st.just("ParentBased"), inner)
        | st.tuples(st.just("ParentBased"), inner, inner, inner, inner, inner)
    ),
    max_leaves=8,
)


def made(module: Any, recipe: Recipe) -> Any:
    kind, *arguments = recipe
    if kind == "StaticSampler":
        return module.StaticSampler(module.Decision[arguments[0]])
    return getattr(module, kind)(
        *(made(module, argument) if isinstance(argument, tuple) else argument for argument in arguments)
    )


TRACE_IDS = (
    st.integers(1, 2**128 - 1)
    | st.integers(1, 2**64 + 2)
    | st.builds(
        lambda high, low: (high << 64) | low,
        st.integers(1, 2**64 - 1),
        st.sampled_from([0, 2**63 - 1, 2**63, 2**64 - 1]),
    )
)
SPAN_CONTEXTS = st.builds(
    SpanContext,
    trace_id=st.just(0) | TRACE_IDS,
    span_id=st.integers(0, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.integers(0, 255).map(TraceFlags),
    trace_state=st.sampled_from([None, TraceState([("a", "1")])]),
)
PARENTS: st.SearchStrategy[Context | None] = st.none() | SPAN_CONTEXTS.map(
    lambda context: set_span_in_context(NonRecordingSpan(context), Context())
)
ATTRIBUTES = st.sampled_from([None, {}, {"k": "v", "n": 1}])


def verdict(result: Any) -> tuple[str, bool, bool, dict[str, Any], TraceState | None]:
    return (
        result.decision.name,
        result.decision.is_recording(),
        result.decision.is_sampled(),
        dict(result.attributes),
        result.trace_state,
    )


@given(RECIPES, PARENTS, TRACE_IDS, ATTRIBUTES)
def test_every_sampler_decides_and_describes_itself_as_the_sdks_does(
    recipe: Recipe, parent: Context | None, trace_id: int, attributes: dict[str, Any] | None
) -> None:
    ours, theirs = made(sampling, recipe), made(sdk, recipe)
    call: Any = (parent, trace_id, "name", SpanKind.SERVER, attributes, [])
    assert verdict(ours.should_sample(*call)) == verdict(theirs.should_sample(*call))
    assert ours.get_description() == theirs.get_description()


@given(RATES)
def test_a_ratio_has_the_sdks_bound(rate: float) -> None:
    ours, theirs = TraceIdRatioBased(rate), sdk.TraceIdRatioBased(rate)
    assert (ours.rate, ours.bound) == (theirs.rate, theirs.bound)
    assert TraceIdRatioBased.TRACE_ID_LIMIT == sdk.TraceIdRatioBased.TRACE_ID_LIMIT


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_rate_that_is_no_probability_is_refused_by_name_value_and_range(rate: float) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a number from 0\.0 to 1\.0"):
        TraceIdRatioBased(rate)
    with pytest.raises(ValueError, match=r"Probability|NaN"):
        sdk.TraceIdRatioBased(rate)


def test_a_result_shows_itself_as_the_sdks_and_its_attributes_cannot_be_changed() -> None:
    result = SamplingResult(Decision.DROP, {"k": 1})
    assert repr(result) == repr(sdk.SamplingResult(sdk.Decision.DROP, {"k": 1}))
    with pytest.raises(TypeError):
        result.attributes["k"] = 2  # type: ignore[index]


def test_always_record_accepts_a_sampler_that_answers_with_the_sdks_decision() -> None:
    result = AlwaysRecordSampler(sdk.ALWAYS_OFF).should_sample(None, 1, "name")
    assert result.decision is Decision.RECORD_ONLY
    result = AlwaysRecordSampler(sdk.ALWAYS_ON).should_sample(None, 1, "name")
    assert result.decision.name == "RECORD_AND_SAMPLE"


def test_always_record_needs_a_root() -> None:
    with pytest.raises(ConfigurationError, match="root=None: expected a sampler"):
        AlwaysRecordSampler(None)  # type: ignore[arg-type]


# --- plans ----------------------------------------------------------------------------------------------------


def decided(plan_: Any, parent: Context | None, trace_id: int) -> str:
    """Decide by a plan, as the native path does."""
    kind, *rest = plan_
    if kind == "foreign":
        return str(rest[0].should_sample(parent, trace_id, "name").decision.name)
    if kind == "parent":
        context = get_current_span(parent).get_span_context()
        root, remote_sampled, remote_not_sampled, local_sampled, local_not_sampled = rest
        if not context.is_valid:
            branch = root
        elif context.is_remote:
            branch = remote_sampled if context.trace_flags.sampled else remote_not_sampled
        else:
            branch = local_sampled if context.trace_flags.sampled else local_not_sampled
        return decided(branch, parent, trace_id)
    if kind == "ratio":
        return "RECORD_AND_SAMPLE" if trace_id & (2**64 - 1) < rest[0] else "DROP"
    return {"on": "RECORD_AND_SAMPLE", "off": "DROP"}[kind]


@given(RECIPES, PARENTS, TRACE_IDS, st.sampled_from([sampling, sdk]))
def test_a_plan_decides_as_its_sampler(recipe: Recipe, parent: Context | None, trace_id: int, module: Any) -> None:
    sampler = made(module, recipe)
    planned = plan(sampler)
    if planned is None:
        assert recipe[0] == "AlwaysRecordSampler" or recipe == ("StaticSampler", "RECORD_ONLY")
    else:
        assert decided(planned, parent, trace_id) == sampler.should_sample(parent, trace_id, "name").decision.name


ON, OFF = ("on",), ("off",)


@pytest.mark.parametrize("module", [sampling, sdk])
def test_the_built_in_samplers_are_planned_wherever_they_are_from(module: Any) -> None:
    half = ("ratio", 2**63)
    assert plan(module.ALWAYS_ON) == ON
    assert plan(module.ALWAYS_OFF) == OFF
    assert plan(module.TraceIdRatioBased(0.5)) == half
    assert plan(module.TraceIdRatioBased(1.0)) == ("ratio", 2**64)
    assert plan(module.TraceIdRatioBased(0.0)) == ("ratio", 0)
    assert plan(module.DEFAULT_ON) == ("parent", ON, ON, OFF, ON, OFF)
    assert plan(module.DEFAULT_OFF) == ("parent", OFF, ON, OFF, ON, OFF)
    assert plan(module.ParentBasedTraceIdRatio(0.5)) == ("parent", half, ON, OFF, ON, OFF)
    every_other = module.ParentBased(
        module.ALWAYS_OFF, module.ALWAYS_OFF, module.ALWAYS_ON, module.TraceIdRatioBased(0.5), module.ALWAYS_ON
    )
    assert plan(every_other) == ("parent", OFF, OFF, ON, half, ON)


def test_the_samplers_the_sdk_makes_of_the_environment_are_planned() -> None:
    assert plan(sdk._AlwaysOn(None)) == ON
    assert plan(sdk._AlwaysOff(None)) == OFF
    assert plan(sdk._ParentBasedAlwaysOn(None)) == ("parent", ON, ON, OFF, ON, OFF)
    assert plan(sdk._ParentBasedAlwaysOff(None)) == ("parent", OFF, ON, OFF, ON, OFF)


def test_a_branch_that_must_be_called_is_foreign_and_the_others_are_not() -> None:
    record_only = StaticSampler(Decision.RECORD_ONLY)
    sampler = ParentBased(DEFAULT_ON, local_parent_not_sampled=record_only)
    assert plan(sampler) == ("parent", ("foreign", DEFAULT_ON), ON, OFF, ON, ("foreign", record_only))


def test_our_samplers_and_the_sdks_may_be_mixed_in_one_plan() -> None:
    assert plan(ParentBased(sdk.TraceIdRatioBased(0.5))) == (
        "parent",
        ("ratio", 2**63),
        ON,
        OFF,
        ON,
        OFF,
    )


class Doubled(TraceIdRatioBased):
    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE)


class Renamed(ParentBased):
    """Adds nothing that the plan could miss, but that is not for the plan to find out."""


class SdkStatic(typed_sdk.StaticSampler):
    pass


@pytest.mark.parametrize(
    "sampler",
    [
        Doubled(0.5),
        Renamed(ALWAYS_ON),
        SdkStatic(typed_sdk.Decision.DROP),
        AlwaysRecordSampler(ALWAYS_ON),
        object(),
    ],
)
def test_a_subclass_or_anything_else_is_called_not_planned(sampler: Any) -> None:
    assert plan(sampler) is None
    assert plan(ParentBased(sampler)) == ("parent", ("foreign", sampler), ON, OFF, ON, OFF)


def test_a_class_that_only_bears_the_name_of_a_sampler_is_not_planned() -> None:
    for module in (sampling, sdk):
        impostor = type("StaticSampler", (module.StaticSampler,), {"__module__": module.__name__})
        assert plan(impostor(module.Decision.DROP)) is None


@pytest.mark.parametrize("module", [sampling, sdk])
@pytest.mark.parametrize("name", ["StaticSampler", "TraceIdRatioBased", "ParentBased"])
def test_a_replaced_method_is_called_not_planned_past(module: Any, name: str) -> None:
    cls = getattr(module, name)
    sampler = {
        "StaticSampler": module.ALWAYS_ON,
        "TraceIdRatioBased": module.TraceIdRatioBased(0.5),
        "ParentBased": module.DEFAULT_ON,
    }[name]

    original = cls.should_sample

    @functools.wraps(original)
    def logged(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    assert plan(sampler) is not None
    with mock.patch.object(cls, "should_sample", logged):
        assert plan(sampler) is None
    with mock.patch.object(cls, "should_sample"):
        assert plan(sampler) is None
    with mock.patch.object(sampler, "should_sample"):
        assert plan(sampler) is None
    assert plan(sampler) is not None


@pytest.mark.parametrize("bound", [-1, 2**64 + 1, 0.5, None])
def test_a_bound_that_is_no_64_bit_number_is_left_to_the_sampler(bound: Any) -> None:
    sampler = TraceIdRatioBased(0.5)
    sampler._bound = bound
    assert plan(sampler) is None


def test_planning_does_not_import_the_sdk() -> None:
    script = (
        "import sys; from tracecore import sampling; "
        "assert sampling.plan(sampling.DEFAULT_ON)[0] == 'parent'; "
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.sdk')]"
    )
    root = Path(sampling.__file__).parent.parent
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})


# --- from the environment -------------------------------------------------------------------------------------


def environment(**variables: str) -> Any:
    """Set these OTEL_ variables and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return mock.patch.dict(os.environ, {**kept, **variables}, clear=True)


NAMES = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]


@given(
    name=st.none() | st.sampled_from([*NAMES, *map(str.upper, NAMES), "", "unknown"]),
    argument=st.none()
    | st.floats(-0.5, 1.5).map(str)
    | st.sampled_from(["", "nan", "inf", " 0.25 ", "1e-3", "x", "1_0"]),
)
def test_the_environment_names_the_sampler_it_names_for_the_sdk(name: str | None, argument: str | None) -> None:
    variables = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}
    with environment(**{key: value for key, value in variables.items() if value is not None}):
        assert from_environment().get_description() == sdk._get_from_env_or_default().get_description()


def test_a_rate_that_cannot_be_read_is_named_with_what_is_used_instead(caplog: pytest.LogCaptureFixture) -> None:
    with environment(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="half"):
        assert plan(from_environment()) == ("ratio", 2**64)
    (record,) = caplog.records
    assert "OTEL_TRACES_SAMPLER_ARG='half': expected a number from 0.0 to 1.0; using 1.0" in record.getMessage()


def test_an_unknown_sampler_is_named_with_what_is_used_instead(caplog: pytest.LogCaptureFixture) -> None:
    with environment(OTEL_TRACES_SAMPLER="sometimes"):
        assert from_environment() is DEFAULT_ON
    (record,) = caplog.records
    assert "OTEL_TRACES_SAMPLER='sometimes'" in record.getMessage()
    assert "using parentbased_always_on" in record.getMessage()
    assert reported() == {"invalid_otel_traces_sampler": 1}


def installed(value: str) -> Any:
    """Pretend that a package with a sampler called "custom" is installed."""
    group = EntryPoints([EntryPoint("custom", value, "opentelemetry_traces_sampler")])
    return mock.patch("importlib.metadata.entry_points", group.select)


class Asked(Sampler):
    def __init__(self, argument: str | None) -> None:
        self.argument = argument

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return "Asked"


def not_a_sampler(argument: str | None) -> int:
    return 5


def raises(argument: str | None) -> None:
    raise RuntimeError("cannot")


@pytest.mark.parametrize("argument", [None, "x=1"])
def test_a_sampler_of_another_package_is_made_with_the_argument(argument: str | None) -> None:
    variables = {"OTEL_TRACES_SAMPLER": "custom"} | ({} if argument is None else {"OTEL_TRACES_SAMPLER_ARG": argument})
    with environment(**variables), installed(f"{__name__}:Asked"):
        sampler = from_environment()
    assert isinstance(sampler, Asked)
    assert sampler.argument == argument


@pytest.mark.parametrize("value", ["not_a_sampler", "raises", "missing"])
def test_a_sampler_of_another_package_that_fails_is_replaced_and_reported(value: str) -> None:
    with environment(OTEL_TRACES_SAMPLER="custom"), installed(f"{__name__}:{value}"):
        assert from_environment() is DEFAULT_ON
    assert reported() == {"invalid_otel_traces_sampler": 1}


def test_the_defaults_are_what_their_names_say() -> None:
    assert DEFAULT_ON.get_description() == sdk.DEFAULT_ON.get_description()
    assert DEFAULT_OFF.get_description() == sdk.DEFAULT_OFF.get_description()
    assert ParentBasedTraceIdRatio(0.5).get_description() == sdk.ParentBasedTraceIdRatio(0.5).get_description()
    assert ALWAYS_OFF.get_description() == sdk.ALWAYS_OFF.get_description()
