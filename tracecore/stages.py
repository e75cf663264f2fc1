"""Stages: native processors between the drain and the exporters, on records.

    ring --drain--> batch -> process -> process -> ... --> exporters
                               | ^         | ^
                              held back   held back       finish: what was held back joins the batch

`provider.add_span_processor(x)`, where x has `attach_stage(origin, *, first) -> stage`, adds a stage to every drain of
the provider, those of exporters added later included. attach_stage is called once for each drain, and again for each in a
forked child, where what the parent's stages held back is not the child's. A drain serves the exporters that share a ring,
so a span passes one stage for each drain; `first` is true for one drain of the provider: a stage that must see each span
once (a metric, say) works there only.

Who calls: one worker thread a drain. Stages run in the order in which they were added, before any exporter sees the
batch, and their work delays every exporter of the drain: without the GIL, please.

What is lost: what a stage takes out, counted for each exporter under the stage's `reason`; and batches for which a
`required` stage failed, under "stage_error": a redaction that failed must not let the secret out. A fault of any
other stage is reported and the batch goes on as that stage left it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tracecore._core.batch import Batch
from tracecore.errors import report, words

__all__ = ["Stage", "Stages"]


class Stage(Protocol):
    """What `attach_stage` returns. `finish`, `n_held` and `required` may be missing: nothing held, not required."""

    reason: str
    """The counter of the spans that it takes out: a stable name, as "dropped_by_rule"."""
    required: bool
    """Whether the batch is lost when `process` or `finish` raises."""

    @property
    def n_held(self) -> int:
        """Spans held back now. What left the batch and is not held was taken out."""
        ...

    def process(self, batch: Batch) -> None:
        """Change the batch in place: tc_batch_remove, _replace, _append or the methods of Batch."""
        ...

    def finish(self, batch: Batch) -> None:
        """Add what is still held back to the batch, which has been processed.

        Called at force_flush and shutdown, before an exporter joins or leaves, and once every export delay, so nothing
        is held longer than that for want of spans. A stage that knows by itself how long it may hold a span has
        `expire(batch)` as well, which is called once every export delay instead.
        """
        ...


class Stages:
    """The stages of one drain. Threads: `run` is the drain's worker's; the rest is for any."""

    def __init__(self) -> None:
        self._places: tuple[_Place, ...] = ()
        self.n_held = 0
        """Spans held back, as of the last run."""

    def __bool__(self) -> bool:
        return bool(self._places)

    def add(self, stage: Stage) -> None:
        """Have `stage` see every batch from the next one on, after those that were added before."""
        self._places += (_Place(stage),)

    def write_off(self) -> None:
        """Count what is held back as gone: no stage gave it back when it was asked to."""
        for place in self._places:
            place.n_written_off += place.n_held
            place.n_held = 0
        self.n_held = 0

    def anew(self, attached: Sequence[Callable[[], Any]]) -> Stages:
        """Return new stages in the place of these, for a forked child.

        One that cannot be attached again is reported and left out, unless it is required: then nothing goes out.
        """
        stages = Stages()
        for attach, place in zip(attached, self._places, strict=False):
            try:
                stages.add(attach())
            except Exception as fault:
                report("stage_error", "%s could not be attached in a child: %s", type(place.stage).__name__, words(fault))
                if place.is_required:
                    stages.add(_Missing())
        return stages

    def run(self, batch: Batch, *, finishing: bool = False, expiring: bool = False) -> tuple[dict[str, int], bool]:
        """Pass the batch through every stage; `finishing`: with what each holds back; `expiring`: with what is due of it.

        Returns how many spans were taken out, by reason, and whether the batch may go on. Raises: nothing.
        """
        removed: dict[str, int] = {}
        may_go_on = True
        for place in self._places:
            n = len(batch) + place.n_held
            if n == 0 or (len(batch) == 0 and not (finishing or expiring)):
                continue
            went_well = place.run(batch, finishing, expiring)
            n -= len(batch) + place.n_held
            if n:
                removed[place.reason] = removed.get(place.reason, 0) + n
            if not went_well and place.is_required:
                may_go_on = False
                break
        self.n_held = sum(place.n_held for place in self._places)
        return removed, may_go_on


class _Missing:
    """Stands for a required stage that a child does not have."""

    reason = "stage_error"
    required = True
    n_held = 0

    def process(self, batch: Batch) -> None:
        raise RuntimeError("a required stage is missing in this process")

    def finish(self, batch: Batch) -> None: ...


class _Place:
    """A stage and what it held back when it was last looked at."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.reason = str(stage.reason)
        self.is_required = bool(getattr(stage, "required", False))
        self.n_held = 0
        self.n_written_off = 0

    def run(self, batch: Batch, finishing: bool, expiring: bool) -> bool:
        stage = self.stage
        give_back = getattr(stage, "finish", None) if finishing or expiring else None
        if expiring:
            give_back = getattr(stage, "expire", give_back)
        went_well = True
        try:
            if len(batch):
                stage.process(batch)
            if give_back is not None:
                batch.settle()
                give_back(batch)
        except BaseException as fault:
            went_well = False
            report("stage_error", "%s failed: %s", type(stage).__name__, words(fault))
        batch.settle()
        try:
            self.n_held = max(int(getattr(stage, "n_held", 0)) - self.n_written_off, 0)
        except Exception as fault:
            report("stage_error", "n_held of %s failed: %s", type(stage).__name__, words(fault))
        return went_well
