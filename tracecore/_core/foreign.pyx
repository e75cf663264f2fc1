# cython: binding=False
"""What a new span takes from code that is not ours: parents, samplers, id generators, arguments.

All of it may raise or answer nonsense, and none of that reaches the application: it is reported, and
the span starts as if nothing had been said.
"""

from libc.stdint cimport uint8_t, uint64_t

import opentelemetry.context as context_api
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation import _SPAN_KEY

from tracecore._core cimport ids
from tracecore._core.span_context cimport id_to_bytes
from tracecore.errors import report

cdef object SPAN_KEY = _SPAN_KEY
cdef object INTERNAL = SpanKind.INTERNAL
cdef object SERVER = SpanKind.SERVER
cdef object CLIENT = SpanKind.CLIENT
cdef object PRODUCER = SpanKind.PRODUCER
cdef object CONSUMER = SpanKind.CONSUMER


cdef object find_span_slowly(object context):
    """The span in a Context of a class of somebody's own, which may make it only now."""
    try:
        return context_api.get_value(SPAN_KEY, context)
    except Exception as error:
        report("parent_context", "context of type %s: expected an OpenTelemetry Context: %s",
               type(context).__name__, error)
        return None


cdef object foreign_parent(object span):
    """The SpanContext of a parent span that is not ours; None if it makes no parent."""
    try:
        if not isinstance(span, ApiSpan):
            return None
        context = span.get_span_context()
        return context if context is not None and context.is_valid else None
    except Exception as error:
        report("parent_context", "a parent span's context could not be read: %s: %s", type(error).__name__, error)
        return None


cdef object ask(object sampler, object context, object trace_id, object name, object kind, object attributes,
                object links):
    """The user's sampler's verdict: (recording, sampled, attributes, trace_state); None if it failed."""
    try:
        result = sampler.should_sample(context, trace_id, name, kind, attributes, links or ())
        decision = result.decision
        return decision.is_recording(), decision.is_sampled(), result.attributes, result.trace_state
    except Exception as error:
        report("sampler_error", "the sampler raised, the span is not sampled: %s: %s", type(error).__name__, error)
        return None


cdef int checked_id(object value, uint8_t *out, int n) except -1:
    """The id generator's answer. Raises: ValueError unless it is an id, which zero is not."""
    if not isinstance(value, int) or not 0 < value < 1 << <object>(8 * n):
        raise ValueError("%r: expected an integer above 0 and below 2**%d" % (value, 8 * n))
    return id_to_bytes(value, out, n)


cdef int make_foreign_ids(object generator, bint is_root, uint8_t *trace_id, uint8_t *span_id) except -1:
    """Ids by the user's generator, the core's own where it fails; the trace id only for a root."""
    ids.new_span_id(span_id)
    if is_root:
        ids.new_trace_id(trace_id)
        ask_for_id(generator.generate_trace_id, trace_id, 16)
    ask_for_id(generator.generate_span_id, span_id, 8)
    return 0


cdef int ask_for_id(object generate, uint8_t *out, int n) except -1:
    """Writes what `generate` answers; leaves `out` as it is if that is no id."""
    try:
        checked_id(generate(), out, n)
    except Exception as error:
        report("id_generator_error", "the id generator failed, another id is used: %s: %s", type(error).__name__, error)
    return 0


cdef uint64_t explicit_start(object start_time, uint64_t now) except? 0:
    cdef uint64_t given
    try:
        given = start_time
        return given
    except Exception as error:
        report("start_time", "start_time=%r: expected nanoseconds since the epoch: %s", start_time, error)
        return now


cdef int kind_code(object kind) except -1:
    # By identity: an Enum member's hash is Python code.
    if kind is SERVER:
        return 1
    if kind is CLIENT:
        return 2
    if kind is PRODUCER:
        return 3
    if kind is CONSUMER:
        return 4
    if kind is not INTERNAL:
        report("kind", "kind=%r: expected a SpanKind, INTERNAL is used", kind)
    return 0
