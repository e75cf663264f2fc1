"""A program that was written for OpenTelemetry, run on tracecore without touching it."""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from otlp_receiver import Receiver
from program import Ended, run, start_and_wait

import tracecore

APP = """
import sys, threading
from flask import Flask
import requests
from werkzeug.serving import make_server

app = Flask("shop")

@app.route("/buy/<int:what>")
def buy(what):
    if what == 13:
        raise RuntimeError("out of stock")
    return "bought"

server = make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.port}/buy/"
assert requests.get(base + "1").text == "bought"
assert requests.get(base + "13").status_code == 500
server.shutdown()
from opentelemetry import trace
print(type(trace.get_tracer_provider()).__module__)
print("opentelemetry.sdk.trace" in sys.modules, "opentelemetry.sdk" in sys.modules)
"""

INSTRUMENT = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"

needs_flask = pytest.mark.skipif(
    any(
        find_spec(name) is None
        for name in ("flask", "requests", "opentelemetry.instrumentation.flask", "opentelemetry.instrumentation.requests")
    ),
    reason="flask, requests or their instrumentation is not installed",
)


def own_words(err: str) -> str:
    """What was said, without the loader's remark that another installed distribution was passed over."""
    return "".join(line for line in err.splitlines(True) if "not loaded, tracecore already loaded" not in line)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def python_without_sdk(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with the packages of this one but opentelemetry-sdk."""
    import venv

    home = tmp_path_factory.mktemp("without_sdk")
    venv.create(home, symlinks=True, with_pip=False)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "without_sdk.py").write_text(
        """
import site, sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "opentelemetry.sdk" or name.startswith("opentelemetry.sdk."):
            return None
        return super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *arguments):
        return (found for found in super().find_distributions(*arguments) if found.metadata["Name"] != "opentelemetry-sdk")

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""
        + "".join(f"site.addsitedir({path!r})\n" for path in sys.path if path.endswith("site-packages"))
    )
    (site / "without_sdk.pth").write_text("import without_sdk\n")
    python = str(home / "bin" / "python")
    ended = start_and_wait([python, "-c", "import tracecore, opentelemetry.sdk"], 60, 1, {})
    assert "No module named 'opentelemetry.sdk'" in ended.err
    return python


def run_app(tmp_path: Path, program: str, python: str = sys.executable, **variables: str) -> Ended:
    file = tmp_path / "app.py"
    file.write_text(program)
    variables = {"OTEL_PYTHON_DISTRO": "tracecore", "OTEL_PYTHON_CONFIGURATOR": "tracecore"} | variables
    return start_and_wait([python, "-c", INSTRUMENT, python, str(file)], 60, 0, variables)


def check_shop(receiver: Receiver) -> None:
    """Two requests: a client span each, and the server's as its child, in one trace."""
    spans = {span.span_id: span for span in receiver.spans}
    assert len(spans) == len(receiver.spans) == 4
    servers = [span for span in spans.values() if span.kind == 2]
    assert len(servers) == 2
    for server in servers:
        client = spans[server.parent_span_id]
        assert client.kind == 3
        assert client.trace_id == server.trace_id
    assert sorted(server.status.code for server in servers) == [0, 2]
    assert {resource["service.name"] for resource in receiver.resources} == {"shop"}
    assert all(resource["telemetry.auto.version"] for resource in receiver.resources)
    assert [event.name for server in servers for event in server.events] == ["exception"]


@needs_flask
def test_a_flask_program_with_the_sdk_installed(receiver: Receiver, tmp_path: Path) -> None:
    ended = run_app(
        tmp_path,
        APP,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
        OTEL_SERVICE_NAME="shop",
        OTEL_METRICS_EXPORTER="console",
        OTEL_LOGS_EXPORTER="none",
    )
    check_shop(receiver)
    assert "tracecore.provider" in ended.out
    assert "http.server" in ended.out, "opentelemetry-sdk's metrics are gone"
    assert "Traceback" not in ended.err.replace("Traceback (most recent call last):", "", ended.err.count("out of stock"))


@needs_flask
def test_a_flask_program_without_the_sdk(receiver: Receiver, tmp_path: Path, python_without_sdk: str) -> None:
    ended = run_app(
        tmp_path, APP, python_without_sdk, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_SERVICE_NAME="shop"
    )
    check_shop(receiver)
    assert ended.out.splitlines()[-2:] == ["tracecore.provider", "False False"]


PLAIN = """
import sys
from opentelemetry import trace
with trace.get_tracer("plain").start_as_current_span("a", attributes={"k": "v"}) as span:
    print(type(trace.get_tracer_provider()).__module__, span.is_recording())
"""


@pytest.mark.parametrize("without_sdk", [False, True])
def test_the_tracer_provider_of_the_environment(receiver: Receiver, without_sdk: bool, python_without_sdk: str) -> None:
    ended = start_and_wait(
        [python_without_sdk if without_sdk else sys.executable, "-c", PLAIN],
        60,
        0,
        {"OTEL_PYTHON_TRACER_PROVIDER": "tracecore", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint},
    )
    assert ended.out.split() == ["tracecore.provider", "True"]
    assert own_words(ended.err) == ""
    assert receiver.names == ["a"]


