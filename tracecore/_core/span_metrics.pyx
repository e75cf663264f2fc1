# cython: binding=False
"""SpanMetricsTable: counts and durations of every span, by name, kind and status.

    worker         observe(batch)    one pass over the records, without the GIL
    anybody        read()            a copy of each series

Threads: any; the C side orders them by a lock of its own, which is never held while the GIL is waited for.
"""

from libc.stdint cimport uint32_t

from tracecore._core cimport ids, tc, values
from tracecore._core.batch cimport Batch

MAX_SERIES = tc.TC_SPAN_METRICS_MAX


cdef class SpanMetricsTable:
    """At most `max_series` series. Raises: ValueError, MemoryError.

    A forked child starts with none: its parent tells of what happened before.
    """
    cdef tc.tc_span_metrics metrics
    cdef const uint32_t *generation_view
    cdef uint32_t generation

    def __cinit__(self, max_series: int = MAX_SERIES):
        if not 1 <= max_series <= 1 << 20:
            raise ValueError("max_series=%r: expected an integer from 1 to %d" % (max_series, 1 << 20))
        if tc.tc_span_metrics_init(&self.metrics, max_series) != tc.TC_OK:
            raise MemoryError
        self.generation_view = ids.generation_view()
        self.generation = self.generation_view[0]

    def __dealloc__(self):
        tc.tc_span_metrics_destroy(&self.metrics)

    cdef int notice_fork(self) except -1:
        if self.generation != self.generation_view[0]:
            self.generation = self.generation_view[0]
            if tc.tc_span_metrics_reset_in_child(&self.metrics) != tc.TC_OK:
                raise MemoryError
        return 0

    def observe(self, Batch batch not None) -> int:
        """Measure every span of the batch; take out those that are there for this only and return their number."""
        cdef uint32_t before = batch.records.n
        self.notice_fork()
        with nogil:
            tc.tc_span_metrics_observe(&self.metrics, &batch.records, values.strings())
        return before - batch.records.n

    @property
    def unmeasured(self) -> int:
        """Spans for whose series there was no memory."""
        return self.metrics.n_no_memory

    def read(self) -> list:
        """Return a tuple for each series: name (None: the overflow's), kind, status, count, zero_count, sum, min, max,
        scale, offset, counts. Durations are seconds, kind and status OpenTelemetry's numbers."""
        cdef list found = []
        cdef tc.tc_series series
        cdef uint32_t i = 0
        cdef uint32_t j
        cdef bint there
        self.notice_fork()
        while True:
            with nogil:
                there = tc.tc_span_metrics_read(&self.metrics, i, &series)
            if not there:
                return found
            i += 1
            found.append((
                None if series.name == NULL else values.read_text(series.name, series.name_length),
                series.kind,
                series.status,
                series.seconds.count,
                series.seconds.zero_count,
                series.seconds.sum,
                series.seconds.min,
                series.seconds.max,
                series.seconds.scale,
                series.seconds.offset,
                [series.seconds.counts[j] for j in range(series.seconds.n)],
            ))
