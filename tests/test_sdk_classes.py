"""isinstance(): our classes are instances of opentelemetry-sdk's where that is loaded, and stay what they are."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import pickle
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import opentelemetry.sdk.resources as sdk_resources
import opentelemetry.sdk.trace as sdk
import opentelemetry.sdk.trace.export as sdk_export
import opentelemetry.sdk.trace.id_generator as sdk_ids
import opentelemetry.sdk.trace.sampling as sdk_sampling
import opentelemetry.sdk.util.instrumentation as sdk_instrumentation
import opentelemetry.trace as trace
import pytest
from opentelemetry.sdk.trace.export import in_memory_span_exporter as sdk_memory
from program import run

import tracecore
from tracecore import sdk_classes
from tracecore._core.span import Span
from tracecore.exporters.console import ConsoleSpanExporter
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.id_generator import IdGenerator, RandomIdGenerator
from tracecore.instrumentation_scope import InstrumentationInfo, InstrumentationScope
from tracecore.limits import SpanLimits
from tracecore.provider import BatchSpanProcessor
from tracecore.readable_span import Event, ReadableSpan
from tracecore.resource import (
    HostResourceDetector,
    OsResourceDetector,
    OTELResourceDetector,
    ProcessResourceDetector,
    Resource,
    ResourceDetector,
    ServiceInstanceIdResourceDetector,
)
from tracecore.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    AlwaysRecordSampler,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from tracecore.simple_span_processor import SimpleSpanProcessor
from tracecore.span_exporter import SpanExporter, SpanExportResult
from tracecore.span_processor import ConcurrentMultiSpanProcessor, SpanProcessor, SynchronousMultiSpanProcessor


class Kept(SpanProcessor):
    """What a program derives: class attributes, and the last span that ended."""

    n_made = 0
    known: list[type] = []

    def __init__(self) -> None:
        self.__class__.n_made += 1
        self.ended: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Kept.known.append(cls)

    def on_end(self, span: Any) -> None:
        super().on_end(span)
        self.ended = span


@pytest.fixture
def provider() -> Any:
    made = tracecore.TracerProvider(shutdown_on_exit=False)
    yield made
    made.shutdown()


def deprecated_info() -> InstrumentationInfo:
    with pytest.warns(DeprecationWarning):
        return InstrumentationInfo("lib", "1")


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: ReadableSpan("name", resource=Resource({})), sdk.ReadableSpan),
        (lambda: Event("name"), sdk.Event),
        (lambda: Event("name"), sdk.EventBase),
        (SpanLimits, sdk.SpanLimits),
        (SpanProcessor, sdk.SpanProcessor),
        (SynchronousMultiSpanProcessor, sdk.SynchronousMultiSpanProcessor),
        (ConcurrentMultiSpanProcessor, sdk.ConcurrentMultiSpanProcessor),
        (lambda: SimpleSpanProcessor(InMemorySpanExporter()), sdk_export.SimpleSpanProcessor),
        (lambda: BatchSpanProcessor(InMemorySpanExporter()), sdk_export.BatchSpanProcessor),
        (lambda: BatchSpanProcessor(InMemorySpanExporter()), sdk.SpanProcessor),
        (SpanExporter, sdk_export.SpanExporter),
        (InMemorySpanExporter, sdk_memory.InMemorySpanExporter),
        (ConsoleSpanExporter, sdk_export.ConsoleSpanExporter),
        (lambda: SpanExportResult.SUCCESS, sdk_export.SpanExportResult),
        (lambda: Resource({}), sdk_resources.Resource),
        (OTELResourceDetector, sdk_resources.OTELResourceDetector),
        (ProcessResourceDetector, sdk_resources.ProcessResourceDetector),
        (OsResourceDetector, sdk_resources.OsResourceDetector),
        (HostResourceDetector, sdk_resources.ResourceDetector),
        (ServiceInstanceIdResourceDetector, sdk_resources.ServiceInstanceIdResourceDetector),
        (lambda: InstrumentationScope("lib"), sdk_instrumentation.InstrumentationScope),
        (deprecated_info, sdk_instrumentation.InstrumentationInfo),
        (RandomIdGenerator, sdk_ids.RandomIdGenerator),
        (RandomIdGenerator, sdk_ids.IdGenerator),
        (lambda: ALWAYS_ON, sdk_sampling.StaticSampler),
        (lambda: TraceIdRatioBased(0.5), sdk_sampling.TraceIdRatioBased),
        (lambda: ParentBased(ALWAYS_ON), sdk_sampling.ParentBased),
        (lambda: ParentBasedTraceIdRatio(0.5), sdk_sampling.ParentBasedTraceIdRatio),
        (lambda: ParentBasedTraceIdRatio(0.5), sdk_sampling.Sampler),
        (lambda: AlwaysRecordSampler(ALWAYS_OFF), sdk_sampling.AlwaysRecordSampler),
        (lambda: SamplingResult(Decision.DROP), sdk_sampling.SamplingResult),
        (lambda: Decision.DROP, sdk_sampling.Decision),
    ],
    ids=lambda value: value.__name__ if inspect.isclass(value) else "",
)
def test_an_object_of_ours_is_an_instance_of_the_sdks_class_and_of_its_own(make: Any, expected: type) -> None:
    made = make()
    for _ in range(2):  # the first question learns, the second finds
        assert isinstance(made, expected)
        assert isinstance(made, type(made))
        assert isinstance(made, made.__class__)
    assert made.__class__.__name__ == type(made).__name__
    assert type(made).__module__.startswith("tracecore.")


def test_spans_tracers_and_providers_are_the_sdks(provider: Any) -> None:
    tracer = provider.get_tracer("lib")
    span = tracer.start_span("span")
    assert isinstance(provider, sdk.TracerProvider) and isinstance(provider, trace.TracerProvider)
    assert isinstance(tracer, sdk.Tracer) and isinstance(tracer, trace.Tracer)
    for cls in (sdk._Span, sdk.Span, sdk.ReadableSpan, trace.Span, Span):
        assert isinstance(span, cls)
    assert issubclass(span.__class__, sdk._Span) and issubclass(tracer.__class__, sdk.Tracer)
    assert not isinstance(span, (sdk.Tracer, trace.NonRecordingSpan, Event))


def test_an_unsampled_span_is_what_it_is_in_the_sdk() -> None:
    for provider in (
        tracecore.TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False),
        sdk.TracerProvider(sampler=sdk_sampling.ALWAYS_OFF, shutdown_on_exit=False),
    ):
        span = provider.get_tracer("lib").start_span("span")
        assert isinstance(span, trace.NonRecordingSpan) and isinstance(span, trace.Span)
        assert not isinstance(span, sdk.ReadableSpan)


def test_without_the_sdk_a_class_is_its_own_and_the_sdk_is_not_imported() -> None:
    program = """if True:
        import sys, tracecore
        from tracecore.sdk.trace import ReadableSpan, SpanProcessor
        from tracecore.sampling import Decision, ALWAYS_ON
        provider = tracecore.TracerProvider()
        tracer = provider.get_tracer("lib")
        span = tracer.start_span("span")
        things = [provider, tracer, span, provider.resource, SpanProcessor(), Decision.DROP, ALWAYS_ON]
        assert all(thing.__class__ is type(thing) for thing in things)
        assert not any(name.startswith("opentelemetry.sdk") for name in sys.modules)
        import opentelemetry.sdk.trace as sdk, opentelemetry.sdk.trace.sampling as sampling
        assert isinstance(span, sdk.Span) and isinstance(tracer, sdk.Tracer) and isinstance(provider, sdk.TracerProvider)
        assert isinstance(things[3], sdk.Resource) and isinstance(things[4], sdk.SpanProcessor)
        assert isinstance(things[5], sampling.Decision) and isinstance(things[6], sampling.Sampler)
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_module_that_is_still_being_imported_is_asked_again(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    span = provider.get_tracer("lib").start_span("span")
    unfinished = type(sys)("opentelemetry.sdk.trace")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "opentelemetry.sdk.trace", unfinished)
        patched.setitem(sys.modules, "one.more.module", unfinished)
        assert span.__class__ is Span
        unfinished._Span = sdk._Span  # type: ignore[attr-defined]
        assert isinstance(span, sdk._Span)
    assert isinstance(span, sdk._Span)


