"""What a span costs the thread that makes it, measured in a process set up like the services.

    with tracer.start_as_current_span("operation") as span:
        five times span.set_attribute: two str, an int, a bool, a float

is timed in short rounds through the OpenTelemetry API, with the exporter attached and sending to the receiver of the demo.  Each
round gives one figure, the mean of its spans.  The minimum over the rounds is the cost itself; the median is what one meets on
this machine, with whatever else runs on it.  The loop around the span is counted in: some 20 ns.

Run as `python -m tracecore.demo.overhead <file for the result> <socket>`.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
from opentelemetry import trace

from tracecore.demo.process import end_with_the_driver

#: Spans in a round: a round of 1 us spans is over in 25 us, so most rounds are not interrupted by the scheduler.
SPANS_A_ROUND = 25
ROUNDS = 60
#: Not timed: the first spans pay for caches, interned keys, memory touched for the first time.
WARM_UP_ROUNDS = 8
# (ROUNDS + WARM_UP_ROUNDS) * SPANS_A_ROUND stays below 2,048, the default queue of a batch processor: no span is dropped, which
# would be cheaper than keeping it.


@dataclass(frozen=True, slots=True)
class Overhead:
    """Cost of a current span with five attributes on the calling thread, nanoseconds of wall-clock time."""

    min_ns: float
    median_ns: float
    rounds: int
    spans_a_round: int


def measure() -> Overhead:
    """Time the rounds on the calling thread."""
    tracer = trace.get_tracer("overhead")
    rounds = []
    for _ in range(WARM_UP_ROUNDS + ROUNDS):
        started_ns = time.perf_counter_ns()
        for number in range(SPANS_A_ROUND):
            with tracer.start_as_current_span("operation") as span:
                span.set_attribute("http.request.method", "POST")
                span.set_attribute("http.route", "/checkout")
                span.set_attribute("cart.item_count", number)
                span.set_attribute("user.vip", True)
                span.set_attribute("cart.total", 99.99)
        rounds.append((time.perf_counter_ns() - started_ns) / SPANS_A_ROUND)
    timed = rounds[WARM_UP_ROUNDS:]
    return Overhead(min(timed), statistics.median(timed), ROUNDS, SPANS_A_ROUND)


if __name__ == "__main__":
    end_with_the_driver()
    Path(sys.argv[1]).write_bytes(msgspec.json.encode(measure()))
