# cython: binding=False
"""BaggageStage: tc_baggage over the batches of one drain.

Source: csrc/tc_baggage.h. Threads: the drain's worker.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tracecore._core cimport tc, values
from tracecore._core.batch cimport Batch
from tracecore.errors import report


cdef class BaggageStage:
    """Makes attributes of baggage.

    Arguments: tuples (kind, pattern, flags) of the entries to take.
    Raises: ValueError for a pattern that does not compile (the processor has tried them), MemoryError.
    """
    cdef tc.tc_baggage baggage

    def __cinit__(self, tuple keys not None):
        cdef tc.tc_regex_fault fault
        cdef bytes pattern
        cdef uint32_t flags
        cdef int kind
        tc.tc_baggage_init(&self.baggage)
        for kind, pattern, flags in keys:
            if not tc.tc_match_add(&self.baggage.keys, 0, <tc.tc_pattern_kind>kind,
                                   <const uint8_t *>PyBytes_AS_STRING(pattern), <uint32_t>PyBytes_GET_SIZE(pattern),
                                   flags, &fault):
                raise ValueError(fault.reason.decode())

    def __dealloc__(self):
        tc.tc_baggage_clear(&self.baggage)

    @property
    def reason(self):
        return "baggage"  # takes no span out

    def process(self, Batch batch not None) -> None:
        cdef uint64_t before = self.baggage.n_failed
        with nogil:
            tc.tc_baggage_batch(&self.baggage, &batch.records, values.strings())
        if self.baggage.n_failed != before:
            report("baggage_refused", "%d spans go without their baggage: out of memory", self.baggage.n_failed - before)
