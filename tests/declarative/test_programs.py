"""Programs that a configuration file sets up: by opentelemetry-instrument, by OTEL_PYTHON_TRACER_PROVIDER, and in code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from files import TRACER_PROVIDER, write
from otlp_receiver import Receiver
from program import Ended, run, start_and_wait

INSTRUMENT = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
BY_INSTRUMENT = {"OTEL_PYTHON_DISTRO": "tracecore", "OTEL_PYTHON_CONFIGURATOR": "tracecore"}

FILE = """
resource:
  attributes: [{name: service.name, value: "${NAME:-shop}"}]
propagator: {composite: [{b3: }]}
tracer_provider:
  processors:
    - batch:
        schedule_delay: 100
        exporter:
          otlp_http: {endpoint: "${ENDPOINT}/v1/traces", compression: gzip}
"""

PROGRAM = """
import json
from opentelemetry import propagate, trace
with trace.get_tracer("app").start_as_current_span("work") as span:
    headers = {}
    propagate.inject(headers)
    is_recording = span.is_recording()
print(json.dumps([type(trace.get_tracer_provider()).__module__, is_recording, sorted(headers)]))
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def instrumented(tmp_path: Path, program: str, **variables: str) -> Ended:
    app = tmp_path / "app.py"
    app.write_text(program)
    return start_and_wait([sys.executable, "-c", INSTRUMENT, sys.executable, str(app)], 60, 0, BY_INSTRUMENT | variables)


def warnings_of(ended: Ended) -> list[str]:
    """What was said, without the loader's remark that another installed distribution was passed over."""
    return [line for line in ended.err.splitlines() if "not loaded" not in line]


