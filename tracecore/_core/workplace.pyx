# cython: binding=False
"""Workplace: what a queue and its one worker thread share: who works there, and how it is woken.

    anybody      start -> claim -> start_worker() ......> a thread
    the thread   begin_service -> works -> release, or never

One worker at a time: claims are settled under the GIL, where each method here is one step.
"""

cimport cython
from libc.stdint cimport uint64_t

from tracecore._core cimport tc
from tracecore.errors import report

# Longest single sleep: bounds the arithmetic, not the behaviour.
cdef double LONGEST_WAIT_S = 3600.0


cdef uint64_t as_ns(double seconds) noexcept nogil:
    if not seconds > 0:
        return 0
    return <uint64_t>((seconds if seconds < LONGEST_WAIT_S else LONGEST_WAIT_S) * 1e9)


@cython.no_gc_clear  # the owner's dict breaks the cycle through start_worker
cdef class Workplace:
    """The base of SpanQueue and Backlog.

    Subclasses set `start_worker`: called with no argument on the thread that brings the first piece of
    work; again, later, as long as it raises. Raises: MemoryError.
    """

    def __cinit__(self, *args, **kwargs):
        self.worker_is_due = True
        if tc.tc_wake_init(&self.to_worker) != tc.TC_OK:
            raise MemoryError

    def __dealloc__(self):
        tc.tc_wake_destroy(&self.to_worker)

    def start(self) -> bool:
        """Have the worker started unless there is one; False when no thread can be had. Any thread."""
        self.worker_is_due = False
        if not self.claim_worker():
            return True
        try:
            self.start_worker()
        except Exception as error:
            # At the limit of threads later work tries again; at interpreter exit shutdown does it.
            self.has_worker = False
            report("worker_start", "the export worker could not be started: %s", error)
            return False
        except BaseException:
            # Ctrl-C, say. The thread may run or not: the next span tries again, and `begin_service` lets one work.
            self.has_worker = False
            self.worker_is_due = True
            raise
        return True

    def claim_worker(self) -> bool:
        """Become the one worker: True for one caller only. Any thread."""
        cdef bint is_first = not self.has_worker
        self.has_worker = True
        return is_first

    def begin_service(self) -> bool:
        """Become who does the work: True for one caller only. The worker, first of all."""
        cdef bint is_first = not self.is_served
        self.is_served = True
        self.has_worker = True
        return is_first

    def release(self) -> None:
        """Let somebody else be the worker: the next piece of work has one started."""
        self.has_worker = False
        self.is_served = False
        self.worker_is_due = True

    @property
    def is_staffed(self) -> bool:
        """Whether there is a worker, or one on its way."""
        return self.has_worker

    def wake(self) -> None:
        """Wake the worker."""
        tc.tc_wake_all(&self.to_worker)

    def wake_count(self) -> int:
        """Return the number to pass to `wait`: wake-ups until now."""
        return tc.tc_wake_generation(&self.to_worker)

    def wait(self, seen: int, seconds: float) -> bool:
        """Sleep until woken after `seen` was read, or `seconds` pass. True: woken. The worker only, without the GIL."""
        cdef uint64_t generation = seen
        cdef double s = seconds
        cdef bint woken
        with nogil:
            woken = tc.tc_wake_wait(&self.to_worker, generation, as_ns(s), True)
        return woken

    cdef void staff_in_child(self) noexcept:
        """In a forked child: nobody works here, nobody holds the lock."""
        tc.tc_wake_init_in_child(&self.to_worker)
        self.worker_is_due = True
        self.has_worker = False
        self.is_served = False
