"""Every variable that concerns tracing: it counts in each way to get a provider, and a wrong value warns once and stops nothing."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from opentelemetry import trace
from program import run

import tracecore
from tracecore import bootstrap, other_signals
from tracecore.entities import attributes_of
from tracecore.errors import reset_reports
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.provider import BatchSpanProcessor, TracerProvider, providers


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable is set, and nobody has set a provider yet."""
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", type(trace._TRACER_PROVIDER_SET_ONCE)())
    reset_reports()
    yield
    for provider in providers():
        provider.shutdown(1000)
    reset_reports()


def by_hand() -> TracerProvider:
    """A provider as programs for opentelemetry-sdk make it."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    return provider


def by_configurator() -> TracerProvider:
    """As opentelemetry-instrument does, traces only: what opentelemetry-sdk's signals say of variables is theirs."""
    from tracecore.otel.configurator import TracecoreConfigurator

    with (
        mock.patch.dict(os.environ, OTEL_PYTHON_CONFIGURATOR="tracecore"),
        mock.patch.object(other_signals, "set_up_from_environment"),
    ):
        TracecoreConfigurator().configure()
    made = trace._TRACER_PROVIDER
    assert isinstance(made, TracerProvider)
    return made


WAYS: dict[str, Callable[[], TracerProvider]] = {
    "init": tracecore.init,
    "from_environment": bootstrap.from_environment,
    "configurator": by_configurator,
    "by_hand": by_hand,
}
ALL = tuple(WAYS)
NOT_BY_HAND = ("init", "from_environment", "configurator")
"""For variables that opentelemetry-sdk reads in its configurator only."""

HTTPS = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1"}
RATIO = {"OTEL_TRACES_SAMPLER": "traceidratio"}

WRONG: list[tuple[str, str, str, tuple[str, ...], dict[str, str]]] = [
    ("OTEL_SDK_DISABLED", "yes", "using False", ALL, {}),
    ("OTEL_RESOURCE_ATTRIBUTES", "a", "using the other items", ALL, {}),
    ("OTEL_ENTITIES", "service{}", "using the rest", ALL, {}),
    ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "nobodys", "using the others", ALL, {}),
    ("OTEL_TRACES_SAMPLER", "nobodys", "using parentbased_always_on", ALL, {}),
    ("OTEL_TRACES_SAMPLER_ARG", "2", "using 1.0", ALL, RATIO),
    ("OTEL_TRACES_SAMPLER_ARG", "x", "using 1.0", ALL, {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many", "using no limit", ALL, {}),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "using no limit", ALL, {}),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1.5", "using 128", ALL, {}),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "x", "using 7", ALL, {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "7"}),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x", "using 128", ALL, {}),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "x", "using 128", ALL, {}),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "x", "using 9", ALL, {"OTEL_ATTRIBUTE_COUNT_LIMIT": "9"}),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "x", "using 128", ALL, {}),
    ("OTEL_BSP_SCHEDULE_DELAY", "5s", "using 5000", ALL, {}),
    ("OTEL_BSP_EXPORT_TIMEOUT", "0", "using 30000", ALL, {}),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "using 8192", ALL, {}),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "x", "using 4096", ALL, {}),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200", "using 100", ALL, {"OTEL_BSP_MAX_QUEUE_SIZE": "100"}),
    ("OTEL_TRACES_EXPORTER", "nobodys", "using no exporter", NOT_BY_HAND, {}),
    ("OTEL_TRACES_EXPORTER", "nobodys,console,either", "using console", NOT_BY_HAND, {}),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "nope", "using 'http://localhost:4318/v1/traces'", NOT_BY_HAND, {}),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "nope",
        "using 'http://h/v1/traces'",
        NOT_BY_HAND,
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"},
    ),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "soap", "using 'http/protobuf'", NOT_BY_HAND, {}),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "using 10.0", NOT_BY_HAND, {}),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli", "using 'none'", NOT_BY_HAND, {}),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere", "using no exporter", NOT_BY_HAND, HTTPS),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere", "using no exporter", NOT_BY_HAND, HTTPS),
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "nope", "using", NOT_BY_HAND, {"OTEL_TRACES_EXPORTER": "zipkin"}),
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "soon", "using", NOT_BY_HAND, {"OTEL_TRACES_EXPORTER": "zipkin"}),
    ("OTEL_EXPORTER_JAEGER_AGENT_PORT", "x", "using", NOT_BY_HAND, {"OTEL_TRACES_EXPORTER": "jaeger"}),
    ("OTEL_EXPORTER_JAEGER_PROTOCOL", "x", "using", NOT_BY_HAND, {"OTEL_TRACES_EXPORTER": "jaeger"}),
    ("OTEL_PYTHON_ID_GENERATOR", "nobodys", "using random", NOT_BY_HAND, {}),
    ("OTEL_PYTHON_TRACER_CONFIGURATOR", "nobodys", "using all tracers", NOT_BY_HAND, {}),
    ("OTEL_LOG_LEVEL", "loud", "using the level that is set", NOT_BY_HAND, {}),
    ("OTEL_CONFIG_FILE", "/nowhere.yaml", "Nothing is traced", ("init", "from_environment"), {}),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", "otel.txt", "Nothing is traced", ("init", "from_environment"), {}),
]


