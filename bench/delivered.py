"""Total CPU a span until its bytes are delivered, in a process that does nothing else.

    warm-up spans, flush | CPU clock | bursts of spans with pauses, flush | CPU clock

All threads of the process count (getrusage, user and system); the receiver is another process. The
pauses keep the queue from filling: what is dropped costs little. Run with --spans 0 for what the
pauses and the flush cost by themselves. Prints one line of JSON; bench/compare.py subtracts and divides.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from typing import Any

import workloads

N_WARM_UP = 600
"""More than one batch of the SDK's 512: connection, imports on first use and caches are paid before the clock."""


def provider_of(side: str, endpoint: str, batch: int | None) -> Any:
    """Return a provider with its own batch processor and OTLP/HTTP exporter, without compression."""
    if side == "tracecore":
        from tracecore import TracerProvider
        from tracecore.exporters.otlp_http import OTLPHTTPExporter

        ours = TracerProvider()
        ours.add_exporter(OTLPHTTPExporter(endpoint), batch=batch)
        return ours
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    theirs = SdkTracerProvider()
    sizes: dict[str, Any] = {} if batch is None else {"max_queue_size": 4 * batch, "max_export_batch_size": batch}
    theirs.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), **sizes))
    return theirs


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("tracecore", "opentelemetry-sdk"))
    parser.add_argument("endpoint")
    parser.add_argument("--spans", type=int, required=True)
    parser.add_argument("--bursts", type=int, required=True)
    parser.add_argument("--period", type=float, required=True, help="seconds from burst to burst")
    parser.add_argument("--batch", type=int)
    options = parser.parse_args()

    provider = provider_of(options.side, options.endpoint, options.batch)
    tracer = provider.get_tracer("bench")
    workloads.five(tracer, N_WARM_UP)
    flushed = provider.force_flush()
    a_burst = options.spans // options.bursts
    begun = time.monotonic()
    before = cpu_s()
    for burst in range(options.bursts):
        workloads.five(tracer, a_burst)
        time.sleep(max(0.0, begun + (burst + 1) * options.period - time.monotonic()))
    flushed = provider.force_flush() and flushed
    used = cpu_s() - before
    provider.shutdown()
    json.dump({"cpu_s": used, "flushed": flushed, "sent": N_WARM_UP + a_burst * options.bursts}, sys.stdout)


if __name__ == "__main__":
    main()
