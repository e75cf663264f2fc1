# cython: binding=False
"""SpanContext, made without its Python-level constructor.

SpanContext is a tuple with names for its items; building the tuple directly skips checks that the
core's ids have already passed. Whether this API's SpanContext still has that shape is tested
once, at import; if not, the constructor is called.
"""

from libc.stdint cimport uint8_t, uint64_t

from opentelemetry.trace import TraceFlags, TraceState
from opentelemetry.trace.span import DEFAULT_TRACE_STATE, SpanContext

from tracecore._core cimport tc

cdef extern from "Python.h":
    unsigned long long PyLong_AsUnsignedLongLongMask(object value) except? 0xffffffffffffffff

cdef object NEW_TUPLE = tuple.__new__
cdef object CONTEXT = SpanContext
cdef object NO_STATE = DEFAULT_TRACE_STATE
cdef tuple FLAGS = tuple([TraceFlags(i) for i in range(256)])


def has_known_shape() -> bool:
    """Whether a SpanContext is the tuple this module builds."""
    state = TraceState([("a", "b")])
    made = SpanContext(1 << 64, 2, True, TraceFlags(1), state)
    return tuple(made) == (1 << 64, 2, True, TraceFlags(1), state, True)


cdef bint IS_TUPLE = isinstance(INVALID := SpanContext(0, 0, False), tuple) and has_known_shape()


cdef object id_from_bytes(const uint8_t *bytes, int n):
    if n == 8:
        return tc.tc_load_be64(bytes)
    return (<object>tc.tc_load_be64(bytes) << 64) | tc.tc_load_be64(bytes + 8)


cdef int id_to_bytes(object value, uint8_t *out, int n) except -1:
    if n == 16:
        tc.tc_store_be64(out, PyLong_AsUnsignedLongLongMask(value >> 64))
        out += 8
    tc.tc_store_be64(out, PyLong_AsUnsignedLongLongMask(value))
    return 0


cdef object make_span_context(const uint8_t *trace_id, const uint8_t *span_id, bint is_remote,
                              uint8_t trace_flags, object trace_state):
    cdef object trace = id_from_bytes(trace_id, 16)
    cdef object span = id_from_bytes(span_id, 8)
    cdef bint valid
    if trace_state is None:
        trace_state = NO_STATE
    if IS_TUPLE:
        valid = trace != 0 and span != 0
        return NEW_TUPLE(CONTEXT, (trace, span, is_remote, FLAGS[trace_flags], trace_state, valid))
    return CONTEXT(trace, span, is_remote, FLAGS[trace_flags], trace_state)
