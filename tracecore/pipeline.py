"""Pipeline: one exporter behind one queue, served by one worker thread.

    span path      put ........ wake (a batch is full, or half the ring)
    worker         wait -> take -> export(batch, deadline) -> count -> wait
    anybody        force_flush, shutdown: ask, wake, wait until the deadline

The worker starts when the first span arrives, in each process anew: importing and configuring
start no thread, and a forked child gets its own. It is a bare thread, without `threading`'s locks
on the span path, and stays a real one where gevent has replaced the module's functions.

How the process ends -> what happens to queued spans:

    normal exit, sys.exit()         atexit: the worker drains, one attempt a batch
    multiprocessing child, Celery   the same, through their own exits (process_end.py)
    uvicorn, stopped by a signal    flushed when the server has stopped (process_end.py)
    os._exit(), SIGKILL, crash      lost with the process
    SIGTERM without a handler       lost: Python runs no exit code (install a handler that exits)
    fork                            the parent keeps them; the child starts with none

Source: specification, trace/sdk.md "Batching processor".
"""

from __future__ import annotations

import _thread
import sys
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

from tracecore._core.batch import Batch
from tracecore._core.origin import Origin
from tracecore._core.queue import SpanQueue
from tracecore.errors import report
from tracecore.exporters import Exporter
from tracecore.process_end import ProcessEnd
from tracecore.stages import Stage, Stages

__all__ = ["Pipeline"]

_RECOVERY_S = 1.0
"""Pause after a fault of the worker itself (memory, as good as always), so that it does not spin."""


