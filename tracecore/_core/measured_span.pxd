# A span of which only the operation, the outcome and the duration are kept.

from libc.stdint cimport uint8_t, uint64_t

from tracecore._core.span cimport SpanBase, SpanSource

cdef class MeasuredSpan(SpanBase):
    cdef SpanSource source
    cdef readonly object name   # a str
    cdef uint64_t start_ns      # epoch
    cdef uint8_t kind_code
    cdef uint8_t status_code
    cdef bint set_status_on_exceptions
    cdef bint ended

    cdef uint64_t now_ns(self) noexcept nogil
    # What leaving a `with` by an exception does.
    cdef int note_exception(self) except -1
    cdef int finish(self, uint64_t end_ns) except -1

cdef MeasuredSpan new_measured_span(SpanSource source, object name)
