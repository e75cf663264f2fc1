"""tracecore.init, span, traced, stats and TracerProvider: what they take and what they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from program import run

import tracecore
from tracecore import ConfigurationError, TracerProvider
from tracecore.errors import reported, reset_reports
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.limits import SpanLimits
from tracecore.provider import BatchSpanProcessor, providers
from tracecore.resource import Resource
from tracecore.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, SamplingResult

made: list[TracerProvider] = []


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody has set a provider yet."""
    import os

    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", type(trace._TRACER_PROVIDER_SET_ONCE)())
    reset_reports()
    yield
    for provider in providers():
        provider.shutdown(1000)


def init(**arguments: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    return tracecore.init(**{"exporter": exporter, "delay": 600.0, **arguments}), exporter


def finished(provider: TracerProvider, exporter: InMemorySpanExporter) -> list[Any]:
    assert provider.force_flush()
    return list(exporter.get_finished_spans())


# --- arguments -----------------------------------------------------------------------------------------------------

WRONG: list[tuple[str, Any, str]] = [
    ("service", "", "a non-empty string"),
    ("service", 7, "a non-empty string"),
    ("endpoint", "", "a non-empty string"),
    ("sample", -0.1, "a number from 0 to 1"),
    ("sample", 1.1, "a number from 0 to 1"),
    ("sample", float("nan"), "a number from 0 to 1"),
    ("sample", "half", "a number from 0 to 1"),
    ("sample", True, "a number from 0 to 1"),
    ("ring_bytes", 0, "a power of two from 65536 to 1073741824"),
    ("ring_bytes", 100_000, "a power of two"),
    ("ring_bytes", 1 << 31, "a power of two"),
    ("ring_bytes", 65536.0, "a power of two"),
    ("batch", 0, "an integer from 1 to 65536"),
    ("batch", 65537, "an integer from 1 to 65536"),
    ("batch", 1.5, "an integer"),
    ("delay", 0, "seconds, above 0"),
    ("delay", 3601, "seconds, above 0"),
    ("delay", "5", "seconds, above 0"),
    ("export_timeout", -1, "seconds, above 0"),
    ("export_timeout", float("inf"), "seconds, above 0"),
]


@pytest.mark.parametrize(("variable", "value", "expected"), WRONG)
def test_an_argument_that_cannot_be_honoured_is_refused_with_its_name_value_and_range(
    variable: str, value: Any, expected: str
) -> None:
    before = len(providers())
    with pytest.raises(ConfigurationError) as refused:
        tracecore.init(**{variable: value})
    assert (refused.value.variable, str(refused.value.value)) == (variable, str(value))
    assert str(refused.value).startswith(f"{variable}={value!r}: expected ")
    assert expected in str(refused.value)
    assert len(providers()) == before
    assert trace._TRACER_PROVIDER is None


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://", "http://host:99999", "http://ho st"])
def test_an_endpoint_that_is_no_http_url_is_refused_and_leaves_nothing_behind(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="endpoint") as refused:
        tracecore.init(endpoint=endpoint)
    assert refused.value.variable == "endpoint"
    assert trace._TRACER_PROVIDER is None
    assert providers() == ()


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
        ("http://collector/base", "http://collector/base/v1/traces"),
        ("http://collector/base/", "http://collector/base/v1/traces"),
        ("https://collector/base/v1/traces", "https://collector/base/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
    ],
)
def test_the_path_of_the_endpoint(endpoint: str, url: str) -> None:
    provider = tracecore.init(endpoint=endpoint)
    exporter: Any = provider._pipelines[0].exporter
    assert url in repr(exporter).replace("collector:443/", "collector/").replace("collector:80/", "collector/")


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1"}, "http://a:1/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:2/as/is"}, "http://b:2/as/is"),
    ],
)
def test_the_endpoint_of_the_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    provider = tracecore.init()
    assert url in repr(provider._pipelines[0].exporter)


def test_the_endpoint_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2/as/is")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    provider = tracecore.init(endpoint="http://a:1")
    assert "http://a:1/v1/traces" in repr(provider._pipelines[0].exporter)


# --- init -----------------------------------------------------------------------------------------------------------


def test_init_sets_the_provider_and_returns_it() -> None:
    provider, _ = init()
    assert trace.get_tracer_provider() is provider


