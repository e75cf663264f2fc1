"""Build and test on every other CPython of 3.10-3.13 that this machine has, each in a virtual environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")
HERE = "{}.{}".format(*sys.version_info)

# What depends on the interpreter. The rest (C units, the demo's own logic, contrib's suites) is tested once.
TESTS = [
    "tests/test_accounting.py",
    "tests/test_context.py",
    "tests/test_differential.py",
    "tests/test_foreign_code.py",
    "tests/test_init.py",
    "tests/test_leaks.py",
    "tests/test_pipeline.py",
    "tests/test_processes.py",
    "tests/test_sdk_classes.py",
    "tests/test_several_exporters.py",
    "tests/test_stages.py",
    "tests/exporters/test_otlp_grpc.py",
    "tests/exporters/test_otlp_http.py",
    "tests/exporters/test_rotating_file.py",
    "tests/processors",
]


def interpreter(version: str) -> Path | None:
    """CPython of that version, from pyenv or from PATH; not one without its headers."""
    candidates = []
    if (pyenv := shutil.which("pyenv")) is not None:
        root = Path(subprocess.run([pyenv, "root"], capture_output=True, text=True, check=True).stdout.strip())
        names = [path.name for path in root.glob(f"versions/{version}.*") if re.fullmatch(r"[\d.]+", path.name)]
        names.sort(key=lambda name: [int(part) for part in name.split(".")], reverse=True)
        candidates += [root / "versions" / name / "bin" / "python" for name in names]
    if (found := shutil.which(f"python{version}")) is not None:
        candidates.append(Path(found))
    for candidate in candidates:
        has_headers = subprocess.run(
            [candidate, "-c", "import os,sys,sysconfig as s,venv,ensurepip;"
             "sys.exit(not os.path.exists(os.path.join(s.get_path('include'),'Python.h')))"],
            capture_output=True,
        )
        if has_headers.returncode == 0:
            return candidate
    return None


@pytest.mark.parametrize("version", [version for version in SUPPORTED if version != HERE])
def test_builds_and_passes_on(version: str, tmp_path: Path) -> None:
    if os.environ.get("TRACECORE_TESTED_FROM_OUTSIDE"):
        pytest.skip("this is the inner run")
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no CPython {version} with headers on this machine")
    tree = tmp_path / "tree"
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".git", "build", "*.so", "*.egg-info", "__pycache__", ".*_cache", "venv*", ".venv")
    )
    venv = tmp_path / "venv"
    run(tmp_path, python, "-m", "venv", venv)
    inside = venv / "bin" / "python"
    run(tree, inside, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-e", ".[demo,test]")
    run(tree, inside, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS)


def run(cwd: Path, *command: object) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        env={**os.environ, "TRACECORE_TESTED_FROM_OUTSIDE": "1"},
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}"
