# cython: binding=False
"""Span: what happens between start and end.

Before end() Python owns the span and its record grows in a draft; end() copies the record into the
queues once, and from then on the worker owns that copy. The draft stays with the span object, so
that reads work for as long as somebody holds it.

Nothing here raises for data or load. A method called after end() is reported and does nothing. What
asks the program to stop (KeyboardInterrupt, SystemExit) while code of somebody's own runs goes through.

Threads: any, under the GIL, which is also what makes the draft's one writer.
"""

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from types import MappingProxyType

from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace.status import Status

from tracecore._core cimport tc, values
from tracecore._core.annotations cimport exception_type_name, is_valid_link, put_rare, write_event, write_link
from tracecore._core.class_of_spans cimport class_of_spans
from tracecore._core.decode cimport attributes_kept, readable_span_class, read_events, read_links, span_kind, status
from tracecore._core.recorder cimport Recorder
from tracecore._core.span_context cimport make_span_context
from tracecore.errors import report

cdef extern from *:
    """
    /* Only a tracer makes these: an instance from Python's hands would lack its C parts. */
    static PyObject *tc_refuse_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
        (void)args; (void)kwargs;
        return PyErr_Format(PyExc_TypeError, "%s must be instantiated via a tracer.", type->tp_name);
    }
    static void tc_only_by_tracer(PyTypeObject *type) {
        type->tp_new = tc_refuse_new;
        type->tp_flags &= ~Py_TPFLAGS_BASETYPE;
        type->tp_vectorcall = NULL; /* Cython's short cut past tp_new */
        PyType_Modified(type);
    }
    /* Give an attribute of a class a second name. */
    static int tc_also_called(PyTypeObject *type, PyObject *alias, PyObject *name) {
        PyObject *found = PyDict_GetItemWithError(type->tp_dict, name);
        if (found == NULL || PyDict_SetItem(type->tp_dict, alias, found) < 0) return -1;
        PyType_Modified(type);
        return 0;
    }

    /* Spare objects: Cython gives freelists to base classes only. Nobody can derive from the classes
     * (see tc_only_by_tracer), so an instance's size is its type's. Under the GIL, like all allocation of objects. */
    #define TC_MAX_SPARE 64
    typedef struct tc_spares {
        void *items[TC_MAX_SPARE];
        int n;
    } tc_spares;

    static PyObject *tc_spare_alloc(tc_spares *spares, PyTypeObject *type) {
        if (spares->n == 0) return PyType_GenericAlloc(type, 0);
        PyObject *o = (PyObject *)spares->items[--spares->n];
        memset(o, 0, (size_t)type->tp_basicsize);
        return PyObject_Init(o, type);
    }
    static void tc_spare_free(tc_spares *spares, void *o) {
        if (spares->n < TC_MAX_SPARE)
            spares->items[spares->n++] = o;
        else
            PyObject_Free(o);
    }
    static tc_spares tc_spans, tc_unsampled;
    static PyObject *tc_span_alloc(PyTypeObject *t, Py_ssize_t n) { (void)n; return tc_spare_alloc(&tc_spans, t); }
    static void tc_span_free(void *o) { tc_spare_free(&tc_spans, o); }
    static PyObject *tc_unsampled_alloc(PyTypeObject *t, Py_ssize_t n) {
        (void)n;
        return tc_spare_alloc(&tc_unsampled, t);
    }
    static void tc_unsampled_free(void *o) { tc_spare_free(&tc_unsampled, o); }
    static void tc_keep_spares(PyTypeObject *span, PyTypeObject *unsampled) {
        span->tp_alloc = tc_span_alloc;
        span->tp_free = tc_span_free;
        unsampled->tp_alloc = tc_unsampled_alloc;
        unsampled->tp_free = tc_unsampled_free;
    }
    """
    void tc_only_by_tracer(PyTypeObject *type)
    int tc_also_called(PyTypeObject *type, object alias, object name) except -1
    void tc_keep_spares(PyTypeObject *span, PyTypeObject *unsampled)

cdef tc.tc_draft_pool POOL
POOL.first = NULL
POOL.n = 0

cdef object OK = StatusCode.OK
cdef object UNSET = StatusCode.UNSET
cdef object ERROR = StatusCode.ERROR
cdef object STATUS = Status
cdef object STATUS_CODE = StatusCode
cdef object SPAN_CONTEXT = SpanContext


@cython.no_gc_clear
cdef class SpanSource:
    """The part of a tracer that its spans refer to.

    no_gc_clear, as for the recorder: no cycle needs it to let go, and a span that ends while a cycle
    is taken apart still finds everything in place.
    """


