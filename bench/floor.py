"""The floor, built on demand: bench/floor.c compiled for the interpreter that runs this."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

_HERE = Path(__file__).parent
_NAME = "tracecore_floor"


def load() -> ModuleType:
    """Return the extension module, compiled first when it is missing or older than its source.

    Raises: ImportError without setuptools, setuptools' own errors without a compiler.
    """
    folder = _HERE / "build" / f"floor-{sys.implementation.cache_tag}"
    built = folder / f"{_NAME}{sysconfig.get_config_var('EXT_SUFFIX')}"
    source = _HERE / "floor.c"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        _compile(source, folder)
    spec = importlib.util.spec_from_file_location(_NAME, built)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _compile(source: Path, folder: Path) -> None:
    from setuptools import Distribution, Extension

    # The flags of the core's own modules (setup.py): a floor built worse would flatter the core.
    extension = Extension(_NAME, [str(source)], extra_compile_args=["-std=c11", "-O3", "-fvisibility=hidden"])
    command = Distribution({"name": _NAME, "ext_modules": [extension]}).get_command_obj("build_ext")
    command.build_lib = str(folder)
    command.build_temp = str(folder)
    command.ensure_finalized()
    command.run()
