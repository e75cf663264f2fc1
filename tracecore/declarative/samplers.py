"""Samplers of a configuration file."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from tracecore import sampling
from tracecore.declarative import schema
from tracecore.entry_point import load_entry_point

__all__ = ["WrongComponent", "sampler"]

_BRANCHES: Final = ("remote_parent_sampled", "remote_parent_not_sampled", "local_parent_sampled", "local_parent_not_sampled")


def sampler(component: schema.Component) -> Any:
    """Return what `component` names.

    Raises: WrongComponent, which says which of the samplers within one another cannot be made.
    """
    settings = component.settings
    match component.name:
        case "always_on":
            return sampling.ALWAYS_ON
        case "always_off":
            return sampling.ALWAYS_OFF
        case "trace_id_ratio_based":
            return sampling.TraceIdRatioBased(_ratio(settings))
        case "parent_based":
            root = sampling.ALWAYS_ON if settings.root is UNSET else sampler(settings.root)
            branches = {name: sampler(branch) for name in _BRANCHES if (branch := getattr(settings, name)) is not UNSET}
            return sampling.ParentBased(root, **branches)
        case "always_record":
            return sampling.AlwaysRecordSampler(sampler(settings.root))
        case "probability/development":
            from tracecore.composable_sampling import composable_traceid_ratio_based, composite_sampler

            return composite_sampler(composable_traceid_ratio_based(_ratio(settings)))
        case "composite/development":
            from tracecore.composable_sampling import composite_sampler

            return composite_sampler(_composable(settings))
        case "jaeger_remote/development":
            return _jaeger_remote(component)
    return _installed(component)


def _ratio(settings: schema.TraceIdRatio) -> float:
    return 1.0 if settings.ratio is None else settings.ratio


def _composable(component: schema.Component) -> Any:
    from tracecore import composable_sampling as composable

    settings = component.settings
    match component.name:
        case "always_on":
            return composable.composable_always_on()
        case "always_off":
            return composable.composable_always_off()
        case "probability":
            return composable.composable_traceid_ratio_based(_ratio(settings))
        case "parent_threshold":
            return composable.composable_parent_threshold(_composable(settings.root))
        case "rule_based":
            rules = [] if settings.rules is UNSET else settings.rules
            return composable.composable_rule_based([(_predicate(rule), _composable(rule.sampler)) for rule in rules])
    raise WrongComponent(component, "is no composable sampler that tracecore has")


def _predicate(rule: schema.Rule) -> Any:
    from opentelemetry.trace import SpanKind

    from tracecore import sampling_rules as rules

    predicates: list[Any] = []
    if (values := rule.attribute_values) is not UNSET:
        predicates.append(rules.AttributeValuesPredicate(values.key, values.values))
    if (patterns := rule.attribute_patterns) is not UNSET:
        included = None if patterns.included is UNSET else patterns.included
        excluded = None if patterns.excluded is UNSET else patterns.excluded
        predicates.append(rules.AttributePatternsPredicate(patterns.key, included, excluded))
    if rule.span_kinds is not UNSET:
        predicates.append(rules.SpanKindPredicate([SpanKind[kind.upper()] for kind in rule.span_kinds]))
    if rule.parent is not UNSET:
        predicates.append(rules.ParentPredicate(rule.parent))
    return (
        predicates[0] if len(predicates) == 1 else rules.AllPredicate(predicates) if predicates else rules.AlwaysMatchPredicate()
    )


def _jaeger_remote(component: schema.Component) -> Any:
    """Return the sampler an installed package has under the name the specification gives it in OTEL_TRACES_SAMPLER.

    It gets its settings in that variable's form: names and values, and of the initial sampler its rate.
    """
    settings: schema.JaegerRemote = component.settings
    initial = settings.initial_sampler
    if initial.name not in ("trace_id_ratio_based", "always_on", "always_off"):
        raise WrongComponent(initial, "expected trace_id_ratio_based, always_on or always_off")
    rate = _ratio(initial.settings) if initial.name == "trace_id_ratio_based" else float(initial.name == "always_on")
    interval = 60000 if settings.interval is None else settings.interval
    argument = f"endpoint={settings.endpoint},pollingIntervalMs={interval},initialSamplingRate={rate}"
    try:
        return _checked(component, load_entry_point("opentelemetry_traces_sampler", "jaeger_remote")(argument))
    except LookupError:
        raise WrongComponent(component, "no installed package offers the sampler jaeger_remote") from None


def _installed(component: schema.Component) -> Any:
    """Return a sampler of another package: by the group of configuration files, else by OTEL_TRACES_SAMPLER's."""
    settings = component.settings
    try:
        factory = load_entry_point("opentelemetry_sampler", component.name)
    except LookupError:
        try:
            factory = load_entry_point("opentelemetry_traces_sampler", component.name)
        except LookupError as fault:
            raise WrongComponent(component, str(fault)) from None
        # Those take one text, the variable's ARG.
        return _checked(component, factory(**settings) if settings else factory(None))
    return _checked(component, factory(**settings))


def _checked(component: schema.Component, made: Any) -> Any:
    if not callable(getattr(made, "should_sample", None)):
        raise WrongComponent(component, f"{made!r} is not a sampler")
    return made


class WrongComponent(Exception):
    """A component that cannot be made, and why."""

    def __init__(self, component: schema.Component, message: str) -> None:
        super().__init__(message)
        self.component = component
