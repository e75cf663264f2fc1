"""The tests of OpenTelemetry's own instrumentation packages, unmodified, on tracecore: see contrib.py."""

from __future__ import annotations

import importlib.util
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import contrib
import pytest


@pytest.mark.parametrize("package", contrib.DEFAULT)
def test_what_passes_on_opentelemetry_sdk_passes_on_tracecore(package: str) -> None:
    if importlib.util.find_spec("opentelemetry.test") is None:
        pytest.skip("needs opentelemetry-test-utils")
    try:
        sdist = contrib.fetch([package])[package]
    except PackageNotFoundError as error:
        pytest.skip(f"needs {error.name}")
    except subprocess.CalledProcessError:
        pytest.skip("pip cannot fetch the source distribution here")
    result = contrib.run(package, sdist)
    assert result.is_good, f"{result}\n{result.output}"
    assert len(result.tracecore_passed) >= 5


def test_a_test_that_only_the_sdk_passes_is_found(tmp_path: Path) -> None:
    import tarfile

    tests = tmp_path / "package-1" / "tests"
    tests.mkdir(parents=True)
    (tests / "test_it.py").write_text(
        """
from opentelemetry.test.test_base import TestBase


class TestIt(TestBase):
    def test_both(self):
        self.tracer_provider.get_tracer("x").start_span("y").end()
        self.assertEqual(self.get_finished_spans()[0].name, "y")

    def test_sdk_only(self):
        self.assertTrue(type(self.tracer_provider).__module__.startswith("opentelemetry.sdk"))
"""
    )
    with tarfile.open(tmp_path / "package-1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "package-1", "package-1")
    result = contrib.run("package", tmp_path / "package-1.tar.gz")
    assert (len(result.sdk_passed), len(result.tracecore_passed), result.n_spans) == (2, 1, 1)
    assert [name.rpartition("::")[2] for name in result.unexplained] == ["test_sdk_only"]
    assert not result.is_good
