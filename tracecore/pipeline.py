"""Pipeline: what stands between a drain and one exporter: its deadline, its counts, its backlog, its end.

    alone on the drain      drain's worker:      export -> settle
    with others             drain's worker:      hand_over -> backlog   ......>   own thread: take -> export -> settle
    anybody                 force_flush, shutdown: ask, wake, wait until the deadline

Alone, the drain's worker calls the exporter itself, and the ring is the only queue. With others on the same drain each has a
thread and a backlog of its own: whatever one exporter does, the drain and the others go on. What the backlog has no
room for is lost for this exporter alone, and counted as dropped_full.

How the process ends -> what happens to queued spans:

    normal exit, sys.exit()         atexit: the workers drain, one attempt a batch
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
from typing import TYPE_CHECKING, Any

from tracecore import worker
from tracecore._core.account import Account
from tracecore._core.backlog import Backlog
from tracecore._core.batch import Batch
from tracecore._core.ids import fork_generation
from tracecore.errors import report, words
from tracecore.exporters import Exporter

if TYPE_CHECKING:
    from tracecore.drain import Drain

__all__ = ["Pipeline"]

_AN_HOUR_S = 3600.0

_SIGNAL_CHECK_S = 0.05
"""How long a thread that shuts down sleeps before it looks for Ctrl-C again."""


class Pipeline:
    """Delivers a drain's batches to one exporter. Made by Drain.add.

    Arguments: the drain; an Exporter; bytes of backlog; seconds one export may take.
    Threads: any, where nothing else is said.
    """

    def __init__(self, drain: Drain, exporter: Exporter, *, backlog_bytes: int, export_timeout: float) -> None:
        self.exporter = exporter
        self.account = Account(drain.queue)
        self.backlog = Backlog(backlog_bytes, self._start_worker)
        self.drain = drain
        self._export_timeout = export_timeout
        self.on_exported: Callable[[float, str], None] | None = None
        """Told after each export how many seconds it took and why it failed, "" if it did not: for tracecore.self_metrics."""
        self._begin_process()

    def _begin_process(self) -> None:
        self.is_ended = False  # the exporter is shut down, or will never be asked again
        self._stop_by: float | None = None  # monotonic deadline of shutdown, once it was called
        self._inside: int | None = None  # the thread that is inside the exporter

    # ---- the drain's worker -------------------------------------------------------------------

    def hand_over(self, batch: Batch | None, position: int) -> None:
        """Leave a batch to the exporter's own thread; None: only that everything before `position` passed."""
        if self.account.has_given_up:
            return
        if batch is None:
            self.backlog.pass_by(position)
        elif not self.backlog.put(batch, position):
            self.account.refuse(len(batch))
        if not self.backlog.is_staffed:
            self.backlog.start()

    def end_input(self) -> None:
        """Tell the exporter's own thread, or whoever shuts down and finds none, that no batch follows."""
        self.backlog.end()

    def end(self) -> None:
        """Shut the exporter down: its last batch is through. Its own thread, or the drain's worker where it is alone."""
        self._inside = _thread.get_ident()
        try:
            self.exporter.shutdown()
        except BaseException as fault:
            report("worker_error", "shutdown() of the exporter raised %s", words(fault))
        finally:
            self._inside = None
            self.is_ended = True
            self.account.notify()

    # ---- whoever exports: one thread at a time -----------------------------------------------

    def export(self, batch: Batch) -> None:
        """Hand the batch to the exporter and count what becomes of it. Raises: nothing."""
        n = len(batch)
        if not self.account.begin_export(n):
            return
        self._inside = _thread.get_ident()
        rejected, reason, message = n, "exporter_error", ""
        began = time.monotonic()
        try:
            deadline = began + self._export_timeout
            if self._stop_by is not None:
                deadline = min(deadline, self._stop_by)
            _, refused, why, told = self.exporter.export(batch, deadline)
            rejected, reason, message = min(max(int(refused), 0), n), str(why) or "exporter_error", told
        except BaseException as fault:  # no outcome at all, which is none that names accepted spans
            message = words(fault)
        finally:
            self._inside = None
            self.account.end_export(n, rejected, reason, batch.lost_attributes)
            if self.on_exported is not None:
                self._tell(time.monotonic() - began, reason if rejected else "")
        if rejected:
            report(reason, "%d of %d spans were not exported: %s", rejected, n, message)
        elif message:
            report("exporter_message", "%s", message)

    def _tell(self, seconds: float, reason: str) -> None:
        try:
            assert self.on_exported is not None
            self.on_exported(seconds, reason)
        except Exception as fault:  # the meter is code of another package
            report("self_metrics", "an export was not measured: %s", words(fault))

    def _start_worker(self) -> None:
        worker.start(self.serve)

    def serve(self, stop_by: float | None = None) -> bool:
        """Export what is handed over until the input ends; False at once when somebody does already.

        stop_by: `time.monotonic()` at which to leave the place, for a thread that has other things to do.
        """
        backlog = self.backlog
        if not backlog.begin_service():
            return False
        generation = fork_generation()
        with worker.uninstrumented():
            while not self.is_ended:
                seen = backlog.wake_count()
                try:
                    if (entry := backlog.take()) is not None:
                        batch, position = entry
                        if batch is not None:
                            self.export(batch)
                        if generation != fork_generation():
                            break  # the exporter forked, and this is the child: the positions are the parent's
                        del entry, batch  # the next one may be long in coming
                        self.account.settle(position)
                    elif backlog.has_ended:
                        self.end()
                    elif stop_by is None:
                        backlog.wait(seen, _AN_HOUR_S)
                    elif (left := stop_by - time.monotonic()) > 0:
                        backlog.wait(seen, min(left, _SIGNAL_CHECK_S))
                    else:
                        backlog.release()
                        break
                except Exception as fault:
                    report("worker_error", "an exporter's thread failed and goes on: %s", words(fault))
                    backlog.wait(backlog.wake_count(), worker.RECOVERY_S)
        return True

    # ---- anybody ------------------------------------------------------------------------------

    def force_flush(self, timeout: float) -> bool:
        """Export everything that ended before this call.

        True when all of it was delivered within `timeout` seconds; False when some was not, or when
        called by the exporter itself or by a stage.
        """
        account = self.account
        written = account.written_to
        if account.is_settled(written):
            return True
        if self._is_inside():
            return False
        undelivered = account.n_undelivered
        if not self.begin_flush():
            return False
        done = account.wait_settled(written, timeout, lambda: self.is_ended)
        return done and account.is_settled(written) and account.n_undelivered == undelivered

    def begin_flush(self) -> bool:
        """Have everything that ended before this call exported, without waiting; False without a worker."""
        written = self.account.written_to
        if self.account.is_settled(written):
            return True
        if not self.drain.begin_flush(written):
            return False
        return not self.drain.has_several or self.backlog.start()

    def begin_shutdown(self, timeout: float) -> None:
        """Refuse spans from now on and have the workers drain and end, without waiting. Only the first call counts."""
        if self._stop_by is not None:
            return
        self._stop_by = time.monotonic() + timeout
        self.account.close()
        try:
            self.exporter.interrupt()
        except Exception as fault:
            report("exporter_error", "interrupt() of the exporter raised %s", words(fault))
        self.drain.wake()

    def shutdown(self, timeout: float = 30.0) -> bool:
        """Export what is queued, one attempt a batch, and end. The drain's other exporters go on.

        False when `timeout` seconds were not enough; what was still queued then is given up and
        counted. Later calls wait for what the first one began, within its time.
        """
        self.begin_shutdown(timeout)
        assert self._stop_by is not None
        if self._is_inside():
            return False  # called by the exporter or a stage: the workers end when it returns
        # No span ever came, or no thread could be had: the little there is goes out from here.
        self.drain.work_if_nobody_does(self)
        if self.drain.has_several and not self.is_ended and self.backlog.claim_worker():
            self.serve(self._stop_by)
        else:
            left = min(timeout, self._stop_by - time.monotonic())
            self.account.wait_settled(sys.maxsize, left, lambda: self.is_ended)
        if not self.is_ended:
            n = self.give_up()
            report("shutdown_timeout", "%d queued spans were given up after %.1f s", n, timeout)
            return False
        self.drain.forget_exit_if_ended()
        return True

    def give_up(self) -> int:
        """Abandon what is queued and return how many spans that is; an export that is running may still end."""
        n = self.account.give_up()
        self.backlog.clear()
        self.drain.wake()
        return n

    def _is_inside(self) -> bool:
        """Whether this thread is the exporter's caller, or runs the drain's stages."""
        return _thread.get_ident() in (self._inside, self.drain.inside)

    def reset_in_child(self) -> None:
        """Start clean in a forked child, which has neither the workers nor their spans."""
        was_shut_down = self._stop_by is not None
        self.account.reset_in_child()
        self.backlog.reset_in_child()
        self._begin_process()
        if was_shut_down:
            self._stop_by = 0.0
            self.is_ended = True
            self.backlog.claim_worker()

    def counts(self) -> dict[str, Any]:
        """Return what became of every span: see tracecore/_core/account.pyx."""
        return self.account.counts()
