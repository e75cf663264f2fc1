"""Drain: one ring, the worker that empties it, the stages its batches pass, and the exporters that share it.

    span path      put ........ wake (a batch is full, or half the ring)
    worker         wait -> take -> stages -> its one exporter                    (pipeline.export)
                                         \\-> the backlog of each of several      (pipeline.hand_over)

Exporters with the same batch settings share a drain: a span is copied into one ring, copied out once, changed by the
stages once, and encoded and compressed once for all that want the same bytes (see _core/batch.pyx). With one exporter the
worker exports by itself. When a second one joins, each gets a thread and a backlog of its own, for good; and when the
worker is inside the first exporter just then, that thread becomes the exporter's own and another one drains: not even
then does one exporter wait for another.

Exporters join and leave at positions of the queue, and no batch reaches across one: an exporter gets what ended from its
joining to its leaving, all of that and nothing else. What the stages hold back goes out before.

The worker starts when the first span arrives, in each process anew: importing and configuring start no thread, and a
forked child gets its own. It is a bare thread (worker.py).
"""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable
from typing import Any

from tracecore import worker
from tracecore._core.batch import Batch
from tracecore._core.ids import fork_generation
from tracecore._core.origin import Origin
from tracecore._core.queue import SpanQueue
from tracecore.errors import report
from tracecore.exporters import Exporter
from tracecore.pipeline import Pipeline
from tracecore.process_end import ProcessEnd
from tracecore.stages import Stages

__all__ = ["Drain"]


class _Relieved(Exception):
    """The worker was inside its exporter when others joined: somebody else drains now."""


class _Forked(Exception):
    """The exporter forked and returned in the child as well: there this thread is nobody's worker."""


