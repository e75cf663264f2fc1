# Records on their way out.

from libc.stdint cimport uint32_t

from tracecore._core.origin cimport Origin
from tracecore._core.tc cimport tc_batch, tc_wake

cdef class Batch:
    cdef tc_batch records
    cdef Origin origin
    cdef dict forms                  # key -> what was made of the records under it
    cdef set making                  # keys that somebody is making now
    cdef tc_wake made                # told when one of them is made, or could not be
    cdef uint32_t generation         # of the process that `making` and `made` are good for
    cdef unsigned long long n_lost   # attributes that OTLP cannot hold; known once encoded
    cdef set encoded_by              # threads that asked for the OTLP encoding
    cdef object spans_view           # weak reference to the last list of ReadableSpans

    cdef object form_of(self, object key, object make)
    cdef void notice_fork(self) noexcept