QUIET = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


def test_the_exporter_console_draws_the_trace(tmp_path: Path) -> None:
    ended = run_app(tmp_path, PLAIN, OTEL_TRACES_EXPORTER="console", **QUIET)
    assert "k=v" in ended.out or "a" in ended.out.replace("tracecore.provider True", "")
    assert len(ended.out.splitlines()) > 1
    assert own_words(ended.err) == ""


def test_the_exporter_none_sends_nothing(receiver: Receiver, tmp_path: Path) -> None:
    ended = run_app(tmp_path, PLAIN, OTEL_TRACES_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **QUIET)
    assert "tracecore.provider True" in ended.out
    assert own_words(ended.err) == ""
    assert receiver.spans == []


@pytest.mark.parametrize("name", ["otlp", "otlp_proto_http"])
def test_the_exporter_otlp_sends(receiver: Receiver, tmp_path: Path, name: str) -> None:
    ended = run_app(tmp_path, PLAIN, OTEL_TRACES_EXPORTER=name, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **QUIET)
    assert own_words(ended.err) == ""
    assert receiver.names == ["a"]


def test_an_unknown_exporter_is_named_once_and_the_program_runs(tmp_path: Path) -> None:
    ended = run_app(tmp_path, PLAIN, OTEL_TRACES_EXPORTER="bogus", **QUIET)
    assert "tracecore.provider True" in ended.out
    assert ended.err.count("bogus") == 1
    assert "Traceback" not in ended.err


def test_two_exporters(receiver: Receiver, tmp_path: Path) -> None:
    ended = run_app(
        tmp_path, PLAIN, OTEL_TRACES_EXPORTER="console,otlp", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **QUIET
    )
    assert receiver.names == ["a"]
    assert len(ended.out.splitlines()) > 1


def test_disabled_by_the_environment(receiver: Receiver, tmp_path: Path) -> None:
    ended = run_app(tmp_path, PLAIN, OTEL_SDK_DISABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **QUIET)
    assert "False" in ended.out
    assert own_words(ended.err) == ""
    assert receiver.spans == []


def test_logs_of_the_sdk_carry_the_ids_of_our_spans(tmp_path: Path) -> None:
    program = """
import logging
from opentelemetry import trace
with trace.get_tracer("plain").start_as_current_span("a") as span:
    logging.getLogger("app").error("something happened")
    print(f"trace {span.get_span_context().trace_id:032x}")
"""
    ended = run_app(
        tmp_path,
        program,
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="console",
        OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED="true",
    )
    (line,) = (line for line in ended.out.splitlines() if line.startswith("trace "))
    assert "something happened" in ended.out
    assert line.split()[1] in ended.out.replace(line, "")


# --- imports ------------------------------------------------------------------------------------------------------


def test_import_tracecore_loads_nothing_heavy() -> None:
    ended = run("import tracecore, sys, json; print(json.dumps(sorted(sys.modules)))")
    heavy = {"opentelemetry.sdk", "requests", "google.protobuf", "grpc", "http.client", "ssl", "rich", "flask", "gevent",
             "asyncio", "multiprocessing", "concurrent.futures", "tracecore.server", "tracecore.demo"}  # fmt: skip
    assert heavy.isdisjoint(ended.answer), heavy.intersection(ended.answer)


def test_a_program_that_exports_nowhere_loads_no_http_stack() -> None:
    ended = run(
        "import tracecore, sys, json; tracecore.init()\nwith tracecore.span('a'): pass\nprint(json.dumps(sorted(sys.modules)))",
        OTEL_TRACES_EXPORTER="none",
    )
    assert {"http.client", "ssl", "opentelemetry.sdk", "requests"}.isdisjoint(ended.answer)


def modules() -> list[str]:
    found = pkgutil.walk_packages(tracecore.__path__, "tracecore.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def test_each_module_imports_alone_and_without_a_warning() -> None:
    """In a child of its own each, forked from an interpreter that has imported nothing of ours."""
    ended = run(
        """
import importlib, json, os, sys, traceback, warnings
warnings.simplefilter("error")
answers = {}
for name in json.loads(sys.argv[1]):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = ""
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as missing:
            # An optional package: whoever has not installed it does not use the module.
            if missing.name.split(".")[0] in ("tracecore",):
                text = traceback.format_exc()
        except BaseException:
            text = traceback.format_exc()
        os.write(write, text.encode()[-3000:])
        os._exit(0)
    os.close(write)
    with open(read) as answer:
        text = answer.read()
    if text:
        answers[name] = text
    os.waitpid(pid, 0)
print(json.dumps(answers))
""",
        json.dumps(["tracecore", *modules()]),
        timeout=120,
    )
    failed: dict[str, Any] = ended.answer
    assert not failed, "\n".join(f"{name}: {text}" for name, text in failed.items())
