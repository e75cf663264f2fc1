"""A real server in a process group of its own: started, asked, stopped as its operator would, and looked at afterwards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from otlp_receiver import Receiver
from program import clean_environment

__all__ = ["BY_DISTRO", "QUIET", "Running", "ask", "all_ready", "check_requests", "free_port", "running", "script"]

BY_DISTRO = {"OTEL_PYTHON_DISTRO": "tracecore", "OTEL_PYTHON_CONFIGURATOR": "tracecore"}

# The SDK's other signals, which the distro would send to the same address.
QUIET = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}

STOP_S = 30
"""A server that needs longer for its end hangs."""


def script(name: str) -> str:
    """Return the console script of this environment."""
    return str(Path(sys.executable).parent / name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Running:
    """The server's first process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid
        self.port = port
        self.code: int | None = None

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self, by: int = signal.SIGTERM) -> None:
        """Ask the first process, and it alone, to end; fail if it does not."""
        self._process.send_signal(by)
        try:
            self.code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {STOP_S} s after signal {by}\n{self.said[-6000:]}") from None

    def kill(self) -> None:
        """Kill what is left of the process group."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def wait_until_ready(self, word: str | None = None, timeout: float = 60) -> None:
        """Wait until the port answers, or until the log has `word`."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"ended with {self._process.returncode}\n{self.said[-6000:]}")
            if word is not None:
                if word in self.said:
                    return
            else:
                try:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                    return
                except OSError:
                    pass
            time.sleep(0.05)
        raise AssertionError(f"not ready after {timeout} s\n{self.said[-6000:]}")


@contextmanager
def running(
    command: list[str], directory: Path, receiver: Receiver, port: int = 0, ready: str | None = None, **variables: str
) -> Iterator[Running]:
    """Start `command` in `directory`, sending its spans to `receiver`; nothing of it is left behind."""
    log = directory / "server.log"
    environment = clean_environment(
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
        OTEL_SERVICE_NAME="shop",
        OTEL_PYTHON_EXCLUDED_URLS="ready",
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="process",
        **QUIET,
        **variables,
    )
    # The program's own directory, as gunicorn and uvicorn put it there; the checkout comes from the environment's install.
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    server = Running(process, log, port)
    try:
        server.wait_until_ready(ready)
        yield server
    finally:
        server.kill()


def all_ready(port: int, n_workers: int, timeout: float = 60) -> None:
    """Wait until `n_workers` processes have answered: a server told to stop while a worker still starts may wait for it."""
    pids: set[str] = set()
    deadline = time.monotonic() + timeout
    while len(pids) < n_workers:
        assert time.monotonic() < deadline, f"{len(pids)} of {n_workers} workers answer"
        with ThreadPoolExecutor(8) as pool:
            pids.update(pool.map(lambda _: _get(port, "/ready"), range(16)))


def _get(port: int, path: str) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, body
        return body
    finally:
        connection.close()


def ask(port: int, n: int, threads: int = 8) -> Counter[str]:
    """Make requests /work/0 .. /work/n-1, each over a connection of its own; return the pids that answered."""

    def one(i: int) -> str:
        for attempt in range(20):  # a worker that is being replaced may reset a connection: that request was not served
            try:
                return _get(port, f"/work/{i}?attempt={attempt}")
            except (OSError, HTTPException):
                time.sleep(0.1)
        raise AssertionError(f"request {i} was never answered")

    with ThreadPoolExecutor(threads) as pool:
        return Counter(pool.map(one, range(n)))


def check_requests(receiver: Receiver, n: int, pids: Counter[str], *, inner: str = "work") -> None:
    """Every answered request arrived as one server span with one child, once, from the process that answered."""
    spans = list(receiver.spans)
    assert len({span.span_id for span in spans}) == len(spans), "a span arrived twice"
    server_spans = {span.span_id: span for span in spans if span.kind == span.SPAN_KIND_SERVER}
    by_request: dict[int, list[str]] = {}
    for span, resource in zip(spans, receiver.resources):
        if span.name == inner:
            attributes = {each.key: each.value for each in span.attributes}
            assert span.parent_span_id in server_spans, "a child without its server span"
            assert span.trace_id == server_spans[span.parent_span_id].trace_id
            by_request.setdefault(attributes["request"].int_value, []).append(attributes["pid"].string_value)
            # The resource is the worker's own: a pid and an instance that it does not share with its siblings.
            assert resource["process.pid"] == int(attributes["pid"].string_value)
    assert set(by_request) == set(range(n)), f"missing: {sorted(set(range(n)) - set(by_request))[:10]}"
    assert Counter(answers[-1] for answers in by_request.values()) == pids
    instances = {(resource["process.pid"], resource["service.instance.id"]) for resource in receiver.resources}
    assert len(instances) == len({pid for pid, _ in instances}) == len({instance for _, instance in instances})
