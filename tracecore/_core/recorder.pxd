# What all tracers of one provider share on the span path.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tracecore._core.origin cimport Origin
from tracecore._core.queue cimport SpanQueue
from tracecore._core.tc cimport tc_clock

cdef enum:
    MAX_QUEUES = 8

cdef enum rule_kind:
    RULE_ON, RULE_OFF, RULE_RATIO, RULE_ASK

cdef struct rule:
    rule_kind kind
    uint64_t bound   # RULE_RATIO: sampled when the low 64 bits of the trace id are below

cdef enum branch:
    BRANCH_ROOT, BRANCH_REMOTE_SAMPLED, BRANCH_REMOTE_NOT_SAMPLED, BRANCH_LOCAL_SAMPLED, BRANCH_LOCAL_NOT_SAMPLED
    N_BRANCHES

cdef enum:
    N_RESULTS = 3        # of sampling: dropped, recorded only, recorded and sampled; the number is recording + sampled

# How many spans started and ended since the program began, a forked child's parent included. Refers to nothing,
# so that whoever reports these numbers may keep them beyond their provider.
cdef class SpanTally:
    cdef uint64_t started[N_BRANCHES * N_RESULTS]
    cdef uint64_t ended[2]             # by whether they were sampled
    cdef uint64_t inherited[2]         # ended here, started by the parent process, likewise

    cdef uint64_t sum(self, int result) noexcept

cdef class Recorder:
    cdef object __weakref__
    cdef readonly Origin origin
    cdef readonly SpanTally tally
    cdef readonly object limits        # SpanLimits, settled below
    cdef object sampler                # asked where a rule says RULE_ASK
    cdef rule rules[N_BRANCHES]
    cdef object id_generator           # None: the core's own
    # What the provider was given, for tracers and spans to show: may stand for the core's own ids, for nobody.
    cdef public object shown_id_generator, shown_processor
    cdef uint8_t random_flag           # W3C "random trace id", when the generator says so
    cdef object processor              # None, or an object with on_start, _on_ending, on_end
    cdef object baggage_key            # of baggage in a Context; None: spans take none of it along
    cdef tuple queues                  # keeps the pointers below alive
    cdef void *queue_views[MAX_QUEUES]
    cdef int n_queues
    cdef void *measuring_view          # the queue that spans the sampler decided against go to, for measuring; or NULL
    cdef tc_clock clock
    cdef uint32_t generation           # of the process whose spans these are
    cdef const uint32_t *generation_view  # of this process
    cdef object on_fork                # called when the core notices that this is a new process

    cdef uint32_t max_attributes, max_events, max_links, max_event_attributes, max_link_attributes
    cdef Py_ssize_t max_span_length, max_length   # characters; -1: no limit

    # counts since the start or the fork, under the GIL; those of `tally` less what was there at the fork
    cdef uint64_t recorded_before, unsampled_before, record_only_before, sampled_before
    cdef uint64_t n_unended, n_no_exporter, n_queued
    cdef uint64_t n_measured           # of unsampled and record_only spans: put into the measuring queue
    cdef uint64_t n_inherited, n_ended_again, n_detach_failed, n_no_memory

    # Compares the process with the one of the last span; two loads when it is the same.
    cdef int notice_fork(self) except -1
    # A span of the parent process has ended in this one.
    cdef void count_inherited(self, bint sampled) noexcept
    cdef int commit(self, const uint8_t *record, bint sampled) except -1
    cdef int start_workers(self) except -1
    cdef int measure(self, const uint8_t *record) except -1