@cython.no_gc  # else the classes below are GC-tracked too, and cleared while they are still used
cdef class SpanBase:
    """What recorded and unrecorded spans have in common: an identity that propagates."""

    def get_span_context(self):
        """Return the SpanContext; always the same object."""
        if self.made_context is None:
            self.made_context = make_span_context(self.trace_id, self.span_id, False, self.trace_flags,
                                                  self.trace_state)
        return self.made_context


ApiSpan.register(SpanBase)


@cython.no_gc
cdef class UnsampledSpan(SpanBase):
    """A span the sampler decided against: it has ids and propagates, and does nothing else.

    no_gc: it refers to a TraceState and a SpanContext only, neither of which can refer back.
    """

    def is_recording(self) -> bool:
        return False

    def end(self, end_time=None) -> None:
        pass

    def set_attribute(self, key, value) -> None:
        pass

    def set_attributes(self, attributes) -> None:
        pass

    def add_event(self, name, attributes=None, timestamp=None) -> None:
        pass

    def add_link(self, context, attributes=None) -> None:
        pass

    def update_name(self, name) -> None:
        pass

    def set_status(self, status, description=None) -> None:
        pass

    def record_exception(self, exception, attributes=None, timestamp=None, escaped=False) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_val, exc_tb) -> None:
        pass

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_span_context()!r})"


NonRecordingSpan.register(UnsampledSpan)


@cython.final
@cython.no_gc
cdef class PassedOnSpan(UnsampledSpan):
    """A span of a tracer that is switched off: its identity is its parent's, or invalid without one.

    As a parent it is treated like any span that is not ours: it may stand for one of another process.
    """


cdef UnsampledSpan new_unsampled_span():
    return UnsampledSpan.__new__(UnsampledSpan)


cdef PassedOnSpan new_passed_on_span(object context):
    cdef PassedOnSpan span = PassedOnSpan.__new__(PassedOnSpan)
    span.made_context = context
    return span


