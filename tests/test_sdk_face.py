"""tracecore.sdk against opentelemetry.sdk: names, signatures, and one program imported from either."""

from __future__ import annotations

import enum
import importlib
import inspect
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace as api
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tracecore import errors
from tracecore.exporters import Outcome

DIFFERENCES = Path(__file__).parent.parent / "docs" / "differences.md"

MODULES = (
    "environment_variables",
    "resources",
    "trace",
    "trace._sampling_experimental",
    "trace._sampling_experimental._rule_based",
    "trace._sampling_experimental._trace_state",
    "trace._sampling_experimental._util",
    "trace.export",
    "trace.export.in_memory_span_exporter",
    "trace.id_generator",
    "trace.sampling",
    "util.instrumentation",
    "version",
)

NOT_FOR_TRACES = re.compile("METRIC|_LOGS_|LOGRECORD|BLRP|PROMETHEUS|_METER_|_LOGGER_")
"""Variables that tracecore.sdk.environment_variables leaves to opentelemetry-sdk."""


@pytest.fixture(autouse=True)
def _own_reports() -> Iterator[None]:
    errors.reset_reports()
    yield
    errors.reset_reports()


# ---- names and signatures --------------------------------------------------------------------------------------


def is_public(module: str, name: str, value: Any) -> bool:
    """Whether programs may import `name` from the SDK's module: what it defines or takes from the SDK's public ones."""
    if name.startswith("_"):
        return name == "__version__"
    if inspect.isclass(value) or inspect.isfunction(value):
        home = value.__module__
        if home == f"opentelemetry.sdk.{module}":
            return True
        inside = home.removeprefix("opentelemetry.sdk.")
        if module == "trace._sampling_experimental":
            return inside.startswith(module)
        return "._" not in module and home.startswith("opentelemetry.sdk.") and not any(part.startswith("_") for part in inside.split("."))
    if "._" in module and not module.endswith("._util"):
        return False  # its constants are those of _util
    return name.isupper() and isinstance(value, (str, int)) and not name.startswith("EXCEPTION_")


def public_names() -> list[tuple[str, str]]:
    found = []
    for module in MODULES:
        theirs = importlib.import_module(f"opentelemetry.sdk.{module}")
        for name, value in vars(theirs).items():
            if is_public(module, name, value) and not (name.startswith("OTEL_") and NOT_FOR_TRACES.search(name)):
                found.append((module, name))
    return sorted(found)


PUBLIC = public_names()


def both(module: str, name: str) -> tuple[Any, Any]:
    theirs = getattr(importlib.import_module(f"opentelemetry.sdk.{module}"), name)
    return theirs, getattr(importlib.import_module(f"tracecore.sdk.{module}"), name)


def test_the_walk_over_the_sdk_finds_its_names() -> None:
    assert len(PUBLIC) > 150
    for name in ("TracerProvider", "Tracer", "Span", "ReadableSpan", "SpanLimits", "EventBase", "SPAN_ATTRIBUTE_COUNT_LIMIT"):
        assert ("trace", name) in PUBLIC
    assert ("resources", "KUBERNETES_CRON_JOB_UID") in PUBLIC


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_every_public_name_of_the_sdk_is_there_with_its_signature(module: str, name: str) -> None:
    theirs, ours = both(module, name)
    if inspect.isclass(theirs):
        assert inspect.isclass(ours)
        compare_classes(theirs, ours)
    elif inspect.isfunction(theirs):
        compare_signatures(theirs, ours)
    elif name != "__version__":
        assert ours == theirs


def compare_classes(theirs: type, ours: type) -> None:
    if issubclass(theirs, enum.Enum):
        assert [(member.name, member.value) for member in ours] == [(m.name, m.value) for m in theirs]  # type: ignore[attr-defined]
        return
    compare_signatures(theirs, ours)
    for name, attribute in inspect.getmembers(theirs):
        if name.startswith("_"):
            continue
        if (theirs.__name__, name) == ("BatchSpanProcessor", "span_exporter"):
            continue  # a property there, set by the constructor here
        kind = inspect.getattr_static(ours, name)
        if callable(attribute):
            assert callable(getattr(ours, name)), name
            compare_signatures(attribute, getattr(ours, name))
        elif isinstance(attribute, property):
            assert isinstance(kind, property), name
        elif theirs.__name__ != "SamplingIntent":
            assert getattr(ours, name) == attribute


