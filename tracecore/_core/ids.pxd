# Ids and the fork generation: the one module that links tc_ids, whose state is per process.

from libc.stdint cimport uint8_t, uint32_t

cdef void new_trace_id(uint8_t *out) noexcept nogil
cdef void new_span_id(uint8_t *out) noexcept nogil
cdef uint32_t generation() noexcept nogil