@cython.final
@cython.no_gc
cdef class Span(SpanBase):
    """A recorded span. Made by a Tracer only.

    no_gc: it refers to its tracer, to text, and to SpanContexts, none of which refers to a live
    span; a processor that collects live spans must let them go itself.
    """

    def __dealloc__(self):
        if self.draft != NULL:
            tc.tc_draft_give_back(&POOL, self.draft)
            if not self.ended and self.generation == self.source.recorder.generation:
                self.source.recorder.n_unended += 1

    # ---- writing ------------------------------------------------------------------------------

    def set_attribute(self, key, value) -> None:
        if self.ended:
            after_end("set_attribute")
            return
        cdef Recorder recorder = self.source.recorder
        values.put_attribute(self.draft, key, value, recorder.max_attributes, recorder.max_span_length)

    def set_attributes(self, attributes) -> None:
        if self.ended:
            after_end("set_attributes")
            return
        if not attributes:
            return
        cdef Recorder recorder = self.source.recorder
        values.put_attributes(self.draft, attributes, recorder.max_attributes, recorder.max_span_length)

    def add_event(self, name, attributes=None, timestamp=None) -> None:
        if self.ended:
            after_end("add_event")
            return
        cdef Recorder recorder = self.source.recorder
        cdef uint64_t now = self.now_ns()  # before the attributes' own code runs
        cdef tc.tc_draft *aside = NULL
        try:
            aside = values.take_aside()
            write_event(aside, name, now if timestamp is None else int(timestamp), attributes,
                      recorder.max_event_attributes, recorder.max_length, 0)
            if not tc.tc_draft_append(self.draft, aside):
                raise MemoryError("no room for it, or the span has ended meanwhile")
            tc.tc_draft_settle_event(self.draft, recorder.max_events)
        except Exception as error:
            report("event_refused", "event %r was not recorded: %s: %s", name, type(error).__name__, error)
        finally:
            values.give_back_aside(aside)

    def add_link(self, context, attributes=None) -> None:
        if self.ended:
            after_end("add_link")
            return
        self.put_link(context, attributes)

    cdef int put_link(self, object context, object attributes) except -1:
        cdef Recorder recorder = self.source.recorder
        cdef tc.tc_draft *aside = NULL
        try:
            if not is_valid_link(context, attributes):
                return 0
            aside = values.take_aside()
            write_link(aside, context, attributes, recorder.max_link_attributes, recorder.max_length, 0)
            if not tc.tc_draft_append(self.draft, aside):
                raise MemoryError("no room for it, or the span has ended meanwhile")
            tc.tc_draft_settle_link(self.draft, recorder.max_links)
        except Exception as error:
            report("link_refused", "a link was not recorded: %s: %s", type(error).__name__, error)
        finally:
            values.give_back_aside(aside)
        return 0

    def set_status(self, status, description=None) -> None:
        """OK is final; UNSET never overrides; else the last call holds (specification, trace/api.md)."""
        if self.ended:
            after_end("set_status")
            return
        if isinstance(status, STATUS):
            if self.status_code == 1 or status.status_code is UNSET:
                return
            if description is not None:
                report("status_description", "description %r ignored: give a Status or a code with a description",
                       description)
        elif isinstance(status, STATUS_CODE):
            if self.status_code == 1 or status is UNSET:
                return
            status = STATUS(status, description)
        else:
            report("status_type", "set_status(%r): expected a Status or a StatusCode", status)
            return
        self.status_code = 1 if status.status_code is OK else 2
        self.message = status.description

    def update_name(self, name) -> None:
        if self.ended:
            after_end("update_name")
            return
        self.name = name if type(name) is str else values.exact_text(name)

    def record_exception(self, exception, attributes=None, timestamp=None, escaped=False) -> None:
        """Record the exception as an event (specification, trace/exceptions.md)."""
        if self.ended:
            after_end("record_exception")
            return
        try:
            import traceback
            described = {
                "exception.type": exception_type_name(type(exception)),
                "exception.message": str(exception),
                "exception.stacktrace": "".join(traceback.format_exception(exception)),
                "exception.escaped": str(escaped),
            }
            if attributes:
                described.update(attributes)
        except Exception as error:  # the exception's own __str__, or no exception at all
            report("exception_refused", "an exception of type %s was not recorded: %s: %s",
                   type(exception).__name__, type(error).__name__, error)
            return
        self.add_event("exception", described, timestamp)

    cdef int note_exception(self, object error, bint escaped) except -1:
        """What leaving a `with` by an exception does to a recording span."""
        try:
            if self.record_exceptions:
                self.record_exception(error, None, None, escaped)
            if self.set_status_on_exceptions:
                self.set_status(STATUS(ERROR, f"{type(error).__name__}: {error}"))
        except Exception as fault:
            report("exception_refused", "an exception of type %s was not recorded: %s",
                   type(error).__name__, type(fault).__name__)
        return 0

    # ---- ending -------------------------------------------------------------------------------

    cdef uint64_t now_ns(self) noexcept nogil:
        return tc.tc_clock_monotonic_ns() + <uint64_t>self.offset_ns

    def end(self, end_time=None) -> None:
        """End the span; only the first call counts. `end_time`: nanoseconds since the epoch."""
        cdef uint64_t end_ns
        if self.ended:
            self.source.recorder.n_ended_again += 1
            after_end("end")
            return
        if end_time is None:
            end_ns = self.now_ns()
            if end_ns < self.start_ns:  # only after an explicit start_time in the future
                end_ns = self.start_ns
        else:
            try:
                end_ns = end_time
            except Exception as error:
                report("end_time", "end_time=%r: expected nanoseconds since the epoch: %s", end_time, error)
                end_ns = self.now_ns()
        self.finish(end_ns)

    cdef int finish(self, uint64_t end_ns) except -1:
        cdef Recorder recorder = self.source.recorder
        self.ended = True
        self.end_ns = end_ns
        recorder.notice_fork()
        if self.generation != recorder.generation:
            # Started by the parent process, which sends it; a second copy would be a duplicate.
            recorder.count_inherited(self.trace_flags & 1)
            return 0
        tc.tc_draft_body(self.draft).name_id = values.name_id(<PyObject *>self.name)
        if (recorder.processor is not None or tc.tc_draft_body(self.draft).name_id == 0 or self.message is not None
                or self.trace_state is not None or self.parent_state is not None):
            return self.finish_slowly(recorder)
        self.seal()
        return recorder.commit(self.draft.data, self.trace_flags & 1)

    cdef int finish_slowly(self, Recorder recorder) except -1:
        """With code of others in between, which may ask the program to stop: the span is committed all the same."""
        try:
            put_rare(self.draft, self.name if tc.tc_draft_body(self.draft).name_id == 0 else None, self.message,
                     self.trace_state, self.parent_state)
        finally:
            self.seal()
            try:
                if recorder.processor is not None:
                    tell_processor(self, recorder.processor)
            finally:
                if self.generation == recorder.generation:
                    recorder.commit(self.draft.data, self.trace_flags & 1)
                else:
                    recorder.count_inherited(self.trace_flags & 1)  # a processor forked, and this is the child
        return 0

    cdef void seal(self) noexcept:
        """Write the head of the record; nothing is appended after it."""
        cdef tc.tc_header *header
        cdef tc.tc_body *body = tc.tc_draft_body(self.draft)
        memcpy(body.trace_id, self.trace_id, 16)
        memcpy(body.span_id, self.span_id, 8)
        memcpy(body.parent_span_id, self.parent_span_id, 8)
        body.start_ns = self.start_ns
        body.end_ns = self.end_ns
        body.flags = (self.trace_flags | tc.TC_FLAG_HAS_IS_REMOTE
                      | (<uint32_t>self.parent_flags << tc.TC_PARENT_FLAGS_SHIFT))
        if self.parent_is_remote:
            body.flags |= tc.TC_FLAG_IS_REMOTE
        body.kind = self.kind_code
        body.status = self.status_code
        header = tc.tc_draft_header(self.draft)
        header.flags = tc.TC_HAS_PARENT if self.has_parent else 0
        tc.tc_draft_finish(self.draft, self.source.scope_id)

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_val, exc_tb) -> None:
        try:
            if exc_val is not None and not self.ended:
                self.note_exception(exc_val, True)
        finally:
            self.end()

    # ---- reading ------------------------------------------------------------------------------

    @property
    def __class__(self):
        return class_of_spans(Span)

    def is_recording(self) -> bool:
        return not self.ended

    @property
    def context(self):
        return self.get_span_context()

    @property
    def parent(self):
        if not self.has_parent:
            return None
        if self.parent_context is None:
            state = self.trace_state if self.parent_state is None else self.parent_state
            self.parent_context = make_span_context(self.trace_id, self.parent_span_id, self.parent_is_remote,
                                                    self.parent_flags, state)
        return self.parent_context

    @property
    def kind(self):
        return span_kind(self.kind_code)

    @property
    def start_time(self):
        return self.start_ns

    @property
    def end_time(self):
        return self.end_ns if self.ended else None

    @property
    def status(self):
        return status(self.status_code, self.message)

    @property
    def attributes(self):
        return MappingProxyType(values.read_attributes(self.draft.data + tc.TC_RECORD_HEAD_BYTES,
                                                       self.draft.data + self.draft.length))

    @property
    def events(self):
        return read_events(self.draft.data + tc.TC_RECORD_HEAD_BYTES, self.draft.data + self.draft.length,
                           self.draft.dropped_events)

    @property
    def links(self):
        return read_links(self.draft.data + tc.TC_RECORD_HEAD_BYTES, self.draft.data + self.draft.length,
                          self.draft.dropped_links)

    @property
    def dropped_attributes(self) -> int:
        return self.draft.dropped_attributes

    @property
    def dropped_events(self) -> int:
        return self.draft.dropped_events

    @property
    def dropped_links(self) -> int:
        return self.draft.dropped_links

    @property
    def resource(self):
        return self.source.recorder.origin.resource

    @property
    def instrumentation_scope(self):
        return self.source.scope

    @property
    def instrumentation_info(self):
        """The scope in its deprecated form."""
        return readable(self).instrumentation_info

    def to_json(self, indent=4) -> str:
        return readable(self).to_json(indent)

    def start(self, start_time=None, parent_context=None) -> None:
        """Start the span a second time, which is reported: a tracer's span is started when one gets it."""
        report("started_again", "start called on a span that has started")

    def _readable_span(self):
        return readable(self)

    @property
    def _attributes(self):
        """A copy: what is written there is not the span's; that is what set_attribute is for."""
        return readable(self)._attributes

    @property
    def _limits(self):
        return self.source.recorder.limits

    @property
    def _span_processor(self):
        return self.source.recorder.shown_processor

    def __repr__(self) -> str:
        return f'Span(name="{self.name}", context={self.get_span_context()!r})'


