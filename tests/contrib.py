"""Run OpenTelemetry's own, unmodified tests on opentelemetry-sdk and on tracecore, and compare what passes.

    python tests/contrib.py flask opentelemetry-propagator-b3     those packages
    python tests/contrib.py                                       those that CI runs
    python tests/contrib.py --all --write docs/upstream-tests.md  every package of contrib_packages.py; writes the report

For each package the source distribution is fetched from PyPI, and the tests in it run in a virtual environment of its
own (contrib_environments.py): on opentelemetry-sdk, and once for each of the package's plugins on tracecore. Those are
contrib_plugin.py, with which the TracerProvider is tracecore's and all else is the SDK's, and sdk_plugin.py, with which
every class of the SDK's tracing is.

Printed are the counts by package, and every test that passes with opentelemetry-sdk but not with tracecore, with its
reason from contrib_differences.py. If there is one without a reason, the whole package runs RERUNS more times on each
side: a test that fails once with the SDK as well is unsteady by itself, one that fails once with tracecore and never
again is listed as unsteady too, and what fails twice is lost.

The exit status is 1 if a test is lost without a reason, and for a package where nothing passes with the SDK or where
tracecore made no span, unless contrib_packages.py or contrib_differences.py say that it is so.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from xml.etree import ElementTree

from contrib_differences import ALLOWED, CANNOT_RUN, UNSTEADY
from contrib_environments import CannotInstallError, interpreter, sdist, tracecore_path
from contrib_packages import CONTRIB_RELEASE, EVERYTHING, PACKAGES, PROVIDER, SDK, Package, named

CHOSEN = (
    # The slowest first: the others run beside it.
    *("opentelemetry-sdk", "opentelemetry-api", "opentelemetry-propagator-b3", "opentelemetry-propagator-jaeger"),
    *("opentelemetry-exporter-otlp-proto-common", "opentelemetry-exporter-otlp-proto-http", "opentelemetry-exporter-zipkin-json"),
    *("flask", "wsgi", "asgi", "fastapi", "starlette", "django", "tornado", "falcon", "pyramid", "aiohttp-server"),
    *("aiohttp-client", "requests", "urllib", "urllib3", "grpc"),
    *("psycopg2", "psycopg", "asyncpg", "sqlalchemy", "sqlite3", "dbapi", "pymysql", "redis", "pymemcache", "pymongo"),
    *("kafka-python", "confluent-kafka", "pika", "aio-pika", "boto3sqs"),
    *("jinja2", "logging", "threading", "asyncio", "click", "opentelemetry-processor-baggage"),
)
"""What CI runs: what is named most and is done in seconds (not celery, httpx and botocore, which take a minute each)."""

TIMEOUT_S = 900
"""For one run of one package's tests. The slowest, opentelemetry-sdk's own, takes a minute or two."""

TEST_TIMEOUT_S = 120
"""For one test, by pytest-timeout."""

END_TIMEOUT_S = 60
"""From the report of its tests to the end of the process: twice what a provider's shutdown waits for a stuck exporter."""

RERUNS = 2
"""Of both sides, where a test is lost without a reason."""

WORKERS = 2
"""Each package's tests wait for their own threads and sockets: two at a time keep two cores busy."""

BY_PLUGIN = {PROVIDER: "tracecore's TracerProvider", EVERYTHING: "all of tracecore.sdk"}


@dataclass
class Outcome:
    """One run of one package's tests."""

    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    n_spans: int = 0
    """That tracecore started."""
    ending: str = ""
    """How the process ended, if not by itself soon after its tests."""
    output: str = ""