def compare_signatures(theirs: Callable[..., Any], ours: Callable[..., Any]) -> None:
    """Whatever can be passed there can be passed here; here may be more, which nobody must pass."""
    expected = inspect.signature(theirs).parameters
    if [p.kind for p in expected.values()][-2:] == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]:
        return  # set_status and update_name, behind a decorator that hides theirs
    given = dict(inspect.signature(ours).parameters)
    names = [name for name in given if name in expected]
    assert names == list(expected)
    positional = [name for name, p in given.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional[: sum(p.kind is not inspect.Parameter.KEYWORD_ONLY for p in expected.values())] == [
        name for name, p in expected.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    for name, parameter in given.items():
        if name not in expected:
            assert parameter.default is not inspect.Parameter.empty, name
            continue
        assert parameter.kind == expected[name].kind, name
        assert said(parameter.default) == said(expected[name].default), name


def said(default: object) -> object:
    """A default in words that are the same on both sides."""
    if callable(getattr(default, "get_description", None)):
        return default.get_description()  # type: ignore[attr-defined]
    if isinstance(default, Status):
        return default.status_code, default.description
    if inspect.isfunction(default) or default is inspect.Parameter.empty:
        return type(default)
    if type(default).__module__.startswith(("opentelemetry.sdk", "tracecore")):
        return type(default).__name__, str(vars(default)) if type(default).__name__ == "SpanLimits" else None
    return default


PRIVATE = {
    "trace": (
        "_RuleBasedTracerConfigurator", "_Span", "_TracerConfig", "_TracerConfiguratorT", "_UnsetLimits",
        "_default_tracer_configurator", "_disable_tracer_configurator",
    ),
    "resources": ("_DEFAULT_RESOURCE", "_EMPTY_RESOURCE", "_HostResourceDetector", "_get_process_dependent_resource"),
    "trace.sampling": ("_get_from_env_or_default",),
    "util.instrumentation": ("_scope_name_matches_glob", "_InstrumentationScopePredicateT"),
}
"""Names with an underscore that other packages import all the same."""


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PRIVATE.items() for name in names])
def test_private_names_that_others_import_are_there(module: str, name: str) -> None:
    theirs, ours = both(module, name)
    if inspect.isclass(theirs) and name != "_HostResourceDetector":
        compare_signatures(theirs, ours)


# ---- one program, imported from either -------------------------------------------------------------------------


def names_of(root: str) -> Any:
    """What a program imports, from opentelemetry.sdk or from tracecore.sdk."""
    modules = ("resources", "trace", "trace.export", "trace.export.in_memory_span_exporter", "trace.sampling", "trace.id_generator")
    found: dict[str, Any] = {}
    for module in modules:
        found.update(vars(importlib.import_module(f"{root}.{module}")))
    return SimpleNamespace(**found)


@pytest.fixture(params=["opentelemetry.sdk", "tracecore.sdk"])
def sdk(request: pytest.FixtureRequest) -> Any:
    return names_of(request.param)


