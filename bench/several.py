"""What more exporters cost: 1, 2 and 4 that share a drain, and 2 and 4 with a ring each, in one run.

    for each round: for each provider, in turn:
        spans untimed | clock | spans | clock | flush | CPU clock of the process

Every exporter encodes each batch as OTLP and packs it with gzip, and sends it nowhere. The calling thread's figure is the
minimum over the rounds, in CPU of that thread; the process's is the median of all threads' CPU, spans and flush
together. Ratios to one exporter are what holds from machine to machine. A ring each is what exporters with different
batch settings get.

Run `python bench/several.py`; half a minute.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import workloads

from tracecore import TracerProvider
from tracecore.exporters import Outcome
from tracecore.exporters.compression import compressor

RING_BYTES = 16 << 20
BATCH = 4096
N_WARM_UP = 2 * BATCH
N_SPANS = 5 * BATCH


class Packs:
    """An exporter that does all but send."""

    def __init__(self) -> None:
        self._compress = compressor("gzip")

    def export(self, batch: Any, deadline: float) -> Outcome:
        batch.packed(batch.otlp(), "gzip", self._compress)
        return Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None:
        """Nothing: there is no pause to end."""

    def shutdown(self) -> None:
        """Nothing: there is no connection."""


class Rival:
    """A provider with `n` exporters that share a drain, or have one each."""

    def __init__(self, n: int, shared: bool) -> None:
        self.name = f"{n} exporter{'s' if n > 1 else ''}{'' if shared else ', a ring each'}"
        self.provider = TracerProvider(shutdown_on_exit=False)
        for number in range(n):
            batch = BATCH if shared else BATCH + number
            self.provider.add_exporter(Packs(), ring_bytes=RING_BYTES, batch=batch, delay=60.0)
        self.tracer = self.provider.get_tracer("bench")
        self.span_ns: list[float] = []
        self.process_ns: list[float] = []

    def round(self) -> None:
        workloads.five(self.tracer, 200)
        self.provider.force_flush()
        process = time.process_time_ns()
        thread = time.thread_time_ns()
        workloads.five(self.tracer, N_SPANS)
        thread = time.thread_time_ns() - thread
        self.provider.force_flush()
        self.span_ns.append(thread / N_SPANS)
        self.process_ns.append((time.process_time_ns() - process) / N_SPANS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    rivals = [Rival(1, True), Rival(2, True), Rival(4, True), Rival(2, False), Rival(4, False)]
    for rival in rivals:
        workloads.five(rival.tracer, N_WARM_UP)
    for number in range(options.rounds):
        turn = number % len(rivals)  # nobody follows the same one every time
        for rival in rivals[turn:] + rivals[:turn]:
            rival.round()
    alone = rivals[0]
    print(f"{'':<26}{'calling thread':>22}{'process':>22}")
    for rival in rivals:
        span, process = min(rival.span_ns), statistics.median(rival.process_ns)
        span_ratio, process_ratio = span / min(alone.span_ns), process / statistics.median(alone.process_ns)
        print(f"{rival.name:<26}{span:>10.0f} ns {span_ratio:>6.2f} x {process:>10.0f} ns {process_ratio:>6.2f} x")
        for known in rival.provider.stats()["exporters"]:
            assert known["dropped_full"] == 0 and not known["lost"], known
        rival.provider.shutdown()


if __name__ == "__main__":
    main()
