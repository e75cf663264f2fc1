"""Other people's processors and exporters, unmodified, on our provider and on opentelemetry-sdk's: the same arrives.

Each program in programs/ runs in a process of its own, in the environment with its packages (environments.py), once for
each make of provider, and prints what its receiver got. Receivers are real: HTTP servers that decode, gRPC servers;
Google's and Azure's own clients talk to them.

    TRACECORE_THIRD_PARTY_REQUIRED=1 python -m pytest -m third_party        where skipping would be a failure, as in CI

What it costs: two minutes and 500 MB to make the environments, once; a minute for the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from environments import SETS, Unavailable, python_with  # noqa: E402

ROOT = HERE.parent.parent

TIMEOUT_S = 120

pytestmark = pytest.mark.third_party


def run(packages: str, program: str, *arguments: str) -> Any:
    try:
        python = python_with(packages)
    except Unavailable as fault:
        if os.environ.get("TRACECORE_THIRD_PARTY_REQUIRED"):
            raise
        pytest.skip(str(fault))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    done = subprocess.run(
        [str(python), str(HERE / "programs" / f"{program}.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "packages, program, n_spans",
    [
        ("exporters", "otlp_http", 4),
        ("grpc", "otlp_grpc", 4),
        ("zipkin", "zipkin", 4),
        ("exporters", "baggage", 2),
        ("exporters", "richconsole", 4),
        ("gcp", "cloud_trace", 4),
        ("azure", "azure_monitor", 4),
        ("llm", "langfuse_processor", 4),
    ],
)
def test_the_same_arrives_from_our_provider(packages: str, program: str, n_spans: int) -> None:
    ours, theirs = run(packages, program, "tracecore"), run(packages, program, "sdk")
    assert (ours["make"], theirs["make"]) == ("tracecore", "opentelemetry")
    assert ours["arrived"] == theirs["arrived"]
    arrived = theirs["arrived"]
    for part in arrived.values() if isinstance(arrived, dict) else [arrived]:
        assert len(part) >= min(n_spans, 2)


@pytest.mark.parametrize(
    "packages, program", [("phoenix", "phoenix_setup"), ("llm", "openinference_setup"), ("logfire", "logfire_setup")]
)
def test_a_suites_processors_do_on_our_provider_what_they_do_on_the_sdks(packages: str, program: str) -> None:
    ours, theirs = run(packages, program, "tracecore"), run(packages, program, "sdk")
    assert (ours["make"], theirs["make"]) == ("tracecore", "opentelemetry")
    assert ours["arrived"] and all(ours["arrived"].values())
    assert ours["arrived"] == {name: theirs["arrived"][name] for name in ours["arrived"]}


@pytest.mark.parametrize(
    "packages, program, arguments",
    [
        ("phoenix", "phoenix_setup", ()),
        ("llm", "openinference_setup", ()),
        ("logfire", "logfire_setup", ()),
        ("azure", "azure_monitor", ("configure",)),
    ],
)
def test_a_suites_own_set_up_makes_our_provider_where_that_stands_in_the_sdks_place(
    packages: str, program: str, arguments: tuple[str, ...]
) -> None:
    # opentelemetry.sdk.trace.TracerProvider = tracecore.TracerProvider, before the suite is imported
    ours, theirs = run(packages, program, "replaced", *arguments), run(packages, program, "sdk", *arguments)
    assert (ours["make"], theirs["make"]) == ("tracecore", "opentelemetry")
    assert ours["arrived"] and ours["arrived"] == theirs["arrived"]


def test_every_environment_is_used() -> None:
    text = Path(__file__).read_text()
    assert [name for name in SETS if f'"{name}"' not in text] == []
