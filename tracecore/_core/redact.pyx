# cython: binding=False
"""RedactStage: tc_redact over the batches of one drain.

    worker    process -> (GIL) resource and scopes, if they are to be redacted and are new
                      -> (no GIL) every record

Source: csrc/tc_redact.h. Threads: the drain's worker.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from tracecore._core cimport tc, values
from tracecore._core.batch cimport Batch
from tracecore._core.origin cimport Origin
from tracecore.errors import report

KEEP = <int>tc.TC_REDACT_KEEP
DROP = <int>tc.TC_REDACT_DROP
HASH = <int>tc.TC_REDACT_HASH
REPLACE = <int>tc.TC_REDACT_REPLACE
RENAME = <int>tc.TC_REDACT_RENAME
TRUNCATE = <int>tc.TC_REDACT_TRUNCATE


cdef class RedactStage:
    """Changes attributes by rules before any exporter sees them.

    Arguments:
        rules: tuples (action, keys, values, text, n_characters, hash_key). `keys`: tuples (kind, pattern, flags),
            none for all keys; `values`: (pattern, flags) of an expression, or None for the whole value.
        names: whether expressions for all keys also act on names and status descriptions.
        make_resource: makes a resource of attributes and a schema URL; None leaves resource and scopes as they are.
        make_scope: the same of name, version, schema URL and attributes.
    Raises: ValueError for a rule that does not compile (the processor has tried them), MemoryError.
    """
    cdef tc.tc_redact redact
    cdef object make_resource, make_scope
    cdef Origin twin            # the batch's origin with resource and scopes redacted
    cdef object seen_resource
    cdef uint16_t *scope_ids    # id in the batch's origin -> id in `twin`
    cdef uint32_t n_scope_ids

    def __cinit__(self, list rules not None, bint names, object make_resource=None, object make_scope=None):
        tc.tc_redact_init(&self.redact)
        self.redact.names = names
        self.make_resource, self.make_scope = make_resource, make_scope
        for rule in rules:
            self.add(rule)

    def __dealloc__(self):
        tc.tc_redact_clear(&self.redact)
        free(self.scope_ids)

    cdef add(self, tuple given):
        cdef tc.tc_regex_fault fault
        cdef int action
        cdef bytes pattern, text, hash_key
        cdef uint32_t n_characters
        cdef const uint8_t *bytes_view = NULL
        cdef uint32_t n = 0, flags = 0
        cdef tc.tc_redact_rule *rule
        action, keys, expression, text, n_characters, hash_key = given
        if expression is not None:
            pattern, flags = expression
            bytes_view = <const uint8_t *>PyBytes_AS_STRING(pattern)
            n = <uint32_t>PyBytes_GET_SIZE(pattern)
        if not tc.tc_redact_add(&self.redact, <tc.tc_redact_action>action, bytes_view, n, flags,
                                <const uint8_t *>PyBytes_AS_STRING(text), <uint32_t>PyBytes_GET_SIZE(text), &fault):
            raise ValueError(fault.reason.decode())
        rule = &self.redact.rules[self.redact.n - 1]
        rule.n_characters = n_characters
        if action == tc.TC_REDACT_HASH:
            tc.tc_hmac_key_init(&rule.key, <const uint8_t *>PyBytes_AS_STRING(hash_key), PyBytes_GET_SIZE(hash_key))
        elif action == tc.TC_REDACT_RENAME:
            rule.key_id = tc.tc_strings_intern(values.strings(), <const uint8_t *>PyBytes_AS_STRING(text),
                                               <uint32_t>PyBytes_GET_SIZE(text), tc.TC_STRINGS_MAX)
        for kind, key, key_flags in keys:
            pattern = key
            if not tc.tc_redact_add_keys(&self.redact, <tc.tc_pattern_kind><int>kind,
                                         <const uint8_t *>PyBytes_AS_STRING(pattern),
                                         <uint32_t>PyBytes_GET_SIZE(pattern), key_flags, &fault):
                raise ValueError(fault.reason.decode())

    # ---- the stage ----------------------------------------------------------------------

    @property
    def reason(self):
        return "redaction"  # takes no span out

    @property
    def required(self):
        return True

    @property
    def n_changed(self) -> int:
        """Spans that a rule changed."""
        return self.redact.n_spans

    @property
    def n_stripped(self) -> int:
        """Spans that lost all attributes, events and links because they could not be redacted."""
        return self.redact.n_stripped

    def process(self, Batch batch not None) -> None:
        cdef uint64_t before = self.redact.n_stripped
        if self.make_resource is not None:
            self.redact_origin(batch)
        with nogil:
            tc.tc_redact_batch(&self.redact, &batch.records, values.strings())
        if self.redact.n_stripped != before:
            report("redaction_failed", "%d spans could not be redacted: they are sent without name, attributes, events "
                   "and links", self.redact.n_stripped - before)

    # ---- resource and scopes ---------------------------------------------------------------

    cdef dict redacted(self, object attributes):
        """The attributes with every rule applied."""
        cdef tc.tc_draft *given
        cdef tc.tc_draft *made
        given = tc.tc_draft_take(&self.redact.pool)
        if given == NULL:
            raise MemoryError
        try:
            values.put_attributes(given, dict(attributes or {}), 0xffffffff, -1)
            made = tc.tc_redact_items(&self.redact, given.data + tc.TC_RECORD_HEAD_BYTES,
                                      given.length - tc.TC_RECORD_HEAD_BYTES, values.strings())
        finally:
            tc.tc_draft_give_back(&self.redact.pool, given)
        if made == NULL:
            raise MemoryError
        try:
            return values.read_attributes(made.data + tc.TC_RECORD_HEAD_BYTES, made.data + made.length)
        finally:
            tc.tc_draft_give_back(&self.redact.pool, made)

    cdef redact_origin(self, Batch batch):
        """Give the batch an Origin whose resource and scopes are redacted."""
        cdef Origin origin = batch.origin
        cdef uint32_t i
        cdef uint16_t id
        cdef uint16_t *scope_ids
        cdef tc.tc_header *header
        resource = origin.resource
        if self.twin is None or resource is not self.seen_resource:
            made = self.make_resource(self.redacted(resource.attributes), getattr(resource, "schema_url", None))
            if self.twin is None:
                self.twin = Origin(made)
            else:
                self.twin.set_resource(made)
            self.seen_resource = resource
        n = len(origin.scope_objects)
        if n > self.n_scope_ids:
            scope_ids = <uint16_t *>realloc(self.scope_ids, n * sizeof(uint16_t))
            if scope_ids == NULL:
                raise MemoryError
            self.scope_ids = scope_ids
            for i in range(self.n_scope_ids, <uint32_t>n):
                scope = origin.scope_objects[i]
                if scope is not None and scope.attributes:
                    scope = self.make_scope(scope.name, scope.version, scope.schema_url, self.redacted(scope.attributes))
                self.scope_ids[i] = self.twin.add_scope(scope) if scope is not None else 0
                self.n_scope_ids = i + 1
        with nogil:
            for i in range(batch.records.n):
                header = <tc.tc_header *>tc.tc_batch_record(&batch.records, i)
                id = header.scope
                header.scope = self.scope_ids[id] if id < self.n_scope_ids else 0
        batch.origin = self.twin
