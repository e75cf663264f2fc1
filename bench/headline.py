"""The headline operations under pyperf: W1, W2 and W4 of tracecore and opentelemetry-sdk.

    python bench/headline.py --fast -o bench/results/headline.json
    python -m pyperf compare_to before.json after.json

pyperf runs each benchmark in many processes and knows the spread. All options are pyperf's. The queue
is drained every few operations, outside the clock, so loops of any length drop no span.
"""

from __future__ import annotations

import time

import pyperf
import workloads

AT_ONCE = 200
"""Operations between two drains: fewer than any batch, so that no worker wakes."""


def timed(loops: int, make: str, name: str) -> float:
    """Return the seconds that `loops` operations took."""
    workload = workloads.workload(name)
    rival = workloads.tracecore_rival() if make == "tracecore" else workloads.sdk_rival()
    tracer = rival.tracer(workload.sampled)
    workload.loop(tracer, AT_ONCE)
    rival.drain()
    taken = 0.0
    while loops > 0:
        n = min(loops, AT_ONCE)
        started = time.perf_counter()
        workload.loop(tracer, n)
        taken += time.perf_counter() - started
        rival.drain()
        loops -= n
    rival.shutdown()
    return taken


def main() -> None:
    runner = pyperf.Runner()
    for name in ("W1", "W2", "W4"):
        for make in ("tracecore", "opentelemetry-sdk"):
            runner.bench_time_func(f"{name} {make}", timed, make, name)


if __name__ == "__main__":
    main()
