"""Celery's prefork pool with a real Redis: tasks join the trace of who sent them, and no span stays in a pool process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_receiver import Receiver
from program import start_and_wait
from servers.server_process import BY_DISTRO, QUIET, free_port, running, script

pytest.importorskip("celery", reason="celery is not installed")
pytest.importorskip("redis", reason="the client package redis is not installed")
pytest.importorskip("opentelemetry.instrumentation.celery", reason="needs opentelemetry-instrumentation-celery")

N = 40

TASKS = """
import os, sys
from celery import Celery
from opentelemetry import trace

app = Celery("jobs", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
tracer = trace.get_tracer("jobs")

@app.task
def work(i):
    with tracer.start_as_current_span("work") as span:
        span.set_attribute("request", i)
        span.set_attribute("pid", str(os.getpid()))
    return os.getpid()
"""

SENDER = """
import sys
from jobs import work, tracer
n = int(sys.argv[1])
with tracer.start_as_current_span("order"):
    results = [work.delay(i) for i in range(n)]
print(len({result.get(timeout=60) for result in results}))
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A redis-server of our own, on a port of its own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: redis-server)")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]
    process = subprocess.Popen(command, cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("replaced", [False, True], ids=["", "replaced_after_5_tasks"])
def test_every_span_of_every_pool_process_arrives_once(receiver: Receiver, tmp_path: Path, broker: str, replaced: bool) -> None:
    (tmp_path / "jobs.py").write_text(TASKS)
    (tmp_path / "send.py").write_text(SENDER)
    instrument = script("opentelemetry-instrument")
    command = [instrument, script("celery"), "-A", "jobs", "worker", "--pool", "prefork", "--concurrency", "2",
               "--loglevel", "INFO", "--without-gossip", "--without-mingle"]  # fmt: skip
    command += ["--max-tasks-per-child", "5"] if replaced else []
    with running(command, tmp_path, receiver, ready="ready.", BROKER=broker, **BY_DISTRO) as server:
        variables = {**BY_DISTRO, **QUIET, "BROKER": broker, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
                     "PYTHONPATH": str(tmp_path)}  # fmt: skip
        ended = start_and_wait([instrument, sys.executable, str(tmp_path / "send.py"), str(N)], 90, 0, variables)
        n_processes = int(ended.out.split()[-1])
        server.stop()
    assert n_processes >= (6 if replaced else 1)

    spans = list(receiver.spans)
    assert len({span.span_id for span in spans}) == len(spans), "a span arrived twice"
    by_id = {span.span_id: span for span in spans}
    (order,) = (span for span in spans if span.name == "order")
    work = [span for span in spans if span.name == "work"]
    requests = sorted(attribute.value.int_value for span in work for attribute in span.attributes if attribute.key == "request")
    assert requests == list(range(N))
    for span in work:
        run = by_id[span.parent_span_id]
        assert run.kind == run.SPAN_KIND_CONSUMER
        sent = by_id[run.parent_span_id]
        assert sent.kind == sent.SPAN_KIND_PRODUCER
        assert sent.parent_span_id == order.span_id
        assert span.trace_id == order.trace_id
    assert "tracecore" not in server.said.replace("not loaded, tracecore already loaded", "")
