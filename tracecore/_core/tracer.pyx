# cython: binding=False
"""Tracer: start_span and start_as_current_span.

    parent    the span in the given or current OpenTelemetry Context
    verdict   one comparison, or the user's sampler
    ids, clock, draft
    context   an OpenTelemetry Context dict with the span in it, set in the API's own ContextVar

Nothing of the API is patched or replaced. The Context is the API's class, the ContextVar is the one
inside the API's runtime context: whatever else reads or sets contexts sees these and is seen. Where
the application has installed another runtime context, its attach and detach are called.
"""

cimport cython
from cpython.contextvars cimport PyContextVar_Get, PyContextVar_Set
from cpython.dict cimport PyDict_GetItemWithError, PyDict_SetItem, PyDict_Size, PyDict_Update
from cpython.exc cimport PyErr_Clear
from cpython.object cimport PyObject, PyTypeObject, Py_TYPE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import sys

import opentelemetry.context as context_api
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanKind
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import Tracer as ApiTracer
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.trace.span import DEFAULT_TRACE_STATE

from tracecore._core cimport ids, tc, values
from tracecore._core.annotations cimport write_baggage
from tracecore._core.recorder cimport (
    BRANCH_LOCAL_NOT_SAMPLED, BRANCH_LOCAL_SAMPLED, BRANCH_REMOTE_NOT_SAMPLED, BRANCH_REMOTE_SAMPLED, BRANCH_ROOT,
    N_RESULTS, RULE_OFF, RULE_ON, RULE_RATIO, Recorder, branch, rule,
)
from tracecore._core.measured_span cimport MeasuredSpan, new_measured_span
from tracecore._core.foreign cimport (
    ask, explicit_start, find_span_slowly, foreign_parent, kind_code, make_foreign_ids,
)
from tracecore._core.span cimport Span, SpanBase, SpanSource, UnsampledSpan, new_passed_on_span, new_span, new_unsampled_span
from tracecore._core.span_context cimport id_from_bytes, id_to_bytes
from tracecore._core.decorate import decorate
from tracecore.errors import report
from tracecore.sdk_classes import of_core

ctypedef PyObject *(*tc_method)(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *kwnames) except NULL

