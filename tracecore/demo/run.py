"""`tracecore demo`: start the shop, send it checkouts, stop it, collect the spans, judge, tell.

The order matters in one place: services are stopped before the spans are collected.  A service exports its last spans when it
exits; once it has exited with 0, what the receiver has is all there will ever be, and a missing span is lost and not late.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from tracecore.demo.expectation import SERVICES, Checkout, judge
from tracecore.demo.process import Child, Children, Deadline, DemoError, Ended, http
from tracecore.trace_tree import SpanRow, assemble

if TYPE_CHECKING:
    # At run time these are imported when the packages of the extra are known to be there.
    from tracecore.demo.overhead import Overhead
    from tracecore.demo.receiver import Collected
    from tracecore.demo.report import Report

#: The modules of the extra `demo`, which `run` looks for before it starts anything.
REQUIRED_MODULES = (
    "flask",
    "google.protobuf",
    "opentelemetry.instrumentation.auto_instrumentation",
    "opentelemetry.instrumentation.flask",
    "opentelemetry.instrumentation.requests",
    "opentelemetry.instrumentation.sqlite3",
    "opentelemetry.proto",
    "requests",
    "rich",
)
INSTALL = 'python -m pip install "tracecore-native[demo]"'

#: The instrumentations the services use.  Others that happen to be installed are turned off: the demo counts spans.
INSTRUMENTATIONS = frozenset(("flask", "requests", "sqlite3"))

#: How many checkouts are under way at once.
CONCURRENCY = 8

#: `opentelemetry-instrument python`, without depending on where its script was installed.
INSTRUMENTED_PYTHON = (
    sys.executable,
    "-c",
    "from opentelemetry.instrumentation.auto_instrumentation import run; run()",
    sys.executable,
)


class Backend(NamedTuple):
    """Which implementation of the OpenTelemetry API the services run on: entry point names, and the package of its provider."""

    distro: str
    configurator: str
    package: str


TRACECORE = Backend("tracecore", "tracecore", "tracecore")


@dataclass(frozen=True, slots=True)
class Options:
    """What to run."""

    n_checkouts: int = 30
    n_faulty: int = 2
    seed: int = 0
    timeout_s: float = 60.0
    broken_link: str | None = None
    keep_output: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tracecore demo`."""
    usual = Options()
    parser.add_argument("--requests", type=_count, default=usual.n_checkouts, help="checkouts to send (default %(default)s)")
    parser.add_argument("--faulty", type=_count, help=f"of these, with the fault (default {usual.n_faulty}, or fewer)")
    parser.add_argument("--seed", type=int, default=usual.seed, help="picks carts and the faulty checkouts (default %(default)s)")
    parser.add_argument("--timeout", type=float, default=usual.timeout_s, help="seconds to give up after (default %(default)g)")
    parser.add_argument("--json", action="store_true", help="write one JSON document and nothing else")
    parser.add_argument("--keep-output", action="store_true", help="keep the directory with logs and databases")
    # For the tests of the demo itself: does it notice that a hop drops the trace headers?
    parser.add_argument("--break-link", choices=SERVICES[1:], help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Run the demo and return 0 when every trace is complete, 1 when not, 2 when it could not be carried out."""
    wanted = Options(
        n_checkouts=options.requests,
        n_faulty=min(Options().n_faulty, options.requests) if options.faulty is None else options.faulty,
        seed=options.seed,
        timeout_s=options.timeout,
        broken_link=options.break_link,
        keep_output=options.keep_output,
    )
    try:
        if wanted.n_checkouts == 0 or wanted.n_faulty > wanted.n_checkouts:
            raise DemoError("--requests must be 1 or more, and --faulty no more than that")
        require_extra()
        require_backend(TRACECORE)
        with _terminated_in_order():
            report = run_demo(wanted, TRACECORE)
    except DemoError as error:
        print(f"tracecore demo: {error}", file=sys.stderr)
        return 2

    from tracecore.demo.report import write_json, write_text

    (write_json if options.json else write_text)(report, sys.stdout)
    return 0 if report.complete else 1


def require_extra() -> None:
    """Raise DemoError, with the command that installs them, when packages of the extra are missing."""
    if os.name != "posix":
        raise DemoError("needs a POSIX system: it hands sockets on to the processes it starts")
    absent = [module for module in REQUIRED_MODULES if not _is_installed(module)]
    if absent:
        raise DemoError(f"not installed: {', '.join(absent)}\nInstall what the demo needs with: {INSTALL}")


def require_backend(backend: Backend) -> None:
    """Raise DemoError when the entry points of the backend are missing: auto-instrumentation would go on without, silently."""
    for group, name in (("opentelemetry_distro", backend.distro), ("opentelemetry_configurator", backend.configurator)):
        if not entry_points(group=group, name=name):
            raise DemoError(f"no entry point {name!r} in group {group!r}: is tracecore-native installed, not only importable?")


def run_demo(options: Options, backend: Backend) -> Report:
    """Run the shop once and report.  Raises DemoError; leaves no process and, unless asked to, no file.

    From the main thread only, since it starts and reaps processes.
    """
    import msgspec

    from tracecore.demo.overhead import Overhead
    from tracecore.demo.receiver import Collected

    deadline = Deadline(options.timeout_s)
    with _directory(options.keep_output) as directory, Children() as children:
        shop = _Shop(children, directory, backend, options.broken_link)
        shop.wait_ready(deadline)
        checkouts = _send_checkouts(shop, options, deadline)
        ended = shop.stop(deadline)
        cost = msgspec.json.decode(_measure_overhead(shop, deadline), type=Overhead)
        body = http("GET", shop.receiver.port, "/collected", timeout_s=deadline.remaining_s("collecting the spans"))[1]
        if options.keep_output:
            (directory / "collected.json").write_bytes(body)
        collected = msgspec.json.decode(body, type=Collected)
    return _report(options, checkouts, collected, shop.providers, ended, cost)


class _Shop:
    """The processes of one run."""

    def __init__(self, children: Children, directory: Path, backend: Backend, broken_link: str | None) -> None:
        from tracecore.demo.shop import create_databases

        create_databases(directory)
        self.children = children
        self.directory = directory
        self.backend = backend
        quiet = _environment_without_settings()
        self.receiver = children.start("receiver", (sys.executable, "-m", "tracecore.demo.receiver"), quiet, directory)
        provider = children.start("provider", (sys.executable, "-m", "tracecore.demo.provider"), quiet, directory)
        # Each socket listens before its process starts, so all addresses are known at once and all start side by side.
        peers = {"provider": provider.url}
        self.services: dict[str, Child] = {}
        for name in reversed(SERVICES):  # the gateway last: it is told where the others are
            command = [*INSTRUMENTED_PYTHON, "-m", "tracecore.demo.shop", name]
            command += ["--database", str(directory / f"{name}.db")]
            command += [word for peer, url in peers.items() for word in ("--peer", f"{peer}={url}")]
            command += ["--drop-trace-headers"] if name == broken_link else []
            environment = service_environment(name, self.receiver.url, backend)
            self.services[name] = children.start(name, command, environment, directory)
            peers[name] = self.services[name].url
        self.others = (self.receiver, provider)
        #: By service: class of the tracer provider, and CPU used until ready.  Known after `wait_ready`.
        self.providers: dict[str, tuple[str, float]] = {}

    def wait_ready(self, deadline: Deadline) -> None:
        """Wait until every process serves, and see that the services run on the backend they should."""
        import msgspec

        for child in self.others:
            child.wait_ready(deadline)
        for name in SERVICES:
            child = self.services[name]
            answer: dict[str, Any] = msgspec.json.decode(child.wait_ready(deadline))
            if not answer["provider"].startswith(self.backend.package + "."):
                raise DemoError(f"{name} runs on {answer['provider']}, not on {self.backend.package}\n{child.log_tail()}")
            self.providers[name] = (answer["provider"], answer["cpu_s"])

    def stop(self, deadline: Deadline) -> dict[str, Ended]:
        """Stop the services, callers before those they call, and return how each ended."""
        return {name: self.services[name].stop(deadline) for name in SERVICES}


def service_environment(service: str, receiver_url: str, backend: Backend) -> dict[str, str]:
    """Return the environment in which a service is traced by `backend`: the one place that names it."""
    installed = {entry_point.name for entry_point in entry_points(group="opentelemetry_instrumentor")}
    return {
        **_environment_without_settings(),
        "OTEL_SERVICE_NAME": service,
        "OTEL_PYTHON_DISTRO": backend.distro,
        "OTEL_PYTHON_CONFIGURATOR": backend.configurator,
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver_url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",  # milliseconds: while the demo runs, not only at its end
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(sorted(installed - INSTRUMENTATIONS)),
        "OTEL_PYTHON_EXCLUDED_URLS": "/ready$",
        # requests heeds proxy settings; loopback must not go through one.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def _environment_without_settings() -> dict[str, str]:
    # What is set for the user's own programs (a sampler, an endpoint, a kill switch) is not meant for the demo.
    return {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TRACECORE_"))}


def _send_checkouts(shop: _Shop, options: Options, deadline: Deadline) -> list[Checkout]:
    """Send all checkouts, a few at a time, and return them in order.  DemoError when one is answered unexpectedly."""
    import msgspec

    from tracecore.demo.shop import GOOD_CARD, HANGING_CARD, ITEMS

    dice = random.Random(options.seed)
    faulty = frozenset(dice.sample(range(options.n_checkouts), options.n_faulty))
    # Three items in every cart: equal requests make equal traces, so that a lost span shows.
    carts = [dice.choices(sorted(ITEMS), k=3) for _ in range(options.n_checkouts)]
    gateway = shop.services["gateway"]

    def send(number: int) -> Checkout:
        card = HANGING_CARD if number in faulty else GOOD_CARD
        message = msgspec.json.encode({"user": f"user_{number:05}", "items": carts[number], "card": card})
        started_ns = time.perf_counter_ns()
        timeout_s = deadline.remaining_s(f"sending checkout {number}")
        status, body = http("POST", gateway.port, "/checkout", message, timeout_s=timeout_s)
        took_ns = time.perf_counter_ns() - started_ns
        if status != (502 if number in faulty else 200):
            logs = "\n".join(child.log_tail() for child in shop.services.values())
            raise DemoError(f"checkout {number} was answered {status}: {body[:500]!r}\n{logs}")
        answer = msgspec.json.decode(body)
        return Checkout(number, number in faulty, status, answer["trace_id"], answer["attempts"], took_ns)

    pool = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="checkout")
    try:
        return list(pool.map(send, range(options.n_checkouts)))
    except (OSError, HTTPException) as error:
        raise DemoError(f"the gateway does not answer: {error}\n{gateway.log_tail()}") from error
    finally:
        # Without waiting: after an error or Ctrl-C the services are about to be killed, which ends the requests under way.
        pool.shutdown(wait=False, cancel_futures=True)


def _measure_overhead(shop: _Shop, deadline: Deadline) -> bytes:
    """Measure the cost of a span while the machine is otherwise quiet; return the JSON of an `Overhead`."""
    result = shop.directory / "overhead.json"
    command = [*INSTRUMENTED_PYTHON, "-m", "tracecore.demo.overhead", str(result)]
    environment = service_environment("overhead", shop.receiver.url + "/discard", shop.backend)
    child = shop.children.start("overhead", command, environment, shop.directory)
    ended = child.wait(deadline)
    if ended.exit_code != 0 or not result.exists():
        raise DemoError(f"the overhead measurement ended with {ended.exit_code}\n{child.log_tail()}")
    return result.read_bytes()


def _report(
    options: Options,
    checkouts: Sequence[Checkout],
    collected: Collected,
    providers: Mapping[str, tuple[str, float]],
    ended: Mapping[str, Ended],
    cost: Overhead,
) -> Report:
    from tracecore.demo import report

    traces = assemble(collected.spans)
    problems = judge(traces, checkouts)
    problems += [f"{end.name} ended with exit code {end.exit_code}" for end in ended.values() if end.exit_code != 0]
    faulty_ids = {checkout.trace_id for checkout in checkouts if checkout.faulty}
    return report.Report(
        complete=not problems,
        problems=tuple(problems),
        n_checkouts=options.n_checkouts,
        n_faulty=options.n_faulty,
        median_checkout_ns=round(statistics.median([checkout.took_ns for checkout in checkouts])),
        traces=tuple(
            report.TraceReport(
                trace_id=trace.trace_id,
                duration_ns=trace.root.duration_ns,
                n_spans=len(trace),
                n_errors=sum(row.status == "error" for row in trace.spans),
                services=tuple(sorted(trace.services)),
                faulty=trace.trace_id in faulty_ids,
            )
            for trace in traces
        ),
        slowest=report.slowest_report(traces),
        overhead=report.overhead_report(cost, traces, checkouts),
        services=tuple(
            report.ServiceReport(
                name=name,
                pid=ended[name].pid,
                provider=providers[name][0],
                exit_code=ended[name].exit_code,
                cpu_serving_s=ended[name].cpu_s - providers[name][1],
                n_spans=sum(row.service == name for row in collected.spans),
                median_ns=_median_server_ns(name, collected.spans),
            )
            for name in SERVICES
        ),
        n_spans=sum(len(trace) for trace in traces),
        n_duplicate_spans=sum(trace.duplicates for trace in traces),
        n_export_requests=collected.n_requests,
        n_export_bytes=collected.n_bytes,
        machine=report.machine(),
    )


def _median_server_ns(service: str, spans: Sequence[SpanRow]) -> int:
    times = [row.duration_ns for row in spans if row.service == service and row.kind == "server"]
    return round(statistics.median(times)) if times else 0


@contextmanager
def _directory(keep: bool) -> Iterator[Path]:
    """Yield a directory for logs and databases, removed at the end unless it is to be kept."""
    if keep:
        path = Path(tempfile.mkdtemp(prefix="tracecore-demo-"))
        print(f"output is kept in {path}", file=sys.stderr)
        yield path
    else:
        with tempfile.TemporaryDirectory(prefix="tracecore-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name)


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that it too leaves no process and no file behind."""

    def leave(signum: int, frame: FrameType | None) -> None:
        sys.exit(128 + signum)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number
