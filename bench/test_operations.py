"""Every operation under pytest-benchmark: tracecore and opentelemetry-sdk, one group a workload.

    python -m pytest bench/test_operations.py --benchmark-columns=min,median,rounds

Not part of the test run: nothing here can fail by being slow. A figure is the time of OPERATIONS
operations; the queue is drained before each round, outside the clock. Rivals run one after the other
here, not interleaved, so their ratio is rough: bench/compare.py is for ratios.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import workloads

OPERATIONS = 100
"""In a round: fewer than any batch, so that no worker wakes."""
ROUNDS = 50


@pytest.fixture(scope="module", params=["tracecore", "opentelemetry-sdk"])
def rival(request: pytest.FixtureRequest) -> Iterator[workloads.Rival]:
    made = workloads.tracecore_rival() if request.param == "tracecore" else workloads.sdk_rival()
    yield made
    made.shutdown()


@pytest.mark.parametrize("workload", workloads.WORKLOADS, ids=lambda w: w.name)
def test_operation(benchmark: Any, rival: workloads.Rival, workload: workloads.Workload) -> None:
    benchmark.group = f"{workload.name} {workload.title}, {OPERATIONS} of them"
    benchmark.name = f"{workload.name}-{rival.name}"
    tracer = rival.tracer(workload.sampled)
    benchmark.pedantic(workload.loop, args=(tracer, OPERATIONS), setup=rival.drain, rounds=ROUNDS, iterations=1, warmup_rounds=3)