class Drain:
    """Serves the exporters of one provider that share their batch settings.

    Arguments: the provider's Origin; bytes of ring; spans a batch; seconds between exports while no batch is full.
    Threads: any, where nothing else is said. Raises: ValueError for ring_bytes, MemoryError.
    """

    def __init__(self, origin: Origin, *, ring_bytes: int, batch: int, delay: float) -> None:
        self.settings = (ring_bytes, batch, delay)
        self.queue = SpanQueue(origin, ring_bytes, batch, self._start_worker)
        self.stages = Stages()
        self.pipelines: list[Pipeline] = []
        self._origin = origin
        self._attached: list[Callable[[], Any]] = []
        self._left_to_the_parent: list[Stages] = []
        self._is_exclusive = False
        self._begin_process()

    def _begin_process(self) -> None:
        self._served: list[Pipeline] = []  # those that have joined and not left, as the worker knows them
        self._unmet = list(self.pipelines)  # those that the worker has not met
        self._flush_to = 0  # the worker takes everything before this position without waiting
        self._passed = 0  # what is before this position was handed on, with what the stages held back
        self.inside: int | None = None  # the thread that drains
        self._process_end = ProcessEnd(self.shutdown, self.force_flush)

    # ---- composing ------------------------------------------------------------------------------

    def add(self, exporter: Exporter, *, export_timeout: float) -> Pipeline | None:
        """Give `exporter` what ends from now on; None when the drain was shut down or is exclusive."""
        queue = self.queue
        if queue.takes_no_more or self._is_exclusive:
            return None
        pipeline = Pipeline(self, exporter, backlog_bytes=self.settings[0], export_timeout=export_timeout)
        others = list(self.pipelines)
        relieved = queue.share(others[0].backlog) if others else False
        # Known to the worker before it joins: a batch that is taken meanwhile ends before the position it joins at.
        self._unmet.append(pipeline)
        self.pipelines.append(pipeline)
        joined = pipeline.account.join()
        if not joined:
            self._unmet.remove(pipeline)
            self.pipelines.remove(pipeline)
        if relieved:
            queue.start()
        if others and queue.is_staffed:
            for each in (*others, pipeline):
                if not each.is_ended:
                    each.backlog.start()
        return pipeline if joined else None

    def keep_to_itself(self) -> bool:
        """Let no further exporter join: something is put into the queue for this one only. False: there are several."""
        self._is_exclusive = self._is_exclusive or len(self.pipelines) == 1
        return self._is_exclusive

    def add_stage(self, attach: Callable[[], Any]) -> None:
        """Pass every batch from the next one on through the Stage that `attach()` returns, also in forked children."""
        self.stages.add(attach())
        self._attached.append(attach)

    # ---- worker -------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        self._process_end.listen()
        worker.start(self._work)
        if self.queue.has_several:
            # Now, not when the first batch is there: at the interpreter's exit no thread starts any more.
            for pipeline in list(self.pipelines):
                if not pipeline.is_ended:
                    pipeline.backlog.start()

    def _work(self, only_for: Pipeline | None = None) -> bool:
        """Drain until every exporter has left; False at once when somebody does already.

        only_for: until this one has left, and then leave the place to whoever is needed next.
        """
        queue = self.queue
        if not queue.begin_service():
            return False
        self.inside = _thread.get_ident()  # asked as it is later, which gevent's patch may have changed
        relieved = False
        with worker.uninstrumented():
            if not queue.takes_no_more:
                queue.prefault()
            due = time.monotonic() + self.settings[2]
            while True:
                seen = queue.wake_count()
                try:
                    self._meet()
                    if only_for is not None and only_for not in self._unmet and only_for not in self._served:
                        break
                    if queue.takes_no_more and not self._served and not self._unmet:
                        break
                    to = self._asked_for()
                    if self._passed < to:
                        self._take_until(lambda to=to: queue.n_taken >= to)  # type: ignore[misc]
                        self._finish()
                    elif queue.wait(seen, due - time.monotonic()) and not queue.is_half_full:
                        self._take_until(lambda: not self._has_full_batch())
                    else:
                        written = queue.begin_drain()
                        self._take_until(lambda to=written: queue.n_taken >= to)  # type: ignore[misc]
                        self._expire()
                        due = time.monotonic() + self.settings[2]
                except _Relieved:
                    relieved = True
                    break
                except _Forked:
                    return True
                except Exception as fault:
                    report("worker_error", "the export worker failed and goes on: %s: %s", type(fault).__name__, fault)
                    if queue.takes_no_more:
                        for pipeline in list(self.pipelines):
                            pipeline.give_up()
                    queue.wait(queue.wake_count(), worker.RECOVERY_S)
        if relieved:
            self.pipelines[0].serve()
            return True
        self.inside = None
        if only_for is not None and (self._served or self._unmet or not queue.takes_no_more):
            queue.release()
            if self._passed < self._asked_for():  # somebody flushed and saw a worker here
                queue.start()
        return True

    def _asked_for(self) -> int:
        """The position up to which spans are taken without waiting for more: flushes, and exporters that leave."""
        written = self.queue.n_written
        ends = [pipeline.account.ends_at for pipeline in [*self._served, *self._unmet]]
        return max([self._flush_to, *(end for end in ends if end <= written)])

    def _has_full_batch(self) -> bool:
        return self.queue.n_written - self.queue.n_taken >= self.settings[1]

    def _take_until(self, enough: Callable[[], bool]) -> None:
        while not enough() and (batch := self._take()) is not None:
            self._pass_on(batch)

    def _take(self) -> Batch | None:
        """Take a batch that reaches over no position at which an exporter joins or leaves."""
        # First of all: who joins or leaves from here on does so behind it, and behind this batch.
        bound = self.queue.n_written
        self._meet()
        position = self.queue.n_taken
        for pipeline in list(self._unmet):
            bound = min(bound, pipeline.account.begins_at)
        for pipeline in self._served:
            bound = min(bound, pipeline.account.ends_at)
        return self.queue.take(bound - position) if bound > position else None

    def _meet(self) -> None:
        """Let exporters join and leave whose position has come."""
        position = self.queue.n_taken
        joining = [pipeline for pipeline in list(self._unmet) if pipeline.account.begins_at <= position]
        leaving = [each for each in [*self._served, *joining] if each.account.ends_at <= position or each.account.has_given_up]
        if joining or leaving:
            self._finish()
        if joining and self.stages.n_held:  # not those who join must answer for what a failed stage keeps
            self.stages.write_off()
            for pipeline in self._served:
                pipeline.account.lose_held("stage_error")
        for pipeline in joining:
            self._unmet.remove(pipeline)
            self._served.append(pipeline)
        for pipeline in leaving:
            pipeline.account.lose_held("stage_error")
            self._end(pipeline)

    def _end(self, pipeline: Pipeline) -> None:
        """The exporter has all that it will get."""
        self._served.remove(pipeline)
        if not self.queue.begin_inline():
            pipeline.end_input()
            return
        pipeline.end()
        if not self.queue.end_inline():
            raise _Relieved

    def _finish(self) -> None:
        """Hand on what the stages hold back, and take note that everything taken so far was handed on."""
        if self.stages.n_held:
            self._pass_on(Batch(self._origin), finishing=True)
        elif self._passed < self.queue.n_taken:
            self._hand_on(None, self.queue.n_taken)

    def _expire(self) -> None:
        """Hand on what the stages need not hold back any longer."""
        if self.stages.n_held:
            self._pass_on(Batch(self._origin), expiring=True)
        elif self._passed < self.queue.n_taken:
            self._hand_on(None, self.queue.n_taken)

    def _pass_on(self, batch: Batch, *, finishing: bool = False, expiring: bool = False) -> None:
        """Pass a batch through the stages and on to the exporters."""
        self._process_end.listen()  # again: servers may be imported after the first span
        position = self.queue.n_taken
        if self.stages:
            removed, may_go_on = self.stages.run(batch, finishing=finishing, expiring=expiring)
            for pipeline in self._served:
                pipeline.account.pass_stages(removed, self.stages.n_held)
                if not may_go_on:
                    pipeline.account.lose(len(batch), "stage_error")
            if not may_go_on and len(batch):
                report("stage_error", "%d spans were not exported", len(batch))
            if self.stages.n_held and not finishing:
                position = self._passed
            if not may_go_on or not len(batch):
                self._hand_on(None, position)
                return
        self._hand_on(batch, position)

    def _hand_on(self, batch: Batch | None, position: int) -> None:
        """Give a batch, behind which everything before `position` is dealt with, to the exporter or to each of them."""
        self._passed = position
        queue = self.queue
        if len(self._served) == 1 and queue.begin_inline():
            (pipeline,) = self._served
            generation = fork_generation()
            if batch is not None:
                pipeline.export(batch)
            if generation != fork_generation():
                raise _Forked  # the positions are the parent's
            pipeline.account.settle(position)
            if not queue.end_inline():
                raise _Relieved
            return
        if batch is not None:
            batch.trim()  # it may wait
        for pipeline in list(self._served):
            try:
                pipeline.hand_over(batch, position)
            except Exception as fault:  # memory, as good as always
                report("worker_error", "a batch was not handed over: %s: %s", type(fault).__name__, fault)
                if batch is not None:
                    pipeline.account.lose(len(batch), "worker_error")

    # ---- anybody ------------------------------------------------------------------------------

    @property
    def has_several(self) -> bool:
        """Whether each exporter has a thread of its own."""
        return self.queue.has_several

    def wake(self) -> None:
        """Have the worker look around, and every exporter's thread."""
        self.queue.wake()
        for pipeline in list(self.pipelines):
            pipeline.backlog.wake()

    def begin_flush(self, position: int) -> bool:
        """Have everything before `position` handed on, without waiting; False without a worker."""
        self._flush_to = max(self._flush_to, position)
        if not self.queue.start():
            return False
        self.queue.wake()
        return True

    def work_if_nobody_does(self, only_for: Pipeline) -> None:
        """Drain on this thread until this exporter has left, unless there is a worker."""
        if self.queue.claim_worker():
            self._work(only_for)

    def force_flush(self, timeout: float) -> bool:
        """Have every exporter export what ended before this call; False if not all was delivered in time."""
        stop_by = time.monotonic() + timeout
        pipelines = list(self.pipelines)
        for pipeline in pipelines:
            pipeline.begin_flush()
        return all([pipeline.force_flush(max(0.0, stop_by - time.monotonic())) for pipeline in pipelines])

    def shutdown(self, timeout: float = 30.0) -> None:
        """Shut every exporter down."""
        stop_by = time.monotonic() + timeout
        pipelines = list(self.pipelines)
        for pipeline in pipelines:
            pipeline.begin_shutdown(timeout)
        for pipeline in pipelines:
            pipeline.shutdown(max(0.0, stop_by - time.monotonic()))

    def forget_exit_if_ended(self) -> None:
        """Stop listening for the end of the process when no exporter is left."""
        if self.queue.takes_no_more and all(pipeline.is_ended for pipeline in list(self.pipelines)):
            self._process_end.cancel()

    def reset_in_child(self) -> None:
        """Start clean in a forked child, which has neither the worker nor its spans."""
        self.queue.reset_in_child()
        for pipeline in self.pipelines:
            pipeline.reset_in_child()
        self._begin_process()
        self._unmet = [pipeline for pipeline in self.pipelines if not pipeline.is_ended]
        if self._attached:
            # A thread of the parent's may have been in the middle of them: they are left alone, for ever.
            self._left_to_the_parent.append(self.stages)
            self.stages = self.stages.anew(self._attached)
