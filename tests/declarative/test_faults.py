"""Everything that is wrong with a file, in one error: path, line, value, and what is expected there."""

from __future__ import annotations

import pickle
from pathlib import Path

import jsonschema
import pytest
from files import TRACER_PROVIDER, faults_of, parts_of, write
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.configuration.file._loader import _get_schema

from tracecore.declarative.building import load
from tracecore.declarative.faults import ConfigurationFileError
from tracecore.errors import ConfigurationError

EVERYTHING = """\
file_format: "1.0"
disabled: maybe
log_level: infoo
tracer_provider:
  sampler:
    parent_based:
      root: {trace_id_ratio_based: {ratio: 2.5}}
      zzz: {always_on: }
  limits:
    event_count_limit: -1
    link_count_limit: 1.5
    evnt_count_limit: 1
  processors:
    - batch:
        schedule_delay: "200"
        exporter:
          otlp_http:
            endpoint: ftp://localhost
    - simple: {exporter: {consol: }}
    - batch:
    - batch
    - {batch: {exporter: {console: }}, simple: {exporter: {console: }}}
    - simple:
        exporter:
          otlp_http: {headers: [{name: api-key, value: 12345}], compression: brotli}
  id_generator: 5
"""


def test_all_faults_come_at_once_each_with_its_path_and_line(tmp_path: Path) -> None:
    assert faults_of(tmp_path, EVERYTHING) == [
        "disabled='maybe' (line 2): expected true or false",
        "log_level='infoo' (line 3): expected trace, trace2, trace3, trace4, debug, debug2, debug3, debug4, info, info2, info3,"
        " info4, warn, warn2, warn3, warn4, error, error2, error3, error4, fatal, fatal2, fatal3 or fatal4,"
        " did you mean 'info'?",
        "tracer_provider.sampler.parent_based.root.trace_id_ratio_based.ratio=2.5 (line 7): expected a number from 0 to 1",
        "tracer_provider.sampler.parent_based.zzz (line 8): is not known here: expected root, remote_parent_sampled, "
        "remote_parent_not_sampled, local_parent_sampled or local_parent_not_sampled",
        "tracer_provider.limits.event_count_limit=-1 (line 10): expected an integer, 0 or more",
        "tracer_provider.limits.link_count_limit=1.5 (line 11): expected an integer, 0 or more",
        "tracer_provider.limits.evnt_count_limit (line 12): is not known here, did you mean 'event_count_limit'?",
        "tracer_provider.processors[0].batch.schedule_delay='200' (line 15): expected milliseconds, an integer, 0 or more",
        "tracer_provider.processors[0].batch.exporter.otlp_http.endpoint='ftp://localhost' (line 18): "
        "expected a URL that starts with http:// or https://",
        "tracer_provider.processors[1].simple.exporter.consol (line 19): nothing of that name is built in or installed "
        "(opentelemetry_traces_exporter), did you mean 'console'?",
        "tracer_provider.processors[2].batch.exporter (line 20): is missing",
        "tracer_provider.processors[3]='batch' (line 21): expected a mapping: put a colon behind it, batch:",
        "tracer_provider.processors[4]={...} (line 22): expected a mapping with one key, the span processor: "
        "batch or simple, or an installed one's name",
        "tracer_provider.processors[5].simple.exporter.otlp_http.headers[0].value=(hidden) (line 25): "
        "expected a string: put it in quotes",
        "tracer_provider.id_generator=5 (line 26): expected a mapping with one key, the id generator: "
        "random, or an installed one's name",
    ]


