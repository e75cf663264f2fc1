# start_span and start_as_current_span.

from tracecore._core.span cimport SpanBase, SpanSource

cdef class Tracer(SpanSource):
    cdef object config          # its TracerConfig, None for the default
    cdef bint is_disabled
    # `current` is the current Context where the caller has it at hand, else None.
    cdef SpanBase begin(self, object name, object context, object current, object kind, object attributes,
                        object links, object start_time, bint record_exceptions, bint set_status_on_exceptions)