@dataclass
class Result:
    """One package's tests on all sides."""

    package: Package
    sdk: Outcome = field(default_factory=Outcome)
    tracecore: dict[str, Outcome] = field(default_factory=dict)
    """By plugin."""
    unsteady: dict[str, str] = field(default_factory=dict)
    """Tests whose outcome changes from run to run, and with what."""
    fault: str = ""
    """Why there was nothing to run."""
    install_s: float = 0.0
    run_s: float = 0.0

    def lost(self, plugin: str) -> list[str]:
        """Tests that pass with opentelemetry-sdk only, and the way the process ends if that is not the SDK's."""
        ours = self.tracecore[plugin]
        endings = {f"the process {ours.ending}"} if ours.ending and not self.sdk.ending else set()
        return sorted((self.sdk.passed - ours.passed | endings) - self.unsteady.keys())

    def reason(self, test: str) -> str | None:
        return ALLOWED.get(f"{self.package.name}::{test}")

    @property
    def unexplained(self) -> list[str]:
        return sorted({test for plugin in self.tracecore for test in self.lost(plugin) if self.reason(test) is None})

    @property
    def needless(self) -> list[str]:
        """Tests that have a reason in the table, but are not lost."""
        lost = {test for plugin in self.tracecore for test in self.lost(plugin)}
        names = [key.partition("::") for key in ALLOWED]
        return [test for name, _, test in names if name == self.package.name and test not in lost]

    @property
    def without_spans(self) -> list[str]:
        """Plugins with which tracecore made no span, where it should have."""
        if not self.package.makes_spans:
            return []
        return [plugin for plugin, outcome in self.tracecore.items() if not outcome.n_spans]

    @property
    def is_good(self) -> bool:
        if not self.sdk.passed:
            return self.package.name in CANNOT_RUN
        return not self.unexplained and not self.without_spans

    @property
    def trouble(self) -> str:
        """Why nothing passes on opentelemetry-sdk: the table's reason, and what was seen."""
        seen = (self.fault or self.sdk.output).splitlines() or ["no output"]
        errors = [line for line in seen if line.startswith("E  ")] or [line for line in seen if "error" in line.lower()] or seen
        last = " ".join(errors[-1].removeprefix("E  ").split())
        return f"{CANNOT_RUN.get(self.package.name, 'NOTHING PASSES ON OPENTELEMETRY-SDK')} ({last[:200]})"

    def __str__(self) -> str:
        head = f"{self.package.name} {self.package.version}: "
        if not self.sdk.passed:
            return head + self.trouble
        n = len(self.sdk.passed) + len(self.sdk.failed)
        lines = [f"{head}of {n} tests {len(self.sdk.passed)} pass on opentelemetry-sdk"]
        for plugin, outcome in self.tracecore.items():
            lines[0] += f", {len(outcome.passed)} on {BY_PLUGIN[plugin]} ({outcome.n_spans} spans)"
        lines[0] += f"; {self.install_s:.0f} s to install, {self.run_s:.0f} s to run"
        for plugin in self.tracecore:
            for test in self.lost(plugin):
                lines.append(f"    {test}: {self.reason(test) or 'FAILS'} (on {BY_PLUGIN[plugin]})")
        lines += [f"    {test}: unsteady, {what}" for test, what in sorted(self.unsteady.items())]
        lines += [f"    {test}: passes, its reason is not needed any more" for test in self.needless]
        for plugin in self.without_spans:
            lines.append(f"    NO SPAN was made by {BY_PLUGIN[plugin]}: the tests have their TracerProvider from elsewhere")
        return "\n".join(lines)


_listening = Lock()
"""Held while a package runs whose tests listen on fixed ports."""


def check(package: Package, ours: Path) -> Result:
    """Fetch, install and run one package; `ours` is the directory that tracecore_path() filled."""
    result = Result(package)
    started = time.monotonic()
    try:
        archive, python = sdist(package), interpreter(package)
    except CannotInstallError as error:
        result.fault = str(error)
        return result
    result.install_s = time.monotonic() - started
    if package.alone:
        with _listening:
            run(result, archive, python, ours)
    else:
        run(result, archive, python, ours)
    return result


def run(result: Result, archive: Path, python: Path, ours: Path) -> Result:
    """Run one package's tests on all sides, and again where one is lost."""
    package = result.package
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        with tarfile.open(archive) as tar:
            tar.extractall(directory, filter="data")
        (source,) = Path(directory).iterdir()

        def once(plugin: str | None) -> Outcome:
            return _tests(source, package, python, ours, plugin)

        result.sdk = once(None)
        if result.sdk.passed:
            result.tracecore = {plugin: once(plugin) for plugin in package.plugins}
            for test in result.unexplained:
                if (why := UNSTEADY.get(f"{package.name}::{test}")) is not None:
                    result.unsteady[test] = why
            if result.unexplained:
                _again(result, once)
    result.run_s = time.monotonic() - started
    return result


