# cython: binding=False
"""MeasuredSpan: what the sampler decided against, where a provider measures every span.

To the program it is a span that records and is not sampled. What it records is a name, a kind, a status and two
times; attributes, events and links are not looked at. `is_recording` is true because instrumentations set the
status of nothing else, and a request that failed must count as failed. When it ends, what it has goes to the worker
as a record marked TC_UNSAMPLED, which the stage of the span metrics counts and takes out again.

Threads: any, under the GIL.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from types import MappingProxyType

from opentelemetry.trace import StatusCode
from opentelemetry.trace.status import Status

from tracecore._core cimport tc, values
from tracecore._core.decode cimport span_kind, status as status_of
from tracecore._core.recorder cimport Recorder
from tracecore._core.span cimport SpanBase, SpanSource
from tracecore.errors import report

cdef object NO_ATTRIBUTES = MappingProxyType({})
cdef object STATUS = Status
cdef object STATUS_CODE = StatusCode
cdef object OK = StatusCode.OK
cdef object UNSET = StatusCode.UNSET

cdef extern from *:
    """
    static PyObject *tc_refuse_new_measured(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
        (void)args; (void)kwargs;
        return PyErr_Format(PyExc_TypeError, "%s must be instantiated via a tracer.", type->tp_name);
    }
    static void tc_measured_only_by_tracer(PyTypeObject *type) {
        type->tp_new = tc_refuse_new_measured;
        type->tp_vectorcall = NULL; /* Cython's short cut past tp_new */
        PyType_Modified(type);
    }
    """
    ctypedef struct PyTypeObject
    void tc_measured_only_by_tracer(PyTypeObject *type)


@cython.final
@cython.no_gc
cdef class MeasuredSpan(SpanBase):
    """A span of which only the operation, the outcome and the duration are kept.

    no_gc: it refers to its tracer and to text, neither of which refers to a live span.
    """

    def is_recording(self) -> bool:
        return not self.ended

    def set_attribute(self, key, value) -> None:
        pass

    def set_attributes(self, attributes) -> None:
        pass

    def add_event(self, name, attributes=None, timestamp=None) -> None:
        pass

    def add_link(self, context, attributes=None) -> None:
        pass

    def record_exception(self, exception, attributes=None, timestamp=None, escaped=False) -> None:
        pass

    def update_name(self, name) -> None:
        if not self.ended:
            self.name = values.exact_text(name)

    def set_status(self, status, description=None) -> None:
        """As Span.set_status: OK is final, UNSET never overrides. What is no status is a sampled span's to report."""
        if self.ended or self.status_code == 1:
            return
        code = status.status_code if isinstance(status, STATUS) else status
        if isinstance(code, STATUS_CODE) and code is not UNSET:
            self.status_code = 1 if code is OK else 2

    def end(self, end_time=None) -> None:
        cdef uint64_t end_ns
        if self.ended:
            return
        if end_time is None:
            end_ns = self.now_ns()
        else:
            try:
                end_ns = end_time
            except Exception as error:
                report("end_time", "end_time=%r: expected nanoseconds since the epoch: %s", end_time, error)
                end_ns = self.now_ns()
        self.finish(end_ns)

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_val, exc_tb) -> None:
        if exc_val is not None:
            self.note_exception()
        self.end()

    # What recording spans have beyond the API, and instrumentations read.

    @property
    def context(self):
        return self.get_span_context()

    @property
    def attributes(self):
        return NO_ATTRIBUTES

    @property
    def events(self) -> tuple:
        return ()

    @property
    def links(self) -> tuple:
        return ()

    @property
    def kind(self):
        return span_kind(self.kind_code)

    @property
    def status(self):
        return status_of(self.status_code, None)

    @property
    def start_time(self) -> int:
        return self.start_ns

    @property
    def resource(self):
        return self.source.recorder.origin.resource

    @property
    def instrumentation_scope(self):
        return self.source.scope

    def __repr__(self) -> str:
        return f"MeasuredSpan({self.get_span_context()!r})"

    cdef uint64_t now_ns(self) noexcept nogil:
        return tc.tc_clock_monotonic_ns() + <uint64_t>self.offset_ns

    cdef int note_exception(self) except -1:
        if self.set_status_on_exceptions and not self.ended and self.status_code == 0:
            self.status_code = 2
        return 0

    cdef int finish(self, uint64_t end_ns) except -1:
        cdef Recorder recorder = self.source.recorder
        cdef tc.tc_draft *draft
        cdef tc.tc_body *body
        cdef bytes text
        self.ended = True
        recorder.notice_fork()
        if self.generation != recorder.generation:
            return 0  # started by the parent process, which measures it
        draft = values.take_aside()
        try:
            body = tc.tc_draft_body(draft)
            memcpy(body.trace_id, self.trace_id, 16)
            memcpy(body.span_id, self.span_id, 8)
            body.start_ns = self.start_ns
            body.end_ns = end_ns
            body.kind = self.kind_code
            body.status = self.status_code
            body.name_id = values.name_id(<PyObject *>self.name)
            if body.name_id == 0 and self.name:
                text = values.text_bytes(self.name)
                tc.tc_draft_put_bytes(draft, tc.TC_NAME, 0, NULL, 0, <const uint8_t *><char *>text, len(text))
            tc.tc_draft_header(draft).flags = tc.TC_UNSAMPLED
            tc.tc_draft_finish(draft, self.source.scope_id)
            recorder.measure(draft.data)
        finally:
            values.give_back_aside(draft)
        return 0


cdef MeasuredSpan new_measured_span(SpanSource source, object name):
    cdef MeasuredSpan span = MeasuredSpan.__new__(MeasuredSpan)
    span.source = source
    span.name = name if type(name) is str else values.exact_text(name)
    return span


tc_measured_only_by_tracer(<PyTypeObject *>MeasuredSpan)
