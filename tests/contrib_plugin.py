"""A pytest plugin: the tests of opentelemetry-instrumentation-* packages, with tracecore's TracerProvider.

    python -m pytest -p contrib_plugin ...        (this directory on PYTHONPATH)

What the tests, and the TestBase they derive from, import as opentelemetry.sdk.trace.TracerProvider is tracecore's
class; everything else of opentelemetry-sdk (its processors, its in-memory exporter, its samplers) stays.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import opentelemetry.sdk.trace
import opentelemetry.test.test_base

import tracecore

_providers: list[tracecore.TracerProvider] = []


class Remembered(tracecore.TracerProvider):
    """Counted even where a test shuts its provider down."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _providers.append(self)


# Nothing of opentelemetry-sdk holds the class under another name; what is imported from here on gets ours.
opentelemetry.sdk.trace.TracerProvider = Remembered  # type: ignore[assignment, misc]
opentelemetry.test.test_base.TracerProvider = Remembered  # type: ignore[assignment, misc]


def pytest_sessionfinish() -> None:
    """Leave word of how many spans the core made: none would mean that the patch has missed."""
    if path := os.environ.get("TRACECORE_CONTRIB_STARTED"):
        Path(path).write_text(str(sum(provider.stats()["spans"]["started"] for provider in _providers)))