def _again(result: Result, once: Callable[[str | None], Outcome]) -> None:
    """Tell what is unsteady from what is lost."""
    unexplained = set(result.unexplained)
    suspects = {plugin: unexplained.intersection(result.lost(plugin)) for plugin in result.tracecore}
    failures: Counter[tuple[str | None, str]] = Counter()
    for plugin, tests in suspects.items():
        failures.update((plugin, test) for test in tests)
    sides = [None, *(plugin for plugin, tests in suspects.items() if tests)]
    for _ in range(RERUNS):
        for side in sides:
            outcome = once(side)
            tests = set[str]().union(*suspects.values()) if side is None else suspects[side]
            failures.update((side, test) for test in tests - outcome.passed if not test.startswith("the process"))
            if outcome.ending:
                failures[side, f"the process {outcome.ending}"] += 1
    for plugin, tests in suspects.items():
        for test in tests:
            on_sdk, on_ours = failures[None, test], failures[plugin, test]
            if on_sdk:
                result.unsteady[test] = f"fails {on_sdk} times of {RERUNS + 1} on opentelemetry-sdk, {on_ours} on tracecore"
            elif on_ours == 1:
                result.unsteady.setdefault(test, f"failed once of {RERUNS + 1} times on {BY_PLUGIN[plugin]}")
    for plugin, tests in suspects.items():
        # Steady on one of the sides of tracecore is not enough.
        for test in tests:
            if not failures[None, test] and failures[plugin, test] > 1:
                result.unsteady.pop(test, None)


