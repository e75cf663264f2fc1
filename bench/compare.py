"""tracecore, opentelemetry-sdk and a floor in C, interleaved in one run; prints ratios.

    for each round: for each workload: for each rival, in turn:
        some spans untimed | clock | a short loop | clock | drain, untimed

Times are nanoseconds an operation on the calling thread, minimum and median over the rounds: the
minimum is the cost, the median is what one meets on this machine with whatever else runs on it. Only
ratios of one run mean anything on a machine with neighbours. The garbage collector is on, as in a
service, and the loop itself is counted in (`nothing` in the table).

Run `python bench/compare.py --help`; bench/README.md says what each figure means.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import floor
import machine
import receiver
import workloads

HERE = Path(__file__).parent

IN_ROUND = 200
"""Operations in a round, the same for every rival: spans that wait in the queue are memory, and memory is part
of the cost (the SDK's rise by a tenth from rounds of 15 to rounds of 200). With N_UNTIMED less than the SDK's
batch of 512, so that no worker wakes in a round."""
IN_ROUND_OF = {"exception": 40}
"""Where 200 would make a round of tens of milliseconds, which no round gets undisturbed."""
N_UNTIMED = 20
"""Operations before the clock: the drain between the rounds has pushed the span path out of the caches."""

N_ENCODED = 512
"""Spans in a batch for the encoders: the SDK's default batch."""

DELIVERED_BURSTS, DELIVERED_PERIOD_S = 40, 0.15
"""A burst of 500 spans takes the SDK some 30 ms with its worker; three times that stays clear of drops."""

TRACECORE, SDK, FLOOR, DIRECT = "tracecore", "opentelemetry-sdk", "floor", "floor, direct"

Figures = dict[str, float]


def figures(rounds: list[float]) -> Figures:
    return {"min": min(rounds), "median": statistics.median(rounds), "rounds": len(rounds)}


# ---- the calling thread --------------------------------------------------------------------------------


def timed(loop: workloads.Loop, tracer: Any, n: int) -> tuple[float, float]:
    """Return nanoseconds an operation: wall clock, CPU of this thread."""
    cpu = time.thread_time_ns()
    wall = time.perf_counter_ns()
    loop(tracer, n)
    wall = time.perf_counter_ns() - wall
    return wall / n, (time.thread_time_ns() - cpu) / n


def measure_calling_thread(rivals: list[Any], n_rounds: int) -> dict[str, dict[str, Any]]:
    """Return workload -> rival -> {"wall": figures, "cpu": figures, "operations": n a round}."""
    plan: list[tuple[str, Any, workloads.Loop, Any, int, list[float], list[float]]] = []
    for workload in workloads.WORKLOADS:
        for rival in rivals:
            is_floor = isinstance(rival, workloads.FloorRival)
            loop = workload.floor_loop if is_floor else workload.loop
            if loop is not None:
                tracer = rival.tracer(workload.sampled)
                plan.append((workload.name, rival, loop, tracer, IN_ROUND_OF.get(workload.name, IN_ROUND), [], []))
                loop(tracer, IN_ROUND)  # the very first ones learn names and keys
                rival.drain()
    plan.append(("nothing", rivals[0], workloads.nothing, None, IN_ROUND, [], []))
    gc.collect()
    gc.freeze()
    for number in range(n_rounds):
        # Turned, not shuffled: nobody follows the same rival's drain every time.
        turn = number % len(plan)
        for _, rival, loop, tracer, n, wall, cpu in plan[turn:] + plan[:turn]:
            loop(tracer, N_UNTIMED)
            wall_ns, cpu_ns = timed(loop, tracer, n)
            wall.append(wall_ns)
            cpu.append(cpu_ns)
            rival.drain()
    gc.unfreeze()
    results: dict[str, dict[str, Any]] = {}
    for name, rival, _, _, n, wall, cpu in plan:
        results.setdefault(name, {})[rival.name] = {"wall": figures(wall), "cpu": figures(cpu), "operations": n}
    return results


def measure_busy_worker(n_rounds: int) -> dict[str, Any]:
    """Return rival -> figures of five-attribute spans in one stream while the worker exports beside it.

    Ten batches a stream; the clock stops when the last span has ended, not when it is exported. The
    SDK gets a queue that holds the whole stream: dropping is cheap.
    """
    streams = [
        (workloads.tracecore_rival(ring_bytes=64 << 20), 40_960),
        (workloads.sdk_rival(max_queue_size=8192), 5_120),
    ]
    rounds: dict[str, list[float]] = {TRACECORE: [], SDK: []}
    for rival, _ in streams:
        workloads.five(rival.tracer(), 1000)
        rival.drain()
    sent = {rival.name: rival.exporter.n_spans for rival, _ in streams}
    for _ in range(n_rounds):
        for rival, n in streams:
            rounds[rival.name].append(timed(workloads.five, rival.tracer(), n)[0])
            rival.drain()
            sent[rival.name] += n
    for rival, _ in streams:
        if rival.exporter.n_spans != sent[rival.name]:
            raise RuntimeError(f"{rival.name}: {sent[rival.name] - rival.exporter.n_spans} spans were dropped")
        rival.shutdown()
    return {name: figures(values) for name, values in rounds.items()}


# ---- the encoders ------------------------------------------------------------------------------------------


def measure_encoders(n_rounds: int) -> dict[str, Any]:
    """Return rival -> figures of nanoseconds a span, five attributes, batches of N_ENCODED.

    Each side encodes its own spans of the same loop; both results must parse to as many spans.
    """
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    ours: list[Any] = []
    theirs: list[Any] = []

    class Keep(workloads.TracecoreDiscard):
        def export(self, batch: Any, deadline: float) -> Any:
            from tracecore.exporters import Outcome

            ours.append(batch)
            return Outcome(len(batch), 0, "", "")

    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

    class KeepSpans(SpanExporter):
        def export(self, spans: Any) -> Any:
            theirs.extend(spans)
            return SpanExportResult.SUCCESS

    from tracecore import TracerProvider

    provider = TracerProvider()
    provider.add_exporter(Keep(), delay=workloads.NEVER_S)
    sdk_provider = SdkTracerProvider()
    sdk_provider.add_span_processor(SimpleSpanProcessor(KeepSpans()))
    workloads.five(sdk_provider.get_tracer("bench"), N_ENCODED)
    rounds: dict[str, list[float]] = {TRACECORE: [], SDK: []}
    n_bytes = {}
    for _ in range(n_rounds):
        workloads.five(provider.get_tracer("bench"), N_ENCODED)
        provider.force_flush()
        batch = ours.pop()
        started = time.perf_counter_ns()
        by_us = batch.otlp()
        rounds[TRACECORE].append((time.perf_counter_ns() - started) / N_ENCODED)
        started = time.perf_counter_ns()
        by_them = encode_spans(theirs).SerializeToString()
        rounds[SDK].append((time.perf_counter_ns() - started) / N_ENCODED)
        n_bytes = {TRACECORE: len(by_us) / N_ENCODED, SDK: len(by_them) / N_ENCODED}
    for name, encoded in ((TRACECORE, by_us), (SDK, by_them)):
        request = ExportTraceServiceRequest.FromString(encoded)
        n = sum(len(scope.spans) for of in request.resource_spans for scope in of.scope_spans)
        if n != N_ENCODED:
            raise RuntimeError(f"{name}: {n} spans in the encoded batch, expected {N_ENCODED}")
    provider.shutdown()
    sdk_provider.shutdown()
    return {name: {**figures(values), "bytes_a_span": n_bytes[name]} for name, values in rounds.items()}


# ---- processes of their own ----------------------------------------------------------------------------------


def run_json(script: str, *arguments: object) -> dict[str, Any]:
    """Run a script of this folder and return the JSON it prints. Raises: CalledProcessError."""
    answer = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def measure_delivered(n_spans: int, n_runs: int) -> dict[str, Any]:
    """Return variant -> figures of CPU nanoseconds a span, all threads, to a real OTLP/HTTP receiver."""
    variants: dict[str, tuple[str, list[object]]] = {
        TRACECORE: (TRACECORE, []),
        f"{TRACECORE}, batch 512": (TRACECORE, ["--batch", 512]),
        SDK: (SDK, []),
    }
    pace: list[object] = ["--bursts", DELIVERED_BURSTS, "--period", DELIVERED_PERIOD_S]
    used: dict[str, list[float]] = {name: [] for name in variants}
    resting: dict[str, list[float]] = {name: [] for name in variants}
    n_requests = {}
    with contextlib.closing(receiver.Receiver()) as to:
        for _ in range(n_runs):
            for name, (side, batch) in variants.items():
                for n, into in ((0, resting), (n_spans, used)):
                    run = run_json("delivered.py", side, to.endpoint, "--spans", n, *pace, *batch)
                    got = to.received()
                    if not run["flushed"] or got["spans"] != run["sent"]:
                        raise RuntimeError(f"{name}: {run['sent']} spans sent, {got['spans']} received")
                    into[name].append(run["cpu_s"])
                n_requests[name] = got["requests"]
    return {
        name: {
            **figures([(cpu_s - min(resting[name])) * 1e9 / n_spans for cpu_s in used[name]]),
            "requests": n_requests[name],
        }
        for name in variants
    }


def measure_queued(n_spans: int) -> dict[str, dict[str, Any]]:
    """Return rival -> {"rss": bytes a span, "tracemalloc": bytes a span, "record": bytes or None}."""
    found: dict[str, dict[str, Any]] = {}
    for side in (TRACECORE, SDK):
        by_rss = run_json("queued.py", side, "rss", "--spans", n_spans)
        by_allocator = run_json("queued.py", side, "tracemalloc", "--spans", n_spans)
        if by_rss["dropped"]:
            raise RuntimeError(f"{side}: {by_rss['dropped']} spans did not fit the ring")
        found[side] = {
            "rss": by_rss["bytes"],
            "tracemalloc": by_allocator["bytes"],
            "record": by_rss["record_bytes"],
        }
    return found


# ---- targets and the report ------------------------------------------------------------------------------------


def targets(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the four targets with what was measured: by minima, and by medians beside it."""

    def target(title: str, wanted: float, pick: Callable[[str], Figures]) -> dict[str, Any]:
        ours, theirs = pick(TRACECORE), pick(SDK)
        ratio = theirs["min"] / ours["min"]
        return {
            "target": title,
            "wanted": wanted,
            "ratio": ratio,
            "ratio_of_medians": theirs["median"] / ours["median"],
            "ours_ns": ours["min"],
            "theirs_ns": theirs["min"],
            "reached": ratio >= wanted,
        }

    def wall(workload: str) -> Callable[[str], Figures]:
        return lambda rival: results["calling_thread"][workload][rival]["wall"]

    return [
        target("current span with 5 attributes, calling thread", 30, wall("W2")),
        target("total CPU a span to delivered bytes", 40, lambda rival: results["delivered"][rival]),
        target("unsampled current span, calling thread", 20, wall("W4")),
        target("encoder", 50, lambda rival: results["encoders"][rival]),
    ]


def print_report(results: dict[str, Any]) -> None:
    about = results["machine"]
    print(f"{about['cpu']}, {about['cores']} cores, {about['system']}, load {about['load_average']}")
    build = results["interpreter"]
    print(f"Python {build['python']}, PGO {'yes' if build['optimized'] else 'no'}, built here with {results['compiler']}")
    print(", ".join(f"{name} {number}" for name, number in results["versions"].items()))

    print("\nCalling thread, worker resting: ns an operation, min (median)")
    print(f"  {'':39}{FLOOR:>15}{DIRECT:>15}{TRACECORE:>17}{SDK:>19}{'SDK/ours':>10}{'ours/floor':>11}")
    titles = {w.name: f"{w.name:9} {w.title}" for w in workloads.WORKLOADS}
    for name, rivals in results["calling_thread"].items():
        line = f"  {titles.get(name, name + ' (the loop itself)'):50.50}"[:50]
        cells = ""
        for rival, width in ((FLOOR, 14), (DIRECT, 14), (TRACECORE, 16), (SDK, 19)):
            figure = rivals.get(rival)
            cell = "" if figure is None else f"{figure['wall']['min']:.0f} ({figure['wall']['median']:.0f})"
            cells += f"{cell:>{width}}"
        if TRACECORE in rivals:
            ours = rivals[TRACECORE]["wall"]["min"]
            cells += f"{rivals[SDK]['wall']['min'] / ours:>9.1f}x"
            if FLOOR in rivals:
                cells += f"{ours / rivals[FLOOR]['wall']['min']:>9.1f}x"
        print(line + cells)

    def section(title: str, measured: dict[str, Figures], more: Callable[[Figures], str] = lambda _: "") -> None:
        print(f"\n{title}")
        for name, figure in measured.items():
            ratio = measured[SDK]["min"] / figure["min"]
            print(f"  {name:24}{figure['min']:>10.0f} ({figure['median']:.0f}){ratio:>8.1f}x  {more(figure)}")

    section("Five attributes, worker busy: ns a span on the calling thread, min (median)", results["busy"])
    section(
        "Encoder, batches of 512: ns a span, min (median)",
        results["encoders"],
        lambda figure: f"{figure['bytes_a_span']:.0f} B a span",
    )
    section(
        "Total CPU to delivered bytes: ns a span, min (median)",
        results["delivered"],
        lambda figure: f"{figure['requests']:.0f} requests",
    )
    print("\nMemory a queued span with five attributes, bytes")
    for name, queued in results["queued"].items():
        record = "" if queued["record"] is None else f", its record {queued['record']:.0f}"
        print(f"  {name:24}{queued['rss']:>10.0f} resident, {queued['tracemalloc']:.0f} by Python's allocator{record}")

    print("\nTargets (ratio of minima; of medians)")
    for target in results["targets"]:
        verdict = "reached" if target["reached"] else f"MISSED by {1 - target['ratio'] / target['wanted']:.0%}"
        print(
            f"  {target['target']:50} at least {target['wanted']}x: {target['ratio']:.1f}x"
            f" ({target['ratio_of_medians']:.1f}x) {verdict}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=150, help="rounds on the calling thread, at least 9 (150)")
    parser.add_argument("--runs", type=int, default=3, help="processes a side for total CPU (3)")
    parser.add_argument("--spans", type=int, default=20_000, help="spans for total CPU and memory (20000)")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "latest.json", help="where the JSON goes")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args()
    if options.rounds < 9:
        parser.error("--rounds: at least 9")

    module = floor.load()
    rivals: list[Any] = [
        workloads.FloorRival(FLOOR, module.Tracer()),
        workloads.FloorRival(DIRECT, module.DirectTracer()),
        workloads.tracecore_rival(),
        workloads.sdk_rival(),
    ]
    results: dict[str, Any] = {
        "machine": machine.machine(),
        "interpreter": machine.interpreter(),
        "compiler": machine.compiler(),
        "versions": machine.versions(),
        "command": ["python", "bench/compare.py", *sys.argv[1:]],
        "calling_thread": measure_calling_thread(rivals, options.rounds),
    }
    for rival in rivals:
        rival.shutdown()
    results["busy"] = measure_busy_worker(max(9, options.rounds // 10))
    results["encoders"] = measure_encoders(max(9, options.rounds // 2))
    results["delivered"] = measure_delivered(options.spans, options.runs)
    results["queued"] = measure_queued(options.spans)
    results["targets"] = targets(results)
    print_report(results)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwritten to {options.out}")
    return 1 if options.check and not all(target["reached"] for target in results["targets"]) else 0


if __name__ == "__main__":
    sys.exit(main())