cdef extern from *:
    """
    /* An instance without the class's Python-level __call__ and __init__ (dict has neither to run). */
    static PyObject *tc_new_instance(PyTypeObject *type, PyObject *arguments) {
        return type->tp_new(type, arguments, NULL);
    }
    /* Whether an instance has weak references or attributes of its own. */
    static int tc_is_watched(PyObject *o) {
        Py_ssize_t at = Py_TYPE(o)->tp_weaklistoffset;
        if (at != 0 && *(PyObject **)((char *)o + at) != NULL) return 1;
        PyObject **attributes = _PyObject_GetDictPtr(o);
        return attributes != NULL && *attributes != NULL;
    }
    static PyObject *tc_refuse_new_scope(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
        (void)args; (void)kwargs;
        return PyErr_Format(PyExc_TypeError, "%s is made by start_as_current_span only", type->tp_name);
    }
    /* start_as_current_span with one argument, or with that and `attributes`, is most of its calls, and
     * going through nine parameters is a tenth of an unsampled span. `quick` stands before Cython's
     * method, which it calls for everything else. */
    typedef PyObject *(*tc_method)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
    static tc_method tc_full_start;
    static PyMethodDef tc_quick_definition;
    static int tc_put_before(PyTypeObject *type, tc_method quick) {
        PyObject *full = PyDict_GetItemString(type->tp_dict, "start_as_current_span");
        if (full == NULL || Py_TYPE(full) != &PyMethodDescr_Type) return 0;
        tc_quick_definition = *((PyMethodDescrObject *)full)->d_method;
        if (tc_quick_definition.ml_flags != (METH_FASTCALL | METH_KEYWORDS)) return 0;
        tc_full_start = (tc_method)(void (*)(void))tc_quick_definition.ml_meth;
        tc_quick_definition.ml_meth = (PyCFunction)(void (*)(void))quick;
        PyObject *method = PyDescr_NewMethod(type, &tc_quick_definition);
        if (method == NULL) return -1;
        int failed = PyDict_SetItemString(type->tp_dict, "start_as_current_span", method);
        Py_DECREF(method);
        PyType_Modified(type);
        return failed;
    }
    /* CPython's documented vectorcall protocol and two class attributes, for a class that Cython has
     * no syntax for: calling an instance calls the function at `offset` in it. */
    static int tc_make_callable(PyTypeObject *type, Py_ssize_t offset, PyObject *enter, PyObject *exit) {
        type->tp_new = tc_refuse_new_scope;
        type->tp_vectorcall = NULL; /* Cython's short cut past tp_new */
        type->tp_vectorcall_offset = offset;
        type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
        type->tp_call = PyVectorcall_Call;
        if (PyDict_SetItemString(type->tp_dict, "__enter__", enter) < 0) return -1;
        if (PyDict_SetItemString(type->tp_dict, "__exit__", exit) < 0) return -1;
        PyType_Modified(type);
        return 0;
    }
    """
    object tc_new_instance(PyTypeObject *type, object arguments)
    bint tc_is_watched(PyObject *o)
    int tc_make_callable(PyTypeObject *type, Py_ssize_t offset, object enter, object exit) except -1
    int tc_put_before(PyTypeObject *type, tc_method quick) except -1
    PyObject *tc_full_start(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *kwnames) except NULL

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *o)
    Py_ssize_t PyTuple_GET_SIZE(object t)
    PyObject *PyTuple_GET_ITEM(object t, Py_ssize_t i)
    int PyContextVar_Reset(object variable, object token)  # -1 with an exception set: detach clears it
    ctypedef PyObject *(*vectorcallfunc)(PyObject *callable, PyObject *const *args, size_t nargsf,
                                         PyObject *kwnames) except NULL
    Py_ssize_t PyVectorcall_NARGS(size_t nargsf)

cdef object SPAN_KEY = _SPAN_KEY
cdef object NO_STATE = DEFAULT_TRACE_STATE
cdef dict CONTEXT_MODULE = vars(context_api)
cdef object RUNTIME_NAME = "_RUNTIME_CONTEXT"
cdef object CONTEXT = Context
cdef tuple NO_ARGUMENTS = ()
cdef object INTERNAL = SpanKind.INTERNAL


# ---- the current context -------------------------------------------------------------------------

# The API's runtime context may be replaced at any time (tests and third parties do), so it is looked
# up by name each time; what belongs to the last one seen is kept beside it.
cdef object known_runtime = None
cdef object known_variable = None   # its ContextVar, None when it is not the API's own class


cdef object learn_runtime(object runtime):
    """The ContextVar of the API's own runtime context, None for any other."""
    global known_runtime, known_variable
    variable = None
    if type(runtime) is ContextVarsRuntimeContext:
        variable = getattr(runtime, "_current_context", None)
        if type(variable).__name__ != "ContextVar":
            variable = None
    known_runtime, known_variable = runtime, variable
    return variable


cdef inline object current_variable():
    cdef PyObject *runtime = PyDict_GetItemWithError(CONTEXT_MODULE, RUNTIME_NAME)
    if runtime == <PyObject *>known_runtime:
        return known_variable
    if runtime == NULL:
        return None
    return learn_runtime(<object>runtime)


cdef inline object current_context(object variable):
    cdef PyObject *value = NULL
    if variable is None:
        return context_api.get_current()
    PyContextVar_Get(variable, NULL, &value)
    if value == NULL:
        return CONTEXT()
    context = <object>value
    Py_DECREF(context)
    return context


# Contexts to use again. A Context must not change while anybody can see it; one that only the scope
# that made it still holds can be seen by nobody, and filling it anew costs a fraction of making one.
cdef enum:
    MAX_SPARE = 16

cdef PyObject *SPARE[MAX_SPARE]
cdef int n_spare = 0


