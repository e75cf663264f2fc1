"""The demo, end to end: separate processes, real HTTP, real SQLite, judged by its own JSON document.

These tests need the extra `demo` and an installed tracecore: its entry points are how the services come to run on it.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tracecore.demo import run
from tracecore.demo.expectation import SERVICES, STEPS, Checkout, judge
from tracecore.demo.process import Children, Deadline, DemoError
from tracecore.trace_tree import SpanRow, Trace

try:
    run.require_extra()
except DemoError:
    pytest.skip("needs the extra `demo`", allow_module_level=True)

needs_backend = pytest.mark.skipif(
    not entry_points(group="opentelemetry_distro", name="tracecore"), reason="tracecore is not installed as a distribution"
)
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")

#: An environment variable that every process of a run inherits; not one that the demo takes away from its children.
MARK = "DEMO_TEST_RUN"


class DemoRun:
    """One run of `tracecore demo --json` whose processes can be told from all others on the machine."""

    def __init__(self, tmp_path: Path, *arguments: str) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = tmp_path / self.mark
        self.temporary.mkdir()
        environment = {**os.environ, MARK: self.mark, "TMPDIR": str(self.temporary)}
        # What a user may have set for other programs must not reach the services.
        environment |= {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_SAMPLER": "always_off", "HTTP_PROXY": "http://127.0.0.1:9"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tracecore", "demo", "--json", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code and output."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err

    def running(self) -> list[int]:
        """Return the ids of the processes of this run that are alive."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"{MARK}={self.mark}".encode() in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
            except OSError:  # another user's, or it ended meanwhile
                continue
        return found

    def wait_until_running(self, n_processes: int) -> None:
        """Wait until so many processes of the run are alive."""
        deadline = Deadline(30)
        while len(self.running()) < n_processes:
            deadline.remaining_s("starting")
            time.sleep(0.02)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON document of one good run."""
    started = DemoRun(tmp_path_factory.mktemp("demo"), "--requests", "10", "--faulty", "2", "--seed", "7")
    exit_code, out, err = started.finish()
    assert exit_code == 0, err
    assert started.running() == []
    assert list(started.temporary.iterdir()) == []
    parsed: dict[str, Any] = json.loads(out)
    return parsed


@needs_backend
@needs_proc
def test_every_trace_is_complete(document: dict[str, Any]) -> None:
    assert document["complete"] is True
    assert document["problems"] == []
    assert len(document["traces"]) == document["n_checkouts"] == 10
    for trace in document["traces"]:
        assert trace["services"] == sorted(SERVICES)
    healthy = {trace["n_spans"] for trace in document["traces"] if not trace["faulty"]}
    faulty = {trace["n_spans"] for trace in document["traces"] if trace["faulty"]}
    assert len(faulty) == 1
    assert min(healthy) + 9 == faulty.pop()  # ten attempts instead of one
    assert document["n_spans"] == sum(trace["n_spans"] for trace in document["traces"])


@needs_backend
def test_the_services_ran_on_tracecore_in_processes_of_their_own_and_ended_in_order(document: dict[str, Any]) -> None:
    services = document["services"]
    assert [service["name"] for service in services] == list(SERVICES)
    assert len({service["pid"] for service in services}) == len(SERVICES)
    assert all(service["provider"].startswith("tracecore.") for service in services)
    assert all(service["exit_code"] == 0 for service in services)


@needs_backend
def test_the_culprit_of_the_slowest_trace_is_the_retry_loop_of_payment(document: dict[str, Any]) -> None:
    slowest = document["slowest"]
    culprit = slowest["culprit"]
    assert culprit["span"]["service"] == "payment"
    assert culprit["span"]["name"] == "External API call"
    assert culprit["reason"].startswith("retry loop: 10 attempts, ")
    assert culprit["reason"].endswith("all failed with ReadTimeout")
    assert len(culprit["calls"]) == 10
    assert culprit["share"] > 0.8
    assert slowest["duration_ns"] > 3 * document["median_checkout_ns"]


@needs_backend
def test_the_critical_path_covers_the_slowest_trace_from_end_to_end(document: dict[str, Any]) -> None:
    slowest = document["slowest"]
    spans = {span["span_id"]: span for span in slowest["spans"]}
    root = next(span for span in spans.values() if span["parent_span_id"] is None)
    segments = slowest["critical_path"]["segments"]
    assert segments[0]["start_ns"] == root["start_ns"]
    assert segments[-1]["end_ns"] == root["end_ns"]
    assert all(one["end_ns"] == other["start_ns"] for one, other in pairwise(segments))
    path = [spans[span_id]["name"] for span_id in slowest["critical_path"]["span_ids"]]
    assert path.count("POST") == 3 + 10
    assert [name for name in path if name in {step for _, step in STEPS}] == [step for _, step in STEPS]


@needs_backend
def test_the_overhead_was_measured_and_says_how(document: dict[str, Any]) -> None:
    overhead = document["overhead"]
    assert 0 < overhead["cost"]["min_ns"] <= overhead["cost"]["median_ns"] < 1e6
    assert "five set_attribute calls" in overhead["measured"]
    assert 0 < overhead["share_of_median_checkout"] < 0.1


@needs_backend
@needs_proc
def test_a_broken_link_is_noticed_and_named(tmp_path: Path) -> None:
    started = DemoRun(tmp_path, "--requests", "3", "--faulty", "1", "--break-link", "payment")
    exit_code, out, err = started.finish()
    assert exit_code == 1, err
    document = json.loads(out)
    assert document["complete"] is False
    assert sum(problem.endswith("no span of payment") for problem in document["problems"]) == 3
    assert sum("begins at payment: POST /payments" in problem for problem in document["problems"]) == 3
    assert started.running() == []


@needs_backend
def test_the_terminal_output_has_the_waterfall_and_the_verdict(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tracecore", "demo", "--requests", "3", "--faulty", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "Culprit ⚠ payment: External API call (retry loop: 10 attempts" in done.stdout
    assert "Complete: 3 of 3 traces" in done.stdout


@needs_backend
@needs_proc
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_no_process_survives_the_driver_however_it_is_ended(tmp_path: Path, how: signal.Signals) -> None:
    if how is signal.SIGINT and signal.getsignal(how) is signal.SIG_IGN:
        pytest.skip("interrupts are ignored here, and so they are in every process started from here")
    started = DemoRun(tmp_path)
    started.wait_until_running(7)  # the driver, receiver, provider and four services
    started.process.send_signal(how)
    exit_code, out, err = started.finish()
    assert exit_code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[how]
    assert out == ""
    assert "Traceback" not in err
    deadline = Deadline(10)
    while started.running():
        deadline.remaining_s("waiting for the children to notice")
        time.sleep(0.02)
    if how is not signal.SIGKILL:
        assert list(started.temporary.iterdir()) == []


@needs_backend
@needs_proc
def test_out_of_time_exits_with_2_and_leaves_nothing(tmp_path: Path) -> None:
    started = DemoRun(tmp_path, "--timeout", "0.3")
    exit_code, out, err = started.finish()
    assert exit_code == 2
    assert out == ""
    assert err.startswith("tracecore demo: out of time while waiting for ")
    assert started.running() == []
    assert list(started.temporary.iterdir()) == []


def test_a_service_on_another_backend_than_asked_for_is_an_error_and_not_a_silent_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(DemoError, match="not on nothing_of_this_name"):
        run.run_demo(run.Options(n_checkouts=1, n_faulty=0), run.Backend("no-such", "no-such", "nothing_of_this_name"))


def test_a_child_that_ends_while_starting_is_reported_with_what_it_said(tmp_path: Path) -> None:
    program = "import sys; sys.exit('no such luck')"
    with Children() as children, pytest.raises(DemoError, match="no such luck"):
        children.start("service", (sys.executable, "-c", program), os.environ, tmp_path).wait_ready(Deadline(30))


@pytest.fixture
def receiver_port(tmp_path: Path) -> Iterator[int]:
    """The port of a receiver process."""
    with Children() as children:
        child = children.start("receiver", (sys.executable, "-m", "tracecore.demo.receiver"), os.environ, tmp_path)
        child.wait_ready(Deadline(30))
        yield child.port
        assert child.stop(Deadline(10)).exit_code == 0


def test_the_receiver_keeps_what_it_is_sent_plain_or_compressed_on_one_connection(receiver_port: int) -> None:
    import requests
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    pair = resource_spans.resource.attributes.add(key="service.name")
    pair.value.string_value = "orders"
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "shop"
    span = scope_spans.spans.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, name="Create order", kind=2)
    span.start_time_unix_nano, span.end_time_unix_nano = 5, 9
    span.attributes.add(key="tags").value.array_value.values.add().int_value = 3
    span.events.add(name="exception", time_unix_nano=7)
    span.status.code = 2
    span.status.message = "no"
    body = message.SerializeToString()

    url = f"http://127.0.0.1:{receiver_port}"
    with requests.Session() as session:
        session.trust_env = False
        assert session.post(url + "/v1/traces", data=body).status_code == 200
        span.span_id = b"\x03" * 8
        packed = gzip.compress(message.SerializeToString())
        answer = session.post(url + "/v1/traces", data=packed, headers={"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-protobuf")
        assert session.post(url + "/discard/v1/traces", data=body).status_code == 200
        assert session.post(url + "/v1/traces", data=b"\xff\xff").status_code == 400
        assert session.post(url + "/v1/traces", data=b"x", headers={"Content-Encoding": "gzip"}).status_code == 400
        assert session.post(url + "/v1/metrics", data=body).status_code == 404
        collected = session.get(url + "/collected").json()

    assert collected["n_requests"] == 2
    assert [row["span_id"] for row in collected["spans"]] == ["02" * 8, "03" * 8]
    assert collected["spans"][0] == {
        "trace_id": "01" * 16,
        "span_id": "02" * 8,
        "parent_span_id": None,
        "name": "Create order",
        "service": "orders",
        "start_ns": 5,
        "end_ns": 9,
        "kind": "server",
        "status": "error",
        "status_message": "no",
        "attributes": {"tags": [3]},
        "events": [{"name": "exception", "time_ns": 7, "attributes": {}}],
        "links": [],
        "scope": "shop",
    }


def test_a_request_without_a_length_is_refused(receiver_port: int) -> None:
    with socket.create_connection(("127.0.0.1", receiver_port), timeout=5) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: receiver\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 411 ")


def checkout_rows(trace_id: str) -> list[SpanRow]:
    """Return what one checkout leaves, as far as `judge` looks at it."""
    rows = [SpanRow(trace_id=trace_id, span_id="root", parent_span_id=None, name="/", service="gateway", start_ns=0, end_ns=9)]
    for number, (service, name) in enumerate((*STEPS, ("payment", "POST"))):
        row = SpanRow(
            trace_id=trace_id, span_id=f"s{number}", parent_span_id="root", name=name, service=service, start_ns=1, end_ns=2
        )
        rows.append(row)
    return rows


def test_every_kind_of_loss_is_told_apart() -> None:
    checkouts = [Checkout(number, False, 200, f"{number:032x}", 1, 5) for number in range(5)]
    whole = [checkout_rows(checkout.trace_id) for checkout in checkouts]
    assert judge(map(Trace, whole), checkouts) == []

    without_step = [row for row in whole[0] if row.name != "Check stock"]
    without_leaf = [row for row in whole[1] if row.name != "POST"]
    without_root = [row for row in whole[2] if row.parent_span_id is not None]
    stranger = checkout_rows("f" * 32)
    found = judge(map(Trace, (without_step, without_leaf, without_root, whole[4], stranger)), checkouts)
    words = "\n".join(found)
    assert f"trace {0:032x} of checkout 0: 0 of inventory: Check stock instead of one" in found
    assert f"trace {1:032x} of checkout 1: 1 of payment: POST lost" in found
    assert f"trace {2:032x} of checkout 2: the root span is missing" in found
    assert f"trace {3:032x} of checkout 3: nothing of it arrived" in found
    assert f"{4:032x}" not in words
    assert found[-1].startswith(f"trace {'f' * 32}: no checkout has this id; it begins at gateway: /")
