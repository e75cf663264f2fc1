"""Configuration files for the tests: the text in, a path out."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from tracecore.declarative.building import Parts, load
from tracecore.declarative.faults import ConfigurationFileError

__all__ = ["TRACER_PROVIDER", "environment", "faults_of", "parts_of", "write"]

TRACER_PROVIDER = """
tracer_provider:
  processors:
    - simple:
        exporter:
          console:
"""
"""The smallest section there is."""


def write(directory: Path, text: str, name: str = "otel.yaml") -> str:
    """Write a file that begins with its version, and return its path."""
    file = directory / name
    head = "" if name.endswith(".json") or "file_format" in text else 'file_format: "1.0"\n'
    file.write_text(head + textwrap.dedent(text))
    return str(file)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set these variables, and of OTEL_* no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    with mock.patch.dict(os.environ, {**kept, **variables}, clear=True):
        yield


def parts_of(directory: Path, text: str, name: str = "otel.yaml") -> Parts:
    parts = load(write(directory, text, name))
    parts.shutdown()
    return parts


def faults_of(directory: Path, text: str, name: str = "otel.yaml") -> list[str]:
    """Return what is wrong with the file, one line each; it must be something."""
    try:
        load(write(directory, text, name)).shutdown()
    except ConfigurationFileError as refused:
        return [str(fault) for fault in refused.faults]
    raise AssertionError("the file was accepted")
