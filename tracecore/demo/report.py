"""The report of a run: one document for machines, and the same told to a person."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import IO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracecore import waterfall
from tracecore.demo.expectation import SERVICES, Checkout
from tracecore.demo.overhead import Overhead
from tracecore.trace_tree import CriticalPath, Culprit, SpanRow, Trace, critical_path, culprit, milliseconds


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One service process: on which tracer provider it ran, how it ended, what it used.

    `cpu_serving_s` is CPU from the moment it was ready to its end, exit handlers included, start-up not; `median_ns` is the
    median of its server spans.
    """

    name: str
    pid: int
    provider: str
    exit_code: int
    cpu_serving_s: float
    n_spans: int
    median_ns: int


@dataclass(frozen=True, slots=True)
class TraceReport:
    """One trace in a line."""

    trace_id: str
    duration_ns: int
    n_spans: int
    n_errors: int
    services: tuple[str, ...]
    faulty: bool


@dataclass(frozen=True, slots=True)
class SlowestReport:
    """The slowest trace, whole."""

    trace_id: str
    duration_ns: int
    spans: tuple[SpanRow, ...]
    critical_path: CriticalPath
    culprit: Culprit | None


@dataclass(frozen=True, slots=True)
class OverheadReport:
    """The measured cost of a span, and what it is in proportion.

    `share_of_median_checkout` is the cost of all spans of a checkout without fault, in its four services, by its duration.
    """

    measured: str
    cost: Overhead
    spans_a_checkout: int
    share_of_median_checkout: float


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it ran."""

    tracecore: str
    opentelemetry_api: str
    python: str
    platform: str
    n_cpus: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about a run.  `problems` says in words what is incomplete; it is empty if `complete`."""

    complete: bool
    problems: tuple[str, ...]
    n_checkouts: int
    n_faulty: int
    median_checkout_ns: int
    traces: tuple[TraceReport, ...]
    slowest: SlowestReport | None
    overhead: OverheadReport
    services: tuple[ServiceReport, ...]
    n_spans: int
    n_duplicate_spans: int
    n_export_requests: int
    n_export_bytes: int
    machine: Machine


#: Problems told on a terminal, where the first few show what it is.  The JSON document has all.
SHOWN_PROBLEMS = 12

MEASURED = (
    "wall-clock time on the calling thread of one start_as_current_span block with five set_attribute calls (2 str, int, bool, "
    "float), through the OpenTelemetry API, sampled, with the exporter attached and sending; in a process of its own set up like "
    "the services, after the load had ended"
)


def overhead_report(cost: Overhead, traces: Sequence[Trace], checkouts: Sequence[Checkout]) -> OverheadReport:
    """Put the cost of a span in proportion to the median checkout that went well."""
    usual_ids = {checkout.trace_id for checkout in checkouts if not checkout.faulty}
    usual = [trace for trace in traces if trace.trace_id in usual_ids] or list(traces)
    n_spans = round(statistics.median([len(trace) for trace in usual])) if usual else 0
    duration_ns = statistics.median([trace.root.duration_ns for trace in usual]) if usual else 0
    share = n_spans * cost.median_ns / duration_ns if duration_ns else 0.0
    return OverheadReport(MEASURED, cost, n_spans, share)


def slowest_report(traces: Sequence[Trace]) -> SlowestReport | None:
    """Return the trace with the longest root, with its critical path and culprit."""
    if not traces:
        return None
    trace = max(traces, key=lambda trace: trace.root.duration_ns)
    path = critical_path(trace)
    return SlowestReport(trace.trace_id, trace.root.duration_ns, trace.spans, path, culprit(trace, path))


def machine() -> Machine:
    """Describe where this runs."""
    return Machine(
        tracecore=_version("tracecore-native"),
        opentelemetry_api=_version("opentelemetry-api"),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=platform.platform(),
        n_cpus=os.cpu_count() or 1,
    )


def write_json(report: Report, stream: IO[str]) -> None:
    """Write the report as one JSON document on one line."""
    stream.write(msgspec.json.encode(report).decode() + "\n")


def write_text(report: Report, stream: IO[str]) -> None:
    """Tell the report: what looked healthy, the trace that was not, what tracing cost, whether it is all there.

    Colours, width and NO_COLOR are as `rich` finds them; a stream that is no terminal gets plain text.
    """
    width = None if stream.isatty() else waterfall.DEFAULT_WIDTH
    console = Console(file=stream, width=width, highlight=False, emoji=False, markup=False)

    console.print(
        f"{report.n_checkouts} checkouts through {len(SERVICES)} services, {report.n_faulty} with a card the provider hangs on.",
        style="bold",
    )
    console.print(f"Median checkout {milliseconds(report.median_checkout_ns)}. Every service looks healthy:")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("service", style="cyan")
    for heading in ("median", "spans", "CPU while serving", "pid"):
        table.add_column(heading, justify="right")
    for service in report.services:
        table.add_row(
            service.name,
            milliseconds(service.median_ns),
            f"{service.n_spans:,}",
            milliseconds(service.cpu_serving_s * 1e9),
            str(service.pid),
        )
    console.print(table)
    console.print()

    if report.slowest is not None:
        console.print("The slowest trace:", style="bold")
        trace = Trace(report.slowest.spans)
        lines = waterfall.draw(
            trace,
            width=console.width,
            encoding=console.encoding,
            path=report.slowest.critical_path,
            suspect=report.slowest.culprit,
        )
        for line in lines:
            console.print(Text.assemble(*waterfall.rich_segments(line)), no_wrap=True, overflow="crop")
        console.print()

    cost = report.overhead.cost
    console.print("What tracing cost:", style="bold")
    console.print(
        f"A span took its thread {_us(cost.min_ns)} at best, {_us(cost.median_ns)} in the median of {cost.rounds} rounds of "
        f"{cost.spans_a_round}. {report.overhead.spans_a_checkout} spans a checkout are "
        f"{report.overhead.share_of_median_checkout:.2%} of its time."
    )
    console.print(f"(Measured: {report.overhead.measured}.)", style="bright_black")
    console.print(
        f"{report.n_spans:,} spans came in {report.n_export_requests:,} OTLP requests, {report.n_export_bytes:,} bytes; "
        f"{report.n_duplicate_spans} twice."
    )
    console.print()

    if report.complete:
        console.print(
            f"Complete: {len(report.traces)} of {report.n_checkouts} traces, each with one root, no orphan, every step, "
            f"and spans of {', '.join(SERVICES)}.",
            style="bold green",
        )
    else:
        console.print("Incomplete:", style="bold red")
        for problem in report.problems[:SHOWN_PROBLEMS]:
            console.print("- " + waterfall.escaped(problem, console.encoding))
        if len(report.problems) > SHOWN_PROBLEMS:
            console.print(f"- and {len(report.problems) - SHOWN_PROBLEMS:,} more")
    here = report.machine
    console.print(
        f"tracecore {here.tracecore}, opentelemetry-api {here.opentelemetry_api}, {here.python}, {here.platform}, "
        f"{here.n_cpus} CPUs",
        style="bright_black",
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"


def _us(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e3:,.2f} us"
