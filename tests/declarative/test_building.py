"""What a file makes, against what opentelemetry-sdk's own declarative configuration makes of the same file."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from files import TRACER_PROVIDER, environment, faults_of, parts_of, write
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.configuration import load_config_file
from opentelemetry.configuration._propagator import create_propagator
from opentelemetry.configuration._resource import create_resource
from opentelemetry.configuration._tracer_provider import create_tracer_provider
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tracecore import config
from tracecore.container_detector import ContainerResourceDetector
from tracecore.declarative.building import BatchOf, load, provider_of
from tracecore.exporters.otlp_http import OTLPHTTPExporter
from tracecore.provider import TracerProvider, providers
from tracecore.sampling import ALWAYS_ON, AlwaysRecordSampler
from tracecore.simple_span_processor import SimpleSpanProcessor


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    with environment():
        yield
    for provider in providers():
        provider.shutdown(1000)


def of_sdk(file: str) -> Any:
    """Return the provider that opentelemetry-sdk makes of the file."""
    read = load_config_file(file)
    return create_tracer_provider(read.tracer_provider, create_resource(read.resource), read.attribute_limits)


def ours(file: str) -> TracerProvider:
    provider = provider_of(load(file))
    provider.shutdown(1000)
    return provider


LIMITS = ["max_events", "max_links", "max_span_attributes", "max_event_attributes", "max_link_attributes",
          "max_span_attribute_length", "max_attribute_length"]  # fmt: skip


def limits_of(provider: Any) -> dict[str, int | None]:
    return {name: getattr(provider._span_limits, name) for name in LIMITS}


FULL = """
log_level: warn
attribute_limits: {attribute_value_length_limit: 100, attribute_count_limit: 30}
resource:
  attributes_list: a=list,b=x%20y,service.version=1
  attributes:
    - {name: service.name, value: shop}
    - {name: a, value: own}
    - {name: i, value: 5, type: int}
    - {name: d, value: 5, type: double}
    - {name: t, value: true, type: bool}
    - {name: untyped, value: 7}
    - {name: nothing, value: null}
    - {name: s, value: [a, b], type: string_array}
    - {name: n, value: [1, 2], type: int_array}
    - {name: f, value: [1.5, 2], type: double_array}
    - {name: y, value: [true, false], type: bool_array}
  schema_url: https://opentelemetry.io/schemas/1.16.0
  detection/development:
    attributes: {included: ["process.*", "service.*", "host.name"], excluded: ["process.pid", process.parent_pid]}
    detectors: [{service: }, {process: }, {host: }]
propagator:
  composite: [{baggage: }, {tracecontext: }, {b3: }]
  composite_list: tracecontext,b3multi
tracer_provider:
  limits: {event_count_limit: 5, link_attribute_count_limit: 6, attribute_count_limit: 40}
  sampler:
    parent_based:
      root: {trace_id_ratio_based: {ratio: 0.25}}
      remote_parent_sampled: {always_off: }
      local_parent_not_sampled: {trace_id_ratio_based: }
  processors:
    - batch:
        schedule_delay: 250
        export_timeout: 1500
        max_queue_size: 4096
        max_export_batch_size: 100
        exporter:
          otlp_http:
            endpoint: http://127.0.0.1:1/v1/traces
            headers_list: a=1,b=2
            headers: [{name: b, value: own}, {name: c, value: null}]
            compression: gzip
            timeout: 2500
    - simple: {exporter: {console: }}
