# Events and links as items of a record.

from libc.stdint cimport uint32_t, uint64_t

from tracecore._core.tc cimport tc_draft

# Append one event or link, or the entries of baggage. They run code of the attributes: write aside, then append the whole.
cdef int write_event(tc_draft *draft, object name, uint64_t timestamp, object attributes, uint32_t limit,
                     Py_ssize_t max_length) except -1
cdef int write_link(tc_draft *draft, object context, object attributes, uint32_t limit,
                    Py_ssize_t max_length) except -1
cdef int write_baggage(tc_draft *draft, object baggage, uint32_t limit, Py_ssize_t max_length) except -1

cpdef bint is_valid_link(object context, object attributes) except -1
cpdef object exception_type_name(object cls)