@pytest.mark.parametrize(
    ("variable", "value", "used", "way", "others"),
    [(variable, value, used, way, others) for variable, value, used, ways, others in WRONG for way in ways],
)
def test_a_wrong_value_stops_nothing_and_is_told_once_with_what_is_used(
    variable: str,
    value: str,
    used: str,
    way: str,
    others: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, text in {**others, variable: value}.items():
        monkeypatch.setenv(name, text)
    provider = WAYS[way]()
    span = provider.get_tracer("a").start_span("a")
    span.end()
    assert span.is_recording() is False
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(messages) == 1, messages
    assert f"{variable.replace('EXPERIMENTAL_CONFIG', 'CONFIG')}={value!r}" in messages[0]
    assert used in messages[0]


def test_a_wrong_header_is_told_without_its_value(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret")
    tracecore.init()
    (record,) = caplog.records
    assert "OTEL_EXPORTER_OTLP_HEADERS: entry 2 is left out" in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.parametrize("way", ALL)
def test_right_values_count_in_every_way(way: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for name, text in {
        "OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=no",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "os",
        "OTEL_TRACES_SAMPLER": "TraceIdRatio",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "11",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "12",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "13",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "14",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "15",
        "OTEL_SPAN_LINK_COUNT_LIMIT": "16",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "17",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "18",
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "OTEL_BSP_MAX_QUEUE_SIZE": "1000",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "500",
        "OTEL_BSP_EXPORT_TIMEOUT": "1000",
        "OTEL_TRACES_EXPORTER": "console",
    }.items():
        monkeypatch.setenv(name, text)
    provider = WAYS[way]()
    attributes = provider.resource.attributes
    assert (attributes["a"], attributes["service.name"], attributes["os.type"]) == ("b", "shop", "linux")
    assert provider.sampler.get_description() == "TraceIdRatioBased{0.25}"
    limits = provider._span_limits
    assert [
        limits.max_attributes, limits.max_attribute_length, limits.max_span_attributes, limits.max_span_attribute_length,
        limits.max_events, limits.max_links, limits.max_event_attributes, limits.max_link_attributes,
    ] == [11, 12, 13, 14, 15, 16, 17, 18]  # fmt: skip
    (pipeline,) = provider._pipelines
    assert type(pipeline.exporter.wrapped).__name__ == ("InMemorySpanExporter" if way == "by_hand" else "ConsoleSpanExporter")
    assert caplog.records == []


@pytest.mark.parametrize("way", ALL)
def test_disabled_means_that_no_span_is_made(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "TRUE")
    assert not WAYS[way]().get_tracer("a").start_span("a").is_recording()


class Ids:
    def generate_trace_id(self) -> int:
        return 7

    def generate_span_id(self) -> int:
        return 8


class Off:
    is_enabled = False


def none_is_enabled(scope: Any) -> Any:
    return Off


class AlwaysSeven:
    """Stands for aws-xray's or jaeger's: a factory of a sampler that gets the variable's text."""

    def __init__(self, argument: str | None) -> None:
        self.argument = argument

    def should_sample(self, *arguments: Any, **more: Any) -> Any: ...
    def get_description(self) -> str:
        return f"Seven{{{self.argument}}}"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata as metadata

    real = metadata.entry_points
    offered = {
        ("opentelemetry_id_generator", "sevens"): "Ids",
        ("_opentelemetry_tracer_configurator", "none"): "none_is_enabled",
        ("opentelemetry_traces_sampler", "jaeger_remote"): "AlwaysSeven",
        ("opentelemetry_traces_sampler", "xray"): "AlwaysSeven",
    }

    def entry_points(**wanted: Any) -> Any:
        found = offered.get((wanted.get("group", ""), wanted.get("name", "")))
        return [metadata.EntryPoint("x", f"{__name__}:{found}", wanted["group"])] if found else real(**wanted)

    monkeypatch.setattr(metadata, "entry_points", entry_points)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("way", NOT_BY_HAND)
def test_id_generators_and_tracer_configurators_come_by_entry_point(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_ID_GENERATOR", "sevens")
    context = WAYS[way]().get_tracer("a").start_span("a").get_span_context()
    assert (context.trace_id, context.span_id) == (7, 8)
    monkeypatch.setenv("OTEL_PYTHON_TRACER_CONFIGURATOR", "none")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", type(trace._TRACER_PROVIDER_SET_ONCE)())
    assert not WAYS[way]().get_tracer("a").start_span("a").is_recording()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("name", ["jaeger_remote", "xray"])
def test_samplers_of_other_packages_get_the_argument(way: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "endpoint=http://a,pollingIntervalMs=1")
    assert WAYS[way]().sampler.get_description() == "Seven{endpoint=http://a,pollingIntervalMs=1}"


def test_the_log_level_is_that_of_tracecores_own_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("tracecore")
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    monkeypatch.setenv("OTEL_LOG_LEVEL", "Error")
    tracecore.init()
    assert logger.level == logging.ERROR
    logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("text", "attributes", "wrong"),
    [
        ("service{service.name=a}", {"service.name": "a"}, []),
        (
            ";service{service.name=my%2Capp, service.instance.id=1}[config=key%3Dvalue%5Bprod%5D]@https://o.io/1;;host{host.id=7};",
            {"service.name": "my,app", "service.instance.id": "1", "config": "key=value[prod]", "host.id": "7"},
            [],
        ),
        ("service{service.name=a};invalid{syntax;service{b=c}", {"service.name": "a", "b": "c"}, ["invalid{syntax"]),
        ("service{};host{host.id=1}", {"host.id": "1"}, ["service{}"]),
        ("s{a=1}[v=1];s{a=1}[v=2]", {"a": "1", "v": "2"}, ["s twice"]),
        ("s{a=1}[b=2];s{a=2}", {"a": "2"}, ["s twice"]),
        ("s{a=1}@nowhere", {"a": "1"}, ["@nowhere"]),
        ("1{a=1};s{a=1=2};s{=1};s;{a=1}", {}, ["1{a=1}", "s{a=1=2}", "s{=1}", "s", "{a=1}"]),
        ("", {}, []),
    ],
)
def test_entities_become_attributes_and_what_is_malformed_is_told(
    text: str, attributes: dict[str, str], wrong: list[str]
) -> None:
    assert attributes_of(text) == (attributes, wrong)


def test_attributes_and_the_name_of_the_service_win_over_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_ENTITIES", "service{service.name=a}[x=1,y=1]")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "x=2,service.name=b")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "c")
    attributes = by_hand().resource.attributes
    assert (attributes["service.name"], attributes["x"], attributes["y"]) == ("c", "2", "1")


# --- propagators --------------------------------------------------------------------------------------------------

PROPAGATORS = """
import json, logging, sys
logging.basicConfig(format="%(message)s")
import tracecore
tracecore.init()
import os
from opentelemetry import propagate
print(json.dumps([[type(each).__name__ for each in propagate.get_global_textmap()._propagators], os.environ["OTEL_PROPAGATORS"]]))
"""


@pytest.mark.parametrize(
    ("value", "names", "warned"),
    [
        ("tracecontext", ["TraceContextTextMapPropagator"], None),
        ("baggage, TraceContext,baggage", ["W3CBaggagePropagator", "TraceContextTextMapPropagator"], None),
        ("b3,tracecontext", ["B3SingleFormat", "TraceContextTextMapPropagator"], None),
        ("none", [], None),
        ("tracecontext,none", [], None),
        ("nobodys", ["TraceContextTextMapPropagator", "W3CBaggagePropagator"], "using tracecontext,baggage"),
        ("nobodys,baggage,either", ["W3CBaggagePropagator"], "using baggage"),
    ],
)
def test_propagators_of_the_environment(value: str, names: list[str], warned: str | None) -> None:
    ended = run(PROPAGATORS, OTEL_PROPAGATORS=value, OTEL_TRACES_EXPORTER="none")
    assert ended.answer == [names, value]
    if warned is None:
        assert ended.err == ""
    else:
        (line,) = ended.err.splitlines()
        wrong = ",".join(name for name in value.split(",") if name != "baggage")
        assert f"OTEL_PROPAGATORS={wrong!r}: expected names of propagators that are installed; {warned}" in line


def test_propagators_that_the_api_has_loaded_before_are_left_to_it_but_for_doubles() -> None:
    program = "import opentelemetry.propagate\n" + PROPAGATORS
    ended = run(program, OTEL_PROPAGATORS="baggage,baggage,tracecontext", OTEL_TRACES_EXPORTER="none")
    assert ended.answer[0] == ["W3CBaggagePropagator", "TraceContextTextMapPropagator"]


def test_disabled_tracing_still_passes_the_context_on() -> None:
    program = PROPAGATORS + "print(json.dumps(tracecore.TracerProvider().get_tracer('a').start_span('a').is_recording()))"
    ended = run(program, OTEL_SDK_DISABLED="true", OTEL_PROPAGATORS="b3", OTEL_TRACES_EXPORTER="none")
    assert ended.answer is False
    assert "B3SingleFormat" in ended.out


# --- the page -----------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parent.parent / "docs" / "environment.md"


def _variables_of(*modules: str) -> set[str]:
    import importlib

    return {
        name.lstrip("_")
        for module in modules
        for name in vars(importlib.import_module(module))
        if name.lstrip("_").startswith("OTEL_")
    }


def test_every_variable_of_the_installed_packages_stands_on_the_page() -> None:
    text = PAGE.read_text()
    known = _variables_of(
        "opentelemetry.environment_variables",
        "opentelemetry.sdk.environment_variables",
        "opentelemetry.instrumentation.environment_variables",
    )
    missing = {
        name for name in known
        if name not in text and not re.search(r"_(METRICS?|LOGS?|BLRP|LOGRECORD|METER|LOGGER|PROMETHEUS)_", name + "_")
    }  # fmt: skip
    assert missing == set()


def test_every_variable_that_the_code_reads_stands_on_the_page() -> None:
    text = PAGE.read_text()
    root = Path(tracecore.__file__).parent
    sources = {path: path.read_text() for path in root.rglob("*.py") if path.name != "environment_variables.py"}
    read = {name for source in sources.values() for name in re.findall(r"OTEL_[A-Z][A-Z_]*[A-Z]\b", source)}
    read.discard("OTEL_TRACE_STATE_KEY")  # a constant
    assert {name for name in read if name not in text} == set()


def test_every_test_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    assert len(named) > 5
    here = {
        name for path in Path(__file__).parent.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    } | {path.stem for path in Path(__file__).parent.rglob("test_*.py")}
    assert named - here == set()
