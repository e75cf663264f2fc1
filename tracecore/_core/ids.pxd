# Ids and the fork generation: the one module that links tc_ids, whose state is per process.

from libc.stdint cimport uint8_t, uint32_t

cdef void new_ids(uint8_t *trace_id, uint8_t *span_id) noexcept nogil
cdef void new_trace_id(uint8_t *out) noexcept nogil
cdef void new_span_id(uint8_t *out) noexcept nogil
# Where the fork generation stands.
cdef const uint32_t *generation_view() noexcept nogil