class Pipeline:
    """Delivers finished spans to one exporter.

    Arguments: the provider's Origin; an Exporter; bytes of ring; spans a batch; seconds between
    exports while no batch is full; seconds one export may take.
    Threads: any.
    """

    def __init__(
        self,
        origin: Origin,
        exporter: Exporter,
        *,
        ring_bytes: int,
        batch: int,
        delay: float,
        export_timeout: float,
    ) -> None:
        self.exporter = exporter
        self.origin = origin
        self.stages = Stages()
        self.queue = SpanQueue(origin, ring_bytes, batch, self._start_worker)
        self._batch = batch
        self._delay = delay
        self._export_timeout = export_timeout
        self.on_exported: Callable[[float, str], None] | None = None
        """Told after each export how many seconds it took and why it failed, "" if it did not: for tracecore.self_metrics."""
        self._begin_process()

    def _begin_process(self) -> None:
        self._worker: int | None = None  # the worker's thread, as it calls itself
        self._worker_ended = False
        self._process_end = ProcessEnd(self.shutdown, self.force_flush)
        self._flush_to = 0  # the worker exports everything written before this count without waiting
        self._stop_by: float | None = None  # monotonic deadline of shutdown, once it was called
        self._exported = 0
        self._lost: dict[str, int] = {}
        self._lost_attributes = 0
        self._removed: dict[str, int] = {}
        self._held = 0

    def add_stage(self, stage: Stage) -> None:
        """Pass every batch through `stage` too, before it is exported."""
        self.stages.add(stage)

    # ---- worker -------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        start: Callable[..., int] = _thread.start_new_thread
        gevent = sys.modules.get("gevent.monkey")
        if gevent is not None:
            start = gevent.get_original("_thread", "start_new_thread")
        self._process_end.listen()
        start(self._work, ())

    def _work(self) -> bool:
        """Serve the queue until shutdown; False at once when somebody does already."""
        queue = self.queue
        if not queue.begin_service():
            return False
        self._worker = _thread.get_ident()  # asked as it is later, which gevent's patch may have changed
        # Whatever HTTP client an exporter uses, its calls are no spans of the application.
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            if self._stop_by is None:
                queue.prefault()
            due = time.monotonic() + self._delay
            while True:
                seen = queue.wake_count()
                try:
                    if self._stop_by is not None:
                        self._export_while(lambda: True)
                        self._finish()
                        if kept := self.stages.give_up_held():
                            self._held = 0
                            self._lost["stage_error"] = self._lost.get("stage_error", 0) + kept
                            queue.done(kept)
                        break
                    if queue.n_accounted < self._flush_to:
                        self._export_while(lambda: queue.n_accounted < self._flush_to)
                        self._finish()
                    elif queue.wait(seen, due - time.monotonic()) and not queue.is_half_full:
                        self._export_while(self._has_full_batch)
                    else:
                        written = queue.begin_drain()
                        self._export_while(lambda to=written: queue.n_accounted < to)  # type: ignore[misc]
                        self._finish()
                        due = time.monotonic() + self._delay
                except Exception as fault:
                    report("worker_error", "the export worker failed and goes on: %s: %s", type(fault).__name__, fault)
                    if self._stop_by is not None:
                        queue.abandon()
                        break
                    queue.wait(queue.wake_count(), _RECOVERY_S)
            self.exporter.shutdown()
        except BaseException as fault:
            report("worker_error", "the export worker ended: %s: %s", type(fault).__name__, fault)
        finally:
            detach(token)  # shutdown runs this on the caller's thread when there is no worker
            self._worker_ended = True
            queue.notify()
        return True

    def _has_full_batch(self) -> bool:
        return self.queue.n_written - self.queue.n_accounted >= self._batch

    def _export_while(self, wanted: Callable[[], bool]) -> None:
        while wanted() and (batch := self.queue.take()) is not None:
            self._pass_on(batch)

    def _finish(self) -> None:
        if self.stages.n_held:
            self._pass_on(Batch(self.origin), finishing=True)

    def _pass_on(self, batch: Batch, finishing: bool = False) -> None:
        """Through the stages, then to the exporter."""
        n_in = len(batch) + self._held
        removed, may_go_on = self.stages.run(batch, finishing=finishing) if self.stages else ({}, True)
        self._held = self.stages.n_held
        n_out = len(batch)
        for reason, n in removed.items():
            self._removed[reason] = self._removed.get(reason, 0) + n
        if not may_go_on and n_out == 0:
            self.queue.done(n_in - self._held)
            return
        if not may_go_on:
            self._lost["stage_error"] = self._lost.get("stage_error", 0) + n_out
            self.queue.done(n_in - self._held)
            return
        self.queue.done(n_in - self._held - n_out)
        if n_out:
            self._export(batch)

    def _export(self, batch: Batch) -> None:
        self._process_end.listen()  # again: servers may be imported after the first span
        n = len(batch)
        began = time.monotonic()
        deadline = began + self._export_timeout
        if self._stop_by is not None:
            deadline = min(deadline, self._stop_by)
        try:
            _, rejected, reason, message = self.exporter.export(batch, deadline)
            rejected = min(max(int(rejected), 0), n)
            reason = str(reason) or "exporter_error"
        except BaseException as fault:  # no outcome at all, which is none that names accepted spans
            rejected, reason, message = n, "exporter_error", _words(fault)
        self._exported += n - rejected
        if rejected:
            self._lost[reason] = self._lost.get(reason, 0) + rejected
        self._lost_attributes += batch.lost_attributes
        if self.on_exported is not None:
            self._tell(time.monotonic() - began, reason if rejected else "")
        self.queue.done(n)
        if rejected:
            report(reason, "%d of %d spans were not exported: %s", rejected, n, message)
        elif message:
            report("exporter_message", "%s", message)

    def _tell(self, seconds: float, reason: str) -> None:
        try:
            assert self.on_exported is not None
            self.on_exported(seconds, reason)
        except Exception as fault:  # the meter is code of another package
            report("self_metrics", "an export was not measured: %s", _words(fault))

    # ---- anybody ------------------------------------------------------------------------------

    def force_flush(self, timeout: float) -> bool:
        """Export everything that ended before this call.

        True when all of it was delivered within `timeout` seconds; False when some was not, or when
        called by the exporter itself.
        """
        queue = self.queue
        written = queue.n_written
        if queue.n_accounted >= written:
            return True
        if _thread.get_ident() == self._worker:
            return False
        lost = sum(self._lost.values())
        if not self.begin_flush():
            return False
        done = queue.wait_done(written, timeout, lambda: self._worker_ended)
        return done and queue.n_accounted >= written and sum(self._lost.values()) == lost

    def begin_flush(self) -> bool:
        """Have everything that ended before this call exported, without waiting; False without a worker."""
        queue = self.queue
        written = queue.n_written
        if queue.n_accounted >= written:
            return True
        if not queue.start():
            return False
        self._flush_to = max(self._flush_to, written)
        queue.wake()
        return True

    def begin_shutdown(self, timeout: float) -> None:
        """Refuse spans from now on and have the worker drain and end, without waiting. Only the first call counts."""
        if self._stop_by is not None:
            return
        self._stop_by = time.monotonic() + timeout
        self.queue.close()
        try:
            self.exporter.interrupt()
        except Exception as fault:
            report("exporter_error", "interrupt() of the exporter raised %s", _words(fault))
        self.queue.wake()

    def shutdown(self, timeout: float = 30.0) -> bool:
        """Export what is queued, one attempt a batch, and end the worker.

        False when `timeout` seconds were not enough; what was still queued then is given up and
        counted. Later calls wait for what the first one began, within its time.
        """
        queue = self.queue
        self.begin_shutdown(timeout)
        if queue.claim_worker() and self._work():
            pass  # no span ever came, or no thread could be had: the little there is went out from here
        elif _thread.get_ident() == self._worker:
            return False  # called by the exporter: the loop ends when it returns
        else:
            assert self._stop_by is not None
            queue.wait_done(sys.maxsize, min(timeout, self._stop_by - time.monotonic()), lambda: self._worker_ended)
        self._process_end.cancel()
        if not self._worker_ended:
            n = queue.abandon()
            report("shutdown_timeout", "%d queued spans were given up after %.1f s", n, timeout)
            return False
        return True

    def reset_in_child(self) -> None:
        """Start clean in a forked child, which has neither the worker nor its spans."""
        was_shut_down = self._stop_by is not None
        self.queue.reset_in_child()
        self._begin_process()
        if was_shut_down:
            self._stop_by = 0.0
            self._worker_ended = self.queue.claim_worker()

    def counts(self) -> dict[str, Any]:
        """Return what became of every span: written = waiting + exporting + exported + lost + abandoned."""
        # The worker may count on meanwhile: what was taken is read last, so that it covers the rest.
        exported, lost, removed, held = self._exported, dict(self._lost), dict(self._removed), self._held
        counts: dict[str, Any] = dict(self.queue.counts())
        taken = counts.pop("taken")
        counts["exported"] = exported
        counts["lost"] = lost
        counts["exporting"] = taken - exported - sum(lost.values()) - sum(removed.values()) - held
        counts["removed"] = removed
        counts["held"] = held
        counts["lost_attributes"] = self._lost_attributes
        return counts


def _words(fault: BaseException) -> str:
    """The fault in one line; an exception's own text may raise as well."""
    try:
        return f"{type(fault).__name__}: {fault}"
    except Exception:
        return type(fault).__name__
