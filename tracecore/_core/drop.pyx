# cython: binding=False
"""DropStage: tc_drop over the batches of one drain.

Source: csrc/tc_drop.h. Threads: the drain's worker.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tracecore._core cimport tc, values
from tracecore._core.batch cimport Batch
from tracecore._core.origin cimport Origin


cdef class DropStage:
    """Takes spans out of a batch by rules.

    Arguments: tuples (kinds, statuses, under_ns, names, scopes, attributes). `names` and `scopes`: tuples (kind,
    pattern, flags), none for all; `attributes`: pairs of such a tuple for the key and one, or None, for the value.
    Raises: ValueError for a rule that does not compile (the processor has tried them), MemoryError.
    """
    cdef tc.tc_drop drop
    cdef Origin origin  # whose scopes the rules have been matched with

    def __cinit__(self, list rules not None):
        tc.tc_drop_init(&self.drop)
        for rule in rules:
            self.add(rule)

    def __dealloc__(self):
        tc.tc_drop_clear(&self.drop)

    cdef add(self, tuple rule):
        cdef uint8_t kinds, statuses
        cdef uint64_t under_ns
        cdef tc.tc_regex_fault fault
        cdef bytes pattern, value
        cdef const uint8_t *value_view
        cdef uint32_t flags, value_flags, n_value
        cdef int kind, value_kind
        cdef bint ok
        kinds, statuses, under_ns, names, scopes, attributes = rule
        ok = tc.tc_drop_add(&self.drop, kinds, statuses, under_ns, &fault)
        for kind, pattern, flags in names:
            ok = ok and tc.tc_drop_add_name(&self.drop, <tc.tc_pattern_kind>kind,
                                            <const uint8_t *>PyBytes_AS_STRING(pattern),
                                            <uint32_t>PyBytes_GET_SIZE(pattern), flags, &fault)
        for kind, pattern, flags in scopes:
            ok = ok and tc.tc_drop_add_scope(&self.drop, <tc.tc_pattern_kind>kind,
                                             <const uint8_t *>PyBytes_AS_STRING(pattern),
                                             <uint32_t>PyBytes_GET_SIZE(pattern), flags, &fault)
        for key, wanted in attributes:
            kind, pattern, flags = key
            value_kind, value_view, n_value, value_flags = 0, NULL, 0, 0
            if wanted is not None:
                value_kind, value, value_flags = wanted
                value_view = <const uint8_t *>PyBytes_AS_STRING(value)
                n_value = <uint32_t>PyBytes_GET_SIZE(value)
            ok = ok and tc.tc_drop_add_attribute(&self.drop, <tc.tc_pattern_kind>kind,
                                                 <const uint8_t *>PyBytes_AS_STRING(pattern),
                                                 <uint32_t>PyBytes_GET_SIZE(pattern), flags,
                                                 <tc.tc_pattern_kind>value_kind, value_view, n_value, value_flags, &fault)
        if not ok:
            raise ValueError(fault.reason.decode())

    @property
    def reason(self):
        return "dropped_by_rule"

    def process(self, Batch batch not None) -> None:
        if batch.origin is not self.origin:
            tc.tc_match_forget(&self.drop.scopes)
            self.origin = batch.origin
        with nogil:
            tc.tc_drop_batch(&self.drop, &batch.records, values.strings(), self.origin.scopes)
