# Finished spans between the span path and the worker that drains them.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tracecore._core.origin cimport Origin
from tracecore._core.tc cimport tc_ring
from tracecore._core.workplace cimport Workplace

cdef class SpanQueue(Workplace):
    cdef tc_ring *ring
    cdef Origin origin
    cdef bint is_closed           # spans that end from now on are counted, not queued
    cdef bint is_shared           # several exporters' batches are drained from here, or were
    cdef bint is_inline           # the worker is inside the one exporter
    cdef uint32_t batch
    cdef uint32_t n_open          # accounts that have joined and are not closed
    cdef uint32_t n_since_wake    # spans since the worker was last woken for a batch
    cdef uint64_t bytes_since_drain  # of records since the worker last took everything
    cdef uint64_t n_after_shutdown

    # One finished record. What cannot be queued is counted. True: call `start`, once the record is everywhere.
    cdef bint put(self, const uint8_t *record) noexcept
