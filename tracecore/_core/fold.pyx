# cython: binding=False
"""FoldStage: tc_fold over the batches of one drain.

Source: csrc/tc_fold.h. Threads: the drain's worker.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset, strlen

from tracecore._core cimport tc, values
from tracecore._core.batch cimport Batch
from tracecore._core.origin cimport Origin

COUNT = (<bytes>tc.TC_FOLD_COUNT).decode()
TOTAL_NS = (<bytes>tc.TC_FOLD_TOTAL_NS).decode()
MIN_NS = (<bytes>tc.TC_FOLD_MIN_NS).decode()
MAX_NS = (<bytes>tc.TC_FOLD_MAX_NS).decode()


cdef uint32_t id_of(const char *key) noexcept:
    return tc.tc_strings_intern(values.strings(), <const uint8_t *>key, <uint32_t>strlen(key), tc.TC_STRINGS_MAX)


cdef class FoldStage:
    """Folds equal siblings.

    Arguments:
        threshold: spans of a group that stay as they are, 1 at least.
        hold_ns, max_groups, max_parents, max_bytes: how long and how much is held back.
        keys: tuples (kind, pattern, flags) of attributes that must be equal within a group; None for all attributes.
    Raises: ValueError for a pattern that does not compile (the processor has tried them), MemoryError.
    """
    cdef tc.tc_fold fold
    cdef Origin origin  # of the last batch: what is held refers to its scopes

    def __cinit__(self, uint32_t threshold, uint64_t hold_ns, uint32_t max_groups, uint32_t max_parents,
                  uint64_t max_bytes, tuple keys):
        cdef tc.tc_regex_fault fault
        cdef bytes pattern
        cdef uint32_t flags
        cdef int kind
        memset(&self.fold, 0, sizeof(self.fold))
        self.fold.threshold = threshold
        self.fold.hold_ns = hold_ns
        self.fold.max_groups = max_groups
        self.fold.max_parents = max_parents
        self.fold.max_bytes = max_bytes
        self.fold.by_all_attributes = keys is None
        self.fold.names.count = id_of(tc.TC_FOLD_COUNT)
        self.fold.names.total_ns = id_of(tc.TC_FOLD_TOTAL_NS)
        self.fold.names.min_ns = id_of(tc.TC_FOLD_MIN_NS)
        self.fold.names.max_ns = id_of(tc.TC_FOLD_MAX_NS)
        for kind, pattern, flags in keys or ():
            if not tc.tc_match_add(&self.fold.keys, 0, <tc.tc_pattern_kind>kind,
                                   <const uint8_t *>PyBytes_AS_STRING(pattern), <uint32_t>PyBytes_GET_SIZE(pattern),
                                   flags, &fault):
                raise ValueError(fault.reason.decode())
        if tc.tc_fold_open(&self.fold) != tc.TC_OK:
            raise MemoryError

    def __dealloc__(self):
        if self.fold.max_groups != 0:
            tc.tc_fold_clear(&self.fold)

    @property
    def reason(self):
        return "folded"

    @property
    def n_held(self) -> int:
        """Spans that would come out if nothing more came in."""
        return self.fold.n_held

    @property
    def held_bytes(self) -> int:
        """Bytes of the records held."""
        return self.fold.n_bytes

    @property
    def n_folded(self) -> int:
        """Spans that others stand for."""
        return self.fold.n_folded

    @property
    def n_passed(self) -> int:
        """Spans that there was no room to hold."""
        return self.fold.n_passed

    def process(self, Batch batch not None) -> None:
        self.origin = batch.origin
        with nogil:
            tc.tc_fold_batch(&self.fold, &batch.records, values.strings(), tc.tc_clock_monotonic_ns())

    def expire(self, Batch batch not None) -> None:
        """Add what was held for its time."""
        self.release(batch, tc.tc_clock_monotonic_ns())

    def finish(self, Batch batch not None) -> None:
        """Add everything that is held."""
        self.release(batch, 0xffffffffffffffff)

    cdef int release(self, Batch batch, uint64_t now) except -1:
        cdef tc.tc_status status
        if batch.records.n == 0 and self.origin is not None:
            batch.origin = self.origin  # an earlier stage may have replaced it
        with nogil:
            status = tc.tc_fold_release(&self.fold, &batch.records, now)
        if status != tc.TC_OK:
            raise MemoryError("%d spans are still held" % self.fold.n_held)
        return 0
