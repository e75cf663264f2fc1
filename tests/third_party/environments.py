"""Virtual environments with other people's packages: one for each set, made once and kept.

    TRACECORE_VENV_CACHE      where they are kept; default ~/.cache/tracecore-venvs

These packages pin versions of each other that need not be those of our own tests, so each set is by itself. tracecore
comes in by PYTHONPATH: the interpreter is the same, and so its extension modules fit. An environment's name holds a hash of
what is in it; one that could not be finished is taken away.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

__all__ = ["SETS", "Unavailable", "python_with"]

SETS: dict[str, tuple[str, ...]] = {
    # seconds to install with a warm network, and megabytes: what a new cache costs CI
    "exporters": (  # 12 s, 60 MB
        "opentelemetry-sdk==1.45.1",
        "opentelemetry-exporter-otlp-proto-http==1.45.1",
        "opentelemetry-exporter-richconsole==0.66b1",
        "opentelemetry-processor-baggage==0.66b1",
    ),
    # Apart, as they want different versions of protobuf.
    "grpc": ("opentelemetry-exporter-otlp-proto-grpc==1.45.1", "opentelemetry-sdk==1.45.1"),  # 10 s, 75 MB
    "zipkin": (  # 8 s, 60 MB
        "opentelemetry-exporter-zipkin-json==1.45.1",
        "opentelemetry-exporter-zipkin-proto-http==1.45.1",
        "opentelemetry-sdk==1.45.1",
    ),
    "gcp": ("opentelemetry-exporter-gcp-trace==1.15.0", "opentelemetry-sdk==1.45.1"),  # 12 s, 110 MB
    "azure": ("azure-monitor-opentelemetry==1.8.11",),  # 14 s, 70 MB
    "logfire": ("logfire==5.4.0", "opentelemetry-sdk==1.45.1", "pytest"),  # 10 s, 65 MB
    "phoenix": ("arize-phoenix-otel==0.17.2", "opentelemetry-sdk==1.45.1"),  # 8 s, 60 MB
    "llm": ("langfuse==5.0.4", "openinference-instrumentation==0.1.72", "opentelemetry-sdk==1.45.1"),  # 9 s, 60 MB
}

_INSTALL_TIMEOUT_S = 300


class Unavailable(Exception):
    """An environment that is not there and cannot be made, as without a network."""


def _cache() -> Path:
    given = os.environ.get("TRACECORE_VENV_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "tracecore-venvs"


def python_with(name: str) -> Path:
    """Return the interpreter of the environment with the packages of SETS[name].  Raises: Unavailable."""
    wanted = [*SETS[name], f"msgspec=={version('msgspec')}"]
    described = "\n".join([sys.version, sys.base_prefix, *wanted])
    directory = _cache() / f"{name}-{hashlib.sha256(described.encode()).hexdigest()[:12]}"
    python = directory / "bin" / "python"
    if (directory / "finished").exists():
        return python
    shutil.rmtree(directory, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True, capture_output=True, timeout=60)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
        subprocess.run([*install, *wanted], check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as fault:
        shutil.rmtree(directory, ignore_errors=True)
        said = getattr(fault, "stderr", None) or str(fault)
        raise Unavailable(f"{' '.join(wanted)} could not be installed: {str(said).strip()[-300:]}") from fault
    (directory / "finished").touch()
    return python