cdef inline object take_spare():
    """A Context that nobody sees and that holds nothing or the span key only."""
    global n_spare
    cdef PyObject *spare
    while n_spare > 0:
        n_spare -= 1
        spare = SPARE[n_spare]
        context = <object>spare
        Py_DECREF(context)  # the array's reference is `context`'s now
        # Looked at again: a debugger's walk over all objects may have found it meanwhile.
        if Py_REFCNT(spare) == 1:
            return context
    return tc_new_instance(<PyTypeObject *>CONTEXT, NO_ARGUMENTS)


cdef object with_span(object base, SpanBase span):
    """A Context like `base` with `span` as its current span."""
    cdef object context
    cdef Py_ssize_t n
    if type(base) is not CONTEXT:
        return context_api.set_value(SPAN_KEY, span, base)
    n = PyDict_Size(base)
    if n == 0 or (n == 1 and PyDict_GetItemWithError(base, SPAN_KEY) != NULL):
        context = take_spare()
    else:
        context = tc_new_instance(<PyTypeObject *>CONTEXT, NO_ARGUMENTS)
        PyDict_Update(context, base)  # the dict's own, past Context's refusal to change
    PyDict_SetItem(context, SPAN_KEY, span)
    return context


cdef int keep_spare(PyObject *context, SpanBase span) except -1:
    """Take over the caller's reference: keep the Context of a span for the next one, or let it go."""
    global n_spare
    if (Py_REFCNT(context) == 1 and n_spare < MAX_SPARE and Py_TYPE(<object>context) == <PyTypeObject *>CONTEXT
            and PyDict_Size(<object>context) == 1 and not tc_is_watched(context)):
        if type(span) is not UnsampledSpan:
            # Or the spare would keep the span, and with it its provider. An unsampled span keeps nothing.
            PyDict_SetItem(<object>context, SPAN_KEY, None)
        if n_spare < MAX_SPARE:
            SPARE[n_spare] = context
            n_spare += 1
            return 0
    Py_DECREF(<object>context)
    return 0


# ---- starting a span ---------------------------------------------------------------------------------