@pytest.mark.parametrize("way", ["instrument", "tracer_provider", "init", "init_by_variable"])
def test_each_way_to_name_a_file(way: str, receiver: Receiver, tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    variables = {
        "OTEL_CONFIG_FILE": file,
        "ENDPOINT": receiver.endpoint,
        "OTEL_SERVICE_NAME": "not-this",
        "OTEL_PROPAGATORS": "baggage",
    }
    if way == "instrument":
        ended = instrumented(tmp_path, PROGRAM, **variables)
    elif way == "tracer_provider":
        ended = run(PROGRAM, OTEL_PYTHON_TRACER_PROVIDER="tracecore", **variables)
    elif way == "init":
        del variables["OTEL_CONFIG_FILE"]
        ended = run(f"import tracecore; tracecore.init(config_file={file!r})\n" + PROGRAM, **variables)
    else:
        ended = run("import tracecore; tracecore.init()\n" + PROGRAM, **variables)
    assert ended.answer == ["tracecore.provider", True, ["b3"]]
    assert warnings_of(ended) == []
    assert receiver.names == ["work"]
    assert receiver.resources[0]["service.name"] == "shop"


def test_the_older_name_of_the_variable_counts_where_the_newer_is_not_set(receiver: Receiver, tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    run("import tracecore; tracecore.init()\n" + PROGRAM, OTEL_EXPERIMENTAL_CONFIG_FILE=file, ENDPOINT=receiver.endpoint)
    assert receiver.names == ["work"]


@pytest.mark.parametrize("way", ["instrument", "tracer_provider", "init"])
def test_a_faulty_file_of_the_environment_lets_the_program_run_untraced_and_says_everything(way: str, tmp_path: Path) -> None:
    file = write(tmp_path, FILE + "  limits: {event_count_limit: -1}\n  sampler: 5\n")
    variables = {"OTEL_CONFIG_FILE": file, "ENDPOINT": "http://h"}
    if way == "instrument":
        ended = instrumented(tmp_path, PROGRAM, **variables)
    elif way == "tracer_provider":
        ended = run(PROGRAM, OTEL_PYTHON_TRACER_PROVIDER="tracecore", **variables)
    else:
        ended = run("import tracecore; tracecore.init()\n" + PROGRAM, **variables)
    assert ended.answer[1] is False
    assert "Traceback" not in ended.err
    assert ended.err.count("event_count_limit=-1 (line 12)") == ended.err.count("sampler=5 (line 13)") == 1
    assert "Nothing is traced" in ended.err


def test_a_faulty_file_that_the_code_names_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "disabled: maybe")
    ended = run(f"import tracecore; tracecore.init(config_file={file!r})", code=1)
    assert (
        ended.err.splitlines()[-1]
        == f"tracecore.declarative.faults.ConfigurationFileError: {file}: disabled='maybe' (line 2): expected true or false"
    )
    ended = run(f"import tracecore; tracecore.init(service='a', config_file={file!r})", code=1)
    assert "expected no other argument beside it, but got service" in ended.err.splitlines()[-1]


def test_arguments_of_init_do_not_count_beside_the_variable_and_are_named(receiver: Receiver, tmp_path: Path) -> None:
    program = "import tracecore; tracecore.init(service='not-this', batch=5)\n" + PROGRAM
    ended = run(program, OTEL_CONFIG_FILE=write(tmp_path, FILE), ENDPOINT=receiver.endpoint)
    assert receiver.resources[0]["service.name"] == "shop"
    (line,) = ended.err.splitlines()
    assert line.endswith("is set and says everything; not applied: service, batch")


def test_metrics_and_logs_are_set_up_by_opentelemetry_sdk_with_the_same_resource(tmp_path: Path) -> None:
    text = """
    resource: {attributes: [{name: service.name, value: shop}]}
    meter_provider:
      readers: [{periodic: {interval: 60000, exporter: {console: }}}]
    logger_provider:
      processors: [{simple: {exporter: {console: }}}]
    """ + TRACER_PROVIDER.replace("\n", "\n    ")
    program = """
import json
from opentelemetry import metrics, trace, _logs
metrics.get_meter("a").create_counter("c").add(1)
found = [trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()]
resources = [found[0].resource, found[1]._sdk_config.resource, found[2].resource]
metrics.get_meter_provider().shutdown()
print()
print(json.dumps([[type(each).__module__.partition(".")[0] for each in found],
    [each.attributes["service.name"] for each in resources], [each.attributes["telemetry.sdk.name"] for each in resources]]))
"""
    ended = instrumented(tmp_path, program, OTEL_CONFIG_FILE=write(tmp_path, text))
    assert ended.answer == [
        ["tracecore", "opentelemetry", "opentelemetry"],
        ["shop"] * 3,
        ["tracecore", "opentelemetry", "opentelemetry"],
    ]
    assert '"name": "c"' in ended.out
    assert warnings_of(ended) == []


def test_faults_in_the_sections_of_metrics_are_reported_and_traces_go_on(receiver: Receiver, tmp_path: Path) -> None:
    text = FILE + "meter_provider: {readers: 5}\n"
    ended = instrumented(tmp_path, PROGRAM, OTEL_CONFIG_FILE=write(tmp_path, text), ENDPOINT=receiver.endpoint)
    assert receiver.names == ["work"]
    assert ended.err.count("opentelemetry-sdk's metrics and logs could not be set up") == 1


def test_disabled_sets_the_propagator_and_nothing_else(receiver: Receiver, tmp_path: Path) -> None:
    file = write(tmp_path, "disabled: true" + FILE)
    program = PROGRAM.replace("headers = {}", "headers = {'b3': '1'}")
    ended = instrumented(tmp_path, program, OTEL_CONFIG_FILE=file, ENDPOINT=receiver.endpoint)
    assert ended.answer == ["opentelemetry.trace", False, ["b3"]]
    assert receiver.spans == []


def test_instrumentations_get_their_settings_and_can_be_kept_out(receiver: Receiver, tmp_path: Path) -> None:
    text = FILE + "instrumentation/development: {python: {asyncio: {enabled: false}, threading: {}, nobodys: {}}}\n"
    program = """
import json
from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
print(json.dumps([each().is_instrumented_by_opentelemetry for each in (AsyncioInstrumentor, ThreadingInstrumentor)]))
"""
    file = write(tmp_path, text)
    ended = instrumented(tmp_path, program, OTEL_CONFIG_FILE=file, ENDPOINT=receiver.endpoint)
    assert ended.answer == [False, True]
    (line,) = warnings_of(ended)
    assert "instrumentation/development.python: nobodys: LookupError" in line
    ended = run(f"import tracecore; tracecore.init(config_file={file!r})\n" + program, ENDPOINT=receiver.endpoint)
    assert ended.answer == [False, True]


def test_the_log_level_of_the_file_is_applied(tmp_path: Path) -> None:
    program = """
import json, logging, tracecore
tracecore.init()
print(json.dumps([logging.getLogger(name).level for name in ("tracecore", "opentelemetry")]))
"""
    ended = run(program, OTEL_CONFIG_FILE=write(tmp_path, "log_level: error2" + TRACER_PROVIDER))
    assert ended.answer == [40, 40]


def test_a_program_without_a_file_does_not_load_the_schema() -> None:
    program = "import tracecore, json, sys; tracecore.init(); print(json.dumps([m for m in sys.modules if 'declarative' in m or m == 'yaml']))"
    assert run(program, OTEL_TRACES_EXPORTER="none").answer == []


def test_a_forked_child_asks_the_detectors_of_the_file_again_and_no_others(tmp_path: Path) -> None:
    text = """
    resource:
      attributes: [{name: process.owner, value: mine}]
      detection/development:
        attributes: {included: ["process.*"], excluded: [process.parent_pid]}
        detectors: [{process: }]
    """ + TRACER_PROVIDER.replace("\n", "\n    ")
    program = """
import json, os, tracecore
provider = tracecore.init()
before = dict(provider.resource.attributes)
if os.fork() == 0:
    after = dict(provider.resource.attributes)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    print(json.dumps([sorted(changed), after["process.pid"] == os.getpid(), after["process.owner"]]), flush=True)
    os._exit(0)
os.wait()
"""
    ended = run(program, OTEL_CONFIG_FILE=write(tmp_path, text), OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="nobodys,host")
    assert ended.answer == [["process.pid"], True, "mine"]
    assert ended.err == ""


def test_without_the_package_that_builds_them_metrics_and_logs_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tracecore import other_signals
    from tracecore.errors import reset_reports

    reset_reports()
    monkeypatch.setattr(other_signals, "_has_file_configuration", lambda: False)
    other_signals.set_up_from_file({"file_format": "1.0", "meter_provider": {}, "logger_provider": {}}, {}, "")
    (record,) = caplog.records
    assert "meter_provider and logger_provider: set up by opentelemetry-sdk, which needs its own package" in record.getMessage()
    assert other_signals.file_faults({}) is None


# --- the command --------------------------------------------------------------------------------------------------


def check(*arguments: str, code: int = 0, **variables: str) -> Ended:
    return start_and_wait([sys.executable, "-m", "tracecore", "config", "check", *arguments], 60, code, variables)


def test_config_check_prints_what_would_be_built(tmp_path: Path) -> None:
    file = write(tmp_path, FILE + "  sampler: {always_off: }\nnot_known: 5\n")
    for ended in (check(file, ENDPOINT="http://h"), check(OTEL_CONFIG_FILE=file, ENDPOINT="http://h")):
        lines = [line.split(None, 1) for line in ended.out.splitlines()]
        assert ["resource", "service.name='shop'"] in lines
        assert ["propagator", "B3SingleFormat"] in lines
        assert ["sampler", "AlwaysOffSampler"] in lines
        assert [
            "processor",
            "batches of 4096 every 0.1 s to <OTLPHTTPExporter http://h/v1/traces compression=gzip>, "
            "4096 KiB of queue, 30 s an export",
        ] in lines
        assert ["note:", "not_known (line 13): is not known here and has no effect"] in lines


def test_config_check_prints_all_faults_and_exits_with_one(tmp_path: Path) -> None:
    ended = check(write(tmp_path, "disabled: maybe\nlog_level: x"), code=1)
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 3
    ended = check(write(tmp_path, "meter_provider: {readers: 5}"), code=1)
    assert "metrics and logs, by opentelemetry-sdk: Configuration does not match schema: 5 is not of type 'array'" in ended.err
    ended = check(code=2)
    assert ended.err == "tracecore config check: name a file, or set OTEL_CONFIG_FILE\n"


def test_config_check_reads_json(tmp_path: Path) -> None:
    data = {"file_format": "1.0", "tracer_provider": {"processors": [{"simple": {"exporter": {"console": None}}}]}}
    file = write(tmp_path, json.dumps(data), "otel.json")
    assert "SimpleSpanProcessor of ConsoleSpanExporter" in check(file).out


def test_a_server_answers_although_nothing_is_propagated(tmp_path: Path) -> None:
    pytest.importorskip("flask")
    pytest.importorskip("opentelemetry.instrumentation.flask")
    file = tmp_path / "otel.yaml"
    file.write_text('file_format: "1.0"\ntracer_provider: {processors: [{simple: {exporter: {console: }}}]}\n')
    program = """
import flask, sys, tracecore
from opentelemetry.instrumentation.flask import FlaskInstrumentor
tracecore.init(**({"config_file": sys.argv[1]} if sys.argv[1:] else {}))
app = flask.Flask("a")
app.route("/")(lambda: "yes")
FlaskInstrumentor().instrument_app(app)
print(app.test_client().get("/", headers={"traceparent": f"00-{1:032x}-{1:016x}-01"}).text, file=sys.stderr)
"""
    assert run(program, str(file)).err.strip() == "yes"
    assert run(program, OTEL_PROPAGATORS="none", OTEL_TRACES_EXPORTER="none").err.strip() == "yes"


def test_what_is_to_be_redacted_is_redacted_for_simple_exporters_too(tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text("""
file_format: "1.0"
tracer_provider:
  processors:
    - simple: {exporter: {console: }}
    - tracecore/redaction: {rules: [{replaced: {values: '\\d{16}'}}]}
""")
    program = """
import sys, tracecore
tracecore.init(config_file=sys.argv[1])
with tracecore.span("pay 4111111111111111"):
    pass
"""
    out = run(program, str(file)).out
    assert "[redacted]" in out
    assert "4111" not in out