"""


def test_a_full_file_makes_what_it_makes_of_opentelemetry_sdk(tmp_path: Path) -> None:
    file = write(tmp_path, FULL)
    theirs, mine = of_sdk(file), ours(file)
    theirs.shutdown()
    assert mine.sampler.get_description() == theirs.sampler.get_description()
    assert limits_of(mine) == limits_of(theirs)
    not_compared = ("telemetry.sdk.", "os.", "process.command", "process.owner", "service.instance.id")
    attributes = [
        {key: value for key, value in provider.resource.attributes.items() if not key.startswith(not_compared)}
        for provider in (mine, theirs)
    ]
    assert attributes[0] == attributes[1]
    assert mine.resource.attributes["a"] == "own"
    assert mine.resource.schema_url == theirs.resource.schema_url
    batch, simple = load(file).processors
    their_batch, their_simple = theirs._active_span_processor._span_processors
    settings_of_theirs = their_batch._batch_processor
    assert batch.settings.delay == settings_of_theirs._schedule_delay
    assert batch.settings.batch == settings_of_theirs._max_export_batch_size
    assert batch.settings.export_timeout == settings_of_theirs._export_timeout_millis / 1000
    assert batch.settings.ring_bytes == config.ring_bytes_for(4096)
    assert isinstance(batch.exporter, OTLPHTTPExporter)
    exporter = their_batch.span_exporter
    assert repr(batch.exporter) == f"<OTLPHTTPExporter {exporter._endpoint} compression={exporter._compression.value}>"
    assert isinstance(simple, SimpleSpanProcessor)
    assert type(simple.span_exporter).__name__ == type(their_simple.span_exporter).__name__
    read = load_config_file(file)
    names = [type(each).__name__ for each in load(file).propagator._propagators]
    assert names == [type(each).__name__ for each in create_propagator(read.propagator)._propagators]


def test_the_smallest_file_has_the_schemas_defaults(tmp_path: Path) -> None:
    file = write(tmp_path, TRACER_PROVIDER)
    mine, theirs = ours(file), of_sdk(file)
    assert mine.sampler.get_description() == theirs.sampler.get_description()
    assert limits_of(mine) == limits_of(theirs)
    assert mine.resource.attributes["service.name"] == theirs.resource.attributes["service.name"]
    assert set(mine.resource.attributes) == set(theirs.resource.attributes)


def test_yaml_and_json_make_the_same(tmp_path: Path) -> None:
    import json

    import yaml

    data = {"file_format": "1.0", **yaml.safe_load(FULL)}
    in_yaml = parts_of(tmp_path, FULL)
    in_json = parts_of(tmp_path, json.dumps(data), "otel.json")
    volatile = ("service.instance.id",)
    assert {k: v for k, v in in_yaml.resource.attributes.items() if k not in volatile} == {
        k: v for k, v in in_json.resource.attributes.items() if k not in volatile
    }
    assert repr(in_yaml.limits) == repr(in_json.limits)
    assert in_yaml.sampler.get_description() == in_json.sampler.get_description()
    assert [type(each) for each in in_yaml.processors] == [type(each) for each in in_json.processors]


# --- variables ------------------------------------------------------------------------------------------------

OTHERS = {
    "OTEL_SDK_DISABLED": "true",
    "OTEL_SERVICE_NAME": "from-variable",
    "OTEL_RESOURCE_ATTRIBUTES": "from=variable",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "nobodys",
    "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_TRACES_EXPORTER": "nobodys",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://from-variable:1",
    "OTEL_EXPORTER_OTLP_HEADERS": "from=variable",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "wrong",
    "OTEL_BSP_MAX_QUEUE_SIZE": "wrong",
    "OTEL_BSP_SCHEDULE_DELAY": "7",
    "OTEL_BSP_EXPORT_TIMEOUT": "wrong",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "wrong",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "1",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "wrong",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3",
    "OTEL_PYTHON_ID_GENERATOR": "nobodys",
}


def test_with_a_file_no_other_variable_counts_or_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = FULL.replace("detectors: [{service: }, {process: }, {host: }]", "detectors: [{process: }]")
    file = write(tmp_path, text)
    plain, their_settings = ours(file), load(file).processors[0].settings
    with environment(**OTHERS):
        provider = provider_of(load(file))
        settings_ = load(file).processors[0].settings
        provider.shutdown(1000)
    assert type(provider.get_tracer("a")).__name__ == "Tracer"  # not one that does nothing, as where it is disabled
    assert provider.sampler.get_description() == plain.sampler.get_description()
    assert limits_of(provider) == limits_of(plain)
    assert dict(provider.resource.attributes) == dict(plain.resource.attributes)
    assert settings_ == their_settings
    assert caplog.records == []


def test_the_service_detector_alone_reads_the_name_of_the_service(tmp_path: Path) -> None:
    text = "resource: {detection/development: {detectors: [{service: }]}}" + TRACER_PROVIDER
    with environment(OTEL_SERVICE_NAME="from-variable"):
        attributes = parts_of(tmp_path, text).resource.attributes
    assert attributes["service.name"] == "from-variable"
    assert attributes["service.instance.id"]


def test_an_unquoted_version_keeps_its_zeros_where_its_type_is_string(tmp_path: Path) -> None:
    text = "resource: {attributes: [{name: v, value: 1.10, type: string}, {name: w, value: 1.10}]}"
    attributes = parts_of(tmp_path, text).resource.attributes
    assert (attributes["v"], attributes["w"]) == ("1.10", 1.1)


def test_json_can_have_numbers_from_the_environment(tmp_path: Path) -> None:
    text = """{"file_format": "1.0", "disabled": "${OFF}", "attribute_limits": {"attribute_count_limit": "${N}",
        "attribute_value_length_limit": "${UNSET}"},
        "resource": {"attributes": [{"name": "n", "value": "${N}", "type": "int"}, {"name": "s", "value": "${N}"}]},
        "tracer_provider": {"sampler": {"trace_id_ratio_based": {"ratio": "${R:-0.5}"}},
        "processors": [{"simple": {"exporter": {"console": null}}}]}}"""
    with environment(OFF="true", N="7"):
        parts = parts_of(tmp_path, text, "otel.json")
    assert parts.is_disabled is True
    assert parts.limits is not None
    assert (parts.limits.max_span_attributes, parts.limits.max_span_attribute_length) == (7, None)
    assert (parts.resource.attributes["n"], parts.resource.attributes["s"]) == (7, "7")
    assert parts.sampler.get_description() == "TraceIdRatioBased{0.5}"


# --- samplers -------------------------------------------------------------------------------------------------

RATIOS = st.none() | st.sampled_from([{}, None]) | st.builds(lambda r: {"ratio": r}, st.floats(0, 1) | st.none() | st.just(1))
SAMPLERS = st.recursive(
    st.sampled_from([{"always_on": None}, {"always_off": {}}]) | st.builds(lambda r: {"trace_id_ratio_based": r}, RATIOS),
    lambda inner: st.builds(
        lambda branches: {"parent_based": branches or None},
        st.dictionaries(
            st.sampled_from(
                ["root", "remote_parent_sampled", "remote_parent_not_sampled", "local_parent_sampled", "local_parent_not_sampled"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None)
@given(sampler=SAMPLERS)
def test_every_sampler_is_the_one_opentelemetry_sdk_makes(
    sampler: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import json

    data = {
        "file_format": "1.0",
        "tracer_provider": {"sampler": sampler, "processors": [{"simple": {"exporter": {"console": None}}}]},
    }
    file = tmp_path_factory.mktemp("files") / "a.json"
    file.write_text(json.dumps(data))
    parts = load(str(file))
    parts.shutdown()
    theirs = of_sdk(str(file))
    theirs.shutdown()
    # A ratio of 1, an integer in the file, is 1.0 here.
    assert parts.sampler.get_description() == theirs.sampler.get_description().replace("{1}", "{1.0}")


COMPOSITE = """
tracer_provider:
  processors: [{simple: {exporter: {console: }}}]
  sampler:
    composite/development:
      rule_based:
        rules:
          - attribute_values: {key: http.route, values: [/healthz, /livez]}
            sampler: {always_off: }
          - attribute_patterns: {key: http.path, included: ["/internal/*"], excluded: ["/internal/special/*"]}
            sampler: {always_on: }
          - parent: [none]
            span_kinds: [client]
            sampler: {probability: {ratio: 0.5}}
          - sampler: {parent_threshold: {root: {always_on: }}}
