# A span from start to end, and the span that is not recorded.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tracecore._core.recorder cimport Recorder
from tracecore._core.tc cimport tc_draft

# Where a span comes from: a tracer's part that its spans keep.
cdef class SpanSource:
    cdef Recorder recorder
    cdef uint16_t scope_id
    cdef object scope           # InstrumentationScope

# Registered as a virtual subclass of OpenTelemetry's Span: isinstance() then caches its answer
# for the classes below, which it would not for classes registered themselves.
cdef class SpanBase:
    cdef uint8_t trace_id[16]   # most significant byte first
    cdef uint8_t span_id[8]
    cdef uint8_t trace_flags    # W3C
    cdef uint32_t generation    # of the process that started it
    cdef int64_t offset_ns      # wall - monotonic for the whole local trace
    cdef object trace_state     # TraceState or None
    cdef object made_context    # the SpanContext, once somebody asked

cdef class UnsampledSpan(SpanBase):
    pass

cdef class PassedOnSpan(UnsampledSpan):
    pass

cdef class Span(SpanBase):
    cdef SpanSource source
    cdef tc_draft *draft        # owned; holds the record until the span object goes
    cdef readonly object name
    cdef object parent_context  # SpanContext of a parent that is not ours, or None
    cdef object parent_state    # TraceState of the parent, where the sampler replaced it
    cdef object message         # the status description
    cdef uint8_t parent_span_id[8]
    cdef uint8_t parent_flags
    cdef uint8_t kind_code
    cdef uint8_t status_code
    cdef bint has_parent, parent_is_remote
    cdef bint ended
    cdef bint record_exceptions, set_status_on_exceptions
    cdef uint64_t start_ns, end_ns          # epoch

    cdef int finish(self, uint64_t end_ns) except -1
    cdef int finish_slowly(self, Recorder recorder) except -1
    cdef void seal(self) noexcept
    cdef uint64_t now_ns(self) noexcept nogil
    cdef int note_exception(self, object error, bint escaped) except -1
    cdef int put_link(self, object context, object attributes) except -1

cdef Span new_span(SpanSource source, object name)
cdef UnsampledSpan new_unsampled_span()
cdef PassedOnSpan new_passed_on_span(object context)
