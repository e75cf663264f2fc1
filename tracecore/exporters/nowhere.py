"""Nowhere: the exporter of a provider that only measures its spans.

Stages run on a pipeline's worker. A provider without an exporter gets one pipeline for them, which ends here: its last
stage takes every span out and counts it as `no_exporter`, so nothing is ever given to `export`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracecore.exporters import Outcome, SpanBatch

if TYPE_CHECKING:
    from tracecore._core.batch import Batch

__all__ = ["EndOfTheLine", "Nowhere"]


class EndOfTheLine:
    """The last stage: takes everything out."""

    reason = "no_exporter"

    def process(self, batch: Batch) -> None:
        batch.remove(range(len(batch)))


class Nowhere:
    """Threads: as tracecore.exporters.Exporter."""

    def export(self, batch: SpanBatch, deadline: float) -> Outcome:
        """Give the batch up."""
        return Outcome(0, len(batch), "no_exporter", "")

    def interrupt(self) -> None:
        """Nothing: there is no pause to end."""

    def shutdown(self) -> None:
        """Nothing: there is no connection."""