@cython.final
@cython.no_gc_clear
cdef class Tracer(SpanSource):
    """Starts spans of one instrumentation scope.

    Arguments: the provider's Recorder, the scope's id in its Origin, the InstrumentationScope.
    Threads: any.
    Source: specification, trace/api.md "Tracer", trace/sdk.md.
    """

    def __cinit__(self, Recorder recorder not None, unsigned short scope_id, object scope):
        self.recorder = recorder
        self.scope_id = scope_id
        self.scope = scope

    @property
    def __class__(self):
        # Asked by isinstance(); see tracecore.sdk_classes.
        return of_core(sys.modules.get("opentelemetry.sdk.trace"), "Tracer", Tracer) or Tracer

    @property
    def instrumentation_scope(self):
        return self.scope

    # What follows bears the names of the SDK's tracer, where test suites of instrumentations read it.

    @property
    def _instrumentation_scope(self):
        return self.scope

    @property
    def span_processor(self):
        return self.recorder.shown_processor

    @property
    def instrumentation_info(self):
        return self.scope.instrumentation_info

    @property
    def id_generator(self):
        return self.recorder.shown_id_generator

    @property
    def _span_limits(self):
        return self.recorder.limits

    @property
    def _tracer_config(self):
        return self.config

    def _set_tracer_config(self, tracer_config) -> None:
        """Switch the tracer on or off, for spans that start from now on."""
        self.config = tracer_config
        self.is_disabled = not tracer_config.is_enabled

    def _is_enabled(self) -> bool:
        return not self.is_disabled

    @property
    def resource(self):
        return self.recorder.origin.resource

    @property
    def sampler(self):
        return self.recorder.sampler

    def start_span(self, name, context=None, kind=INTERNAL, attributes=None, links=(), start_time=None,
                   record_exception=True, set_status_on_exception=True):
        """Start a span without making it current; end it with end() or by using it in a `with`."""
        return self.begin(name, context, None, kind, attributes, links, start_time, record_exception,
                          set_status_on_exception)

    def start_as_current_span(self, name, context=None, kind=INTERNAL, attributes=None, links=(), start_time=None,
                              record_exception=True, set_status_on_exception=True, end_on_exit=True):
        """Start a span on entering a `with`, make it current, and end it on leaving.

        Also a decorator for functions, coroutine functions, generators and async generators: one
        span a call, which for a generator is current only while its own code runs.
        """
        cdef SpanScope scope = SpanScope.__new__(SpanScope)
        scope.vectorcall = scope_call
        scope.tracer = self
        scope.name = name
        scope.kind = kind
        scope.links = links
        if context is not None:  # None is what the fields start with
            scope.context = context
        if attributes is not None:
            scope.attributes = attributes
        if start_time is not None:
            scope.start_time = start_time
        scope.record_exceptions = record_exception
        scope.set_status_on_exceptions = set_status_on_exception
        scope.end_on_exit = end_on_exit
        return scope

    cdef SpanBase begin(self, object name, object context, object current, object kind, object attributes,
                        object links, object start_time, bint record_exceptions, bint set_status_on_exceptions):
        cdef Recorder recorder = self.recorder
        cdef SpanBase span
        cdef SpanBase ours = None
        cdef Span recorded = None
        cdef MeasuredSpan measured = None
        cdef object foreign = None       # SpanContext of a parent that is not ours
        cdef object state = None         # tracestate of the parent, then of the span
        cdef object parent_state = None
        cdef object verdict
        cdef object found
        cdef bint has_parent = False, is_remote = False, sampled, recording
        cdef uint8_t parent_flags = 0
        cdef uint8_t trace_id[16]
        cdef uint8_t parent_id[8]
        cdef uint8_t span_id[8]
        cdef branch which = BRANCH_ROOT
        cdef rule r
        cdef uint64_t now
        cdef uint64_t *started

        recorder.notice_fork()

        # -- parent
        if context is not None:
            current = context
        elif current is None:
            current = current_context(current_variable())
        found = find_span(current)
        if self.is_disabled:
            return pass_on(found)
        if found is not None:
            if (Py_TYPE(found) == <PyTypeObject *>Span or Py_TYPE(found) == <PyTypeObject *>UnsampledSpan
                    or Py_TYPE(found) == <PyTypeObject *>MeasuredSpan):
                ours = <SpanBase>found
                has_parent = True
                parent_flags = ours.trace_flags
                state = ours.trace_state
                memcpy(trace_id, ours.trace_id, 16)
                memcpy(parent_id, ours.span_id, 8)
            else:
                foreign = foreign_parent(found)
                if foreign is not None:
                    try:
                        id_to_bytes(foreign.trace_id, trace_id, 16)
                        id_to_bytes(foreign.span_id, parent_id, 8)
                        parent_flags = foreign.trace_flags & 0xff
                        is_remote = foreign.is_remote
                        state = foreign.trace_state
                        has_parent = True
                    except Exception as error:
                        report("parent_context", "a parent's SpanContext could not be read: %s", error)
                        foreign = None
        if recorder.id_generator is not None:
            make_foreign_ids(recorder.id_generator, not has_parent, trace_id, span_id)
        elif has_parent:
            ids.new_span_id(span_id)
        else:
            ids.new_ids(trace_id, span_id)
        if has_parent:
            if is_remote:
                which = BRANCH_REMOTE_SAMPLED if parent_flags & 1 else BRANCH_REMOTE_NOT_SAMPLED
            else:
                which = BRANCH_LOCAL_SAMPLED if parent_flags & 1 else BRANCH_LOCAL_NOT_SAMPLED

        # -- verdict
        r = recorder.rules[<int>which]
        if r.kind == RULE_ON:
            sampled = recording = True
        elif r.kind == RULE_OFF:
            sampled = recording = False
        elif r.kind == RULE_RATIO:
            sampled = recording = tc.tc_load_be64(trace_id + 8) < r.bound
        else:
            sampled = recording = False
            parent_state = state
            verdict = ask(recorder.sampler, context, id_from_bytes(trace_id, 16), name, kind, attributes, links)
            if verdict is not None:
                recording, sampled, attributes, state = verdict
            if parent_state is state or not has_parent:
                parent_state = None
            elif parent_state is None:
                parent_state = NO_STATE

        # -- the span
        # Not before: what asks the program to stop may leave the sampler.
        started = &recorder.tally.started[<int>which * <int>N_RESULTS]
        started[recording + (recording & sampled)] += 1
        if recording:
            recorded = new_span(self, name)
            if recorded is None:
                recorder.n_no_memory += 1
                started[recording + sampled] -= 1
                started[0] += 1
                recording = sampled = False
        if not recording:
            if recorder.measuring_view != NULL:
                span = measured = new_measured_span(self, name)
            else:
                span = new_unsampled_span()
        else:
            span = recorded
        span.generation = recorder.generation
        memcpy(span.trace_id, trace_id, 16)
        memcpy(span.span_id, span_id, 8)
        span.trace_flags = (1 if sampled else 0) | (parent_flags & 2 if has_parent else recorder.random_flag)
        span.trace_state = state
        if not recording and measured is None:
            span.offset_ns = ours.offset_ns if ours is not None else 0
            return span

        now = tc.tc_clock_monotonic_ns()
        if ours is not None and ours.offset_ns != 0 and ours.generation == recorder.generation:
            span.offset_ns = ours.offset_ns
        else:
            span.offset_ns = tc.tc_clock_offset_ns(&recorder.clock, now)
        if measured is not None:
            measured.start_ns = now + <uint64_t>span.offset_ns
            if start_time is not None:
                measured.start_ns = explicit_start(start_time, measured.start_ns)
            measured.kind_code = kind_code(kind)
            measured.set_status_on_exceptions = set_status_on_exceptions
            return measured
        if start_time is None:
            recorded.start_ns = now + <uint64_t>recorded.offset_ns
        else:
            recorded.start_ns = explicit_start(start_time, now + <uint64_t>recorded.offset_ns)
        recorded.has_parent = has_parent
        if has_parent:
            memcpy(recorded.parent_span_id, parent_id, 8)
            recorded.parent_flags = parent_flags
            recorded.parent_is_remote = is_remote
            if ours is None:
                recorded.parent_context = foreign
            elif recorder.processor is None:
                recorded.parent_context = ours.made_context
            else:
                # In the SDK a span's parent is its parent's SpanContext itself, and test suites compare with "is".
                recorded.parent_context = ours.get_span_context()
            recorded.parent_state = parent_state
        if kind is not INTERNAL:
            recorded.kind_code = kind_code(kind)
        recorded.record_exceptions = record_exceptions
        recorded.set_status_on_exceptions = set_status_on_exceptions
        if attributes:
            values.put_attributes(recorded.draft, attributes, recorder.max_attributes, recorder.max_span_length)
        if links:
            put_links(recorded, links)
        if recorder.baggage_key is not None:
            put_baggage(recorded, recorder, current)
        if recorder.processor is not None:
            tell_processor(recorder.processor, recorded, context)
        return recorded


