"""A program with children of multiprocessing, by each start method, under opentelemetry-instrument."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_receiver import Receiver
from program import start_and_wait
from servers.server_process import BY_DISTRO, QUIET, script

PROGRAM = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from opentelemetry import trace

def job(i):
    tracer = trace.get_tracer("jobs")
    with tracer.start_as_current_span("job") as span:
        span.set_attribute("i", i)
        with tracer.start_as_current_span("step"):
            pass
    return os.getpid()

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with trace.get_tracer("jobs").start_as_current_span("all"):
        processes = [context.Process(target=job, args=(i,)) for i in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        pool = context.Pool(2)
        pool.map(job, range(4, 12))
        pool.close()
        pool.join()
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            list(executor.map(job, range(12, 20)))
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("by", ["distro", "tracer_provider"])
def test_every_span_of_every_child_arrives_once(receiver: Receiver, tmp_path: Path, method: str, by: str) -> None:
    file = tmp_path / "jobs.py"
    file.write_text(PROGRAM)
    command = [sys.executable, str(file), method]
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, **QUIET}
    if by == "distro":
        command.insert(0, script("opentelemetry-instrument"))
        variables |= BY_DISTRO
    else:
        variables["OTEL_PYTHON_TRACER_PROVIDER"] = "tracecore"
    start_and_wait(command, 120, 0, variables)
    assert len(receiver.ids) == len(receiver.spans), "a span arrived twice"
    by_id = {span.span_id: span for span in receiver.spans}
    jobs = [span for span in receiver.spans if span.name == "job"]
    assert sorted(span.attributes[0].value.int_value for span in jobs) == list(range(20))
    assert receiver.names.count("step") == 20
    assert all(by_id[span.parent_span_id].name == "job" for span in receiver.spans if span.name == "step")
    assert receiver.names.count("all") == 1