def test_the_error_names_the_file_and_is_a_configuration_error(tmp_path: Path) -> None:
    file = write(tmp_path, EVERYTHING)
    with pytest.raises(ConfigurationError) as refused:
        load(file)
    assert isinstance(refused.value, ConfigurationFileError)
    assert str(refused.value).splitlines()[0] == f"{file} has 15 faults:"
    again = pickle.loads(pickle.dumps(refused.value))
    assert (str(again), again.faults) == (str(refused.value), refused.value.faults)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tracer_provider: ", "tracer_provider=null (line 2): expected a mapping"),
        ("tracer_provider: {}", "tracer_provider.processors (line 2): is missing"),
        ("tracer_provider: {processors: []}", "tracer_provider.processors=[...] (line 2): expected a list of one entry or more"),
        (
            "resource: {attributes: [{name: '', value: 1}]}",
            "resource.attributes[0].name='' (line 2): expected a string that is not empty",
        ),
        (
            "resource: {attributes: [{name: a, value: x, type: int}]}",
            "resource.attributes[0].value='x' (line 2): expected an integer",
        ),
        (
            "resource: {attributes: [{name: a, value: [1, x], type: int_array}]}",
            "resource.attributes[0].value=[...] (line 2): expected a list of integers",
        ),
        (
            "resource: {attributes: [{name: a, value: {b: c}}]}",
            "resource.attributes[0].value={...} (line 2): expected a string, number, boolean, or a list of one of them",
        ),
        ("resource: {attributes_list: 'a=b,c'}", "resource.attributes_list='c' (line 2): expected key=value, comma-separated"),
        (
            "resource: {detection/development: {detectors: [{hst: }]}}",
            "resource.detection/development.detectors[0].hst (line 2): nothing of that name is built in or installed "
            "(opentelemetry_resource_detector), did you mean 'host'?",
        ),
        (
            "propagator: {composite: [{tracecontxt: }]}",
            "propagator.composite[0].tracecontxt (line 2): nothing of that name is built in or installed "
            "(opentelemetry_propagator), did you mean 'tracecontext'?",
        ),
        (
            "propagator: {composite_list: 'tracecontext,nobodys'}",
            "propagator.composite_list (line 2): nothing of that name is built in or installed (opentelemetry_propagator)",
        ),
        (
            "instrumentation/development: {python: [flask]}",
            "instrumentation/development.python (line 2): expected a mapping of settings",
        ),
        (
            "distribution: {tracecore: {ring_bytes: 5}}" + TRACER_PROVIDER.replace("simple", "batch"),
            "distribution.tracecore.ring_bytes=5 (line 2): expected a power of two from 65536 to 1073741824",
        ),
        (
            "attribute_limits: {attribute_count_limit: '5'}",
            "attribute_limits.attribute_count_limit='5' (line 2): expected an integer",
        ),
        ("disabled: 1", "disabled=1 (line 2): expected true or false"),
        ("disabled: ${WRONG.REF}", "disabled=${WRONG.REF} (line 2): expected ${VAR}"),
    ],
)
def test_each_section_says_what_it_expects(tmp_path: Path, text: str, fault: str) -> None:
    (found,) = faults_of(tmp_path, text)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("exporter", "fault"),
    [
        (
            "{otlp_http: {tls: {ca_file: ca.pem}, endpoint: 'https://a'}}",
            "otlp_http.tls.ca_file='ca.pem' (line 5): expected an absolute path",
        ),
        (
            "{otlp_http: {tls: {key_file: /k}, endpoint: 'https://a'}}",
            "otlp_http.tls.key_file='/k' (line 5): expected cert_file beside it",
        ),
        ("{otlp_http: {tls: {ca_file: /nowhere}, endpoint: 'https://a'}}", "otlp_http.tls.ca_file='/nowhere' (line 5): expected"),
        (
            "{otlp_http: {headers_list: 'a=b,secret'}}",
            "otlp_http.headers_list=(hidden) (line 5): expected name=value, comma-separated; entry 2 is not",
        ),
        ("{otlp_http: {compression: brotli}}", "otlp_http.compression='brotli' (line 5): expected one of none, gzip"),
        ("{otlp_http: {encoding: xml}}", "otlp_http.encoding='xml' (line 5): expected protobuf or json"),
        ("{otlp_http: {endpoint: 'http://u:secret@h:99999'}}", "otlp_http.endpoint='http://***@h:99999' (line 5): expected"),
        ("{nobodys: 5}", "nobodys=5 (line 5): expected a mapping of settings, or nothing"),
        ("{in_memory_for_test: {bad: 1}}", "in_memory_for_test (line 5): nothing of that name is built in or installed"),
    ],
)
def test_what_only_an_exporter_can_judge_gets_its_place_in_the_file(tmp_path: Path, exporter: str, fault: str) -> None:
    text = f"tracer_provider:\n  processors:\n    - simple:\n        exporter: {exporter}\n"
    (found,) = faults_of(tmp_path, text)
    assert found.startswith(f"tracer_provider.processors[0].simple.exporter.{fault}")


def test_no_secret_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "12345678")
    text = """
    tracer_provider:
      processors:
        - simple:
            exporter:
              otlp_http:
                headers:
                  - name: authorization
                    value: ${TOKEN}
                headers_list: ${TOKEN}
    """
    found = faults_of(tmp_path, text)
    assert len(found) == 2
    assert "1234" not in "".join(found)


@pytest.mark.parametrize("version", ["0.4", "2.0", "1.x", "one", "", "0.1-rc.1"])
def test_another_version_is_the_one_thing_said(tmp_path: Path, version: str) -> None:
    (found,) = faults_of(tmp_path, f'file_format: "{version}"\nwhatever: [\n]\ndisabled: maybe')
    assert found == f"file_format={version!r} (line 1): expected 1.0 to 1.1"


@pytest.mark.parametrize("version", ["1", "1.0", "1.0-rc.3", "1.1"])
def test_versions_of_the_same_kind_are_read(tmp_path: Path, version: str) -> None:
    assert parts_of(tmp_path, f'file_format: "{version}"').remarks == []


