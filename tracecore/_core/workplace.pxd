# Where one worker waits for work: who works there, and how it is woken.

from libc.stdint cimport uint64_t

from tracecore._core.tc cimport tc_wake

# Seconds as nanoseconds, 0 for what is negative, an hour for what is longer.
cdef uint64_t as_ns(double seconds) noexcept nogil

cdef class Workplace:
    cdef tc_wake to_worker        # work came, or something to decide
    cdef object start_worker      # called without arguments to have a thread that works here
    cdef bint worker_is_due       # the next piece of work has the worker started
    cdef bint has_worker          # one was started, or shutdown stands in for it
    cdef bint is_served           # a worker has begun: a second one that was started by mistake goes home

    cdef void staff_in_child(self) noexcept
