# What a new span takes from code that is not ours: parents, samplers, id generators, arguments.

from libc.stdint cimport uint8_t, uint64_t

# The span in a Context of a class of somebody's own; None without one.
cdef object find_span_slowly(object context)
# The SpanContext of a parent span that is not ours; None if it makes no parent.
cdef object foreign_parent(object span)
# The user's sampler's verdict: (recording, sampled, attributes, trace_state); None if it failed.
cdef object ask(object sampler, object context, object trace_id, object name, object kind, object attributes,
                object links)
# Ids by the user's generator, the core's own where it fails; the trace id (16 bytes) only for a root.
cdef int make_foreign_ids(object generator, bint is_root, uint8_t *trace_id, uint8_t *span_id) except -1
# start_time as nanoseconds since the epoch, `now` if it is no such number.
cdef uint64_t explicit_start(object start_time, uint64_t now) except? 0
# A SpanKind's number, INTERNAL's for anything else.
cdef int kind_code(object kind) except -1