"""


def test_a_composite_sampler_decides_as_that_of_opentelemetry_sdk(tmp_path: Path) -> None:
    file = write(tmp_path, COMPOSITE)
    mine, theirs = ours(file).sampler, of_sdk(file).sampler
    parents: list[Any] = [None]
    for flags in (0, 1):
        for is_remote in (False, True):
            context = SpanContext(1 << 70, 5, is_remote, TraceFlags(flags))
            parents.append(set_span_in_context(NonRecordingSpan(context)))
    for parent in parents:
        for kind in (SpanKind.CLIENT, SpanKind.SERVER):
            for attributes in ({}, {"http.route": "/livez"}, {"http.path": "/internal/a"}, {"http.path": "/internal/special/a"}):
                for trace_id in (1 << 64 | 1, (1 << 128) - 1, 0x7F << 48):
                    given_ = (parent, trace_id, "a", kind, attributes)
                    decisions = [sampler.should_sample(*given_).decision.name for sampler in (mine, theirs)]
                    assert decisions[0] == decisions[1], given_
    assert mine.get_description() == theirs.get_description()


def test_always_record_and_probability_are_there_too(tmp_path: Path) -> None:
    text = TRACER_PROVIDER + "  sampler: {always_record: {root: {always_off: }}}"
    sampler = parts_of(tmp_path, text).sampler
    assert isinstance(sampler, AlwaysRecordSampler)
    sampler = parts_of(tmp_path, TRACER_PROVIDER + "  sampler: {probability/development: {ratio: 0.5}}").sampler
    kept = [sampler.should_sample(None, n << 48, "a").decision.is_sampled() for n in range(0, 256, 16)]
    assert kept == [False] * 8 + [True] * 8  # the low 56 bits as a number against the threshold
    (fault,) = faults_of(
        tmp_path,
        TRACER_PROVIDER + "  sampler: {jaeger_remote/development: {endpoint: 'http://a', initial_sampler: {always_on: }}}",
    )
    assert fault.endswith("no installed package offers the sampler jaeger_remote")


# --- extensions -----------------------------------------------------------------------------------------------


class Keeps:
    """An exporter, sampler, id generator and propagator by name: it keeps its settings."""

    fields: set[str] = set()

    def __init__(self, *arguments: Any, **settings_: Any) -> None:
        self.arguments, self.settings = arguments, settings_
        if "fail" in settings_:
            raise RuntimeError("no")

    def export(self, spans: Any) -> None: ...
    def on_end(self, span: Any) -> None: ...
    def shutdown(self) -> None: ...
    def should_sample(self, *arguments: Any, **more: Any) -> Any: ...
    def generate_trace_id(self) -> int:
        return 1

    def generate_span_id(self) -> int:
        return 2

    def get_description(self) -> str:
        return f"Keeps{self.settings}"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers Keeps as "keeps" in every group."""
    real = importlib.metadata.entry_points

    def entry_points(**wanted: Any) -> Any:
        if wanted.get("name") == "keeps" and wanted["group"] != "opentelemetry_sampler":
            return [importlib.metadata.EntryPoint("keeps", f"{__name__}:Keeps", wanted["group"])]
        if wanted.get("name") == "jaeger_remote":
            return [importlib.metadata.EntryPoint("jaeger_remote", f"{__name__}:Keeps", wanted["group"])]
        return real(**wanted)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


