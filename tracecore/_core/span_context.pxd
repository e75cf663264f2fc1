# OpenTelemetry's SpanContext from the core's ids, and the other way round.

from libc.stdint cimport uint8_t, uint64_t

# trace_id: 16 bytes, span_id: 8 bytes, most significant first.
cdef object make_span_context(const uint8_t *trace_id, const uint8_t *span_id, bint is_remote,
                              uint8_t trace_flags, object trace_state)

cdef object id_from_bytes(const uint8_t *bytes, int n)
# Writes the low n * 8 bits of an int.
cdef int id_to_bytes(object value, uint8_t *out, int n) except -1