def test_init_twice_returns_the_first_provider_and_says_so() -> None:
    first, _ = init()
    second = tracecore.init(service="another", exporter=InMemorySpanExporter())
    assert second is first
    assert len(first._pipelines) == 1
    assert reported()["already_initialised"] == 1


def test_init_after_a_provider_of_another_make_is_refused() -> None:
    trace.set_tracer_provider(SdkTracerProvider(shutdown_on_exit=False))
    with pytest.raises(RuntimeError, match=r"opentelemetry\.sdk\.trace\.TracerProvider.*call tracecore\.init before"):
        tracecore.init()
    assert providers() == ()


def test_init_in_a_program_prints_nothing_and_ends() -> None:
    ended = run("import tracecore; tracecore.init(service='a', endpoint='http://127.0.0.1:1')")
    assert (ended.out, ended.err) == ("", "")
    assert ended.seconds < 10


def test_the_service_and_the_resource() -> None:
    provider, _ = init(service="checkout")
    assert provider.resource.attributes["service.name"] == "checkout"


def test_a_resource_given_is_used_as_it_is() -> None:
    given = Resource({"service.name": "given", "a": 1})
    provider, exporter = init(resource=given)
    with tracecore.span("a"):
        pass
    (span,) = finished(provider, exporter)
    assert span.resource is given


def test_the_service_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from the environment")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k=v,service.name=not this")
    provider, _ = init()
    assert provider.resource.attributes["service.name"] == "from the environment"
    assert provider.resource.attributes["k"] == "v"


@pytest.mark.parametrize(("sample", "low", "high"), [(0, 0, 0), (0.0, 0, 0), (0.5, 350, 650), (1, 1000, 1000), (1.0, 1000, 1000)])
def test_the_share_of_traces_that_are_sampled(sample: Any, low: int, high: int) -> None:
    provider, exporter = init(sample=sample)
    for _ in range(1000):
        with tracecore.span("a"), tracecore.span("b"):
            pass
    spans = finished(provider, exporter)
    by_trace = {span.context.trace_id for span in spans}
    assert low <= len(by_trace) <= high
    assert len(spans) == 2 * len(by_trace), "a trace is sampled whole or not at all"


@pytest.mark.parametrize(("sampler", "n"), [(ALWAYS_OFF, 0), (ALWAYS_ON, 1)])
def test_a_sampler_given(sampler: Any, n: int) -> None:
    provider, exporter = init(sample=sampler)
    with tracecore.span("a"):
        pass
    assert len(finished(provider, exporter)) == n


def test_the_sampler_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    provider, exporter = init()
    with tracecore.span("a"):
        pass
    assert finished(provider, exporter) == []


def test_unknown_values_of_the_environment_warn_and_the_program_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "sometimes")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "soon")
    provider, exporter = init(delay=None)
    with tracecore.span("a"):
        pass
    assert len(finished(provider, exporter)) == 1
    assert reported()


# --- samplers and id generators of the user's own ---------------------------------------------------------------------


class Sampler:
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def should_sample(self, parent_context: Any, trace_id: int, name: str, kind: Any = None, attributes: Any = None,
                      links: Any = None, trace_state: Any = None) -> Any:  # fmt: skip
        self.asked.append((parent_context, trace_id, name, kind, attributes, links))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def get_description(self) -> str:
        return "of the user's own"


def test_a_sampler_is_asked_with_what_it_needs() -> None:
    sampler = Sampler(SamplingResult(Decision.RECORD_AND_SAMPLE, {"from": "the sampler"}))
    provider, exporter = init(sample=sampler)
    span = provider.get_tracer("a").start_span("name", kind=SpanKind.SERVER, attributes={"k": 1})
    span.end()
    ((_, trace_id, name, kind, attributes, links),) = sampler.asked
    assert (trace_id, name, kind, dict(attributes)) == (span.get_span_context().trace_id, "name", SpanKind.SERVER, {"k": 1})
    assert tuple(links) == ()
    (ended,) = finished(provider, exporter)
    assert dict(ended.attributes) == {"from": "the sampler"}


@pytest.mark.parametrize("answer", [ValueError("no"), None, "yes", 1, SamplingResult(None)], ids=repr)  # type: ignore[arg-type]
def test_a_sampler_that_raises_or_answers_nonsense_means_not_sampled(answer: Any) -> None:
    provider, exporter = init(sample=Sampler(answer))
    with tracecore.span("a") as span:
        assert not span.is_recording()
        assert span.get_span_context().is_valid
    assert finished(provider, exporter) == []
    assert reported()["sampler_error"] == 1