@pytest.mark.usefixtures("installed")
def test_names_of_other_packages_get_their_settings(tmp_path: Path) -> None:
    text = """
    propagator: {composite: [{keeps: {a: 1}}]}
    tracer_provider:
      id_generator: {keeps: {b: 2}}
      sampler: {keeps: {c: [3]}}
      processors:
        - batch: {exporter: {keeps: {d: {e: 4}}}}
        - simple: {exporter: {keeps: }}
        - keeps: {f: 5}
    """
    parts = parts_of(tmp_path, text)
    batch, simple, processor = parts.processors
    assert isinstance(batch, BatchOf)
    found = [*parts.propagator._propagators, parts.id_generator, parts.sampler, batch.exporter, simple.span_exporter, processor]
    assert [each.settings for each in found] == [{"a": 1}, {"b": 2}, {"c": [3]}, {"d": {"e": 4}}, {}, {"f": 5}]


@pytest.mark.usefixtures("installed")
def test_an_extension_that_raises_is_a_fault_at_its_place(tmp_path: Path) -> None:
    text = "tracer_provider: {processors: [{simple: {exporter: {keeps: {fail: 1}}}}]}"
    (fault,) = faults_of(tmp_path, text)
    assert fault == "tracer_provider.processors[0].simple.exporter.keeps (line 2): cannot be made: RuntimeError: no"


