"""Where the tests of contrib.py come from and where they run: source distributions, virtual environments, tracecore.

Each package has a virtual environment of its own, made once and kept: TRACECORE_VENV_CACHE, by default
~/.cache/tracecore-venvs. Source distributions are kept in TRACECORE_SDIST_CACHE, by default ~/.cache/tracecore-sdists.
With uv (a package on PyPI) an environment takes a second once its wheels have been seen; without it, pip is used.

No environment has tracecore installed. What this interpreter imports as tracecore is linked into a directory, with its
metadata and what it requires, and that directory is on PYTHONPATH in the runs on tracecore only: opentelemetry-sdk's
runs see nothing of it, and no environment holds a tracecore of yesterday.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from contrib_packages import Package

TESTS_DIRECTORY = Path(__file__).resolve().parent

INSTALL_TIMEOUT_S = 900


class CannotInstallError(Exception):
    """Its text is what the installer said."""


def _cache(variable: str, default: str) -> Path:
    given = os.environ.get(variable)
    path = Path(given) if given else Path.home() / ".cache" / default
    path.mkdir(parents=True, exist_ok=True)
    return path


def _run(command: list[str]) -> None:
    """Raises: CannotInstallError."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotInstallError(f"not done after {INSTALL_TIMEOUT_S} s: {' '.join(command)}") from None
    if done.returncode:
        raise CannotInstallError(done.stdout.strip())


def sdist(package: Package) -> Path:
    """Return where the package's source distribution is, after fetching it if it is not in the cache.

    With hatchling installed fetching takes a second; without it pip makes an environment to build metadata in.

    Raises: CannotInstallError.
    """
    directory = _cache("TRACECORE_SDIST_CACHE", "tracecore-sdists")
    path = directory / f"{package.name.replace('-', '_')}-{package.version}.tar.gz"
    if path.exists():
        return path
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(directory), f"{package.name}=={package.version}"]
    if importlib.util.find_spec("hatchling") is not None:
        try:
            _run([*command, "--no-build-isolation"])  # what these packages are built with is here already
        except CannotInstallError:
            pass  # not what this one is built with
    if not path.exists():
        _run(command)
    return path


def _uv() -> str | None:
    if importlib.util.find_spec("uv") is not None:
        from uv import find_uv_bin

        return str(find_uv_bin())
    return shutil.which("uv")


def interpreter(package: Package) -> Path:
    """Return the Python of the package's environment, after making it if it is not there.

    Raises: CannotInstallError.
    """
    wanted = json.dumps([sys.version, sys.base_prefix, *package.all_requirements])
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    directory = _cache("TRACECORE_VENV_CACHE", "tracecore-venvs") / f"{package.name}-{package.version}-{digest}"
    python = directory / "bin" / "python"
    complete = directory / "complete"
    if complete.exists():
        return python
    shutil.rmtree(directory, ignore_errors=True)
    if (uv := _uv()) is not None:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(directory)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *package.all_requirements])
    else:
        _run([sys.executable, "-m", "venv", str(directory)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *package.all_requirements])
    complete.touch()
    return python


def tracecore_path(directory: Path) -> Path:
    """Fill the directory with links to tracecore, what it requires, and the pytest plugins; return it."""
    directory.mkdir()
    for plugin in TESTS_DIRECTORY.glob("*_plugin.py"):
        (directory / plugin.name).symlink_to(plugin)
    found = distribution("tracecore-native")
    spec = importlib.util.find_spec("tracecore")
    assert spec is not None and spec.submodule_search_locations
    # Where it is installed as editable its files are not beside its metadata.
    (directory / "tracecore").symlink_to(Path(next(iter(spec.submodule_search_locations))).resolve())
    _link(directory, found, only_metadata=True)
    for requirement in found.requires or ():
        name = re.match(r"[\w.-]+", requirement)
        # The API is each environment's own.
        if "extra ==" not in requirement and name and not name[0].startswith("opentelemetry"):
            _link(directory, distribution(name[0]))
    return directory


def _link(directory: Path, found: Distribution, *, only_metadata: bool = False) -> None:
    for top in _tops(file.parts[0] for file in found.files or ()):
        if not only_metadata or top.endswith((".dist-info", ".egg-info")):
            (directory / top).symlink_to(Path(str(found.locate_file(top))))


def _tops(parts: Iterable[str]) -> list[str]:
    return sorted({part for part in parts if part not in ("..", "__pycache__")})
