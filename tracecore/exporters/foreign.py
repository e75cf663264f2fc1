"""Any object with the SDK's SpanExporter.export(spans), behind the batch pipeline.

The records of a batch become ReadableSpans here, on the worker thread.
"""

from __future__ import annotations

from typing import Any

from tracecore.exporters import Exporter, Outcome, SpanBatch

__all__ = ["ForeignExporter", "as_exporter", "takes_batches"]


class ForeignExporter:
    """Calls `exporter.export` with ReadableSpans. Threads: as tracecore.exporters.Exporter."""

    def __init__(self, exporter: Any) -> None:
        self.wrapped = exporter
        self._is_shut_down = False

    def export(self, batch: SpanBatch, deadline: float) -> Outcome:
        """Export the batch; the deadline cannot be passed on, the SDK's interface has none."""
        n = len(batch)
        try:
            result = self.wrapped.export(batch.spans())
        except Exception as fault:
            return Outcome(0, n, "exporter_error", f"{type(self.wrapped).__name__}: {type(fault).__name__}: {fault}")
        # By name: there are two SpanExportResult classes. None is what many exporters in the wild return.
        if result is None or getattr(result, "name", None) == "SUCCESS":
            return Outcome(n, 0, "", "")
        return Outcome(0, n, "exporter_error", f"{type(self.wrapped).__name__} returned {result!r}")

    def interrupt(self) -> None:
        """Nothing: the SDK's interface has no such call."""

    def shutdown(self) -> None:
        """Shut the exporter down, once."""
        if not self._is_shut_down:
            self._is_shut_down = True
            if callable(shutdown := getattr(self.wrapped, "shutdown", None)):
                shutdown()


def as_exporter(exporter: Any) -> Exporter:
    """Return `exporter` itself if it takes batches, else wrapped so that it gets ReadableSpans.

    Raises: TypeError for an object without export().
    """
    if not callable(getattr(exporter, "export", None)):
        raise TypeError(f"{exporter!r} is no exporter: it has no export()")
    return exporter if takes_batches(exporter) else ForeignExporter(exporter)


def takes_batches(exporter: Any) -> bool:
    """Return whether this is an exporter of the core's kind.

    Its class is asked, not the object: a Mock, which stands for the SDK's kind in many test suites, has everything.
    """
    return callable(getattr(type(exporter), "interrupt", None))
