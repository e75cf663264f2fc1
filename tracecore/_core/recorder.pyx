# cython: binding=False
"""Recorder: one provider's rules, limits, queues and counts, as the span path needs them.

How every span is accounted for, at any moment:

    started = unsampled + live + unended + ended
    ended   = record_only + no_exporter + queued
    queued  = per queue: written + dropped_full + dropped_after_shutdown   (see queue.pyx; per exporter: account.pyx)

`live` are spans somebody still holds; `unended` were let go without end().
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tracecore._core cimport ids, tc
from tracecore._core.origin cimport Origin
from tracecore._core.queue cimport SpanQueue
from tracecore.errors import report

# otel.span.parent.origin of each branch, otel.span.sampling_result of each result.
cdef tuple ORIGINS = ("none", "remote", "remote", "local", "local")
cdef tuple RESULTS = ("DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE")

cdef uint32_t NO_LIMIT = 0xffffffff


cdef uint32_t as_limit(object limit) except? 0:
    return NO_LIMIT if limit is None else <uint32_t>min(int(limit), 0xfffffffe)


cdef Py_ssize_t as_length(object limit) except? -1:
    return -1 if limit is None else min(int(limit), 1 << 40)


cdef rule as_rule(object branch) except *:
    """From tracecore.sampling.plan's form of one branch."""
    cdef rule r
    r.bound = 0
    if branch[0] == "on" or (branch[0] == "ratio" and branch[1] >= 1 << 64):
        r.kind = RULE_ON
    elif branch[0] == "off":
        r.kind = RULE_OFF
    elif branch[0] == "ratio":
        r.kind = RULE_RATIO
        r.bound = branch[1]
    else:
        r.kind = RULE_ASK
    return r


@cython.final
cdef class SpanTally:
    """Spans by what OpenTelemetry's metrics of an SDK split them by. Never goes back, not at a fork either.

    Threads: under the GIL.
    """

    def started_by(self) -> list[tuple[str, str, int]]:
        """Return (origin of the parent, result of sampling, spans), without those that never came."""
        cdef int which, result
        cdef dict counts = {}
        for which in range(<int>N_BRANCHES):
            for result in range(<int>N_RESULTS):
                if self.started[which * <int>N_RESULTS + result]:
                    key = (ORIGINS[which], RESULTS[result])
                    counts[key] = counts.get(key, 0) + self.started[which * <int>N_RESULTS + result]
        return [(*key, count) for key, count in counts.items()]

    def live_by(self) -> list[tuple[str, int]]:
        """Return (result of sampling, spans whose end() was not called), of results that came at all."""
        cdef int result
        cdef uint64_t started
        live = []
        for result in (1, 2):
            started = self.sum(result)
            if started:
                live.append((RESULTS[result], <int64_t>(started - self.ended[result - 1] - self.inherited[result - 1])))
        return live

    cdef uint64_t sum(self, int result) noexcept:
        """Spans started with that result, whatever their parent."""
        cdef int which
        cdef uint64_t n = 0
        for which in range(<int>N_BRANCHES):
            n += self.started[which * <int>N_RESULTS + result]
        return n


