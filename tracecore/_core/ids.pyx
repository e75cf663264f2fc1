# cython: binding=False
"""Trace and span ids for the other modules, and as Python integers."""

from libc.stdint cimport uint8_t, uint32_t

from tracecore._core cimport tc
from tracecore._core.span_context cimport id_from_bytes

if tc.tc_ids_init() != tc.TC_OK:
    raise MemoryError("pthread_atfork")


cdef void new_ids(uint8_t *trace_id, uint8_t *span_id) noexcept nogil:
    tc.tc_ids_trace(trace_id)
    tc.tc_ids_span(span_id)


cdef void new_trace_id(uint8_t *out) noexcept nogil:
    tc.tc_ids_trace(out)


cdef void new_span_id(uint8_t *out) noexcept nogil:
    tc.tc_ids_span(out)


cdef const uint32_t *generation_view() noexcept nogil:
    return tc.tc_ids_generation_view()


def trace_id() -> int:
    """Return a new trace id, 1 .. 2**128 - 1. Any thread."""
    cdef uint8_t out[16]
    tc.tc_ids_trace(out)
    return id_from_bytes(out, 16)


def span_id() -> int:
    """Return a new span id, 1 .. 2**64 - 1. Any thread."""
    cdef uint8_t out[8]
    tc.tc_ids_span(out)
    return id_from_bytes(out, 8)


def fork_generation() -> int:
    """Return a number that differs between a process and its forked children."""
    return tc.tc_ids_generation()
