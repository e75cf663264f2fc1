# Finished spans between the span path and one worker.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from posix.types cimport pid_t

from tracecore._core.origin cimport Origin
from tracecore._core.tc cimport tc_ring, tc_wake

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass

cdef class SpanQueue:
    cdef tc_ring *ring
    cdef tc_wake to_worker        # batch full, flush, stop
    cdef tc_wake from_worker      # something was exported
    cdef pthread_mutex_t taking   # the consumer side: worker, or shutdown when the worker is late
    cdef Origin origin
    cdef object start_worker      # called once, when the first span arrives
    cdef bint worker_is_due       # the next span has the worker started
    cdef bint has_worker          # one was started, or shutdown stands in for it
    cdef bint is_closed           # spans that end from now on are counted, not queued
    cdef uint32_t batch
    cdef uint32_t n_since_wake    # spans since the worker was last woken for a batch
    cdef uint64_t bytes_since_drain  # of records since the worker last took everything
    cdef uint64_t n_after_shutdown
    cdef uint64_t n_abandoned     # still queued when shutdown's time was up
    cdef uint64_t n_done          # taken and accounted for: exported or failed

    cdef bint is_served           # a worker has begun: a second one that was started by mistake goes home

    # One finished record. What cannot be queued is counted. Raises only what asks the program to stop while
    # the worker is started, with the record in the ring.
    cdef int put(self, const uint8_t *record) except -1
