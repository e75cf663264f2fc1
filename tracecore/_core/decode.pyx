# cython: binding=False
"""Records back to Python: for processors and exporters written in Python, and for reads of a span.

A cold path: nothing here runs unless somebody asks for the objects. The classes it fills belong to
higher layers, which hand them over with `bind` (the core imports nothing above itself).
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.trace.status import Status, StatusCode

from tracecore._core cimport tc, values
from tracecore._core.origin cimport Origin
from tracecore._core.span_context cimport make_span_context

cdef object READABLE_SPAN = None
cdef object EVENT = None
cdef object KEPT = None
cdef object ATTRIBUTES_KEPT = None
cdef tuple KINDS = tuple(SpanKind)
cdef tuple CODES = tuple(StatusCode)


def bind(readable_span: object, event: object, kept: object, attributes_kept: object) -> None:
    """Say which classes decoded records become; see tracecore.readable_span for their shapes."""
    global READABLE_SPAN, EVENT, KEPT, ATTRIBUTES_KEPT
    READABLE_SPAN, EVENT, KEPT, ATTRIBUTES_KEPT = readable_span, event, kept, attributes_kept


cdef object readable_span_class():
    return READABLE_SPAN


cdef object attributes_kept(dict attributes, unsigned int dropped):
    return ATTRIBUTES_KEPT(attributes, dropped)


cdef object span_kind(int kind):
    return KINDS[kind] if 0 <= kind < len(KINDS) else SpanKind.INTERNAL


cdef object status(int code, object description):
    return Status(CODES[code], description)


cdef object trace_state(const uint8_t *header, uint32_t n):
    return TraceState.from_header([values.read_text(header, n)])


cdef object read_events(const uint8_t *items, const uint8_t *end, unsigned int dropped):
    cdef tc.tc_item item
    cdef list events = []
    cdef const uint8_t *p
    while tc.tc_item_next(&items, end, &item) == 1:
        if item.dead or item.type != tc.TC_EVENT:
            continue
        p = item.payload_view
        if item.key_view == NULL:
            name = values.read_string(item.key_id)
        else:
            name = values.read_text(item.key_view, item.key_length)
        attributes = values.read_attributes(p + tc.TC_EVENT_HEAD_BYTES, p + item.payload_length)
        events.append(EVENT(name, ATTRIBUTES_KEPT(attributes, tc.tc_load_u32(p + 8)), tc.tc_load_u64(p)))
    return KEPT(events, dropped)


cdef object read_links(const uint8_t *items, const uint8_t *end, unsigned int dropped):
    cdef tc.tc_item item, first
    cdef list links = []
    cdef const uint8_t *p
    cdef const uint8_t *inner
    cdef uint32_t flags
    while tc.tc_item_next(&items, end, &item) == 1:
        if item.dead or item.type != tc.TC_LINK:
            continue
        p = item.payload_view
        inner = p + tc.TC_LINK_HEAD_BYTES
        state = None
        if tc.tc_item_next(&inner, p + item.payload_length, &first) == 1 and first.type == tc.TC_EXTRA:
            state = trace_state(first.payload_view, first.payload_length)
        flags = tc.tc_load_u32(p + 24)
        context = make_span_context(p, p + 16, flags & tc.TC_FLAG_IS_REMOTE, flags & 0xff, state)
        attributes = values.read_attributes(p + tc.TC_LINK_HEAD_BYTES, p + item.payload_length)
        links.append(Link(context, ATTRIBUTES_KEPT(attributes, tc.tc_load_u32(p + 28))))
    return KEPT(links, dropped)


cdef object readable_span(const uint8_t *record, Origin origin):
    cdef const tc.tc_header *header = <const tc.tc_header *>record
    cdef const tc.tc_body *body = <const tc.tc_body *>(record + sizeof(tc.tc_header))
    cdef const uint8_t *items = record + tc.TC_RECORD_HEAD_BYTES
    cdef const uint8_t *end = record + header.length
    cdef const uint8_t *at = items
    cdef uint32_t dropped_events = 0, dropped_links = 0
    cdef tc.tc_item item
    name = values.read_string(body.name_id) if body.name_id != 0 else ""
    description = state = parent_state = parent = None
    while tc.tc_item_next(&at, end, &item) == 1:
        if item.type == tc.TC_NAME:
            name = values.read_text(item.payload_view, item.payload_length)
        elif item.type == tc.TC_MESSAGE:
            description = values.read_text(item.payload_view, item.payload_length)
        elif item.type == tc.TC_EXTRA:
            if item.key_id == tc.TC_EXTRA_TRACE_STATE:
                state = trace_state(item.payload_view, item.payload_length)
            elif item.key_id == tc.TC_EXTRA_PARENT_TRACE_STATE:
                parent_state = trace_state(item.payload_view, item.payload_length)
            elif item.key_id == tc.TC_EXTRA_DROPPED:
                dropped_events = tc.tc_load_u32(item.payload_view)
                dropped_links = tc.tc_load_u32(item.payload_view + 4)
    if header.flags & tc.TC_HAS_PARENT:
        parent = make_span_context(body.trace_id, body.parent_span_id, body.flags & tc.TC_FLAG_IS_REMOTE,
                                   body.flags >> tc.TC_PARENT_FLAGS_SHIFT & 0xff,
                                   state if parent_state is None else parent_state)
    return READABLE_SPAN(
        name=name,
        context=make_span_context(body.trace_id, body.span_id, False, body.flags & 0xff, state),
        parent=parent,
        resource=origin.resource,
        attributes=ATTRIBUTES_KEPT(values.read_attributes(items, end), body.dropped_attributes),
        events=read_events(items, end, dropped_events),
        links=read_links(items, end, dropped_links),
        kind=span_kind(body.kind),
        status=status(body.status, description),
        start_time=body.start_ns,
        end_time=body.end_ns,
        instrumentation_scope=origin.scope(header.scope),
    )
