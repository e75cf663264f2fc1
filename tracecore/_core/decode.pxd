# Records as the Python objects of the OpenTelemetry SDK's interfaces.

from libc.stdint cimport uint8_t

from tracecore._core.origin cimport Origin

# A finished record as a ReadableSpan. The bytes are only read during the call.
cdef object readable_span(const uint8_t *record, Origin origin)

# Parts of a record that is still being written; `items` to `end` are its items.
cdef object read_events(const uint8_t *items, const uint8_t *end, unsigned int dropped)
cdef object read_links(const uint8_t *items, const uint8_t *end, unsigned int dropped)
cdef object span_kind(int kind)
cdef object status(int code, object description)

# The bound classes, for who has the parts already.
cdef object readable_span_class()
cdef object attributes_kept(dict attributes, unsigned int dropped)
