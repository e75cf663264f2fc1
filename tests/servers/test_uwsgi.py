"""uWSGI, which embeds its own interpreter: forking after the program is loaded (its default) or before (lazy-apps)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_receiver import Receiver
from servers import apps
from servers.server_process import all_ready, ask, check_requests, free_port, running, script

pytest.importorskip("opentelemetry.instrumentation.flask", reason="needs opentelemetry-instrumentation-flask")

N = 60


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("threads", ["", "threads"])
@pytest.mark.parametrize("lazy", [False, True], ids=["preload", "lazy"])
def test_every_span_of_every_worker_arrives_once(receiver: Receiver, tmp_path: Path, lazy: bool, threads: str) -> None:
    if not Path(script("uwsgi")).exists():
        pytest.skip("uWSGI is not installed here (pip install uwsgi builds it)")
    (tmp_path / "shop.py").write_text(apps.FLASK_BY_HAND)
    port = free_port()
    # enable-threads: without it uWSGI never gives the GIL to any other thread, the export worker included.
    command = [script("uwsgi"), "--http-socket", f"127.0.0.1:{port}", "--master", "--processes", "3", "--enable-threads",
               "--die-on-term", "--need-app", "--wsgi-file", "shop.py", "--listen", "64"]  # fmt: skip
    command += ["--lazy-apps"] if lazy else []
    command += ["--threads", "4"] if threads else []
    # The interpreter in it is told where this environment's packages are.
    import sys

    with running([*command, "--home", sys.prefix], tmp_path, receiver, port) as server:
        all_ready(port, 3)
        pids = ask(port, N)
        server.stop(signal.SIGTERM)
    check_requests(receiver, N, pids)
    assert "tracecore" not in server.said.replace(sys.prefix, "").replace("Configuration", "")
