# Events, links and the items that few spans have, in a record.

from libc.stdint cimport uint32_t, uint64_t

from tracecore._core.tc cimport tc_draft

# Append one event or link, of whose attributes `dropped_before` are gone already. They run code of the attributes: write
# aside, then append the whole.
cdef int write_event(tc_draft *draft, object name, uint64_t timestamp, object attributes, uint32_t limit,
                     Py_ssize_t max_length, uint32_t dropped_before) except -1
cdef int write_link(tc_draft *draft, object context, object attributes, uint32_t limit,
                    Py_ssize_t max_length, uint32_t dropped_before) except -1

# Append the entries of a context's baggage, of which no more than `limit` attributes come; likewise.
cdef int write_baggage(tc_draft *draft, object baggage, uint32_t limit, Py_ssize_t max_length) except -1

cpdef bint is_valid_link(object context, object attributes) except -1
cpdef object exception_type_name(object cls)

# Append a name that has no id, a status description, the tracestates of the span and of its parent; None: without.
cdef int put_rare(tc_draft *draft, object name, object message, object trace_state, object parent_state) except -1
