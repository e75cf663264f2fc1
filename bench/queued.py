"""Memory a queued span takes: spans with five attributes pile up behind an exporter that does not return.

    rss         growth of the resident set from before the provider is made, divided by the spans: what a
                process sees. tracecore's ring is counted in full, used or not.
    tracemalloc the same by Python's allocator: exact, blind to what C allocates by itself
    record      tracecore only: bytes of the record itself

Prints one line of JSON; one figure a process.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import workloads

N_WARM_UP = 64


class Stuck:
    """An exporter for either side that never returns; remembers the first batch's size."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.record_bytes: float | None = None

    def export(self, batch: Any, deadline: float = 0.0) -> None:
        if hasattr(batch, "record_bytes"):
            self.record_bytes = batch.record_bytes / len(batch)
        self.entered.set()
        threading.Event().wait()

    def interrupt(self) -> None:
        """Nothing: it is stuck for good."""

    def shutdown(self) -> None:
        """Nothing: the process ends by os._exit."""


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("tracecore", "opentelemetry-sdk"))
    parser.add_argument("how", choices=("rss", "tracemalloc"))
    parser.add_argument("--spans", type=int, required=True)
    options = parser.parse_args()

    # Imports, caches and the span path's own memory first, by another provider.
    make = workloads.tracecore_rival if options.side == "tracecore" else workloads.sdk_rival
    warm = make()
    workloads.five(warm.tracer(), N_WARM_UP)
    warm.drain()
    gc.collect()
    if options.how == "tracemalloc":
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0] if options.how == "tracemalloc" else rss_bytes()

    exporter = Stuck()
    if options.side == "tracecore":
        from tracecore import TracerProvider

        ours = TracerProvider()
        ours.add_exporter(exporter)
        provider: Any = ours
    else:
        from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        stuck: Any = exporter  # the SDK asks for no class of its own, only for export()
        provider = SdkTracerProvider()
        provider.add_span_processor(BatchSpanProcessor(stuck, max_queue_size=2 * options.spans))
    workloads.five(provider.get_tracer("bench"), options.spans)
    exporter.entered.wait(10)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0] if options.how == "tracemalloc" else rss_bytes()
    dropped = provider.stats()["exporters"][0]["dropped_full"] if options.side == "tracecore" else 0
    json.dump(
        {"bytes": (after - before) / options.spans, "record_bytes": exporter.record_bytes, "dropped": dropped},
        sys.stdout,
    )
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
