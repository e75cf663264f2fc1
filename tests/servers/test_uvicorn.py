"""uvicorn with several workers, and alone: its stop by a signal kills the process, and takes no span with it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_receiver import Receiver
from servers import apps
from servers.server_process import BY_DISTRO, all_ready, ask, check_requests, free_port, running, script

pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="needs opentelemetry-instrumentation-fastapi")

N = 60


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_span_of_every_worker_arrives_once(receiver: Receiver, tmp_path: Path, workers: int, by: int) -> None:
    (tmp_path / "shop.py").write_text(apps.FASTAPI)
    port = free_port()
    command = [script("opentelemetry-instrument"), script("uvicorn"), "--port", str(port), "--workers", str(workers), "shop:app"]
    with running(command, tmp_path, receiver, port, **BY_DISTRO) as server:
        all_ready(port, workers)
        pids = ask(port, N)
        server.stop(by)
    check_requests(receiver, N, pids)
    assert "tracecore" not in server.said.replace("not loaded, tracecore already loaded", "")


def test_a_server_inside_a_program_that_goes_on(receiver: Receiver, tmp_path: Path) -> None:
    """Stopped by the program itself: nothing is flushed in between, and what ends afterwards arrives too."""
    (tmp_path / "shop.py").write_text(
        apps.FASTAPI
        + """
if __name__ == "__main__":
    import threading, time, http.client, sys
    import tracecore, uvicorn
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    tracecore.init()
    FastAPIInstrumentor().instrument_app(app)
    server = uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[1])))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    connection.request("GET", "/work/0")
    connection.getresponse().read()
    connection.close()
    server.should_exit = True
    thread.join()
    with tracer.start_as_current_span("afterwards"):
        pass
    print("over", flush=True)
    time.sleep(60)
"""
    )
    import sys

    port = free_port()
    with running([sys.executable, "shop.py", str(port)], tmp_path, receiver, port, ready="over") as server:
        assert receiver.names == []
        server.stop(signal.SIGINT)
    assert receiver.names.count("work") == 1
    assert receiver.names.count("afterwards") == 1
