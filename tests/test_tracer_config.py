"""Tracers that a configurator switches off and on, on tracecore and on opentelemetry-sdk."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace as api
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from tracecore.errors import reported, reset_reports

REMOTE = SpanContext(0xABC, 0xDEF, True, TraceFlags(1), TraceState([("a", "b")]))


@pytest.fixture(params=["opentelemetry.sdk", "tracecore.sdk"])
def sdk(request: pytest.FixtureRequest) -> Any:
    found: dict[str, Any] = {}
    for module in ("trace", "trace.export", "trace.export.in_memory_span_exporter", "util.instrumentation"):
        found.update(vars(importlib.import_module(f"{request.param}.{module}")))
    return SimpleNamespace(**found)


def rules(sdk: Any, *off: str) -> Any:
    return sdk._RuleBasedTracerConfigurator(
        rules=[(sdk._scope_name_matches_glob(pattern), sdk._TracerConfig(is_enabled=False)) for pattern in off],
        default_config=sdk._TracerConfig.default(),
    )


def traced(sdk: Any, configurator: Any) -> tuple[Any, Any]:
    provider = sdk.TracerProvider(shutdown_on_exit=False, _tracer_configurator=configurator)
    exporter = sdk.InMemorySpanExporter()
    provider.add_span_processor(sdk.SimpleSpanProcessor(exporter))
    return provider, exporter


def test_rules_switch_off_tracers_by_name_and_what_is_on_still_finds_its_parent(sdk: Any) -> None:
    provider, exporter = traced(sdk, rules(sdk, "noisy.*"))
    on, off = provider.get_tracer("app"), provider.get_tracer("noisy.lib")
    with on.start_as_current_span("outer") as outer:
        with off.start_as_current_span("hidden") as hidden:
            assert not hidden.is_recording() and isinstance(hidden, NonRecordingSpan)
            assert hidden.get_span_context() is outer.get_span_context()
            assert api.get_current_span() is hidden
            hidden.set_attribute("k", 1)
            hidden.add_event("e")
            hidden.record_exception(ValueError())
            with on.start_as_current_span("inner"):
                pass
        assert api.get_current_span() is outer
    inner, outer = exporter.get_finished_spans()
    assert (inner.name, outer.name) == ("inner", "outer")
    assert (inner.parent.span_id, inner.parent.is_remote) == (outer.context.span_id, False)


def test_without_a_parent_a_tracer_that_is_off_starts_an_invalid_span(sdk: Any) -> None:
    provider, exporter = traced(sdk, rules(sdk, "noisy"))
    with provider.get_tracer("noisy").start_as_current_span("hidden") as hidden:
        assert hidden.get_span_context() == api.INVALID_SPAN_CONTEXT
        with provider.get_tracer("app").start_as_current_span("root") as root:
            assert root.parent is None and root.get_span_context().is_valid
    assert [span.name for span in exporter.get_finished_spans()] == ["root"]


def test_a_remote_parent_stays_remote_through_a_tracer_that_is_off(sdk: Any) -> None:
    provider, exporter = traced(sdk, rules(sdk, "noisy"))
    arrived = set_span_in_context(NonRecordingSpan(REMOTE))
    hidden = provider.get_tracer("noisy").start_span("hidden", arrived)
    assert hidden.get_span_context() is REMOTE
    provider.get_tracer("app").start_span("child", set_span_in_context(hidden)).end()
    (child,) = exporter.get_finished_spans()
    assert (child.context.trace_id, child.parent, child.parent.is_remote) == (0xABC, REMOTE, True)
    assert child.context.trace_state == REMOTE.trace_state


def test_the_configurator_may_be_replaced_while_spans_are_open(sdk: Any) -> None:
    provider, exporter = traced(sdk, None)
    tracer = provider.get_tracer("app")
    before = tracer.start_span("before")
    provider._set_tracer_configurator(tracer_configurator=sdk._disable_tracer_configurator)
    assert not tracer._is_enabled() and not tracer.start_span("off").is_recording()
    assert not provider.get_tracer("new").start_span("off").is_recording()
    before.end()
    provider._set_tracer_configurator(tracer_configurator=sdk._default_tracer_configurator)
    assert tracer._is_enabled()
    tracer.start_span("after").end()
    assert [span.name for span in exporter.get_finished_spans()] == ["before", "after"]


def test_a_tracer_that_is_off_asks_neither_the_sampler_nor_the_id_generator(sdk: Any) -> None:
    class Never(api.ProxyTracerProvider):
        def should_sample(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError

        def get_description(self) -> str:
            return "Never"

        generate_span_id = generate_trace_id = is_trace_id_random = should_sample

    provider = sdk.TracerProvider(sampler=Never(), shutdown_on_exit=False, _tracer_configurator=rules(sdk, "*"))
    assert not provider.get_tracer("app").start_span("a").is_recording()


def test_a_configurator_that_raises_leaves_the_tracer_on(sdk: Any) -> None:
    reset_reports()

    def broken(scope: Any) -> Any:
        raise RuntimeError("no config")

    provider, exporter = traced(sdk, broken)
    provider.get_tracer("app").start_span("a").end()
    assert [span.name for span in exporter.get_finished_spans()] == ["a"]
    if sdk.TracerProvider.__module__.startswith("tracecore"):
        assert reported() == {"tracer_configurator": 1}


def test_rules_can_be_updated_and_the_first_that_fits_counts(sdk: Any) -> None:
    configurator = rules(sdk, "App")
    scope = sdk.InstrumentationScope("app")
    assert configurator(scope).is_enabled, "patterns tell upper and lower case apart"
    yes = sdk._scope_name_matches_glob("a?p")
    configurator.update_rules([(yes, sdk._TracerConfig(False)), (yes, sdk._TracerConfig(True))])
    assert configurator(scope) == sdk._TracerConfig(is_enabled=False)


def test_spans_of_a_tracer_that_is_off_are_in_no_count() -> None:
    from tracecore.sdk import trace
    from tracecore.sdk.trace import _disable_tracer_configurator

    provider = trace.TracerProvider(shutdown_on_exit=False, _tracer_configurator=_disable_tracer_configurator)
    before = provider.stats()["spans"]
    with provider.get_tracer("app").start_as_current_span("a"):
        provider.get_tracer("app").start_span("b").end()
    assert provider.stats()["spans"] == before