def test_a_version_that_is_no_text_and_one_that_is_missing_are_refused(tmp_path: Path) -> None:
    assert faults_of(tmp_path, "file_format: 1.0") == ["file_format=1.0 (line 1): expected a string: put it in quotes"]
    assert faults_of(tmp_path, "{}", "otel.json") == ["file_format (line 1): is missing"]


def test_what_has_no_effect_is_remarked_upon(tmp_path: Path) -> None:
    text = """
    file_format: "1.7"
    tracer_provder: {}
    attribute_limits: {attribute_value_depth_limit: 5}
    tracer_provider:
      processors:
        - batch:
            schedule_delay: 7200000
            max_queue_size: 100
            max_export_batch_size: 200
            exporter:
              otlp_http:
                endpoint: http://h:4318/v1/traces
                tls: {ca_file: /ca.pem}
                max_response_size: 5
    """
    assert [str(remark) for remark in parts_of(tmp_path, text).remarks] == [
        "file_format (line 2): 1.7 is newer than 1.1, which is read: what is new in it may be refused",
        "tracer_provder (line 3): is not known here and has no effect, did you mean 'tracer_provider'?",
        "attribute_limits.attribute_value_depth_limit (line 4): has no effect: the depth is bounded by what receivers read",
        "tracer_provider.processors[0].batch.exporter.otlp_http.max_response_size (line 15): "
        "has no effect: of an answer no more is read than is needed",
        "tracer_provider.processors[0].batch.exporter.otlp_http.tls (line 14): has no effect: the endpoint is not https",
        "tracer_provider.processors[0].batch.max_export_batch_size (line 10): 200 is more than 100, which is used",
        "tracer_provider.processors[0].batch.schedule_delay (line 8): 7200000 is more than 3600000, which is used",
    ]


# --- against the schema's own judge ---------------------------------------------------------------------------

LEAVES = (
    st.none() | st.booleans() | st.integers(-2, 300) | st.floats(0, 2, allow_nan=False) | st.sampled_from(["", "a", "info", "1"])
)
KEYS = st.sampled_from(
    "disabled log_level attribute_limits attribute_count_limit attribute_value_length_limit propagator composite_list resource "
    "attributes attributes_list schema_url name value type tracer_provider processors batch simple exporter console otlp_http endpoint "
    "timeout encoding limits event_count_limit sampler always_on always_off parent_based root trace_id_ratio_based ratio "
    "schedule_delay max_queue_size headers tls tracer_configurator/development default_config enabled tracers config".split()
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=10)
SAMPLERS = st.recursive(
    st.sampled_from([{"always_on": None}, {"always_off": {}}, {"trace_id_ratio_based": None}])
    | st.builds(lambda ratio: {"trace_id_ratio_based": {"ratio": ratio}}, LEAVES),
    lambda inner: st.builds(lambda a, b: {"parent_based": {"root": a, "local_parent_sampled": b}}, inner, inner | TREES),
    max_leaves=4,
)
SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "disabled": LEAVES,
        "log_level": LEAVES,
        "attribute_limits": TREES,
        "propagator": st.builds(lambda leaf: {"composite_list": leaf}, st.none() | st.just("baggage")) | TREES,
        "resource": TREES,
        "tracer_provider": st.builds(
            lambda sampler, limits, tree: {"sampler": sampler, "limits": limits, "processors": [{"simple": {"exporter": tree}}]},
            SAMPLERS | TREES,
            st.dictionaries(KEYS, LEAVES, max_size=2),
            st.just({"console": None}) | TREES,
        ),
    },
)


@settings(max_examples=300, deadline=None)
@given(sections=SECTIONS)
def test_the_published_schema_and_ours_accept_the_same_files(
    sections: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import json

    data = {"file_format": "1.0", **sections}
    validator = jsonschema.Draft202012Validator(_get_schema())
    # Names that may be null by their type and not by their list: a slip of the schema, and null is taken.
    is_valid = all(error.validator == "enum" and error.instance is None for error in validator.iter_errors(data))
    file = tmp_path_factory.mktemp("files") / "a.json"
    file.write_text(json.dumps(data))
    try:
        load(str(file)).shutdown()
        faults: tuple[object, ...] = ()
    except ConfigurationFileError as refused:
        faults = refused.faults
    if not is_valid:
        assert faults
    elif faults:
        # What the schema cannot say: whether a name is installed, a URL is one, an attribute is of its type.
        assert all(_is_beyond_the_schema(str(fault)) for fault in faults), faults


def _is_beyond_the_schema(fault: str) -> bool:
    words = (
        "nothing of that name",
        "a URL",
        "key=value",
        "cannot be made",
        "is missing",
        "a string that is not empty",
        "resource.attributes[",
        "one of none",
    )
    return any(word in fault for word in words)