ApiTracer.register(Tracer)


cdef inline object find_span(object context):
    """The current span of a Context, None without one."""
    cdef PyObject *found
    if type(context) is CONTEXT:
        if PyDict_Size(context) == 0:
            return None
        found = PyDict_GetItemWithError(context, SPAN_KEY)
        return None if found == NULL else <object>found
    return find_span_slowly(context)


cdef SpanBase pass_on(object found):
    """What a tracer that is switched off starts: nothing but the parent, handed on."""
    if isinstance(found, SpanBase):
        return new_passed_on_span((<SpanBase>found).get_span_context())
    foreign = None if found is None else foreign_parent(found)
    return new_passed_on_span(INVALID_SPAN_CONTEXT if foreign is None else foreign)


cdef int put_links(Span span, object links) except -1:
    try:
        for link in links:
            if link:
                span.put_link(link.context, link.attributes)
    except Exception as error:
        report("link_refused", "links %r were not recorded: %s", type(links).__name__, error)
    return 0


cdef int put_baggage(Span span, Recorder recorder, object context) except -1:
    """Take along the baggage of the context that the span starts in, for a stage to choose from."""
    cdef tc.tc_draft *aside = NULL
    try:
        baggage = context.get(recorder.baggage_key)
        if not baggage:
            return 0
        aside = values.take_aside()
        write_baggage(aside, baggage, recorder.max_attributes, recorder.max_span_length)
        if not tc.tc_draft_append(span.draft, aside):
            raise MemoryError
    except Exception as error:
        report("baggage_refused", "baggage was not recorded: %s: %s", type(error).__name__, error)
    finally:
        values.give_back_aside(aside)
    return 0