@pytest.mark.usefixtures("installed")
def test_an_installed_jaeger_remote_sampler_gets_its_settings_as_the_variable_has_them(tmp_path: Path) -> None:
    text = (
        TRACER_PROVIDER
        + """  sampler:
    jaeger_remote/development:
      endpoint: http://jaeger:14250
      interval: 5000
      initial_sampler: {trace_id_ratio_based: {ratio: 0.25}}
"""
    )
    sampler = parts_of(tmp_path, text).sampler
    assert sampler.arguments == ("endpoint=http://jaeger:14250,pollingIntervalMs=5000,initialSamplingRate=0.25",)


# --- the rest -------------------------------------------------------------------------------------------------


def test_propagators_are_none_without_their_section_and_each_once_with_it(tmp_path: Path) -> None:
    assert parts_of(tmp_path, "").propagator._propagators == []
    parts = parts_of(tmp_path, "propagator: {composite: [{baggage: }], composite_list: ' baggage, tracecontext ,none,'}")
    assert [type(each) for each in parts.propagator._propagators] == [W3CBaggagePropagator, TraceContextTextMapPropagator]


def test_tracers_are_switched_by_name(tmp_path: Path) -> None:
    text = (
        TRACER_PROVIDER
        + """  tracer_configurator/development:
    default_config: {enabled: false}
    tracers:
      - {name: "shop.*", config: {enabled: true}}
      - {name: "exact", config: {}}
"""
    )
    file = write(tmp_path, text)
    mine, theirs = provider_of(load(file)), of_sdk(file)
    for name in ("shop.a", "shop", "exact", "Exact", "other"):
        recorded = [provider.get_tracer(name).start_span("a").is_recording() for provider in (mine, theirs)]
        assert recorded[0] == recorded[1] == (name in ("shop.a", "exact"))


def test_a_native_exporter_in_a_simple_processor_has_a_pipeline_that_does_not_wait(tmp_path: Path) -> None:
    (made,) = parts_of(tmp_path, "tracer_provider: {processors: [{simple: {exporter: {otlp_http: }}}]}").processors
    assert isinstance(made, BatchOf)
    assert (made.settings.batch, made.settings.delay) == (1, 0.001)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ("", (4 << 20, 4096, 5.0, 30.0)),
        ("schedule_delay: 0, export_timeout: 0,", (4 << 20, 4096, 0.001, 3600.0)),
        ("max_queue_size: 2048,", (1 << 20, 4096, 5.0, 30.0)),
        ("max_export_batch_size: 99999999,", (4 << 20, 65536, 5.0, 30.0)),
    ],
)
def test_batches_have_tracecores_defaults_and_bounds(tmp_path: Path, batch: str, expected: tuple[float, ...]) -> None:
    text = f"tracer_provider: {{processors: [{{batch: {{{batch} exporter: {{console: }}}}}}]}}"
    assert tuple(parts_of(tmp_path, text).processors[0].settings) == expected


