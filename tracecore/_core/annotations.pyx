# cython: binding=False
"""Events, links, baggage and the items that few spans have, in a record; tc_record.h draws their layout."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tracecore._core cimport tc, values
from tracecore._core.span_context cimport id_to_bytes
from tracecore.errors import report


cpdef bint is_valid_link(object context, object attributes) except -1:
    """A link to nowhere is kept only if it says something: the SDK's rule."""
    return bool(context and (context.is_valid or attributes or context.trace_state))


cpdef object exception_type_name(object cls):
    """What exception.type says."""
    module = cls.__module__
    return f"{module}.{cls.__qualname__}" if module and module != "builtins" else cls.__qualname__


cdef int write_event(tc.tc_draft *draft, object name, uint64_t timestamp, object attributes, uint32_t limit,
                     Py_ssize_t max_length, uint32_t dropped_before) except -1:
    """Append one event."""
    cdef uint32_t content_at, id, dropped
    cdef uint8_t *head = NULL
    cdef bytes text
    if type(name) is not str:
        name = str(name)
    id = values.name_id(<PyObject *>name)
    if id != 0:
        content_at = tc.tc_draft_open(draft, tc.TC_EVENT, id, NULL, 0)
    else:
        text = values.text_bytes(name)
        content_at = tc.tc_draft_open(draft, tc.TC_EVENT, 0, <const uint8_t *><char *>text, <uint32_t>len(text))
    if content_at != 0:
        head = tc.tc_draft_reserve(draft, tc.TC_EVENT_HEAD_BYTES)
    if head == NULL:
        raise MemoryError
    tc.tc_store_u64(head, timestamp)
    dropped = dropped_before + values.put_inner_attributes(draft, attributes, limit, max_length)
    tc.tc_store_u32(draft.data + content_at + 8, dropped)  # the draft may have moved
    tc.tc_draft_close(draft, content_at)
    return 0


cdef int write_link(tc.tc_draft *draft, object context, object attributes, uint32_t limit,
                    Py_ssize_t max_length, uint32_t dropped_before) except -1:
    """Append one link."""
    cdef uint32_t content_at = tc.tc_draft_open(draft, tc.TC_LINK, 0, NULL, 0)
    cdef uint8_t *head = tc.tc_draft_reserve(draft, tc.TC_LINK_HEAD_BYTES) if content_at != 0 else NULL
    cdef uint32_t flags, dropped
    cdef bytes state
    if head == NULL:
        raise MemoryError
    id_to_bytes(context.trace_id, head, 16)
    id_to_bytes(context.span_id, head + 16, 8)
    flags = <uint32_t>(int(context.trace_flags) & 0xff) | tc.TC_FLAG_HAS_IS_REMOTE
    if context.is_remote:
        flags |= tc.TC_FLAG_IS_REMOTE
    tc.tc_store_u32(head + 24, flags)
    tc.tc_store_u32(head + 28, 0)
    if context.trace_state:
        state = values.text_bytes(context.trace_state.to_header())
        if not tc.tc_draft_put_bytes(draft, tc.TC_EXTRA, tc.TC_EXTRA_TRACE_STATE, NULL, 0,
                                     <const uint8_t *><char *>state, len(state)):
            raise MemoryError
    dropped = dropped_before + values.put_inner_attributes(draft, attributes, limit, max_length)
    tc.tc_store_u32(draft.data + content_at + 28, dropped)  # the draft may have moved
    tc.tc_draft_close(draft, content_at)
    return 0


cdef int write_baggage(tc.tc_draft *draft, object baggage, uint32_t limit, Py_ssize_t max_length) except -1:
    """Append the entries of a context's baggage; csrc/tc_baggage.h makes attributes of them."""
    cdef uint32_t content_at = tc.tc_draft_open(draft, tc.TC_EXTRA, tc.TC_EXTRA_BAGGAGE, NULL, 0)
    cdef uint8_t *head = tc.tc_draft_reserve(draft, tc.TC_BAGGAGE_HEAD_BYTES) if content_at != 0 else NULL
    if head == NULL:
        raise MemoryError
    tc.tc_store_u32(head, limit)
    values.put_inner_attributes(draft, baggage, 0xffffffff, max_length)
    tc.tc_draft_close(draft, content_at)
    return 0


cdef void put_item(tc.tc_draft *draft, tc.tc_item_type type, uint32_t key_id, bytes content) noexcept:
    """Append one of the rare items; without room for it the record goes without."""
    cdef uint32_t at = draft.length
    if not tc.tc_draft_put_bytes(draft, type, key_id, NULL, 0, <const uint8_t *><char *>content, len(content)):
        draft.length = at


cdef int put_rare(tc.tc_draft *draft, object name, object message, object trace_state, object parent_state) except -1:
    """Append what few spans have: a name without an id, a status description, a tracestate."""
    try:
        if name:
            put_item(draft, tc.TC_NAME, 0, values.text_bytes(str(name)))
        if message is not None:
            put_item(draft, tc.TC_MESSAGE, 0, values.text_bytes(message))
        if trace_state:
            put_item(draft, tc.TC_EXTRA, tc.TC_EXTRA_TRACE_STATE, values.text_bytes(trace_state.to_header()))
        if parent_state is not None:
            put_item(draft, tc.TC_EXTRA, tc.TC_EXTRA_PARENT_TRACE_STATE, values.text_bytes(parent_state.to_header()))
    except Exception as error:
        report("span_text", "name, status or tracestate of a span was not recorded: %s: %s",
               type(error).__name__, error)
    return 0
