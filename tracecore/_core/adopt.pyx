# cython: binding=False
"""ReadableSpans back into records: for spans that a processor written in Python hands on.

    on_end(readable_span) of a class of somebody's own  ->  adopt  ->  the queues, as if a tracer had ended the span

Taken is what the span says when it is asked: a processor may have rewritten its attributes. Any class
with opentelemetry-sdk's properties will do. Nothing is limited again.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tracecore._core cimport tc, values
from tracecore._core.annotations cimport write_event, write_link
from tracecore._core.foreign cimport kind_code
from tracecore._core.recorder cimport BRANCH_ROOT, N_RESULTS, Recorder
from tracecore._core.span cimport Span, SpanSource, new_span
from tracecore._core.span_context cimport id_to_bytes
from tracecore.errors import report

cdef uint32_t NO_LIMIT = 0xffffffff


def adopt(SpanSource source not None, span: object) -> None:
    """Commit an ended span as one of this tracer's, whose recorder has no processor.

    Raises: what reading the span raises; ValueError, OverflowError and their like for nonsense in it.
    Threads: any, under the GIL.
    """
    cdef Recorder recorder = source.recorder
    cdef Span made = new_span(source, span.name)
    if made is None:
        raise MemoryError
    recorder.notice_fork()
    made.generation = recorder.generation
    made.ended = True  # until it is whole: one that is given up is none that was forgotten
    context = span.get_span_context()
    id_to_bytes(context.trace_id, made.trace_id, 16)
    id_to_bytes(context.span_id, made.span_id, 8)
    made.trace_flags = <uint8_t>(int(context.trace_flags) & 0xff)
    made.trace_state = context.trace_state or None
    parent = span.parent
    if parent is not None:
        made.has_parent = True
        id_to_bytes(parent.span_id, made.parent_span_id, 8)
        made.parent_flags = <uint8_t>(int(parent.trace_flags) & 0xff)
        made.parent_is_remote = parent.is_remote
        if (parent.trace_state or None) != made.trace_state:
            made.parent_state = parent.trace_state
    made.kind_code = kind_code(span.kind)
    status = span.status
    made.status_code = <uint8_t>(int(status.status_code.value) & 0xff)
    made.message = status.description
    made.start_ns = span.start_time or 0
    values.put_attributes(made.draft, dict(span.attributes or {}), NO_LIMIT, -1)
    made.draft.dropped_attributes += <uint32_t>span.dropped_attributes
    for link in span.links:  # first, as most are given when a span starts
        put_link(made, link)
    for event in span.events:
        put_event(made, event)
    made.draft.dropped_events += <uint32_t>span.dropped_events
    made.draft.dropped_links += <uint32_t>span.dropped_links
    recorder.tally.started[<int>BRANCH_ROOT * <int>N_RESULTS + 1 + (made.trace_flags & 1)] += 1
    made.finish(<uint64_t>(span.end_time or made.start_ns))


cdef int put_event(Span made, object event) except -1:
    cdef tc.tc_draft *aside = values.take_aside()
    try:
        write_event(aside, event.name, <uint64_t>event.timestamp, event.attributes, NO_LIMIT, -1, dropped_of(event))
        append(made, aside)
        tc.tc_draft_settle_event(made.draft, NO_LIMIT)
    except Exception as error:
        report("event_refused", "event %r was not recorded: %s: %s", event, type(error).__name__, error)
    finally:
        values.give_back_aside(aside)
    return 0


cdef int put_link(Span made, object link) except -1:
    cdef tc.tc_draft *aside = values.take_aside()
    try:
        write_link(aside, link.context, link.attributes, NO_LIMIT, -1, dropped_of(link))
        append(made, aside)
        tc.tc_draft_settle_link(made.draft, NO_LIMIT)
    except Exception as error:
        report("link_refused", "a link was not recorded: %s: %s", type(error).__name__, error)
    finally:
        values.give_back_aside(aside)
    return 0


cdef int append(Span made, tc.tc_draft *aside) except -1:
    if not tc.tc_draft_append(made.draft, aside):
        raise MemoryError
    return 0


cdef uint32_t dropped_of(object annotation) except? 0xffffffff:
    """How many attributes an event or a link has lost to its limits."""
    return getattr(annotation.attributes, "dropped", 0)