class Proxy:
    """Around a span or tracer, as wrapt's ObjectProxy is."""

    def __init__(self, wrapped: Any) -> None:
        self.__wrapped__ = wrapped


def test_methods_found_through_class_are_ours_and_take_what_is_wrapped_around(provider: Any) -> None:
    tracer = provider.get_tracer("lib")
    span = tracer.__class__.start_span(Proxy(Proxy(tracer)), "span", attributes={"a": 1})
    assert type(span) is Span
    span.__class__.set_attribute(span, "b", 2)
    span.__class__.set_attribute(Proxy(span), "c", 3)
    assert dict(span.attributes) == {"a": 1, "b": 2, "c": 3}
    assert span.__class__.name.__get__(span) == "span"
    with tracer.__class__.start_as_current_span(tracer, "current") as current:
        assert trace.get_current_span() is current
    with pytest.raises(AttributeError):
        span.__class__.set_attribute(object(), "d", 4)
    with pytest.raises(TypeError):
        span.__class__(name="by hand")


def test_a_class_is_made_once_however_many_modules_come_and_go(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    span = provider.get_tracer("lib").start_span("span")
    first = span.__class__
    for number in range(5):
        monkeypatch.setitem(sys.modules, f"made.up.{number}", type(sys)("m"))
        assert span.__class__ is first


def test_our_own_class_in_the_place_of_the_sdks_is_no_other_class(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Patched(tracecore.TracerProvider):
        pass

    monkeypatch.setattr(sdk, "TracerProvider", Patched)
    assert provider.__class__ is tracecore.TracerProvider
    assert not isinstance(provider, Patched)
    patched = Patched(shutdown_on_exit=False)
    assert isinstance(patched, sdk.TracerProvider) and patched.__class__ is Patched
    patched.shutdown()


# ---- classes that a program derives ----------------------------------------------------------------------------


def test_a_package_that_makes_the_sdks_provider_makes_ours_after_one_import() -> None:
    """As logfire, phoenix.otel and azure.monitor do: by import, and by a class of its own that derives from it."""
    ended = run(
        """
import json
import tracecore.otel.in_place_of_sdk
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Theirs(TracerProvider):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.theirs = True

memory = InMemorySpanExporter()
provider = Theirs()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
with trace.get_tracer("a").start_as_current_span("b") as span:
    pass
(read,) = memory.get_finished_spans()
print(json.dumps([type(span).__module__, read.name, isinstance(read, ReadableSpan), isinstance(provider, TracerProvider),
                  provider.theirs, provider.stats()["spans"]["ended"]]))
"""
    )
    assert ended.answer == ["tracecore._core.span", "b", True, True, True, 1]


def test_a_derived_class_keeps_its_attributes_its_hooks_and_super(provider: Any) -> None:
    Kept.n_made, Kept.known = 0, []
    one, two = Kept(), Kept()
    assert isinstance(one, sdk.SpanProcessor) and isinstance(one, Kept)
    assert Kept.n_made == two.__class__.n_made == 2
    assert "n_made" in vars(Kept) and "n_made" not in vars(one.__class__)
    assert Kept.known == []  # __init_subclass__ was told of no class that the program did not write
    assert type(one.__class__()) is Kept
    assert one.__class__ is two.__class__
    del one.__class__.known
    assert "known" not in vars(Kept)
    Kept.known = []

    provider.add_span_processor(one)
    provider.get_tracer("lib").start_span("span").end()
    assert one.ended.name == "span"


def test_a_derived_class_of_both_makes_answers_itself() -> None:
    class Both(SpanProcessor, sdk.SpanProcessor):
        pass

    assert Both().__class__ is Both


def test_a_class_with_a_metaclass_and_slots_of_its_own() -> None:
    made: list[str] = []

    class Registered(type):
        def __new__(mcs, name: str, bases: Any, names: Any) -> Any:
            made.append(name)
            return super().__new__(mcs, name, bases, names)

    class Exporter(SpanExporter, metaclass=Registered):
        __slots__ = ("path",)

    exporter = Exporter()
    exporter.path = "x"  # type: ignore[attr-defined]
    assert isinstance(exporter, sdk_export.SpanExporter)
    assert type(exporter.__class__).__name__ == "Registered"
    assert made == ["Exporter"]


def test_a_class_that_cannot_be_joined_with_the_sdks_stays_its_own() -> None:
    class Limits(SpanLimits, int):
        pass

    with mock.patch.object(sdk, "SpanLimits", type("SpanLimits", (str,), {"__module__": "opentelemetry.sdk.trace"})):
        assert Limits(3).__class__ is Limits
    assert isinstance(Limits(3), sdk.SpanLimits)


def test_class_assignment_still_works() -> None:
    class Other(Kept):
        pass

    kept = Kept()
    kept.__class__ = Other  # type: ignore[assignment]
    assert type(kept) is Other and isinstance(kept, sdk.SpanProcessor)


@pytest.mark.parametrize("base, sdk_base", [(Sampler, sdk_sampling.Sampler), (IdGenerator, sdk_ids.IdGenerator),
                                            (ResourceDetector, sdk_resources.ResourceDetector)])
def test_what_derives_from_our_abstract_classes_is_registered_with_the_sdks(base: type, sdk_base: type) -> None:
    methods = {name: lambda self, *args, **kwargs: None for name in base.__abstractmethods__}  # type: ignore[attr-defined]
    derived = type("Derived", (base,), methods)
    made = derived()
    assert isinstance(made, sdk_base) and made.__class__ is derived
    assert issubclass(derived, sdk_base)


def test_a_derived_class_is_let_go() -> None:
    class Short(SpanProcessor):
        pass

    assert isinstance(Short(), sdk.SpanProcessor)
    gone = weakref.ref(Short)
    del Short
    gc.collect()
    assert gone() is None


def test_questions_leak_nothing(provider: Any) -> None:
    span, kept = provider.get_tracer("lib").start_span("span"), Kept()
    watched = (sdk._Span, sdk.SpanProcessor, type(span), Kept, kept.__class__)

    def ask() -> None:
        for _ in range(1000):
            isinstance(span, sdk.ReadableSpan)
            isinstance(kept, sdk.SpanProcessor)
            isinstance(Decision.DROP, sdk_sampling.Decision)
            span.__class__

    def count() -> list[int]:
        return [sys.getrefcount(each) for each in watched]

    ask()
    before = count()
    ask()
    assert count() == before


def test_many_threads_may_ask_first() -> None:
    for _ in range(20):
        derived = type("Derived", (SpanProcessor,), {})
        made = derived()
        answers: list[bool] = []
        threads = [threading.Thread(target=lambda: answers.append(isinstance(made, sdk.SpanProcessor))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [True] * 8


# ---- what else goes by __class__ -------------------------------------------------------------------------------


class Picklable(SpanProcessor):
    def __init__(self, n: int) -> None:
        self.n = n


class PicklableTuple(SpanProcessor, tuple):  # type: ignore[type-arg]
    def __new__(cls, *items: int) -> Any:
        return tuple.__new__(cls, items)

    def __getnewargs__(self) -> tuple[int, ...]:
        return tuple(self)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_and_copies_are_of_the_same_class(protocol: int) -> None:
    for original in (SpanLimits(max_events=3), Picklable(5), PicklableTuple(1, 2)):
        for made in (pickle.loads(pickle.dumps(original, protocol)), copy.copy(original), copy.deepcopy(original)):
            assert type(made) is type(original)
            assert vars(made) == vars(original)
            assert not isinstance(original, tuple) or made == original
    for member in (Decision.RECORD_ONLY, SpanExportResult.FAILURE):
        assert pickle.loads(pickle.dumps(member, protocol)) is member
        assert copy.copy(member) is member and copy.deepcopy(member) is member


def test_a_pickle_in_python_is_the_same() -> None:
    assert type(pickle.loads(pickle._dumps(Picklable(5)))) is Picklable  # type: ignore[attr-defined]


def test_mocks_with_a_spec_are_of_our_class(provider: Any) -> None:
    span = provider.get_tracer("lib").start_span("span")
    stand_in = mock.Mock(spec=span)
    assert isinstance(stand_in, Span) and hasattr(stand_in, "set_attribute")
    assert isinstance(mock.Mock(spec=sdk.Span), sdk.Span)
    auto = mock.create_autospec(Kept(), instance=True)
    auto.on_end(span)
    auto.on_end.assert_called_once_with(span)


def test_single_dispatch_finds_functions_for_either_make(provider: Any) -> None:
    @functools.singledispatch
    def told(value: Any) -> str:
        return "nobody"

    told.register(sdk.ReadableSpan, lambda value: "sdk span")
    told.register(sdk_resources.Resource, lambda value: "sdk resource")
    assert told(provider.get_tracer("lib").start_span("span")) == "sdk span"
    assert told(provider.resource) == "sdk resource"
    told.register(Resource, lambda value: "our resource")
    assert told(provider.resource) == "our resource"


def test_a_dataclass_of_a_derived_class_compares_and_replaces() -> None:
    @dataclass
    class Named(SpanProcessor):
        name: str = ""

    one = Named("a")
    assert isinstance(one, sdk.SpanProcessor)
    assert one == Named("a") and one != Named("b")
    other = replace(one, name="c")
    assert type(other) is Named and other.name == "c"
    assert repr(one).endswith("Named(name='a')")


def test_type_checks_as_integrations_write_them(provider: Any) -> None:
    # What integrations ask: is it a recording span of the SDK, has it a parent, is the provider the SDK's.
    span = provider.get_tracer("lib").start_span("span")
    assert isinstance(span, sdk.Span) and span.is_recording() and span.parent is None
    assert isinstance(provider, sdk.TracerProvider) and hasattr(provider, "add_span_processor")
    assert isinstance(getattr(provider, "resource", None), sdk_resources.Resource)
    match span:
        case sdk.ReadableSpan(name=name):
            assert name == "span"
        case _:
            pytest.fail("no case took the span")


def test_a_span_made_the_sdks_way_can_be_read_by_its_class(provider: Any) -> None:
    kept = Kept()
    provider.add_span_processor(kept)
    provider.get_tracer("lib").start_span("span", attributes={"a": 1}).end()
    assert isinstance(kept.ended, sdk.ReadableSpan) and not isinstance(kept.ended, trace.Span)
    for name in ("name", "context", "attributes", "events", "links", "kind", "status", "resource", "dropped_attributes"):
        assert getattr(sdk.ReadableSpan, name).fget(kept.ended) == getattr(kept.ended, name)


# ---- equality --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ours, theirs", [(Decision, sdk_sampling.Decision),
                                          (SpanExportResult, sdk_export.SpanExportResult)])
def test_members_of_the_enumerations_equal_those_of_the_same_name(ours: Any, theirs: Any) -> None:
    assert [member.name for member in ours] == [member.name for member in theirs]
    for member in ours:
        for other in theirs:
            assert (member == other) is (other == member) is (member.name == other.name)
            assert (member != other) is (other != member) is (member.name != other.name)
        twin = theirs[member.name]
        assert hash(member) == hash(twin)
        assert {member: "found"}[twin] == {twin: "found"}[member] == "found"
        assert member in list(theirs) and twin in list(ours) and member in (twin,)
    assert ours(0) is next(iter(ours)) and ours(0) != 0 and ours(0) != "SUCCESS"
    assert Decision.DROP != SpanExportResult.SUCCESS


def test_resources_of_both_makes_are_equal() -> None:
    attributes = {"service.name": "shop", "n": 1, "list": [1, 2]}
    ours, theirs = Resource(attributes, "http://schema"), sdk_resources.Resource(attributes, "http://schema")
    assert ours == theirs and theirs == ours
    assert ours != sdk_resources.Resource(attributes) and sdk_resources.Resource(attributes) != ours
    assert ours.merge(theirs) == ours and isinstance(theirs.merge(ours), sdk_resources.Resource)  # type: ignore[arg-type]
    assert ours != 1 and ours != "shop"


def test_scopes_of_both_makes_are_equal() -> None:
    fields = ("lib", "1.0", "http://schema", {"a": 1})
    ours, theirs = InstrumentationScope(*fields), sdk_instrumentation.InstrumentationScope(*fields)
    assert ours == theirs and theirs == ours and hash(ours) == hash(theirs)
    assert {ours: 1}[theirs] == {theirs: 1}[ours] == 1
    assert sorted([theirs, ours, InstrumentationScope("a"), sdk_instrumentation.InstrumentationScope("b")])[0].name == "a"


# ---- samplers and exporters of the other make --------------------------------------------------------------------


class Halving(sdk_sampling.Sampler):
    """Written for the SDK around any sampler: what it keeps, it keeps as record-only when the name says so."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def should_sample(self, *args: Any, **kwargs: Any) -> Any:
        result = self.inner.should_sample(*args, **kwargs)
        assert isinstance(result, sdk_sampling.SamplingResult)
        if result.decision == sdk_sampling.Decision.DROP:
            return result
        name = args[2] if len(args) > 2 else kwargs["name"]
        decision = sdk_sampling.Decision.RECORD_ONLY if name == "quiet" else sdk_sampling.Decision.RECORD_AND_SAMPLE
        return sdk_sampling.SamplingResult(decision, {"by": "halving"})

    def get_description(self) -> str:
        return "Halving"


@pytest.mark.parametrize("inner", [ALWAYS_ON, ALWAYS_OFF, TraceIdRatioBased(1.0)])
def test_a_sampler_written_for_the_sdk_wraps_ours_in_either_provider(inner: Any) -> None:
    seen = []
    for make in (tracecore.TracerProvider, sdk.TracerProvider):
        provider = make(sampler=ParentBased(Halving(inner)), shutdown_on_exit=False)
        kept = Kept()
        provider.add_span_processor(kept)
        tracer = provider.get_tracer("lib")
        spans = [tracer.start_span(name) for name in ("quiet", "loud")]
        seen.append([(s.is_recording(), s.get_span_context().trace_flags.sampled) for s in spans])
    assert seen[0] == seen[1]
    assert seen[0] == ([(False, False)] * 2 if inner is ALWAYS_OFF else [(True, False), (True, True)])


def test_the_sdks_processors_run_our_exporters_and_compare_their_results() -> None:
    exporter = InMemorySpanExporter()
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(sdk_export.BatchSpanProcessor(exporter))  # type: ignore[arg-type]
    provider.get_tracer("lib").start_span("span").end()
    assert provider.force_flush()
    assert [span.name for span in exporter.get_finished_spans()] == ["span"]
    assert exporter.export(()) == sdk_export.SpanExportResult.SUCCESS
    provider.shutdown()
    assert exporter.export(()) == sdk_export.SpanExportResult.FAILURE


def test_the_answer_of_a_core_class_is_never_a_class_of_ours() -> None:
    module = type(sys)("module")
    module.Own = type("Own", (Kept,), {})  # type: ignore[attr-defined]
    module.No = "no class"  # type: ignore[attr-defined]
    for name in ("Own", "No"):
        assert sdk_classes.of_core(module, name, Kept) is Kept
    assert sdk_classes.of_core(module, "Missing", Kept) is None
    assert sdk_classes.of_core(None, "Missing", Kept) is None