class Ids:
    def __init__(self, trace_id: Any, span_id: Any) -> None:
        self.trace_id = trace_id
        self.span_id = span_id

    def generate_trace_id(self) -> Any:
        if isinstance(self.trace_id, Exception):
            raise self.trace_id
        return self.trace_id

    def generate_span_id(self) -> Any:
        if isinstance(self.span_id, Exception):
            raise self.span_id
        return self.span_id


def span_with(ids: Any) -> Any:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=ids, shutdown_on_exit=False)
    provider.add_exporter(exporter, delay=600.0)
    provider.get_tracer("a").start_span("a").end()
    (span,) = finished(provider, exporter)
    return span.context


def test_an_id_generator_of_the_users_own() -> None:
    context = span_with(Ids(5, 7))
    assert (context.trace_id, context.span_id) == (5, 7)
    largest = span_with(Ids((1 << 128) - 1, (1 << 64) - 1))
    assert (largest.trace_id, largest.span_id) == ((1 << 128) - 1, (1 << 64) - 1)


@pytest.mark.parametrize("wrong", [ValueError("no"), None, "x", 0, -1, 1 << 128, 1 << 64, 1.5], ids=repr)
def test_an_id_generator_that_raises_or_leaves_the_range_does_no_harm(wrong: Any) -> None:
    context = span_with(Ids(wrong, wrong))
    assert context.is_valid
    assert 0 < context.trace_id < 1 << 128
    assert 0 < context.span_id < 1 << 64


# --- limits ---------------------------------------------------------------------------------------------------------------


def test_span_limits() -> None:
    limits = SpanLimits(max_span_attributes=2, max_events=1, max_links=1, max_event_attributes=1, max_attribute_length=3)
    provider, exporter = init(span_limits=limits)
    with tracecore.span("a", a="abcdef", b="abcdef", c="abcdef") as span:
        span.add_event("1", {"a": 1, "b": "abcdef"})
        span.add_event("2", {"a": 1, "b": "abcdef"})
    (ended,) = finished(provider, exporter)
    assert dict(ended.attributes) == {"b": "abc", "c": "abc"}
    assert ended.dropped_attributes == 1
    assert [(event.name, dict(event.attributes)) for event in ended.events] == [("2", {"b": "abc"})]
    assert ended.dropped_events == 1


def test_span_limits_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1")
    provider, exporter = init()
    with tracecore.span("a", a=1, b=2):
        pass
    (ended,) = finished(provider, exporter)
    assert dict(ended.attributes) == {"b": 2}


def test_a_limit_of_the_environment_that_is_no_number_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    provider, exporter = init()
    with tracecore.span("a", a=1, b=2):
        pass
    (ended,) = finished(provider, exporter)
    assert dict(ended.attributes) == {"a": 1, "b": 2}
    assert reported() == {"invalid_otel_span_attribute_count_limit": 1}


# --- span, traced -----------------------------------------------------------------------------------------------------------


def test_span_and_traced_before_any_provider_do_nothing() -> None:
    @tracecore.traced
    def function(a: int) -> int:
        with tracecore.span("b") as span:
            assert not span.is_recording()
        return a

    assert function(3) == 3


def test_span_follows_the_provider_of_the_moment() -> None:
    with tracecore.span("before"):
        pass
    provider, exporter = init()
    with tracecore.span("after", n=1, on=True, text="x", numbers=[1, 2]) as span:
        assert trace.get_current_span() is span
    (ended,) = finished(provider, exporter)
    assert ended.name == "after"
    assert dict(ended.attributes) == {"n": 1, "on": True, "text": "x", "numbers": (1, 2)}
    assert ended.instrumentation_scope.name == "tracecore"


def test_an_attribute_may_be_called_name() -> None:
    provider, exporter = init()
    with tracecore.span("a", name="b", self="c"):
        pass
    (ended,) = finished(provider, exporter)
    assert (ended.name, dict(ended.attributes)) == ("a", {"name": "b", "self": "c"})


