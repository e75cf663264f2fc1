# cython: binding=False
"""Account: what became of every span that one exporter was offered, exactly and at any moment.

    offered = written + dropped_full + dropped_after_shutdown
    written = waiting + held + exporting + exported + sum(lost) + sum(removed) + abandoned

An exporter shares its queue with others; its account says which part of the queue's spans is its own, by positions
(the number of spans written to the queue before):

    position    0 ........... first ............................ last ............
                  not offered   written, or dropped_full          dropped_after_shutdown

What was written but found no room in the exporter's own backlog counts as dropped_full, not as written: it makes no
difference to the reader which of the two buffers was full.  `waiting` is what nobody has counted otherwise yet, so that
the sum holds by itself; that it is never negative is what the tests are for.

Threads: any. Each method is one step under the GIL, and so are the span path's own counts in the ring.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from cpython.exc cimport PyErr_CheckSignals

from tracecore._core cimport tc
from tracecore._core.queue cimport SpanQueue
from tracecore._core.workplace cimport as_ns

cdef uint64_t NOWHERE = 0xffffffffffffffff

# How long a waiting thread sleeps before it looks for Ctrl-C again.
cdef double SIGNAL_CHECK_S = 0.05


@cython.no_gc_clear  # the pipeline's dict breaks every cycle
cdef class Account:
    """The share of one exporter in `queue`. Raises: MemoryError."""

    def __cinit__(self, SpanQueue queue not None):
        self.queue = queue
        self.first = self.last = NOWHERE
        self.lost = {}
        self.removed = {}
        if tc.tc_wake_init(&self.settling) != tc.TC_OK:
            raise MemoryError

    def __dealloc__(self):
        tc.tc_wake_destroy(&self.settling)

    # ---- joining and leaving -------------------------------------------------------------------

    def join(self) -> bool:
        """Be offered what ends from now on; False, and nothing happens, when the queue takes no more."""
        if self.queue.is_closed:
            return False
        self.first = self.settled = self.queue.ring.n_written
        self.dropped_before = self.queue.ring.n_dropped
        self.queue.n_open += 1
        return True

    def close(self) -> None:
        """Be offered nothing from now on; the last one to leave closes the queue. Only the first call counts."""
        if self.last != NOWHERE:
            return
        self.last = self.queue.ring.n_written
        self.dropped_until = self.queue.ring.n_dropped
        self.queue.n_open -= 1
        if self.queue.n_open == 0:
            self.queue.is_closed = True

    @property
    def begins_at(self) -> int:
        """Position of the first span that it is offered; beyond every position before it has joined."""
        return self.first

    @property
    def ends_at(self) -> int:
        """Position behind the last span that it is offered; beyond every position until it closes."""
        return self.last

    # ---- counting: the drain's worker and the exporter's thread --------------------------------

    cdef void count(self, dict where, object reason, uint64_t n) except *:
        where[reason] = where.get(reason, 0) + n

    def pass_stages(self, removed: dict[str, int], held: int) -> None:
        """What the stages took out of a batch, by reason, and what they hold back now."""
        if self.is_given_up:
            return
        self.n_held = held
        for reason, n in removed.items():
            self.count(self.removed, reason, n)
            self.n_removed += <uint64_t><int64_t>n  # a stage that gives back what it had lost takes away from it

    def lose(self, n: int, reason: str) -> None:
        """n spans that no exporter will see."""
        if n and not self.is_given_up:
            self.count(self.lost, reason, n)
            self.n_lost += <uint64_t>n

    def lose_held(self, reason: str) -> int:
        """What the stages hold back and did not give back. Returns how many spans that is."""
        cdef uint64_t n = self.n_held
        self.n_held = 0
        self.lose(n, reason)
        return n

    def refuse(self, n: int) -> None:
        """n spans for which the backlog had no room."""
        if not self.is_given_up:
            self.n_not_handed += <uint64_t>n

    def begin_export(self, n: int) -> bool:
        """n spans go into the exporter's hands; False: they were given up already."""
        if self.is_given_up:
            return False
        self.n_exporting += <uint64_t>n
        return True

    def end_export(self, n: int, rejected: int, reason: str, lost_attributes: int) -> None:
        """They left its hands: `rejected` of them lost, the others exported."""
        if <uint64_t>n > self.n_exporting:
            return  # the exporter forked, and this is the child, where nothing was exported
        self.n_exporting -= <uint64_t>n
        self.n_exported += <uint64_t>(n - rejected)
        self.n_lost_attributes += <uint64_t>lost_attributes
        if rejected:
            self.count(self.lost, reason, rejected)
            self.n_lost += <uint64_t>rejected

    def settle(self, position: int) -> None:
        """Every span before `position` is accounted for; tells who waits for that."""
        if position > self.settled:
            self.settled = position
        tc.tc_wake_all(&self.settling)

    def give_up(self) -> int:
        """Abandon what is in nobody's hands and return how many spans that is; nothing but the running export counts on."""
        cdef uint64_t n = (self.n_written() - self.n_exporting - self.n_exported - self.n_lost - self.n_removed
                           - self.n_abandoned)
        self.n_held = 0
        self.n_abandoned += n
        self.is_given_up = True
        tc.tc_wake_all(&self.settling)
        return n

    # ---- anybody ---------------------------------------------------------------------------------

    cdef uint64_t n_written(self) noexcept:
        if self.first == NOWHERE:
            return 0
        return (self.queue.ring.n_written if self.last == NOWHERE else self.last) - self.first - self.n_not_handed

    @property
    def has_given_up(self) -> bool:
        """Whether what was left is abandoned."""
        return self.is_given_up

    @property
    def n_undelivered(self) -> int:
        """Spans lost, or dropped at the backlog, so far."""
        return self.n_lost + self.n_not_handed

    @property
    def written_to(self) -> int:
        """Position behind the last span written for it so far: what a flush waits for."""
        return min(<uint64_t>self.queue.ring.n_written, self.last)

    def is_settled(self, position: int) -> bool:
        """Whether every span before `position` is accounted for."""
        return self.settled >= <uint64_t>position or (self.is_given_up and self.n_exporting == 0)

    def notify(self) -> None:
        """Have whoever waits in `wait_settled` look again."""
        tc.tc_wake_all(&self.settling)

    def wait_settled(self, position: int, seconds: float, over: object) -> bool:
        """Wait until `position` is settled or over() is true; False when `seconds` pass first.

        Releases the GIL; raises KeyboardInterrupt when one arrives.
        """
        cdef uint64_t deadline = tc.tc_clock_monotonic_ns() + as_ns(seconds)
        cdef uint64_t now, seen, slice_ns
        while True:
            seen = tc.tc_wake_generation(&self.settling)
            if self.is_settled(position) or over():
                return True
            now = tc.tc_clock_monotonic_ns()
            if now >= deadline:
                return False
            slice_ns = min(deadline - now, as_ns(SIGNAL_CHECK_S))
            with nogil:
                tc.tc_wake_wait(&self.settling, seen, slice_ns, False)
            PyErr_CheckSignals()

    def counts(self) -> dict[str, object]:
        """Return every count; see the file's head for how they add up."""
        cdef uint64_t written, held, exporting, exported, abandoned, n_lost, n_removed
        cdef uint64_t dropped = 0, after = 0
        cdef dict lost, removed
        while True:
            # Making a dict may start the garbage collector, which may run code, which may let another thread count
            # on. The numbers are read in one go after it, and are those of the dicts or all is read again.
            lost, removed = dict(self.lost), dict(self.removed)
            written = self.n_written()
            held, exporting, exported, abandoned = self.n_held, self.n_exporting, self.n_exported, self.n_abandoned
            n_lost, n_removed = self.n_lost, self.n_removed
            if self.first != NOWHERE:
                dropped = (self.queue.ring.n_dropped if self.last == NOWHERE else self.dropped_until) - self.dropped_before
                dropped += self.n_not_handed
            if self.last != NOWHERE:
                after = (self.queue.ring.n_written + self.queue.ring.n_dropped + self.queue.n_after_shutdown
                         - self.last - self.dropped_until)
            if sum(lost.values()) == n_lost and sum(removed.values()) == <int64_t>n_removed:
                break
        return {
            "written": written,
            "waiting": written - held - exporting - exported - n_lost - n_removed - abandoned,
            "dropped_full": dropped,
            "dropped_after_shutdown": after,
            "abandoned": abandoned,
            "exported": exported,
            "lost": lost,
            "exporting": exporting,
            "lost_attributes": self.n_lost_attributes,
            "held": held,
            "removed": removed,
        }

    def reset_in_child(self) -> None:
        """Start clean in a forked child; an account that was closed stays closed. Before any other thread exists."""
        tc.tc_wake_init_in_child(&self.settling)
        if self.first != NOWHERE:
            self.first = 0
        if self.last != NOWHERE:
            self.last = 0
        self.dropped_before = self.dropped_until = self.settled = self.n_not_handed = 0
        self.n_exporting = self.n_exported = self.n_lost = self.n_removed = self.n_held = self.n_abandoned = 0
        self.n_lost_attributes = 0
        self.lost = {}
        self.removed = {}
        self.is_given_up = False
