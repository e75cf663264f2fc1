"""OpenTelemetry's own tests, unmodified, on tracecore: see contrib.py. And contrib.py itself, on tests made for it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import contrib
import contrib_differences
import pytest
from contrib_environments import CannotInstallError, interpreter, tracecore_path
from contrib_packages import EVERYTHING, INSTRUMENTATION, PACKAGES, PROVIDER, Package, named

pytest.importorskip("opentelemetry.test.test_base")

CHOSEN = [named(name).name for name in contrib.CHOSEN]


@pytest.fixture(scope="module")
def checked(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[contrib.Result]]]:
    """The packages that were selected, two at a time: what the first tests wait for, the last ones find done."""
    names = [item.callspec.params["package"] for item in request.session.items if "checked" in getattr(item, "fixturenames", ())]
    with contrib.checking([named(name) for name in names]) as futures:
        yield dict(zip(names, futures))


@pytest.mark.parametrize(
    "package", [pytest.param(name, marks=() if name in CHOSEN else pytest.mark.upstream) for name in PACKAGES]
)
def test_what_passes_on_opentelemetry_sdk_passes_on_tracecore(package: str, checked: dict[str, Future[contrib.Result]]) -> None:
    result = checked[package].result()
    print(result)
    if result.fault and "CI" not in os.environ and package not in contrib_differences.CANNOT_RUN:
        pytest.skip(f"cannot be fetched and installed here: {result.trouble}")
    outputs = [result.sdk.output, *(outcome.output for outcome in result.tracecore.values())]
    assert result.is_good, "\n".join([str(result), *outputs])


def test_the_list_has_every_instrumentation_that_the_release_knows() -> None:
    bootstrap = pytest.importorskip("opentelemetry.instrumentation.bootstrap_gen")
    known = {library["instrumentation"] for library in bootstrap.libraries} | set(bootstrap.default_instrumentations)
    ours = {f"{package.name}=={package.version}" for package in PACKAGES.values()}
    missing = {wanted for wanted in known if "==" in wanted} - ours
    assert not missing


def test_every_reason_belongs_to_a_package_of_the_list() -> None:
    for key, reason in (*contrib_differences.ALLOWED.items(), *contrib_differences.UNSTEADY.items()):
        package, _, test = key.partition("::")
        assert package in PACKAGES and "::" in test and reason, key
    assert set(contrib_differences.CANNOT_RUN) <= set(PACKAGES)


def test_the_runs_on_opentelemetry_sdk_see_no_tracecore(tmp_path: Path) -> None:
    try:
        python = interpreter(named("threading"))
    except CannotInstallError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"cannot be installed here: {error}")
    ours = tracecore_path(tmp_path / "site")
    ask = [str(python), "-c", "import tracecore, sys; print(sys.prefix, tracecore.__file__)"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    without = subprocess.run(ask, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "No module named 'tracecore'" in without.stderr
    environment["PYTHONPATH"] = str(ours)
    seen = subprocess.run(ask, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    prefix, file = seen.stdout.split()
    assert prefix != sys.prefix
    assert Path(file).resolve().is_relative_to(Path(contrib.__file__).resolve().parent.parent)


HEAD = """
import atexit, os, signal, sys, time
from pathlib import Path
from opentelemetry.test.test_base import TestBase

ON_TRACECORE = "tracecore" in sys.modules


def nth_run():
    counter = Path(__file__).with_suffix(".count")
    runs = counter.read_text() if counter.exists() else ""
    counter.write_text(runs + "x")
    return len(runs) + 1


class TestIt(TestBase):
    def test_both(self):
        self.tracer_provider.get_tracer("x").start_span("y").end()
        self.assertEqual(self.get_finished_spans()[0].name, "y")
"""


def of(tmp_path: Path, text: str, **arguments: object) -> contrib.Result:
    """Check a package whose tests are HEAD and this."""
    tests = tmp_path / "package-1" / "tests"
    tests.mkdir(parents=True)
    (tests / "test_it.py").write_text(HEAD + text)
    archive = tmp_path / "package-1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "package-1", "package-1")
    package = Package("package", "1", **{"plugins": (PROVIDER,), **arguments})  # type: ignore[arg-type]
    return contrib.run(contrib.Result(package), archive, Path(sys.executable), tracecore_path(tmp_path / "site"))


def names(tests: list[str]) -> list[str]:
    return [test.rpartition("::")[2] for test in tests]


def test_a_test_that_only_the_sdk_passes_is_found(tmp_path: Path) -> None:
    result = of(
        tmp_path,
        """
    def test_sdk_only(self):
        self.assertTrue(type(self.tracer_provider).__module__.startswith("opentelemetry.sdk"))