cdef int tell_processor(object processor, Span span, object context) except -1:
    try:
        processor.on_start(span, parent_context=context)
    except Exception as error:
        report("processor_error", "a span processor raised when a span started: %s: %s", type(error).__name__, error)
    return 0


# ---- the span as the current one -----------------------------------------------------------------------

cdef class BoundToInstance:
    """`__enter__` and `__exit__` of a SpanScope.

    Looking one up on an instance gives the instance itself, whose vectorcall tells by the number of
    arguments what is wanted; so a `with` makes no bound methods. Looking it up on the class, as
    contextlib.ExitStack does, gives an ordinary function.
    """
    cdef object function

    def __cinit__(self, function):
        self.function = function

    def __get__(self, instance, owner):
        return self.function if instance is None else instance


@cython.final
@cython.freelist(64)
@cython.no_gc_clear
cdef class SpanScope:
    """What start_as_current_span returns: a context manager and a decorator.

    no_gc_clear: the collector follows a scope (its token leads to a whole contextvars.Context), but takes
    nothing from it, so that letting it go can still leave it; every cycle through one has another member.
    """
    cdef vectorcallfunc vectorcall
    cdef Tracer tracer
    cdef object name, context, kind, attributes, links, start_time
    cdef SpanBase span          # while entered
    cdef object token
    cdef object variable        # the ContextVar that the token is of; None with another runtime context
    cdef object attached        # the Context that was set
    cdef bint record_exceptions, set_status_on_exceptions, end_on_exit

    def __dealloc__(self):
        # Entered and let go without leaving, by a framework whose teardown did not run, say. The SDK's scope
        # is a generator, which is closed when it is let go: the context is put back and the span ends.
        if self.span is not None:
            try:
                self.leave(None)
            except BaseException as error:  # nobody is left to raise to
                report("scope_abandoned", "leaving a span scope that was let go: %s: %s", type(error).__name__, error)

    @property
    def args(self) -> tuple:
        """What the scope was made with, in the order of start_as_current_span."""
        return (self.name, self.context, self.kind, self.attributes, self.links, self.start_time,
                self.record_exceptions, self.set_status_on_exceptions, self.end_on_exit)

    def again(self):
        """Return a scope like this one, not entered: what a decorated function enters on each call."""
        return self.tracer.start_as_current_span(*self.args)

    def start(self):
        """Start the span without making it current: (span, record_exception, set_status_on_exception)."""
        span = self.tracer.begin(self.name, self.context, None, self.kind, self.attributes, self.links,
                                 self.start_time, self.record_exceptions, self.set_status_on_exceptions)
        return span, self.record_exceptions, self.set_status_on_exceptions

    cdef object enter(self):
        cdef object variable, current, context
        cdef SpanBase span
        if self.span is not None:
            raise RuntimeError("this start_as_current_span(...) is already entered; call it again for another span")
        variable = current_variable()
        current = current_context(variable)
        span = self.tracer.begin(self.name, self.context, current, self.kind, self.attributes, self.links,
                                 self.start_time, self.record_exceptions, self.set_status_on_exceptions)
        if self.tracer.recorder.processor is not None:
            current = current_context(variable)  # its on_start may have set another
        context = with_span(current, span)
        if variable is not None:
            self.token = PyContextVar_Set(variable, context)
        else:
            self.token = context_api.attach(context)
        self.variable = variable
        self.attached = context
        self.span = span
        return span

    cdef int leave(self, object error) except -1:
        """Detach, record what was raised, end: the order of opentelemetry.trace.use_span."""
        cdef SpanBase span = self.span
        cdef object token = self.token
        cdef PyObject *attached
        if span is None:
            return 0
        attached = <PyObject *>self.attached
        Py_INCREF(<object>attached)  # given to keep_spare below
        self.span = None
        self.token = None
        self.attached = None
        detach(self.tracer.recorder, self.variable, token)
        token = None
        keep_spare(attached, span)
        if type(span) is Span:
            # GeneratorExit, KeyboardInterrupt and their like are no errors of the operation.
            if error is not None and not (<Span>span).ended and isinstance(error, Exception):
                try:
                    (<Span>span).note_exception(error, False)
                finally:
                    self.end(<Span>span)
            else:
                self.end(<Span>span)
        elif type(span) is MeasuredSpan:
            if error is not None and isinstance(error, Exception):
                (<MeasuredSpan>span).note_exception()
            if self.end_on_exit:
                span.end()
        return 0

    cdef int end(self, Span span) except -1:
        cdef uint64_t now
        if not self.end_on_exit:
            return 0
        if span.ended:
            span.end()  # counts and reports the second end
            return 0
        now = span.now_ns()
        return span.finish(now if now > span.start_ns else span.start_ns)