def test_what_only_tracecore_has_stands_under_distribution(tmp_path: Path) -> None:
    text = "distribution: {tracecore: {ring_bytes: 65536}, others: {a: 1}}\ntracer_provider: {processors: [{batch: {exporter: {console: }}}]}"
    parts = parts_of(tmp_path, text)
    assert parts.processors[0].settings.ring_bytes == 65536
    assert parts.remarks == []


def test_a_refused_file_leaves_nothing_behind(tmp_path: Path) -> None:
    before = providers()
    faults_of(tmp_path, "tracer_provider: {processors: [{simple: {exporter: {console: }}}, {simple: {exporter: {nobodys: }}}]}")
    assert providers() == before


def test_a_file_without_traces_or_disabled_makes_a_provider_that_records_nothing(tmp_path: Path) -> None:
    for text in ("resource: {}", "disabled: true" + TRACER_PROVIDER):
        provider = ours(write(tmp_path, text))
        assert not provider.get_tracer("a").start_span("a").is_recording()
    assert parts_of(tmp_path, "disabled: ${OFF:-true}").is_disabled


def test_the_default_sampler_is_not_the_variables(tmp_path: Path) -> None:
    with environment(OTEL_TRACES_SAMPLER="always_off"):
        provider = provider_of(load(write(tmp_path, TRACER_PROVIDER)))
    assert provider.sampler._root is ALWAYS_ON


@pytest.mark.parametrize(
    ("exporter", "shown"),
    [
        ("{otlp_file/development: }", "OTLPFileExporter"),
        ("{otlp_file/development: {output_stream: 'file:///tmp/traces.jsonl'}}", "OTLPFileExporter"),
        ("{otlp_grpc: {endpoint: 'http://h:4317', timeout: 500, headers_list: a=b, max_request_size: 1000}}", "OTLPGRPCExporter"),
        ("{otlp_grpc: {endpoint: 'h:4317', tls: {insecure: true}}}", "OTLPGRPCExporter"),
        ("{otlp_http: {encoding: json, max_request_size: 0, timeout: 0}}", "OTLPHTTPExporter"),
        ("{otlp_http: {encoding: protobuf}}", "OTLPHTTPExporter"),
        ("{zipkin: }", "ZipkinExporter"),
        ("{zipkin: {endpoint: 'http://h:9411/api/v2/spans', timeout: 500}}", "ZipkinExporter"),
        ("{tracecore/zipkin: {local_node_port: 80}}", "ZipkinExporter"),
        ("{tracecore/jaeger_agent: {host: h, port: 6832, protocol: binary}}", "JaegerAgentExporter"),
        ("{tracecore/jaeger_collector: {endpoint: 'http://h/api/traces', username: a, password: b}}", "JaegerCollectorExporter"),
        ("{tracecore/msgpack_file: {path: /tmp/spans.msgpack, max_bytes: 1000000}}", "MessagePackFileExporter"),
        ("{tracecore/otlp_file: {path: /tmp/spans.jsonl, keep: 3, compress: true}}", "OTLPFileExporter"),
    ],
)
def test_every_exporter_of_the_schema_is_made_of_ours(tmp_path: Path, exporter: str, shown: str) -> None:
    (made,) = parts_of(tmp_path, f"tracer_provider: {{processors: [{{batch: {{exporter: {exporter}}}}}]}}").processors
    assert type(made.exporter).__name__ == shown


