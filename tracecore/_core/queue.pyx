# cython: binding=False
"""SpanQueue: the ring with what stands around it: waking, closing, counting, forking.

    span path (GIL held)                    worker
    put -> ring -> maybe wake    ......>    wait -> take -> Batch -> export -> done

What became of every record that was put, at any moment:

    put = written + dropped_full + dropped_after_shutdown
    written = waiting + taken + abandoned;   taken = in the exporter's hands + done

Threads: put under the GIL by any thread; wait, take and done by one worker; the rest by any.
"""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cpython.exc cimport PyErr_CheckSignals

from tracecore._core cimport tc
from tracecore._core.batch cimport Batch
from tracecore._core.origin cimport Origin
from tracecore.errors import report

cdef extern from "pthread.h" nogil:
    int pthread_mutex_init(pthread_mutex_t *mutex, void *attributes)
    int pthread_mutex_lock(pthread_mutex_t *mutex)
    int pthread_mutex_unlock(pthread_mutex_t *mutex)
    int pthread_mutex_destroy(pthread_mutex_t *mutex)

RING_BYTES_RANGE = (tc.TC_RING_MIN_BYTES, tc.TC_RING_MAX_BYTES)

# A batch's records are encoded into one request: this bounds its memory and the request's size
# (receivers refuse more than a few MiB; OTLP is about as large as the records).
cdef uint64_t BATCH_MAX_BYTES = 3 << 20

# Longest single sleep: bounds the arithmetic, not the behaviour.
cdef double LONGEST_WAIT_S = 3600.0

# How long a flushing thread sleeps before it looks for Ctrl-C again.
cdef double SIGNAL_CHECK_S = 0.05


cdef uint64_t as_ns(double seconds) noexcept nogil:
    if not seconds > 0:
        return 0
    return <uint64_t>((seconds if seconds < LONGEST_WAIT_S else LONGEST_WAIT_S) * 1e9)