def described(span: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(span.to_json())
    for key in ("context", "parent_id", "start_time", "end_time"):
        del content[key]
    for event in content["events"]:
        del event["timestamp"]
    for link in content["links"]:
        del link["context"]
    return content


def test_a_program_does_the_same_whichever_it_imports() -> None:
    assert program(names_of("tracecore.sdk")) == program(names_of("opentelemetry.sdk"))


def program(sdk: Any) -> Any:
    """What a service does with the SDK, once."""

    class Ids(sdk.RandomIdGenerator):  # type: ignore[misc, name-defined]
        def generate_span_id(self) -> int:
            return super().generate_span_id() | 1

    class Upper(sdk.SpanProcessor):  # type: ignore[misc, name-defined]
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            span.set_attribute("started", span.name.upper())

    class Quiet(sdk.BatchSpanProcessor):  # type: ignore[misc, name-defined]
        def on_end(self, span: Any) -> None:
            if span.attributes.get("quiet") is not True:
                super().on_end(span)

    memory, filtered, told = sdk.InMemorySpanExporter(), sdk.InMemorySpanExporter(), sdk.InMemorySpanExporter()
    written = io.StringIO()
    several = sdk.SynchronousMultiSpanProcessor()
    several.add_span_processor(sdk.BatchSpanProcessor(told))
    provider = sdk.TracerProvider(
        sampler=sdk.ParentBased(sdk.TraceIdRatioBased(1.0)),
        resource=sdk.Resource({sdk.SERVICE_NAME: "shop"}),
        active_span_processor=several,
        id_generator=Ids(),
        span_limits=sdk.SpanLimits(max_span_attributes=4, max_attribute_length=5),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(Upper())
    provider.add_span_processor(sdk.BatchSpanProcessor(memory, max_queue_size=100, max_export_batch_size=10))
    provider.add_span_processor(Quiet(filtered))
    provider.add_span_processor(sdk.SimpleSpanProcessor(sdk.ConsoleSpanExporter(out=written, formatter=lambda s: s.name)))
    tracer = provider.get_tracer("lib", "1.0", "https://schema", {"scope": True})
    with tracer.start_as_current_span("outer", kind=SpanKind.SERVER, attributes={"a": "longer than that"}) as outer:
        outer.add_event("happened", {"n": 1})
        with tracer.start_as_current_span("inner", links=[Link(outer.get_span_context(), {"l": 2.5})]) as inner:
            inner.set_attributes({"b": [1, 2], "c": True, "quiet": True, "d": "one too many"})
            inner.set_status(Status(StatusCode.ERROR, "no"))
        with pytest.raises(ZeroDivisionError), tracer.start_as_current_span("failing"):
            1 / 0  # noqa: B018
    assert provider.force_flush()
    provider.shutdown()
    failing = memory.get_finished_spans()[1].events[0].attributes
    return (
        [described(span) for span in (memory.get_finished_spans()[0], memory.get_finished_spans()[2])],
        sorted(failing),
        [[span.name for span in exporter.get_finished_spans()] for exporter in (memory, filtered, told)],
        [span.instrumentation_scope.to_json() for span in filtered.get_finished_spans()],
        written.getvalue(),
        provider.sampler.get_description(),
        repr(sdk.SpanLimits(max_events=3)),
        str(outer).lstrip("_")[:10],
    )


def test_the_console_exporter_writes_json_lines(sdk: Any) -> None:
    out = io.StringIO()
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(sdk.SimpleSpanProcessor(sdk.ConsoleSpanExporter(service_name="s", out=out)))
    provider.get_tracer("lib").start_span("written").end()
    exporter = sdk.ConsoleSpanExporter(out=out)
    assert exporter.out is out and exporter.service_name is None and callable(exporter.formatter)
    assert json.loads(out.getvalue())["name"] == "written"


def test_what_a_tracer_starts_is_a_span_and_can_be_read(sdk: Any) -> None:
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("lib", "2")
    span = tracer.start_span("a", attributes={"k": "v"})
    assert isinstance(tracer, sdk.Tracer) and isinstance(provider, sdk.TracerProvider)
    assert isinstance(span, sdk.Span) and isinstance(span, sdk.ReadableSpan) and isinstance(span, api.Span)
    assert not isinstance(sdk.ReadableSpan("x", resource=sdk.Resource({})), sdk.Span)
    off = sdk.TracerProvider(sampler=sdk.ALWAYS_OFF, shutdown_on_exit=False).get_tracer("lib").start_span("a")
    assert not isinstance(off, (sdk.Span, sdk.ReadableSpan)) and isinstance(off, api.NonRecordingSpan)
    with pytest.raises(TypeError, match="must be instantiated via a tracer"):
        sdk.Span("a", span.get_span_context())


def test_a_live_span_can_be_read_under_the_sdks_private_names(sdk: Any) -> None:
    provider = sdk.TracerProvider(resource=sdk.Resource({"r": 1}), shutdown_on_exit=False)
    provider.add_span_processor(sdk.SpanProcessor())
    tracer = provider.get_tracer("lib", "2")
    parent = tracer.start_span("parent")
    span = tracer.start_span("a", api.set_span_in_context(parent), SpanKind.CLIENT, {"k": "v"})
    span.add_event("e")
    assert (span._name, span._kind, span._end_time, dict(span._attributes)) == ("a", SpanKind.CLIENT, None, {"k": "v"})
    assert span._context is span.get_span_context() and span._parent is parent.get_span_context()
    assert span._start_time == span.start_time and span._status.status_code is StatusCode.UNSET
    assert [event.name for event in span._events] == ["e"] and list(span._links) == []
    assert span._resource is provider.resource and span._instrumentation_scope.name == "lib"
    assert span._span_processor is provider._active_span_processor and span._limits is provider._span_limits
    assert span._readable_span().name == "a"
    assert tracer._instrumentation_scope.name == "lib" and tracer._span_limits is provider._span_limits
    assert tracer.instrumentation_info.version == "2" and tracer.id_generator is provider.id_generator
    assert tracer.span_processor is provider._active_span_processor and tracer.sampler is provider.sampler
    assert provider._resource is provider.resource and provider._atexit_handler is None


def test_a_span_made_by_hand_is_recorded_as_the_sdks() -> None:
    assert made_by_hand(names_of("tracecore.sdk")) == made_by_hand(names_of("opentelemetry.sdk"))


def made_by_hand(sdk: Any) -> Any:
    class Told(sdk.SpanProcessor):  # type: ignore[misc, name-defined]
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            told.append(("start", span.name, parent_context))

        def _on_ending(self, span: Any) -> None:
            told.append(("ending", span.end_time))

        def on_end(self, span: Any) -> None:
            told.append(("end", span.to_json(), span.dropped_attributes, span.dropped_events, span.dropped_links))

    told: list[Any] = []
    context = SpanContext(1, 2, False, TraceFlags(1))
    elsewhere = SpanContext(3, 4, True)
    span = sdk._Span(
        "by hand",
        context,
        parent=elsewhere,
        resource=sdk.Resource({"r": "s"}),
        attributes={"a": 1, "b": "123456", "c": 3},
        events=[sdk.Event("first", {"x": 1, "y": 2}, 5), sdk.Event("second", None, 6)],
        links=[Link(elsewhere, {"z": "123456"}), Link(api.INVALID_SPAN_CONTEXT)],
        kind=SpanKind.PRODUCER,
        span_processor=Told(),
        limits=sdk.SpanLimits(max_span_attributes=2, max_events=2, max_event_attributes=1, max_attribute_length=3),
    )
    with pytest.raises(RuntimeError):
        span.end()
    assert isinstance(span, sdk.Span) and span.is_recording() and repr(span).startswith('_Span(name="by hand"')
    span.start(7)
    span.start(8)
    span.add_event("third", {"long": "123456"}, 9)
    span.add_link(api.INVALID_SPAN_CONTEXT)
    span.update_name("renamed")
    with pytest.raises(KeyError), span:
        raise KeyError("gone")
    before = span.to_json()
    span.set_attribute("late", 1)
    span.set_attributes({"late": 1})
    span.add_event("late")
    span.add_link(elsewhere)
    span.set_status(StatusCode.OK)
    span.end(10)
    assert span.to_json() == before and not span.is_recording()
    return [re.sub(r'"(end_time|exception.stacktrace|timestamp)": "[^"]*"', "", str(entry)) for entry in told if entry[0] != "ending"]


def test_a_tracer_made_by_hand_starts_spans_for_its_processor(sdk: Any) -> None:
    memory = sdk.InMemorySpanExporter()
    processor = sdk.SynchronousMultiSpanProcessor()
    processor.add_span_processor(sdk.SimpleSpanProcessor(memory))
    scope = sdk.InstrumentationScope("lib", "1")
    with pytest.warns(DeprecationWarning):
        info = sdk.InstrumentationInfo("lib", "1")
    tracer = sdk.Tracer(
        sdk.ALWAYS_ON, sdk.Resource({"r": 1}), processor, sdk.RandomIdGenerator(), info, sdk.SpanLimits(), scope,
        _tracer_config=sdk._TracerConfig(is_enabled=True),
    )
    with tracer.start_as_current_span("a") as span:
        assert api.get_current_span() is span
        tracer.start_span("b").end()
    child, parent = memory.get_finished_spans()
    assert child.parent == parent.context and parent.instrumentation_scope == scope
    assert dict(parent.resource.attributes) == {"r": 1}
    assert tracer.instrumentation_info is info and tracer.span_processor is processor
    assert isinstance(tracer, sdk.Tracer) and isinstance(tracer, api.Tracer)


# ---- the native path -------------------------------------------------------------------------------------------


class Ours:
    """An exporter of the core's kind."""

    def __init__(self) -> None:
        self.batches: list[Any] = []

    def export(self, batch: Any, deadline: float) -> Outcome:
        self.batches.append(batch)
        return Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None:
        pass

    def shutdown(self) -> None:
        pass


class Theirs:
    """An exporter with the SDK's interface, of no class of ours."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def export(self, spans: Any) -> None:
        self.spans += spans

    def shutdown(self) -> None:
        pass


def test_around_our_exporter_a_batch_processor_takes_the_native_path() -> None:
    sdk = names_of("tracecore.sdk")
    exporter = Ours()
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(sdk.BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("lib")
    tracer.start_span("a").end()
    assert provider.force_flush()
    assert provider._active_span_processor._span_processors == (), "nothing in Python is told of a span"
    assert [type(batch).__module__ for batch in exporter.batches] == ["tracecore._core.batch"]
    (counts,) = provider.stats()["exporters"]
    assert (counts["written"], counts["exported"]) == (1, 1) and provider.stats()["spans"]["queued"] == 1
    provider.shutdown()


def test_around_a_foreign_exporter_a_batch_processor_hands_over_readable_spans() -> None:
    sdk = names_of("tracecore.sdk")
    exporter = Theirs()
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(sdk.BatchSpanProcessor(exporter))
    provider.get_tracer("lib").start_span("a", attributes={"k": 1}).end()
    assert provider.force_flush()
    assert provider._active_span_processor._span_processors == ()
    (span,) = exporter.spans
    assert isinstance(span, sdk.ReadableSpan) and (span.name, dict(span.attributes)) == ("a", {"k": 1})
    provider.shutdown()


# ---- docs/differences.md ---------------------------------------------------------------------------------------

ELSEWHERE = {
    "detector-timeout": "test_resource.py::test_a_detector_that_does_not_answer_is_left_out_and_delays_nobody",
    "composite-trace-state": "test_composable_sampling.py::test_a_child_sees_the_tracestate_of_its_parent",
    "fed-resource": "test_span_feed.py::test_each_span_goes_out_with_the_resource_it_names",
}
"""Entries whose test stands beside what it tests."""


def test_every_written_difference_around_the_spans_has_its_test() -> None:
    section = DIFFERENCES.read_text().partition("## Around the spans")[2].partition("\n## ")[0]
    here = {"queue-bytes", "random-ids", "wrong-limits"}
    assert set(re.findall(r"^- `([a-z0-9-]+)`:", section, re.MULTILINE)) == here | set(ELSEWHERE)
    for place in ELSEWHERE.values():
        file, _, test = place.partition("::")
        assert f"def {test}(" in (Path(__file__).parent / file).read_text()


def test_queue_bytes_a_queue_for_one_span_holds_64_kib() -> None:
    sdk = names_of("tracecore.sdk")
    processor = sdk.BatchSpanProcessor(Ours(), max_queue_size=1, max_export_batch_size=1)
    assert processor._settings.ring_bytes == 65536


def test_random_ids_do_not_repeat_with_the_random_module() -> None:
    import random

    def ids(sdk: Any) -> list[int]:
        tracer = sdk.TracerProvider(shutdown_on_exit=False).get_tracer("lib")
        seen = []
        for _ in range(2):
            random.seed(0)
            seen += [tracer.start_span("a").get_span_context().trace_id, sdk.RandomIdGenerator().generate_trace_id()]
        return seen

    assert len(set(ids(names_of("tracecore.sdk")))) == 4
    assert len(set(ids(names_of("opentelemetry.sdk")))) < 4


def test_wrong_limits_of_the_environment_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "many")
    assert names_of("tracecore.sdk").SpanLimits().max_events == 128
    assert errors.reported() == {"invalid_otel_span_event_count_limit": 1}
    with pytest.raises(ValueError):
        names_of("opentelemetry.sdk").SpanLimits()
    for root in ("tracecore.sdk", "opentelemetry.sdk"):
        with pytest.raises(ValueError):
            names_of(root).SpanLimits(max_events=-5)