def _tests(source: Path, package: Package, python: Path, ours: Path, plugin: str | None) -> Outcome:
    """Run the tests once; without a plugin it is opentelemetry-sdk that they run on."""
    with tempfile.TemporaryDirectory() as results:
        report, spans = Path(results) / "report.xml", Path(results) / "spans"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TRACECORE_", "PYTHON", "PYTEST"))
        }
        environment["TRACECORE_CONTRIB_STARTED"] = str(spans)
        environment["PATH"] = os.pathsep.join([str(python.parent), environment.get("PATH", os.defpath)])
        command = [str(python), "-m", "pytest", "tests", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={source}"]
        command += [f"--junit-xml={report}", "-o", "junit_family=xunit1", "-q", "--tb=short", f"--timeout={TEST_TIMEOUT_S}"]
        command.append("--continue-on-collection-errors")
        command += package.options
        if plugin is not None:
            environment["PYTHONPATH"] = str(ours)
            command += ["-p", plugin]
        outcome = Outcome()
        outcome.output, outcome.ending = _output(command, source, environment, report)
        if report.exists():
            _read(report, outcome)
        if spans.exists():
            outcome.n_spans = int(spans.read_text())
    return outcome


def _output(command: list[str], directory: Path, environment: dict[str, str], report: Path) -> tuple[str, str]:
    """Run it; return what it printed and how it ended, if not well. What it started goes with it."""
    ending = ""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        late, reported = time.monotonic() + TIMEOUT_S, False
        try:
            while process.poll() is None and time.monotonic() < late:
                if not reported and report.exists() and report.stat().st_size:
                    late, reported = time.monotonic() + END_TIMEOUT_S, True
                time.sleep(0.02)
            if process.returncode is None:
                ending = f"does not end in {END_TIMEOUT_S} s after its tests" if reported else f"is not done after {TIMEOUT_S} s"
            elif process.returncode < 0:
                ending = f"is killed by {signal.Signals(-process.returncode).name}"
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        output.seek(0)
        return output.read() + (f"\nERROR: the process {ending}\n" if ending else ""), ending


def _read(report: Path, outcome: Outcome) -> None:
    """A name that stands in the report more than once, a test and its teardown say, passes if all of them do."""
    skipped: set[str] = set()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        tags = {child.tag for child in case}
        kind = outcome.failed if tags & {"failure", "error"} else skipped if "skipped" in tags else outcome.passed
        kind.add(name)
    outcome.passed -= outcome.failed | skipped


@contextmanager
def checking(packages: Iterable[Package], workers: int = WORKERS) -> Iterator[list[Future[Result]]]:
    """Check the packages, some at a time; the results come in the order of the packages."""
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(workers) as pool:
        ours = tracecore_path(Path(directory) / "site")
        futures = [pool.submit(check, package, ours) for package in packages]
        try:
            yield futures
        finally:
            pool.shutdown(cancel_futures=True)


def report(results: Sequence[Result], seconds: float) -> str:
    """Return the page that --write writes."""
    sides = (PROVIDER, EVERYTHING)
    lines = [
        "# OpenTelemetry's own tests on tracecore",
        "",
        "Written by `python tests/contrib.py --all --write docs/upstream-tests.md`, not by hand: the unmodified tests of each",
        f"source distribution on PyPI, on opentelemetry-sdk {SDK} and on tracecore {version('tracecore-native')}, with CPython",
        f"{platform.python_version()}, on {time.strftime('%Y-%m-%d', time.gmtime())}, in {seconds / 60:.0f} minutes.",
        "",
        "Counted are tests that pass. *Provider*: the TracerProvider is tracecore's, processors, exporters and samplers are the",
        "SDK's. *Everything*: every class of the SDK's tracing is tracecore's (the only way for packages that test or derive from",
        "those classes). A dash: not run so. Tests that the SDK fails here too lack a server, the network, or an older version of",
        "what they test. Spans are those that tracecore started.",
        "",
        "In *everything* the plugin, tests/sdk_plugin.py, also gives the modules a few constants with an underscore that the",
        "tests import, and undoes two of the [differences](differences.md) that would hide others: `log-rate`, `resource-sdk-name`.",
        "",
        "| package | version | tests | opentelemetry-sdk | provider | everything | spans | seconds |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    totals: Counter[str] = Counter()
    for result in results:
        if not result.sdk.passed:
            continue
        counts = []
        for side in sides:
            outcome = result.tracecore.get(side)
            counts.append("–" if outcome is None else str(len(outcome.passed)))
        n = len(result.sdk.passed) + len(result.sdk.failed)
        n_spans = sum(outcome.n_spans for outcome in result.tracecore.values())
        totals.update(tests=n, sdk=len(result.sdk.passed), spans=n_spans)
        lines.append(
            f"| {result.package.name} | {result.package.version} | {n} | {len(result.sdk.passed)} | {counts[0]} | {counts[1]} "
            f"| {n_spans} | {result.run_s:.0f} |"
        )
    lines.append(f"| all | | {totals['tests']} | {totals['sdk']} | | | {totals['spans']} | |")
    lines += ["", "## Tests that pass on opentelemetry-sdk only", ""]
    for result in results:
        for test in sorted({test for plugin in result.tracecore for test in result.lost(plugin)}):
            where = [plugin for plugin in result.tracecore if test in result.lost(plugin)]
            side = "" if len(where) == len(result.tracecore) else f" ({'provider' if where == [PROVIDER] else 'everything'} only)"
            lines.append(f"- {result.package.name} `{test}`{side}: {result.reason(test) or '**no reason known**'}")
    unsteady = [(result.package.name, test, what) for result in results for test, what in sorted(result.unsteady.items())]
    lines += ["", "## Tests whose outcome changes from run to run", ""]
    lines += [f"- {name} `{test}`: {what}" for name, test, what in unsteady] or ["None was seen in this run."]
    lines += ["", "## Packages of which nothing can run here", ""]
    lines += [
        f"- {result.package.name} {result.package.version}: {result.trouble}" for result in results if not result.sdk.passed
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="OpenTelemetry's own tests on opentelemetry-sdk and on tracecore")
    parser.add_argument("packages", nargs="*", help=f"names on PyPI, or what stands after {'opentelemetry-instrumentation-'!r}")
    parser.add_argument("--all", action="store_true", help="every package")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--workers", type=int, default=WORKERS, help="packages at a time")
    given = parser.parse_args(arguments)
    try:
        packages = list(PACKAGES.values()) if given.all else [named(name) for name in given.packages or CHOSEN]
    except KeyError as error:
        parser.error(f"no such package: {error.args[0]} (of opentelemetry-python-contrib {CONTRIB_RELEASE} and its like)")
    started = time.monotonic()
    results = []
    with checking(packages, given.workers) as futures:
        for future in futures:
            result = future.result()
            results.append(result)
            print(result, flush=True)
            if not result.is_good:
                for outcome in (result.sdk, *result.tracecore.values()):
                    print(outcome.output[-20_000:], flush=True)
                print(result.fault, flush=True)
    if given.write:
        given.write.write_text(report(results, time.monotonic() - started))
    return 0 if all(result.is_good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
