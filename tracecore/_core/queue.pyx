# cython: binding=False
"""SpanQueue: the ring with what stands around it: waking, closing, counting, forking.

    span path (GIL held)                    the drain's worker
    put -> ring -> maybe wake    ......>    wait -> take -> Batch

What became of every record that was put, at any moment:

    put = written + dropped_full + dropped_after_shutdown
    written = waiting + taken

`n_written` and `n_taken` are positions too: the number of the next record to be written or taken, since the
start or the fork. Exporters that share a queue join and leave at such positions (see account.pyx).

Threads: put under the GIL by any thread; wait and take by one worker; the rest by any.
"""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tracecore._core cimport tc
from tracecore._core.batch cimport Batch
from tracecore._core.origin cimport Origin
from tracecore._core.workplace cimport Workplace, as_ns

RING_BYTES_RANGE = (tc.TC_RING_MIN_BYTES, tc.TC_RING_MAX_BYTES)

# A batch's records are encoded into one request: this bounds its memory and the request's size
# (receivers refuse more than a few MiB; OTLP is about as large as the records).
cdef uint64_t BATCH_MAX_BYTES = 3 << 20


@cython.no_gc_clear  # as its base; and the recorder's view of it must stay valid to the end
cdef class SpanQueue(Workplace):
    """A bounded queue of finished spans.

    Arguments:
        origin: what the spans' records refer to.
        ring_bytes: memory for records, a power of two from 64 KiB to 1 GiB.
        batch: spans that wake the worker, and the most that one Batch holds.
        start_worker: called with no argument on the thread whose span comes first; again, a batch
            later, as long as it raises (see Workplace).
    Raises: ValueError for ring_bytes, MemoryError.
    """

    def __cinit__(self, Origin origin not None, uint64_t ring_bytes, uint32_t batch, object start_worker):
        self.origin = origin
        self.batch = batch
        self.start_worker = start_worker
        if not RING_BYTES_RANGE[0] <= ring_bytes <= RING_BYTES_RANGE[1] or ring_bytes & (ring_bytes - 1):
            raise ValueError("ring_bytes=%d: expected a power of two from %d to %d" % (ring_bytes, *RING_BYTES_RANGE))
        self.ring = tc.tc_ring_new(ring_bytes)
        if self.ring == NULL:
            raise MemoryError("a ring of %d bytes" % ring_bytes)

    def __dealloc__(self):
        if self.ring != NULL:
            tc.tc_ring_free(self.ring)

    # ---- span path ----------------------------------------------------------------------

    cdef bint put(self, const uint8_t *record) noexcept:
        if self.is_closed:
            self.n_after_shutdown += 1
            return False
        if tc.tc_ring_put_spsc(self.ring, record) != tc.TC_OK:
            self.bytes_since_drain = self.ring.n_bytes  # full: the worker must run whatever it thinks
        self.n_since_wake += 1
        self.bytes_since_drain += tc.tc_load_u32(record)
        if self.n_since_wake >= self.batch or self.bytes_since_drain >= self.ring.n_bytes >> 1:
            if self.to_worker.is_sleeping:
                self.n_since_wake = 0
                self.to_worker.is_sleeping = False  # it need not be told twice
                tc.tc_wake_all(&self.to_worker)
            elif not self.has_worker and self.n_since_wake >= self.batch:
                self.n_since_wake = 0
                self.worker_is_due = True
        return self.worker_is_due

    # ---- worker ---------------------------------------------------------------------------

    def prefault(self) -> None:
        """Touch the ring's pages, so that the span path does not pay for it. Without the GIL."""
        with nogil:
            tc.tc_ring_prefault(self.ring)

    def wait(self, seen: int, seconds: float) -> bool:
        """Sleep until woken after `seen` was read, a batch or half a ring waits, or `seconds` pass. True: woken.

        The worker only. The GIL is released.
        """
        cdef uint64_t generation = seen
        cdef double s = seconds
        cdef bint woken
        # Marked as sleeping before looking: whoever ends spans needs the GIL for it, so the span that
        # makes the batch full is either seen here or wakes.
        self.to_worker.is_sleeping = True
        if tc.tc_ring_n_waiting(self.ring) >= self.batch or self.is_half_full:
            self.to_worker.is_sleeping = False
            return True
        with nogil:
            woken = tc.tc_wake_wait(&self.to_worker, generation, as_ns(s), True)
        return woken

    @property
    def is_half_full(self) -> bool:
        """Whether half the ring was written since `begin_drain`, or a span found no room."""
        return self.bytes_since_drain >= self.ring.n_bytes >> 1

    def begin_drain(self) -> int:
        """Return the number of spans written so far, which the worker is about to take. The worker only."""
        self.n_since_wake = 0
        self.bytes_since_drain = 0
        return self.ring.n_written

    def take(self, limit: int = 0xffffffff) -> Batch | None:
        """Return the oldest records, `limit` at most, as a Batch; None if there are none. Raises: MemoryError."""
        cdef Batch batch = Batch(self.origin)
        cdef tc.tc_status status
        cdef uint32_t n = <uint32_t>min(<uint64_t>limit, <uint64_t>self.batch)
        with nogil:
            status = tc.tc_batch_take(&batch.records, self.ring, n, BATCH_MAX_BYTES)
        if status != tc.TC_OK and batch.records.n == 0:
            raise MemoryError
        return batch if batch.records.n else None

    # ---- the worker and its one exporter, as long as there is one only ----------------------------

    def begin_inline(self) -> bool:
        """The worker is about to call the exporter itself: True unless several share the queue. The worker only."""
        self.is_inline = not self.is_shared
        return self.is_inline

    def end_inline(self) -> bool:
        """The exporter has returned: True if the worker drains on, False if it was relieved meanwhile."""
        self.is_inline = False
        return not self.is_shared

    def share(self, Workplace first not None) -> bool:
        """Have batches handed over to several exporters from now on, for good. Any thread.

        True: the worker is inside its exporter and was relieved: it works at `first`, that exporter's own backlog, when
        it returns, and somebody else must be started here.
        """
        cdef bint relieved = self.is_inline and not self.is_shared
        self.is_shared = True
        if relieved:
            first.has_worker = True  # at once: nobody else may come between and call the exporter too
            self.release()
        return relieved

    @property
    def has_several(self) -> bool:
        """Whether several exporters share the queue, or did."""
        return self.is_shared

    # ---- anybody ----------------------------------------------------------------------------

    @property
    def n_written(self) -> int:
        """Spans that went into the ring, since the start or the fork."""
        return self.ring.n_written

    @property
    def n_taken(self) -> int:
        """Spans that left the ring."""
        return self.ring.n_taken

    @property
    def takes_no_more(self) -> bool:
        """Whether spans that end now are counted only."""
        return self.is_closed

    def reset_in_child(self) -> None:
        """Start clean in a forked child: no spans, no counts, no worker. Before any other thread exists."""
        tc.tc_ring_reset_in_child(self.ring)
        self.staff_in_child()
        self.is_inline = False
        self.n_since_wake = 0
        self.bytes_since_drain = 0
        self.n_after_shutdown = 0
