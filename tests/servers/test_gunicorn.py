"""gunicorn with each of its workers, preloading or not: every request's spans arrive once, from the worker that served it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_receiver import Receiver
from program import until
from servers import apps
from servers.server_process import BY_DISTRO, all_ready, ask, check_requests, free_port, running, script

pytest.importorskip("gunicorn", reason="gunicorn is not installed")
pytest.importorskip("opentelemetry.instrumentation.flask", reason="needs opentelemetry-instrumentation-flask")

N = 60

WORKERS = {
    "sync": ["-k", "sync"],
    "gthread": ["-k", "gthread", "--threads", "4"],
    "gevent": ["-k", "gevent"],
    "uvicorn": ["-k", "uvicorn_worker.UvicornWorker"],
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def gunicorn(directory: Path, worker: str, *options: str) -> tuple[list[str], int]:
    """Return the command and the port."""
    if worker == "uvicorn":
        pytest.importorskip("uvicorn_worker", reason="uvicorn-worker is not installed")
        pytest.importorskip("fastapi", reason="fastapi is not installed")
    (directory / "shop.py").write_text(apps.FASTAPI if worker == "uvicorn" else apps.FLASK)
    port = free_port()
    command = [script("gunicorn"), "--workers", "3", "--bind", f"127.0.0.1:{port}", *WORKERS[worker], *options, "shop:app"]
    return command, port


def words_of_trouble(said: str) -> list[str]:
    """Lines about an error of ours. gevent's own complaints at exit ("Exception ignored in") come with any provider."""
    return [line for line in said.splitlines() if "tracecore" in line.lower() and "tracecore already loaded" not in line]


@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
@pytest.mark.parametrize("worker", WORKERS)
def test_every_span_of_every_worker_arrives_once(receiver: Receiver, tmp_path: Path, worker: str, preload: bool) -> None:
    command, port = gunicorn(tmp_path, worker, *(["--preload"] if preload else []))
    command = [script("opentelemetry-instrument"), *command]
    with running(command, tmp_path, receiver, port, **BY_DISTRO) as server:
        all_ready(port, 3)
        pids = ask(port, N)
        server.stop()
    check_requests(receiver, N, pids)
    assert words_of_trouble(server.said) == []


@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
def test_by_the_tracer_provider_of_the_environment(receiver: Receiver, tmp_path: Path, preload: bool) -> None:
    command, port = gunicorn(tmp_path, "sync", *(["--preload"] if preload else []))
    (tmp_path / "shop.py").write_text(apps.FLASK_BY_HAND)
    variables = {"OTEL_PYTHON_TRACER_PROVIDER": "tracecore"}
    with running(command, tmp_path, receiver, port, **variables) as server:
        all_ready(port, 3)
        pids = ask(port, N)
        server.stop()
    check_requests(receiver, N, pids)
    assert words_of_trouble(server.said) == []


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_workers_that_are_replaced_after_some_requests_lose_nothing(receiver: Receiver, tmp_path: Path, worker: str) -> None:
    command, port = gunicorn(tmp_path, worker, "--preload", "--max-requests", "10")
    command = [script("opentelemetry-instrument"), *command]
    with running(command, tmp_path, receiver, port, **BY_DISTRO) as server:
        all_ready(port, 3)
        pids = ask(port, N, threads=2)
        server.stop()
    assert len(pids) > 3, "no worker was replaced"
    check_requests(receiver, N, pids)


def test_a_reload_by_sighup_loses_nothing(receiver: Receiver, tmp_path: Path) -> None:
    command, port = gunicorn(tmp_path, "sync")
    command = [script("opentelemetry-instrument"), *command]
    with running(command, tmp_path, receiver, port, **BY_DISTRO) as server:
        all_ready(port, 3)
        before = ask(port, N)
        os.kill(server.pid, signal.SIGHUP)
        assert until(lambda: server.said.count("Booting worker with pid") >= 6, 30), server.said
        assert until(lambda: server.said.count("Worker exiting") >= 3, 30), server.said
        receiver_first = len(receiver.spans)
        after = ask(port, N)
        server.stop()
    assert receiver_first == 2 * N, "the old workers went with spans in their hands"
    assert set(before).isdisjoint(after)
    spans = [span for span in receiver.spans if span.name == "work"]
    assert len(spans) == 2 * N
