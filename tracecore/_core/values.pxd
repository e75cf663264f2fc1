# Python values as items of a record, and back.

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t

from tracecore._core.tc cimport tc_draft, tc_strings

# Attribute keys, span names and event names of this process: id -> bytes.
cdef tc_strings *strings() noexcept nogil

# The id of a name that is likely to repeat, 0 if it has none. `name` is a str.
cdef uint32_t name_id(PyObject *name) noexcept

# Sets one attribute. 1: recorded; 0: refused (counted in dropped_attributes where the SDK
# counts it, reported otherwise), or the draft is finished. Raises only what asks the program to
# stop, from the value's own code.
cdef int put_attribute(tc_draft *draft, object key, object value, uint32_t limit, Py_ssize_t max_length) except -1

# The same for each entry of a mapping.
cdef int put_attributes(tc_draft *draft, object attributes, uint32_t limit, Py_ssize_t max_length) except -1

# Text that must be valid UTF-8 on the wire: lone surrogates become U+FFFD.
cdef bytes text_bytes(object text)

# A draft to write aside in, for what runs code of others while it is written; give it back.
cdef tc_draft *take_aside() except NULL
cdef void give_back_aside(tc_draft *draft) noexcept

# Appends the attributes of an event or a link to the open item; returns how many limits dropped.
cdef uint32_t put_inner_attributes(tc_draft *draft, object attributes, uint32_t limit, Py_ssize_t max_length) except? 0xffffffff

# The attributes among items, in order.
cdef dict read_attributes(const uint8_t *items, const uint8_t *end)
cdef str read_text(const uint8_t *bytes, uint32_t n)
cdef str read_string(uint32_t id)

# A name of any type as an exact str; never raises for what the name's own code does.
cdef object exact_text(object name)