cdef Span new_span(SpanSource source, object name):
    """A span with an empty draft; None when memory is short."""
    cdef tc.tc_draft *draft = tc.tc_draft_take(&POOL)
    cdef Span span
    if draft == NULL:
        return None
    span = Span.__new__(Span)
    span.draft = draft
    span.source = source
    span.name = name if type(name) is str else values.exact_text(name)
    return span


cdef object after_end(str method):
    report("after_end", "%s called on a span that has ended", method)


cdef object readable(Span span):
    """The span as an independent ReadableSpan, as it stands now."""
    return readable_span_class()(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=attributes_kept(
            values.read_attributes(span.draft.data + tc.TC_RECORD_HEAD_BYTES, span.draft.data + span.draft.length),
            span.draft.dropped_attributes),
        events=span.events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.source.scope,
    )


cdef int tell_processor(Span span, object processor) except -1:
    try:
        processor._on_ending(span)
        processor.on_end(readable(span))
    except Exception as error:
        report("processor_error", "a span processor raised when a span ended: %s: %s", type(error).__name__, error)
    return 0


# Under the SDK's own names: processors and exporters in the wild read a live span there.
for public in ("name", "context", "parent", "kind", "start_time", "end_time", "status", "events", "links", "resource",
               "instrumentation_scope"):
    tc_also_called(<PyTypeObject *>Span, "_" + public, public)
tc_keep_spares(<PyTypeObject *>Span, <PyTypeObject *>UnsampledSpan)
tc_only_by_tracer(<PyTypeObject *>Span)
tc_only_by_tracer(<PyTypeObject *>UnsampledSpan)
tc_only_by_tracer(<PyTypeObject *>PassedOnSpan)