""",
    )
    assert (len(result.sdk.passed), len(result.tracecore[PROVIDER].passed), result.tracecore[PROVIDER].n_spans) == (2, 1, 1)
    assert names(result.unexplained) == ["test_sdk_only"]
    assert not result.is_good and not result.unsteady
    assert "test_sdk_only: FAILS" in str(result)


def test_a_reason_in_the_table_explains_a_test_that_only_the_sdk_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(contrib.ALLOWED, "package::tests.test_it.TestIt::test_sdk_only", "because")
    monkeypatch.setitem(contrib.ALLOWED, "package::tests.test_it.TestIt::test_both", "of old")
    result = of(tmp_path, "    def test_sdk_only(self):\n        self.assertFalse(ON_TRACECORE)\n")
    assert result.is_good and names(result.lost(PROVIDER)) == ["test_sdk_only"]
    assert "test_sdk_only: because" in str(result)
    assert names(result.needless) == ["test_both"]


def test_with_every_class_replaced_the_tests_see_nothing_of_the_sdks_tracing(tmp_path: Path) -> None:
    result = of(
        tmp_path,
        """
    def test_whose_exporter_it_is(self):
        self.assertTrue(type(self.memory_exporter).__module__.startswith("tracecore" if ON_TRACECORE else "opentelemetry.sdk"))
""",
        plugins=(EVERYTHING,),
    )
    assert result.is_good and len(result.tracecore[EVERYTHING].passed) == 2


def test_a_test_that_fails_on_the_sdk_too_when_run_again_is_unsteady(tmp_path: Path) -> None:
    result = of(tmp_path, "    def test_once(self):\n        self.assertEqual(nth_run(), 1)\n")
    assert result.is_good and names(list(result.unsteady)) == ["test_once"]


def test_a_test_that_is_known_to_be_unsteady_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(contrib.UNSTEADY, "package::tests.test_it.TestIt::test_clocks", "reads two clocks")
    result = of(tmp_path, "    def test_clocks(self):\n        self.assertFalse(ON_TRACECORE)\n")
    assert result.is_good and "test_clocks: unsteady, reads two clocks" in str(result)


def test_a_test_that_fails_once_on_tracecore_is_listed_as_unsteady(tmp_path: Path) -> None:
    result = of(tmp_path, "    def test_not_the_second_time(self):\n        self.assertNotEqual(nth_run(), 2)\n")
    assert result.is_good and names(list(result.unsteady)) == ["test_not_the_second_time"]


def test_a_test_that_fails_twice_on_tracecore_is_lost(tmp_path: Path) -> None:
    result = of(tmp_path, "    def test_often(self):\n        self.assertFalse(ON_TRACECORE and nth_run() != 2)\n")
    assert names(result.unexplained) == ["test_often"]


def test_a_process_that_tracecore_alone_kills_is_found(tmp_path: Path) -> None:
    result = of(tmp_path, "\nif ON_TRACECORE:\n    atexit.register(os.kill, os.getpid(), signal.SIGSEGV)\n")
    assert result.unexplained == ["the process is killed by SIGSEGV"]


def test_a_process_that_does_not_end_on_tracecore_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrib, "END_TIMEOUT_S", 5)
    result = of(tmp_path, "\nif ON_TRACECORE:\n    atexit.register(time.sleep, 60)\n")
    assert result.unexplained == ["the process does not end in 5 s after its tests"]
    assert len(result.tracecore[PROVIDER].passed) == 1


def test_a_package_whose_tests_make_no_span_is_not_good_unless_it_is_known(tmp_path: Path) -> None:
    silent = "\n\nclass TestIt:\n    def test_nothing(self):\n        pass\n"
    result = of(tmp_path, silent)
    assert result.sdk.passed and not result.is_good and "NO SPAN" in str(result)
    result.package = Package("package", "1", makes_spans=False)
    assert result.is_good


def test_a_package_where_nothing_passes_is_not_good_unless_it_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = of(tmp_path, "\nimport a_client_that_is_not_installed\n")
    assert not result.is_good
    assert "No module named 'a_client_that_is_not_installed'" in str(result)
    monkeypatch.setitem(contrib.CANNOT_RUN, "package", "needs the client")
    assert result.is_good and "needs the client (" in str(result)


def test_the_report_has_every_package_and_every_difference(tmp_path: Path) -> None:
    result = of(tmp_path, "    def test_sdk_only(self):\n        self.assertFalse(ON_TRACECORE)\n")
    broken = contrib.Result(Package("broken", "2"), fault="error: no such thing")
    page = contrib.report([result, broken], 60.0)
    assert "| package | 1 | 2 | 2 | 1 | – | 1 |" in page
    assert "- package `tests.test_it.TestIt::test_sdk_only`: **no reason known**" in page
    assert "- broken 2: NOTHING PASSES ON OPENTELEMETRY-SDK (error: no such thing)" in page
    assert INSTRUMENTATION not in page
