"""Run the unmodified tests of opentelemetry-instrumentation-* packages on opentelemetry-sdk and on tracecore.

    python tests/contrib.py [PACKAGE ...]     python tests/contrib.py flask opentelemetry-instrumentation-wsgi

For each package, the source distribution of the version that is installed is fetched with pip (once: it is kept in
TRACECORE_SDIST_CACHE, by default ~/.cache/tracecore-sdists), and the tests in it run twice, in processes of their own:
as they are, and with contrib_plugin.py. Printed are both counts, and every test that passes with opentelemetry-sdk
but not with tracecore. The exit status is 1 if one of those is not in ALLOWED, if nothing passes at all, or if
tracecore made no span.

With hatchling installed fetching takes a second; without it pip makes an environment to build metadata in.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

PREFIX = "opentelemetry-instrumentation-"

DEFAULT = ("flask", "requests", "wsgi", "sqlite3", "threading", "asyncio")

ALLOWED: dict[str, str] = {}
"""Tests that may fail with tracecore: "package::class::test" -> the reason, an entry of docs/differences.md."""

TESTS_DIRECTORY = Path(__file__).resolve().parent

TIMEOUT_S = 300
"""For one run of one package's tests; the slowest takes a few seconds."""


@dataclass
class Result:
    """One package's tests on both sides."""

    package: str
    sdk_passed: set[str]
    tracecore_passed: set[str]
    n_tests: int
    n_spans: int
    output: str

    @property
    def lost(self) -> list[str]:
        """Tests that pass with opentelemetry-sdk only."""
        return sorted(self.sdk_passed - self.tracecore_passed)

    @property
    def unexplained(self) -> list[str]:
        return [test for test in self.lost if f"{self.package}::{test}" not in ALLOWED]

    @property
    def is_good(self) -> bool:
        return bool(self.sdk_passed) and self.n_spans > 0 and not self.unexplained

    def __str__(self) -> str:
        lines = [
            f"{self.package}: of {self.n_tests} tests {len(self.sdk_passed)} pass on opentelemetry-sdk, "
            f"{len(self.tracecore_passed)} on tracecore ({self.n_spans} spans)"
        ]
        for test in self.lost:
            lines.append(f"    {test}: {ALLOWED.get(f'{self.package}::{test}', 'FAILS ON TRACECORE')}")
        if self.sdk_passed and not self.n_spans:
            lines.append("    tracecore made no span: the tests have their TracerProvider from elsewhere")
        if not self.sdk_passed:
            lines.append("    nothing passes on opentelemetry-sdk: a package that the tests import may be missing")
        return "\n".join(lines)


def cache() -> Path:
    given = os.environ.get("TRACECORE_SDIST_CACHE")
    path = Path(given) if given else Path.home() / ".cache" / "tracecore-sdists"
    path.mkdir(parents=True, exist_ok=True)
    return path


def full_name(package: str) -> str:
    return package if package.startswith(PREFIX) else PREFIX + package


def fetch(packages: Iterable[str]) -> dict[str, Path]:
    """Return where each package's source distribution is, fetching those that are not in the cache.

    Raises: importlib.metadata.PackageNotFoundError, subprocess.CalledProcessError.
    """
    paths: dict[str, Path] = {}
    missing: list[str] = []
    for package in packages:
        name, installed = full_name(package), version(full_name(package))
        paths[package] = cache() / f"{name.replace('-', '_')}-{installed}.tar.gz"
        if not paths[package].exists():
            missing.append(f"{name}=={installed}")
    if missing:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-binary", ":all:", "--dest", str(cache())]
        if importlib.util.find_spec("hatchling") is not None:
            command.append("--no-build-isolation")  # what these packages are built with is here already
        subprocess.run([*command, *missing], check=True)
    return paths


def run(package: str, sdist: Path) -> Result:
    """Run one package's tests on both sides."""
    with tempfile.TemporaryDirectory() as directory:
        with tarfile.open(sdist) as archive:
            archive.extractall(directory, filter="data")
        (source,) = Path(directory).iterdir()
        theirs, n_theirs, _ = _tests(source, Path(directory) / "sdk", ())
        ours, _, output = _tests(source, Path(directory) / "tracecore", ("-p", "contrib_plugin"))
        started = Path(directory) / "tracecore.started"
        n_spans = int(started.read_text()) if started.exists() else 0
    return Result(full_name(package).removeprefix(PREFIX), theirs, ours, n_theirs, n_spans, output)


def _tests(source: Path, results: Path, options: tuple[str, ...]) -> tuple[set[str], int, str]:
    """Return which tests passed, how many there are, and pytest's output."""
    report = results.with_suffix(".xml")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS_DIRECTORY), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "TRACECORE_CONTRIB_STARTED": str(results.with_suffix(".started")),
    }
    command = [sys.executable, "-m", "pytest", "tests", *options, "-p", "no:cacheprovider", "-c", os.devnull]
    command += [f"--rootdir={source}", f"--junit-xml={report}", "-q", "--tb=short", "-o", "junit_family=xunit1"]
    done = subprocess.run(
        command,
        cwd=source,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )
    if not report.exists():
        return set(), 0, done.stdout
    passed: set[str] = set()
    n = 0
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        n += 1
        if all(outcome.tag not in ("failure", "error", "skipped") for outcome in case):
            passed.add(f"{case.get('classname')}::{case.get('name')}")
    return passed, n, done.stdout


def main(arguments: list[str]) -> int:
    packages = arguments or list(DEFAULT)
    paths = fetch(packages)
    # Each package's tests wait for their own threads and sockets: two at a time keep two cores busy.
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda package: run(package, paths[package]), packages))
    for result in results:
        print(result)
        if not result.is_good:
            print(result.output)
    return 0 if all(result.is_good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