@cython.no_gc_clear  # the pipeline's dict breaks the cycle through start_worker
cdef class SpanQueue:
    """A bounded queue of finished spans.

    Arguments:
        origin: what the spans' records refer to.
        ring_bytes: memory for records, a power of two from 64 KiB to 1 GiB.
        batch: spans that wake the worker, and the most that one Batch holds.
        start_worker: called with no argument on the thread whose span comes first; again, a batch
            later, as long as it raises.
    Raises: ValueError for ring_bytes, MemoryError.
    """

    def __cinit__(self, Origin origin not None, uint64_t ring_bytes, uint32_t batch, object start_worker):
        self.origin = origin
        self.batch = batch
        self.start_worker = start_worker
        self.worker_is_due = True
        if not RING_BYTES_RANGE[0] <= ring_bytes <= RING_BYTES_RANGE[1] or ring_bytes & (ring_bytes - 1):
            raise ValueError("ring_bytes=%d: expected a power of two from %d to %d" % (ring_bytes, *RING_BYTES_RANGE))
        self.ring = tc.tc_ring_new(ring_bytes)
        if self.ring == NULL:
            raise MemoryError("a ring of %d bytes" % ring_bytes)
        if (tc.tc_wake_init(&self.to_worker) != tc.TC_OK or tc.tc_wake_init(&self.from_worker) != tc.TC_OK
                or pthread_mutex_init(&self.taking, NULL) != 0):
            raise MemoryError

    def __dealloc__(self):
        if self.ring != NULL:
            tc.tc_ring_free(self.ring)
            tc.tc_wake_destroy(&self.to_worker)
            tc.tc_wake_destroy(&self.from_worker)
            pthread_mutex_destroy(&self.taking)

    # ---- span path ----------------------------------------------------------------------

    cdef int put(self, const uint8_t *record) except -1:
        if self.is_closed:
            self.n_after_shutdown += 1
            return 0
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
        if self.worker_is_due:
            self.start()  # runs Python code: last, with the record in its place
        return 0

    def start(self) -> bool:
        """Have the worker started unless there is one; False when no thread can be had. Any thread."""
        self.worker_is_due = False
        if not self.claim_worker():
            return True
        try:
            self.start_worker()
        except Exception as error:
            # At the limit of threads a later batch tries again; at interpreter exit shutdown drains the ring.
            self.has_worker = False
            report("worker_start", "the export worker could not be started: %s", error)
            return False
        except BaseException:
            # Ctrl-C, say. The thread may run or not: the next span tries again, and `begin_service` lets one work.
            self.has_worker = False
            self.worker_is_due = True
            raise
        return True

    def begin_service(self) -> bool:
        """Become who takes records: True for one caller only. The worker, first of all."""
        cdef bint is_first = not self.is_served
        self.is_served = True
        self.has_worker = True
        return is_first

    def claim_worker(self) -> bool:
        """Become the one worker: True for one caller only. Any thread."""
        cdef bint is_first = not self.has_worker
        self.has_worker = True
        return is_first

    # ---- worker ---------------------------------------------------------------------------

    def prefault(self) -> None:
        """Touch the ring's pages, so that the span path does not pay for it. Without the GIL."""
        with nogil:
            tc.tc_ring_prefault(self.ring)

    def wake_count(self) -> int:
        """Return the number to pass to `wait`: wake-ups until now."""
        return tc.tc_wake_generation(&self.to_worker)

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

    def take(self) -> Batch | None:
        """Return the oldest records as a Batch, None if there are none.

        Each Batch must be answered by one `done(len(batch))`. Raises: MemoryError.
        """
        cdef Batch batch = Batch(self.origin)
        cdef tc.tc_status status = tc.TC_OK
        with nogil:
            pthread_mutex_lock(&self.taking)
            if self.n_abandoned == 0:
                status = tc.tc_batch_take(&batch.records, self.ring, self.batch, BATCH_MAX_BYTES)
            pthread_mutex_unlock(&self.taking)
        if status != tc.TC_OK and batch.records.n == 0:
            raise MemoryError
        return batch if batch.records.n else None

    def done(self, n: int) -> None:
        """Say that n taken spans are accounted for, and wake who waits for that."""
        self.n_done += <uint64_t>n
        tc.tc_wake_all(&self.from_worker)

    # ---- anybody ----------------------------------------------------------------------------

    def wake(self) -> None:
        """Wake the worker."""
        tc.tc_wake_all(&self.to_worker)

    def notify(self) -> None:
        """Wake whoever waits in `wait_done` to look again."""
        tc.tc_wake_all(&self.from_worker)

    @property
    def n_written(self) -> int:
        """Spans that went into the ring, since the start or the fork."""
        return self.ring.n_written

    @property
    def n_accounted(self) -> int:
        """Spans that left the ring and whose fate is known; reaches n_written when all is quiet."""
        return self.n_done + self.n_abandoned

    def wait_done(self, n: int, seconds: float, over: object) -> bool:
        """Wait until n spans are accounted for or over() is true; False when `seconds` pass first.

        Releases the GIL; raises KeyboardInterrupt when one arrives.
        """
        cdef uint64_t deadline = tc.tc_clock_monotonic_ns() + as_ns(seconds)
        cdef uint64_t now, seen, slice_ns
        while True:
            seen = tc.tc_wake_generation(&self.from_worker)
            if self.n_done + self.n_abandoned >= <uint64_t>n or over():
                return True
            now = tc.tc_clock_monotonic_ns()
            if now >= deadline:
                return False
            slice_ns = min(deadline - now, as_ns(SIGNAL_CHECK_S))
            with nogil:
                tc.tc_wake_wait(&self.from_worker, seen, slice_ns, False)
            PyErr_CheckSignals()

    def close(self) -> None:
        """Queue nothing from now on; what is inside can still be taken."""
        self.is_closed = True

    def abandon(self) -> int:
        """Give up what is still queued and return how many spans that is. `take` finds nothing after it."""
        cdef uint64_t n
        self.is_closed = True
        with nogil:
            pthread_mutex_lock(&self.taking)
            n = tc.tc_ring_n_waiting(self.ring) - self.n_abandoned
            self.n_abandoned += n
            pthread_mutex_unlock(&self.taking)
        return n

    def counts(self) -> dict[str, int]:
        """Return what became of every span that was put; see the file's head for how they add up."""
        # The worker takes without the GIL: its count is read once, so that the sum holds meanwhile.
        cdef uint64_t taken = self.ring.n_taken
        return {
            "written": self.ring.n_written,
            "waiting": self.ring.n_written - taken - self.n_abandoned,
            "taken": taken,
            "dropped_full": self.ring.n_dropped,
            "dropped_after_shutdown": self.n_after_shutdown,
            "abandoned": self.n_abandoned,
        }

    def reset_in_child(self) -> None:
        """Start clean in a forked child: no spans, no counts, no worker. Before any other thread exists."""
        tc.tc_ring_reset_in_child(self.ring)
        tc.tc_wake_init_in_child(&self.to_worker)
        tc.tc_wake_init_in_child(&self.from_worker)
        pthread_mutex_init(&self.taking, NULL)
        self.worker_is_due = True
        self.has_worker = False
        self.is_served = False
        self.n_since_wake = 0
        self.bytes_since_drain = 0
        self.n_after_shutdown = self.n_abandoned = self.n_done = 0
