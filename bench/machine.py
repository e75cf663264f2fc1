"""Which machine, interpreter and packages a figure belongs to."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "tracecore-native",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "protobuf",
)


def machine() -> dict[str, object]:
    """Return what the figures depend on besides the code."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "load_average": [round(x, 2) for x in os.getloadavg()],
    }


def interpreter() -> dict[str, object]:
    """Return what tells one build of CPython from another: a build with PGO is another interpreter."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return {
        "python": sys.version,
        "optimized": "--enable-optimizations" in arguments,
        "lto": "--with-lto" in arguments,
        "shared": bool(sysconfig.get_config_var("Py_ENABLE_SHARED")),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "libc": " ".join(platform.libc_ver()),
        "machine": platform.machine(),
    }


def versions() -> dict[str, str]:
    """Return the installed versions of PACKAGES, "missing" for those that are not."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def compiler() -> str:
    """Return name and version of the compiler that builds extensions here, "missing" without one."""
    command = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(command) is None:
        return "missing"
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return answer.stdout.partition("\n")[0]


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
