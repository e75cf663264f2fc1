# Records on their way out.

from tracecore._core.origin cimport Origin
from tracecore._core.tc cimport tc_batch

cdef class Batch:
    cdef tc_batch records
    cdef Origin origin
    cdef bytes encoded               # the OTLP request, once somebody asked for it
    cdef bytes encoded_json          # the same as JSON
    cdef readonly unsigned long long lost_attributes  # that OTLP cannot hold; known once encoded