@cython.no_gc_clear  # the provider's dict breaks every cycle; `queue_views` must stay valid to the end
cdef class Recorder:
    """What the tracers of one provider share.

    Arguments:
        origin: resource and scopes.
        sampler: any object with should_sample; `plan` is what tracecore.sampling.plan says of it.
        limits: a SpanLimits.
        id_generator: any object with generate_trace_id and generate_span_id; None for the core's own.
        on_fork: called without arguments, once in each forked child, before its first span is
            started: os.register_at_fork does not hear of a fork made by C code.
    Threads: under the GIL.
    """

    def __cinit__(self, Origin origin not None, object sampler, object plan, object limits, object id_generator,
                  object on_fork):
        self.origin = origin
        self.tally = SpanTally()
        self.queues = ()
        self.generation_view = ids.generation_view()
        self.generation = self.generation_view[0]
        self.on_fork = on_fork
        self.limits = limits
        self.id_generator = self.shown_id_generator = id_generator
        self.random_flag = 2
        if id_generator is not None:
            is_random = getattr(id_generator, "is_trace_id_random", None)
            self.random_flag = 2 if is_random is not None and is_random() else 0
        self.set_sampler(sampler, plan)
        self.max_attributes = as_limit(limits.max_span_attributes)
        self.max_events = as_limit(limits.max_events)
        self.max_links = as_limit(limits.max_links)
        self.max_event_attributes = as_limit(limits.max_event_attributes)
        self.max_link_attributes = as_limit(limits.max_link_attributes)
        self.max_span_length = as_length(limits.max_span_attribute_length)
        self.max_length = as_length(limits.max_attribute_length)

    def set_sampler(self, sampler: object, plan: object) -> None:
        """Decide by `sampler` from now on."""
        cdef int i
        self.sampler = sampler
        for i in range(<int>N_BRANCHES):
            if plan is None:
                self.rules[i].kind = RULE_ASK
            elif plan[0] == "parent":
                self.rules[i] = as_rule(plan[1 + i])
            else:
                self.rules[i] = as_rule(plan)

    def set_processor(self, processor: object) -> None:
        """Tell `processor` (on_start, _on_ending, on_end) of every recorded span; None for nobody."""
        self.processor = processor

    def take_baggage(self, key: str) -> None:
        """Have every span that starts from now on take along what its context has under `key`."""
        self.baggage_key = key

    def add_queue(self, SpanQueue queue not None) -> None:
        """Copy every sampled span into `queue` too. Raises: ValueError beyond 8 queues."""
        if self.n_queues == MAX_QUEUES:
            raise ValueError("at most %d different batch settings a provider" % MAX_QUEUES)
        self.queues += (queue,)
        self.queue_views[self.n_queues] = <void *>queue
        self.n_queues += 1

    def measure_with(self, SpanQueue queue not None) -> None:
        """Put spans that the sampler decides against into `queue`, which must be one of this recorder's, as records
        marked TC_UNSAMPLED. Spans that start from now on."""
        if queue not in self.queues:
            raise ValueError("no queue of this recorder")
        self.measuring_view = <void *>queue

    cdef int measure(self, const uint8_t *record) except -1:
        self.n_measured += 1
        if tc.TC_UNLIKELY((<SpanQueue>self.measuring_view).put(record)):
            self.start_workers()
        return 0

    cdef int notice_fork(self) except -1:
        if tc.TC_LIKELY(self.generation == self.generation_view[0]):
            return 0
        try:
            self.on_fork()
        except Exception as error:
            report("fork", "starting clean after a fork failed: %s", error)
        self.reset_in_child()
        return 0

    def notice(self) -> None:
        """Start clean if this is a new process; what the span path does by itself."""
        self.notice_fork()

    cdef int commit(self, const uint8_t *record, bint sampled) except -1:
        cdef int i
        cdef bint is_due = False
        self.tally.ended[sampled] += 1
        if not sampled:
            if self.measuring_view != NULL:
                (<tc.tc_header *>record).flags |= tc.TC_UNSAMPLED  # in the span's own draft, which is not sent
                self.measure(record)
        elif self.n_queues == 0:
            self.n_no_exporter += 1
        else:
            self.n_queued += 1
            for i in range(self.n_queues):
                is_due |= (<SpanQueue>self.queue_views[i]).put(record)
            if tc.TC_UNLIKELY(is_due):
                self.start_workers()  # runs Python code, which may raise: last, with the record in every queue
        return 0

    cdef int start_workers(self) except -1:
        cdef int i
        cdef SpanQueue queue
        for i in range(self.n_queues):
            queue = <SpanQueue>self.queue_views[i]
            if queue.worker_is_due and not queue.is_closed:
                queue.start()
        return 0

    cdef void count_inherited(self, bint sampled) noexcept:
        self.n_inherited += 1
        self.tally.inherited[sampled] += 1

    def counts(self) -> dict[str, int]:
        """Return the counts; see the file's head for how they add up."""
        cdef uint64_t unsampled = self.tally.sum(0) - self.unsampled_before
        cdef uint64_t recorded = self.tally.sum(1) + self.tally.sum(2) - self.recorded_before
        cdef uint64_t record_only = self.tally.ended[0] - self.record_only_before
        cdef uint64_t ended = record_only + self.tally.ended[1] - self.sampled_before
        return {
            "started": unsampled + recorded,
            "unsampled": unsampled,
            "measured": self.n_measured,
            "live": <int64_t>(recorded - self.n_unended - ended),
            "unended": self.n_unended,
            "ended": ended,
            "record_only": record_only,
            "no_exporter": self.n_no_exporter,
            "queued": self.n_queued,
            "inherited": self.n_inherited,
            "ended_again": self.n_ended_again,
            "detach_failed": self.n_detach_failed,
            "no_memory": self.n_no_memory,
        }

    def reset_in_child(self) -> None:
        """Start clean in a forked child. Spans of the parent that end here are counted as inherited."""
        if self.generation == self.generation_view[0]:
            return
        self.generation = self.generation_view[0]
        self.unsampled_before = self.tally.sum(0)
        self.recorded_before = self.tally.sum(1) + self.tally.sum(2)
        self.record_only_before = self.tally.ended[0]
        self.sampled_before = self.tally.ended[1]
        self.n_unended = self.n_no_exporter = self.n_queued = self.n_measured = 0
        self.n_inherited = self.n_ended_again = self.n_detach_failed = self.n_no_memory = 0
