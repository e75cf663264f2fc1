# What became of the spans that one exporter was offered.

from libc.stdint cimport uint64_t

from tracecore._core.queue cimport SpanQueue
from tracecore._core.tc cimport tc_wake

cdef class Account:
    cdef SpanQueue queue
    cdef tc_wake settling         # something was accounted for
    cdef uint64_t first           # position of the first span; NOWHERE until the exporter joined
    cdef uint64_t last            # position behind the last one; NOWHERE until it leaves
    cdef uint64_t dropped_before, dropped_until   # the ring's count when it joined and when it left
    cdef uint64_t settled         # position before which every span is accounted for
    cdef uint64_t n_not_handed    # written, but the backlog was full
    cdef uint64_t n_exporting, n_exported, n_lost, n_removed, n_held, n_abandoned
    cdef dict lost, removed       # by reason
    cdef uint64_t n_lost_attributes
    cdef bint is_given_up

    cdef uint64_t n_written(self) noexcept
    cdef void count(self, dict where, object reason, uint64_t n) except *
