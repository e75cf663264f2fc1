"""The package is typed: mypy --strict finds nothing, and every native module has its stub."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_mypy_strict_finds_nothing() -> None:
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_native_module_has_a_stub_and_the_package_says_it_is_typed() -> None:
    missing = [path.name for path in (ROOT / "tracecore" / "_core").glob("*.pyx") if not path.with_suffix(".pyi").exists()]
    assert missing == []
    assert (ROOT / "tracecore" / "py.typed").exists()
