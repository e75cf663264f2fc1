# Batches that wait for one exporter.

from libc.stdint cimport uint64_t

from tracecore._core.workplace cimport Workplace

cdef class Backlog(Workplace):
    cdef object entries           # deque of [Batch or None, position]
    cdef uint64_t n_bytes         # of the batches inside
    cdef uint64_t max_bytes
    cdef bint ends                # nothing comes any more