cdef int detach(Recorder recorder, object variable, object token) except -1:
    """Put the context back as it was. Left in another context than it was entered in (a generator
    closed elsewhere), there is nothing to put back: counted, never raised, never a traceback."""
    if variable is not None:
        if PyContextVar_Reset(variable, token) < 0:
            PyErr_Clear()
            recorder.n_detach_failed += 1
        return 0
    try:
        CONTEXT_MODULE[RUNTIME_NAME].detach(token)
    except Exception:
        recorder.n_detach_failed += 1
    return 0


cdef PyObject *scope_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames) except NULL:
    """A SpanScope called: () is __enter__, (type, value, traceback) is __exit__, (function) decorates."""
    cdef SpanScope scope = <SpanScope>callable
    cdef Py_ssize_t n = PyVectorcall_NARGS(nargsf)
    cdef object result = None
    if kwnames != NULL:
        raise TypeError("a span scope takes no keyword arguments")
    if n == 0:
        result = scope.enter()
    elif n == 3:
        scope.leave(<object>args[1])
    elif n == 1:
        result = decorate(scope, <object>args[0])
    else:
        raise TypeError("a span scope decorates one function or enters a with; it got %d arguments" % n)
    Py_INCREF(result)
    return <PyObject *>result


def enter_scope(scope):
    return scope()


def exit_scope(scope, exc_type, exc_val, exc_tb):
    return scope(exc_type, exc_val, exc_tb)


cdef SpanScope PROBE = SpanScope.__new__(SpanScope)
tc_make_callable(<PyTypeObject *>SpanScope, <char *>&PROBE.vectorcall - <char *><PyObject *>PROBE,
                 BoundToInstance(enter_scope), BoundToInstance(exit_scope))
PROBE = None


cdef PyObject *quick_start(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *kwnames) except NULL:
    """Tracer.start_as_current_span(name) and (name, attributes=...)."""
    cdef SpanScope scope
    if n != 1 or (kwnames != NULL and (PyTuple_GET_SIZE(<object>kwnames) != 1
                                       or PyTuple_GET_ITEM(<object>kwnames, 0) != <PyObject *>ATTRIBUTES)):
        return tc_full_start(self, args, n, kwnames)
    scope = SpanScope.__new__(SpanScope)
    scope.vectorcall = scope_call
    scope.tracer = <Tracer>self
    scope.name = <object>args[0]
    scope.kind = INTERNAL
    if kwnames != NULL:
        scope.attributes = <object>args[1]
    scope.record_exceptions = scope.set_status_on_exceptions = scope.end_on_exit = True
    Py_INCREF(scope)
    return <PyObject *>scope


cdef object ATTRIBUTES = "attributes"
tc_put_before(<PyTypeObject *>Tracer, quick_start)