def test_traced_in_all_its_forms() -> None:
    @tracecore.traced
    def plain() -> None:
        """A docstring."""

    @tracecore.traced()
    def empty() -> None: ...

    @tracecore.traced("named", k=1)
    def with_name() -> None: ...

    @tracecore.traced(k=2)
    def with_attributes() -> None: ...

    @tracecore.traced
    async def coroutine() -> int:
        return 7

    @tracecore.traced
    def fails() -> None:
        raise ValueError("no")

    provider, exporter = init()  # after the decorating
    plain(), empty(), with_name(), with_attributes()
    assert asyncio.run(coroutine()) == 7
    with pytest.raises(ValueError, match="no"):
        fails()
    assert plain.__doc__ == "A docstring."
    assert plain.__name__ == "plain"
    spans = finished(provider, exporter)
    assert [span.name.rpartition(".")[2] for span in spans] == ["plain", "empty", "named", "with_attributes", "coroutine", "fails"]
    assert [dict(span.attributes) for span in spans[2:4]] == [{"k": 1}, {"k": 2}]
    assert spans[-1].status.status_code is StatusCode.ERROR
    assert [event.name for event in spans[-1].events] == ["exception"]


# --- stats -------------------------------------------------------------------------------------------------------------------


def test_stats_without_a_provider() -> None:
    assert tracecore.stats() == {"spans": {}, "exporters": [], "reports": {}}
    assert tracecore.stats()["exporters"] is not tracecore.stats()["exporters"]


def test_stats_of_the_global_provider() -> None:
    provider, _ = init()
    other = TracerProvider(shutdown_on_exit=False)
    other.get_tracer("a").start_span("a").end()
    with tracecore.span("a"):
        pass
    provider.force_flush()
    stats = tracecore.stats()
    assert stats["spans"]["ended"] == 1
    assert [exporter["exporter"] for exporter in stats["exporters"]] == ["InMemorySpanExporter"]
    assert stats["exporters"][0]["exported"] == 1


def test_stats_of_the_newest_provider_when_none_is_set() -> None:
    TracerProvider(shutdown_on_exit=False)
    newest = TracerProvider(shutdown_on_exit=False)
    newest.get_tracer("a").start_span("a").end()
    assert tracecore.stats()["spans"]["no_exporter"] == 1


# --- TracerProvider ------------------------------------------------------------------------------------------------------------


def test_the_same_scope_has_the_same_tracer() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    assert provider.get_tracer("a", "1") is provider.get_tracer("a", "1")
    assert provider.get_tracer("a", "1") is not provider.get_tracer("a", "2")
    assert provider.get_tracer("a", attributes={"k": [1]}) is provider.get_tracer("a", attributes={"k": [1]})


@pytest.mark.parametrize("name", ["", None])
def test_a_tracer_without_a_name_works(name: Any, caplog: pytest.LogCaptureFixture) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.get_tracer(name).start_span("a").end()
    assert "missing module name" in caplog.text


def test_a_disabled_provider_makes_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider, exporter = init()
    with tracecore.span("a") as span:
        assert not span.is_recording()
    assert finished(provider, exporter) == []


def test_a_batch_processor_belongs_to_one_provider() -> None:
    processor = BatchSpanProcessor(InMemorySpanExporter())
    TracerProvider(shutdown_on_exit=False).add_span_processor(processor)
    with pytest.raises(RuntimeError, match="belongs to a provider already"):
        TracerProvider(shutdown_on_exit=False).add_span_processor(processor)


def test_a_batch_processor_takes_the_settings_of_the_sdks() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, 2048, 600_000, 512, 30_000))
    provider.get_tracer("a").start_span("a").end()
    assert len(finished(provider, exporter)) == 1
    for arguments in ({"max_export_batch_size": 0}, {"schedule_delay_millis": -1}, {"export_timeout_millis": 0}):
        with pytest.raises(ConfigurationError):
            BatchSpanProcessor(exporter, **arguments)  # type: ignore[arg-type]


def test_a_batch_processor_nobody_attached_flushes_and_shuts_down() -> None:
    processor = BatchSpanProcessor(InMemorySpanExporter())
    assert processor.force_flush() is True
    processor.shutdown()


def test_a_provider_that_is_collected_at_exit_only_once() -> None:
    ended = run(
        """
import tracecore
from tracecore.exporters.memory import InMemorySpanExporter
class Counts(InMemorySpanExporter):
    def shutdown(self):
        print("shut down")
for _ in range(3):
    provider = tracecore.TracerProvider()
    provider.add_exporter(Counts())
provider.shutdown()
"""
    )
    assert ended.out.splitlines() == ["shut down"] * 3
