# cython: binding=False
"""The resource and the instrumentation scopes, encoded once and referred to by every record.

A record names its scope by a small id; the encoder copies the scope's bytes. Ids are handed out
under the GIL and the bytes never move, so the worker reads them without it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tracecore._core cimport tc, values
from tracecore.errors import report


cdef bytes taken(tc.tc_bytes *out):
    """The bytes written so far; frees them."""
    try:
        if out.failed:
            raise MemoryError
        return out.data[:out.n]
    finally:
        tc.tc_bytes_clear(out)


cdef bytes encoded_attributes(object attributes, uint32_t field):
    """`attributes` as repeated KeyValue."""
    cdef tc.tc_draft_pool pool
    cdef tc.tc_draft *draft
    cdef tc.tc_bytes out
    cdef uint64_t n_lost = 0
    pool.first = NULL
    pool.n = 0
    out.data = NULL
    out.n = out.capacity = 0
    out.failed = False
    draft = tc.tc_draft_take(&pool)
    if draft == NULL:
        raise MemoryError
    try:
        values.put_attributes(draft, dict(attributes or {}), 0xffffffff, -1)
        tc.tc_otlp_attributes(&out, field, draft.data + tc.TC_RECORD_HEAD_BYTES,
                              draft.length - tc.TC_RECORD_HEAD_BYTES, values.strings(), &n_lost)
    finally:
        tc.tc_draft_give_back(&pool, draft)
        tc.tc_draft_pool_clear(&pool)
    if n_lost:
        report("attribute_unencodable", "%d attributes of the resource or a scope cannot be held by OTLP", n_lost)
    return taken(&out)


cdef bytes message(uint32_t field, bytes content):
    cdef tc.tc_bytes out
    out.data = NULL
    out.n = out.capacity = 0
    out.failed = False
    tc.tc_pb_bytes(&out, field, <const uint8_t *>PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content))
    return taken(&out)


cdef bytes text_field(uint32_t field, object text):
    """A string field, nothing where it is empty: proto3's default."""
    return message(field, values.text_bytes(str(text))) if text else b""


cdef class Origin:
    """The resource and scopes of one provider.

    Arguments:
        resource: anything with `attributes` (mapping) and `schema_url`.
    Threads: any, under the GIL.
    Source: opentelemetry-proto, trace.proto ResourceSpans, ScopeSpans.
    """

    def __cinit__(self, object resource):
        self.scopes = tc.tc_strings_new(1 << 20)
        if self.scopes == NULL:
            raise MemoryError
        self.scope_objects = [None]
        self.set_resource(resource)

    def __dealloc__(self):
        tc.tc_strings_free(self.scopes)

    def set_resource(self, object resource) -> None:
        """Replace the resource for every batch encoded from now on."""
        self.resource_fields = (message(1, encoded_attributes(resource.attributes, 1))
                                + text_field(3, getattr(resource, "schema_url", None)))
        self.resource = resource

    def add_scope(self, object scope) -> int:
        """Return the id for an InstrumentationScope; equal ones share an id.

        Beyond 65,534 distinct scopes, or 4 MiB of them, the answer is 0: the scope without a name.
        """
        cdef bytes fields = (
            message(1, text_field(1, scope.name) + text_field(2, scope.version)
                    + encoded_attributes(scope.attributes, 3))
            + text_field(3, scope.schema_url))
        cdef uint32_t id = tc.tc_strings_intern(self.scopes, <const uint8_t *>PyBytes_AS_STRING(fields),
                                                <uint32_t>PyBytes_GET_SIZE(fields), tc.TC_STRINGS_MAX)
        if id == 0:
            report("scopes_full", "no room for instrumentation scope %r: its spans are sent without a scope", scope.name)
        elif id == <uint32_t>len(self.scope_objects):
            self.scope_objects.append(scope)
        return id

    cdef object scope(self, uint16_t id):
        return self.scope_objects[id] if id < len(self.scope_objects) else None
