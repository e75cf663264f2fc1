"""The SDK's way to call an exporter, for exporters that take batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracecore.errors import ConfigurationError, report
from tracecore.exporters import Outcome, SpanBatch
from tracecore.exporters.remote_exporter import RemoteExporter
from tracecore.readable_span import ReadableSpan
from tracecore.span_batches import SpanBatches
from tracecore.span_exporter import SpanExportResult

__all__ = ["SdkCalls", "chosen", "coding", "not_offered"]


class SdkCalls(RemoteExporter):
    """`export(spans)` beside `export(batch, deadline)`, and `force_flush`."""

    _spans: SpanBatches | None = None

    def export(self, batch: SpanBatch | Sequence[ReadableSpan], deadline: float | None = None) -> Any:
        """Deliver a batch by `deadline`, for an Outcome; or a sequence of spans, for a SpanExportResult."""
        if deadline is not None:
            return self._export_batch(batch, deadline)
        if self._spans is None:
            self._spans = SpanBatches(_AsBatches(self))
        return SpanExportResult.SUCCESS if self._spans.export(batch) else SpanExportResult.FAILURE  # type: ignore[arg-type]

    def _export_batch(self, batch: Any, deadline: float) -> Outcome:
        return super().export(batch, deadline)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing: what `export` got is delivered when it returns."""
        return True


class _AsBatches:
    """The exporter as SpanBatches calls it."""

    def __init__(self, exporter: SdkCalls) -> None:
        self.export = exporter._export_batch
        self.interrupt = exporter.interrupt
        self.shutdown = exporter.shutdown


def chosen(arguments: Mapping[str, Any], warnings: list[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environment's arguments with those that were given over them; report what the environment had wrong."""
    if warnings:
        report("otlp_settings", "%s", "; ".join(warnings))  # one line: a second would be held back
    return {**dict(arguments), **{name: value for name, value in given.items() if value is not None}}


def coding(compression: Any) -> str | None:
    """Return the name of a compression, which the SDK has enumerations for: gzip, deflate, none."""
    if compression is None or isinstance(compression, str):
        return compression
    name = getattr(compression, "name", "")
    return {"NoCompression": "none", "Deflate": "deflate", "Gzip": "gzip"}.get(name, str(getattr(compression, "value", name)))


def not_offered(name: str, value: Any, package: str) -> None:
    """Refuse an argument that only the other package's exporter can honour.  Raises: ConfigurationError."""
    if value is not None:
        raise ConfigurationError(name, value, f"None; {package}'s own exporter takes it, and works in our BatchSpanProcessor")
