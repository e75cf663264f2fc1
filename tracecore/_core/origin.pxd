# Who made the spans: the resource and the instrumentation scopes of one provider.

from libc.stdint cimport uint16_t

from tracecore._core.tc cimport tc_strings

cdef class Origin:
    cdef readonly object resource   # with .attributes and .schema_url
    cdef bytes resource_fields      # fields of OTLP's ResourceSpans, without its spans
    cdef tc_strings *scopes         # id -> fields of OTLP's ScopeSpans, without its spans
    cdef list scope_objects         # id -> InstrumentationScope

    cdef object scope(self, uint16_t id)
