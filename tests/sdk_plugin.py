"""A pytest plugin: opentelemetry-sdk's tracing is tracecore's, module for module.

    python -m pytest -p sdk_plugin ...        (this directory on PYTHONPATH)

For the tests of opentelemetry-sdk itself, of opentelemetry-api, and of exporters and propagators that stand on them.
Before anything imports them, the modules of REPLACED stand in sys.modules under the SDK's names, and hold tracecore's
classes. The SDK's metrics, logs and configuration stay what they are: they import Resource, TracerProvider and the
like from here, and get ours.

contrib_plugin.py is the milder form: it replaces the TracerProvider only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

REPLACED: Final = {
    "opentelemetry.sdk.util.instrumentation": "tracecore.sdk.util.instrumentation",
    "opentelemetry.sdk.resources": "tracecore.sdk.resources",
    "opentelemetry.sdk.trace": "tracecore.sdk.trace",
    "opentelemetry.sdk.trace._sampling_experimental": "tracecore.sdk.trace._sampling_experimental",
    "opentelemetry.sdk.trace._sampling_experimental._rule_based": "tracecore.sdk.trace._sampling_experimental._rule_based",
    "opentelemetry.sdk.trace._sampling_experimental._trace_state": "tracecore.sdk.trace._sampling_experimental._trace_state",
    "opentelemetry.sdk.trace._sampling_experimental._util": "tracecore.sdk.trace._sampling_experimental._util",
    "opentelemetry.sdk.trace.sampling": "tracecore.sdk.trace.sampling",
    "opentelemetry.sdk.trace.id_generator": "tracecore.sdk.trace.id_generator",
    "opentelemetry.sdk.trace.export": "tracecore.sdk.trace.export",
    "opentelemetry.sdk.trace.export.in_memory_span_exporter": "tracecore.sdk.trace.export.in_memory_span_exporter",
}
"""The SDK's modules, and what stands in for each."""

LACKING: Final[dict[str, dict[str, object]]] = {
    "opentelemetry.sdk.resources": {
        "_BSD_KENV_COMMAND": ("/bin/kenv", "-q", "smbios.system.uuid"),
        "_LINUX_MACHINE_ID_PATHS": ("/etc/machine-id", "/var/lib/dbus/machine-id"),
        "_service_instance_id": None,
        "_service_instance_id_pid": None,
        "subprocess": subprocess,
    },
    "opentelemetry.sdk.trace": {
        "_DEFAULT_OTEL_ATTRIBUTE_COUNT_LIMIT": 128,
        "_DEFAULT_OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": 128,
        "_DEFAULT_OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": 128,
        "_DEFAULT_OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": 128,
        "_DEFAULT_OTEL_SPAN_EVENT_COUNT_LIMIT": 128,
        "_DEFAULT_OTEL_SPAN_LINK_COUNT_LIMIT": 128,
    },
}
"""Private names that tests need to run at all: imported at the head of a module, read in setUp, the expected value."""

_providers: list[Any] = []


def _replace() -> None:
    for name in REPLACED:
        if name in sys.modules:
            raise RuntimeError(f"{name} was imported before sdk_plugin could replace it")
    for name, ours in REPLACED.items():
        module = import_module(ours)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        setattr(import_module(parent), child, module)
    for name, constants in LACKING.items():
        vars(sys.modules[name]).update(constants)


def _undo_what_would_hide_the_rest() -> None:
    """Undo two differences of docs/differences.md that nearly every test of resources and warnings contains.

    Without this, such a test would fail over them and show nothing of what else it is about.
    """
    from tracecore import errors, resource

    # log-rate: a test that provokes the same warning three times expects to see it three times.
    errors._LOG_INTERVAL_S = 0.0
    # resource-sdk-name
    ours = resource.telemetry_sdk

    def theirs() -> resource.Resource:
        return ours().merge(resource.Resource({"telemetry.sdk.name": "opentelemetry"}))

    resource.telemetry_sdk = theirs


def _count_providers() -> None:
    """Remember every TracerProvider, also those that a test shuts down."""
    from tracecore.provider import TracerProvider

    construct = TracerProvider.__init__

    def remembered(self: TracerProvider, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        _providers.append(self)

    # The class itself must stay: tests compare it, and derive from it.
    TracerProvider.__init__ = remembered  # type: ignore[method-assign]


_undo_what_would_hide_the_rest()
_replace()
_count_providers()


def pytest_sessionfinish() -> None:
    """Leave word of how many spans the core made: none would mean that the replacement has missed."""
    if path := os.environ.get("TRACECORE_CONTRIB_STARTED"):
        Path(path).write_text(str(sum(provider.stats()["spans"]["started"] for provider in _providers)))
