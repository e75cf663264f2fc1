"""SpanBatches: ReadableSpans for one of our exporters, which take batches of records.

Who comes this way exports on the calling thread: SimpleSpanProcessor, and whoever calls `export(spans)` of an exporter
in tracecore.sdk.exporter as the SDK's interface has it.

Threads: any; one export at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from tracecore import config
from tracecore._core.origin import Origin
from tracecore._core.queue import SpanQueue
from tracecore.errors import report
from tracecore.exporters import Exporter
from tracecore.span_feed import SpanFeed

__all__ = ["SpanBatches"]

_BATCH = 4096
"""Spans that go out in one batch where so many are handed over at once."""


class SpanBatches:
    """Makes records of spans and has `exporter`, which takes batches, deliver them."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._feed = SpanFeed(None, self._open_queue, self._reset_in_child, self._send)
        self._queue: SpanQueue | None = None
        self._lock = threading.RLock()  # a feed whose resource changes sends in the middle of an export
        self._lost = 0

    def _open_queue(self, origin: Origin) -> SpanQueue:
        self._queue = SpanQueue(origin, config.DEFAULT_RING_BYTES, _BATCH, lambda: None)  # this class is its worker
        return self._queue

    def _reset_in_child(self) -> None:
        self._lock = threading.RLock()
        if self._queue is not None:
            self._queue.reset_in_child()

    def export(self, spans: Iterable[Any]) -> bool:
        """Deliver the spans; return whether all were taken.  Raises: what reading a span raises."""
        with self._lock:
            self._lost = 0
            for n, span in enumerate(spans, 1):
                self._feed.put(span)
                if n % 256 == 0:  # well before the ring is full, whatever the spans hold
                    self._send()
            self._send()
            return self._lost == 0

    def _send(self) -> None:
        queue = self._queue
        with self._lock:
            while queue is not None and (batch := queue.take()) is not None:
                n = len(batch)
                outcome = self._exporter.export(batch, time.monotonic() + config.DEFAULT_EXPORT_TIMEOUT_S)
                self._lost += outcome.rejected
                if outcome.rejected:
                    report(outcome.reason, "%d of %d spans were not exported: %s", outcome.rejected, n, outcome.message)