@pytest.mark.parametrize(
    ("exporter", "fault"),
    [
        ("{tracecore/jaeger_agent: {hots: h}}", "tracecore/jaeger_agent.hots (line 2): expected one of host, port, protocol, timeout, "
         "max_packet_bytes, retry_pause, did you mean 'host'?"),
        ("{tracecore/jaeger_agent: {port: 0}}", "tracecore/jaeger_agent.port=0 (line 2): expected"),
        ("{tracecore/msgpack_file: }", "tracecore/msgpack_file.path (line 2): expected it to be there"),
        ("{tracecore/msgpack: }", "tracecore/msgpack (line 2): nothing of that name is built in or installed "
         "(opentelemetry_traces_exporter), did you mean 'tracecore/msgpack_file'?"),
        ("{zipkin: {endpoint: nope}}", "zipkin.endpoint='nope' (line 2): expected a URL"),
    ],
)  # fmt: skip
def test_arguments_of_our_own_exporters_are_judged_by_them(tmp_path: Path, exporter: str, fault: str) -> None:
    (found,) = faults_of(tmp_path, f"tracer_provider: {{processors: [{{batch: {{exporter: {exporter}}}}}]}}")
    assert found.startswith(f"tracer_provider.processors[0].batch.exporter.{fault}"), found


@pytest.mark.parametrize("stream", ["file://host/a", "file:///a/", "file:a", "/a", "stderr", "file:///a?b"])
def test_a_stream_that_is_no_file_is_refused(tmp_path: Path, stream: str) -> None:
    text = f"tracer_provider: {{processors: [{{batch: {{exporter: {{otlp_file/development: {{output_stream: '{stream}'}}}}}}}}]}}"
    (fault,) = faults_of(tmp_path, text)
    assert fault.endswith(f"otlp_file/development.output_stream={stream!r} (line 2): expected stdout or file:///path/to/file")


def test_spans_of_a_file_s_provider_arrive_through_its_stages(tmp_path: Path) -> None:
    import json

    file = tmp_path / "spans.jsonl"
    text = f"""
    tracer_provider:
      processors:
        - tracecore/span_metrics: {{max_series: 10}}
        - batch: {{exporter: {{otlp_file/development: {{output_stream: "file://{file}"}}}}}}
    """
    provider = provider_of(load(write(tmp_path, text)))
    provider.get_tracer("a").start_span("one").end()
    provider.shutdown(5000)
    (line,) = file.read_text().splitlines()
    (resource_spans,) = json.loads(line)["resourceSpans"]
    assert [span["name"] for scope in resource_spans["scopeSpans"] for span in scope["spans"]] == ["one"]
    (fault,) = faults_of(tmp_path, text.replace("max_series: 10", "max_series: 0"))
    assert "tracecore/span_metrics.max_series=0 (line 5): expected an integer from 1" in fault


CGROUP_V1 = "12:memory:/docker/" + "a" * 64 + "\n"
CGROUP_SYSTEMD = "0::/system.slice/docker-" + "b" * 64 + ".scope\n"
MOUNTINFO = "1 2 0:1 /var/lib/docker/containers/" + "c" * 64 + "/hostname /etc/hostname rw - ext4 /dev/x rw\n"


@pytest.mark.parametrize(
    ("files_", "container"),
    [
        ({"cgroup": CGROUP_V1}, "a" * 64),
        ({"cgroup": CGROUP_SYSTEMD}, "b" * 64),
        ({"cgroup": "0::/\n", "mountinfo": MOUNTINFO}, "c" * 64),
        ({"cgroup": "0::/user.slice\n", "mountinfo": "1 2 0:1 / / rw\n"}, None),
        ({}, None),
    ],
)
def test_the_container_is_found_where_the_kernel_shows_it(tmp_path: Path, files_: dict[str, str], container: str | None) -> None:
    for name, content in files_.items():
        (tmp_path / name).write_text(content)
    found = ContainerResourceDetector(proc=str(tmp_path)).detect().attributes
    assert dict(found) == ({} if container is None else {"container.id": container})
