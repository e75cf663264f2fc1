# Every C name that Cython sees: the whole native boundary on one screen.
# What each means, who owns it and which thread may call it stands in csrc/tc_*.h.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "tc_base.h" nogil:
    ctypedef enum tc_status:
        TC_OK, TC_FULL, TC_TOO_LARGE, TC_NO_MEMORY, TC_CORRUPT, TC_CLOSED
    const char *tc_status_text(tc_status status)
    uint32_t tc_load_u32(const void *p)
    uint64_t tc_load_u64(const void *p)
    void tc_store_u32(void *p, uint32_t v)
    void tc_store_u64(void *p, uint64_t v)
    uint64_t tc_load_be64(const void *p)
    void tc_store_be64(void *p, uint64_t v)
    bint TC_LIKELY(bint x)
    bint TC_UNLIKELY(bint x)


cdef extern from "tc_clock.h" nogil:
    ctypedef struct tc_clock:
        uint64_t read_at_ns
        int64_t offset_ns
    uint64_t tc_clock_monotonic_ns()
    int64_t tc_clock_offset_ns(tc_clock *clock, uint64_t now_ns)


cdef extern from "tc_ids.h" nogil:
    tc_status tc_ids_init()
    void tc_ids_trace(uint8_t *out)
    void tc_ids_span(uint8_t *out)
    uint32_t tc_ids_generation()
    const uint32_t *tc_ids_generation_view()


cdef extern from "tc_strings.h" nogil:
    const uint32_t TC_STRINGS_MAX
    ctypedef struct tc_string:
        const uint8_t *bytes
        uint32_t length
    ctypedef struct tc_strings:
        uint32_t n
        uint32_t n_bytes
    tc_strings *tc_strings_new(uint32_t max_length)
    void tc_strings_free(tc_strings *strings)
    uint32_t tc_strings_intern(tc_strings *strings, const uint8_t *bytes, uint32_t length, uint32_t limit)
    tc_string tc_strings_view(const tc_strings *strings, uint32_t id)


cdef extern from "tc_record.h" nogil:
    const uint32_t TC_RECORD_HEAD_BYTES
    const uint32_t TC_EVENT_HEAD_BYTES, TC_LINK_HEAD_BYTES, TC_BAGGAGE_HEAD_BYTES
    const uint32_t TC_RECORD_MAX_DEPTH, TC_RECORD_ARRAY_DEPTH, TC_RECORD_MAP_DEPTH
    const uint32_t TC_FLAG_HAS_IS_REMOTE, TC_FLAG_IS_REMOTE
    const int TC_PARENT_FLAGS_SHIFT
    const uint8_t TC_HAS_PARENT, TC_UNSAMPLED
    ctypedef enum tc_item_type:
        TC_NULL, TC_FALSE, TC_TRUE, TC_INT, TC_DOUBLE, TC_STR, TC_WTF8, TC_BYTES, TC_BIGINT
        TC_ARRAY, TC_MAP, TC_EVENT, TC_LINK, TC_NAME, TC_MESSAGE, TC_EXTRA
    ctypedef enum tc_extra:
        TC_EXTRA_TRACE_STATE, TC_EXTRA_PARENT_TRACE_STATE, TC_EXTRA_DROPPED, TC_EXTRA_BAGGAGE
    ctypedef struct tc_header:
        uint32_t length
        uint16_t scope
        uint8_t type
        uint8_t flags
    ctypedef struct tc_body:
        uint8_t trace_id[16]
        uint8_t span_id[8]
        uint8_t parent_span_id[8]
        uint64_t start_ns
        uint64_t end_ns
        uint32_t name_id
        uint32_t flags
        uint8_t kind
        uint8_t status
        uint16_t n_attributes
        uint32_t dropped_attributes
    ctypedef struct tc_item:
        tc_item_type type
        bint dead
        uint32_t key_id
        const uint8_t *key_view
        uint32_t key_length
        const uint8_t *payload_view
        uint32_t payload_length
    int tc_item_next(const uint8_t **at, const uint8_t *end, tc_item *item)

    ctypedef struct tc_draft:
        uint8_t *data
        uint32_t length
        uint32_t n_attributes, n_events, n_links
        uint32_t dropped_attributes, dropped_events, dropped_links
        bint is_finished
    ctypedef struct tc_draft_pool:
        tc_draft *first
        uint32_t n
    tc_draft *tc_draft_take(tc_draft_pool *pool)
    void tc_draft_give_back(tc_draft_pool *pool, tc_draft *draft)
    void tc_draft_pool_clear(tc_draft_pool *pool)
    tc_header *tc_draft_header(tc_draft *draft)
    tc_body *tc_draft_body(tc_draft *draft)
    uint8_t *tc_draft_reserve(tc_draft *draft, uint32_t n)
    bint tc_draft_put_tag(tc_draft *draft, tc_item_type type, uint32_t key_id,
                          const uint8_t *key, uint32_t key_length)
    bint tc_draft_put_word(tc_draft *draft, tc_item_type type, uint32_t key_id,
                           const uint8_t *key, uint32_t key_length, uint64_t word)
    bint tc_draft_put_bytes(tc_draft *draft, tc_item_type type, uint32_t key_id,
                            const uint8_t *key, uint32_t key_length, const uint8_t *bytes, uint64_t n)
    uint32_t tc_draft_open(tc_draft *draft, tc_item_type type, uint32_t key_id,
                           const uint8_t *key, uint32_t key_length)
    void tc_draft_close(tc_draft *draft, uint32_t content_at)
    bint tc_draft_append(tc_draft *draft, const tc_draft *other)
    void tc_draft_settle_attribute(tc_draft *draft, uint32_t at, uint32_t key_id, uint32_t limit)
    void tc_draft_settle_event(tc_draft *draft, uint32_t limit)
    void tc_draft_settle_link(tc_draft *draft, uint32_t limit)
    void tc_draft_finish(tc_draft *draft, uint16_t scope)


cdef extern from "tc_ring.h" nogil:
    const uint64_t TC_RING_MIN_BYTES, TC_RING_MAX_BYTES
    ctypedef struct tc_ring:
        uint64_t n_bytes
        uint64_t n_written, n_dropped, n_taken, indirect_bytes
    tc_ring *tc_ring_new(uint64_t n_bytes)
    void tc_ring_free(tc_ring *ring)
    void tc_ring_prefault(tc_ring *ring)
    tc_status tc_ring_put_spsc(tc_ring *ring, const uint8_t *record)
    uint64_t tc_ring_n_waiting(tc_ring *ring)
    void tc_ring_reset_in_child(tc_ring *ring)


cdef extern from "tc_batch.h" nogil:
    ctypedef struct tc_batch:
        uint64_t n_bytes
        uint32_t n
    void tc_batch_init(tc_batch *batch)
    void tc_batch_clear(tc_batch *batch)
    tc_status tc_batch_take(tc_batch *batch, tc_ring *ring, uint32_t max_records, uint64_t max_bytes)
    const uint8_t *tc_batch_record_view(const tc_batch *batch, uint32_t i)
    uint8_t *tc_batch_record(tc_batch *batch, uint32_t i)
    void tc_batch_remove(tc_batch *batch, uint32_t i)
    bint tc_batch_is_removed(const tc_batch *batch, uint32_t i)
    uint32_t tc_batch_settle(tc_batch *batch)
    tc_status tc_batch_append(tc_batch *batch, const uint8_t *record)
    tc_status tc_batch_replace(tc_batch *batch, uint32_t i, const uint8_t *record)
    void tc_batch_trim(tc_batch *batch)
    uint64_t tc_batch_held_bytes(const tc_batch *batch)


cdef extern from "tc_program.h" nogil:
    const uint32_t TC_REGEX_IGNORE_CASE, TC_REGEX_DOT_ALL, TC_REGEX_MULTILINE
    ctypedef struct tc_regex_fault:
        uint32_t at
        const char *reason


cdef extern from "tc_regex.h" nogil:
    ctypedef struct tc_regex:
        pass
    tc_regex *tc_regex_new(const uint8_t *pattern, uint32_t n, uint32_t flags, tc_regex_fault *fault)
    void tc_regex_free(tc_regex *regex)
    bint tc_regex_search(tc_regex *regex, const uint8_t *text, uint32_t n)
    bint tc_regex_find(tc_regex *regex, const uint8_t *text, uint32_t n, uint32_t at, uint32_t *start, uint32_t *end,
                       uint64_t *n_read)


cdef extern from "tc_match.h" nogil:
    const uint32_t TC_MATCH_MAX_BITS
    ctypedef enum tc_pattern_kind:
        TC_EXACT, TC_GLOB, TC_REGEX
    ctypedef struct tc_match:
        uint32_t n
    void tc_match_init(tc_match *match)
    void tc_match_clear(tc_match *match)
    void tc_match_forget(tc_match *match)
    bint tc_match_add(tc_match *match, uint32_t bit, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n,
                      uint32_t flags, tc_regex_fault *fault)
    uint64_t tc_match_bytes(tc_match *match, const uint8_t *bytes, uint32_t n)


cdef extern from "tc_hmac.h" nogil:
    const uint32_t TC_SHA256_BYTES
    ctypedef struct tc_hmac_key:
        pass
    void tc_hmac_key_init(tc_hmac_key *key, const uint8_t *bytes, uint64_t n)
    void tc_hmac(const tc_hmac_key *key, const uint8_t *message, uint64_t n, uint8_t *out)


cdef extern from "tc_redact.h" nogil:
    ctypedef enum tc_redact_action:
        TC_REDACT_KEEP, TC_REDACT_DROP, TC_REDACT_HASH, TC_REDACT_REPLACE, TC_REDACT_RENAME, TC_REDACT_TRUNCATE
    ctypedef struct tc_redact_rule:
        uint32_t key_id
        uint32_t n_characters
        tc_hmac_key key
    ctypedef struct tc_redact:
        tc_redact_rule rules[63]
        uint32_t n
        bint names
        tc_draft_pool pool
        uint64_t n_spans
        uint64_t n_stripped
    void tc_redact_init(tc_redact *redact)
    void tc_redact_clear(tc_redact *redact)
    bint tc_redact_add(tc_redact *redact, tc_redact_action action, const uint8_t *values, uint32_t n_values,
                       uint32_t flags, const uint8_t *text, uint32_t n_text, tc_regex_fault *fault)
    bint tc_redact_add_keys(tc_redact *redact, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                            tc_regex_fault *fault)
    void tc_redact_batch(tc_redact *redact, tc_batch *batch, const tc_strings *strings)
    tc_draft *tc_redact_items(tc_redact *redact, const uint8_t *items, uint32_t n_bytes, const tc_strings *strings)


cdef extern from "tc_baggage.h" nogil:
    ctypedef struct tc_baggage:
        tc_match keys
        uint64_t n_spans
        uint64_t n_failed
    void tc_baggage_init(tc_baggage *baggage)
    void tc_baggage_clear(tc_baggage *baggage)
    void tc_baggage_batch(tc_baggage *baggage, tc_batch *batch, const tc_strings *strings)


cdef extern from "tc_fold.h" nogil:
    const char *TC_FOLD_COUNT
    const char *TC_FOLD_TOTAL_NS
    const char *TC_FOLD_MIN_NS
    const char *TC_FOLD_MAX_NS
    ctypedef struct tc_fold_names:
        uint32_t count, total_ns, min_ns, max_ns
    ctypedef struct tc_fold:
        uint32_t threshold
        uint64_t hold_ns, max_bytes
        uint32_t max_groups, max_parents
        tc_fold_names names
        tc_match keys
        bint by_all_attributes
        uint64_t n_bytes, n_held, n_folded, n_passed
    tc_status tc_fold_open(tc_fold *fold)
    void tc_fold_clear(tc_fold *fold)
    void tc_fold_batch(tc_fold *fold, tc_batch *batch, const tc_strings *strings, uint64_t now_ns)
    tc_status tc_fold_release(tc_fold *fold, tc_batch *batch, uint64_t now_ns)


cdef extern from "tc_drop.h" nogil:
    ctypedef struct tc_drop:
        uint32_t n
        tc_match scopes
    void tc_drop_init(tc_drop *drop)
    void tc_drop_clear(tc_drop *drop)
    bint tc_drop_add(tc_drop *drop, uint8_t kinds, uint8_t statuses, uint64_t under_ns, tc_regex_fault *fault)
    bint tc_drop_add_name(tc_drop *drop, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                          tc_regex_fault *fault)
    bint tc_drop_add_scope(tc_drop *drop, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                           tc_regex_fault *fault)
    bint tc_drop_add_attribute(tc_drop *drop, tc_pattern_kind key_kind, const uint8_t *key, uint32_t n_key,
                               uint32_t key_flags, tc_pattern_kind value_kind, const uint8_t *value, uint32_t n_value,
                               uint32_t value_flags, tc_regex_fault *fault)
    uint32_t tc_drop_batch(tc_drop *drop, tc_batch *batch, const tc_strings *strings, const tc_strings *scopes)


cdef extern from "tc_pb.h" nogil:
    ctypedef struct tc_bytes:
        uint8_t *data
        uint64_t n, capacity
        bint failed
    void tc_bytes_clear(tc_bytes *bytes)
    void tc_pb_bytes(tc_bytes *bytes, uint32_t field, const uint8_t *value, uint64_t n)
    void tc_pb_varint(tc_bytes *bytes, uint32_t field, uint64_t value)


cdef extern from "tc_otlp.h" nogil:
    ctypedef struct tc_otlp_names:
        const tc_strings *strings
        const tc_strings *scopes
        const uint8_t *resource
        uint64_t resource_bytes
    tc_status tc_otlp_request(tc_bytes *out, const tc_batch *batch, uint32_t first, uint32_t n,
                              const tc_otlp_names *names, uint64_t *n_lost_attributes)
    tc_status tc_otlp_attributes(tc_bytes *out, uint32_t field, const uint8_t *items, uint64_t n_bytes,
                                 const tc_strings *strings, uint64_t *n_lost_attributes)


cdef extern from "tc_histogram.h" nogil:
    ctypedef struct tc_histogram:
        uint64_t count, zero_count
        double sum, min, max
        int32_t scale, offset
        uint32_t n
        uint64_t counts[160]


cdef extern from "tc_span_metrics.h" nogil:
    const uint32_t TC_SPAN_METRICS_MAX
    ctypedef struct tc_series:
        const uint8_t *name
        uint32_t name_length
        uint8_t kind, status
        tc_histogram seconds
    ctypedef struct tc_span_metrics:
        uint64_t n_no_memory
    tc_status tc_span_metrics_init(tc_span_metrics *metrics, uint32_t max)
    void tc_span_metrics_destroy(tc_span_metrics *metrics)
    tc_status tc_span_metrics_reset_in_child(tc_span_metrics *metrics)
    void tc_span_metrics_observe(tc_span_metrics *metrics, tc_batch *batch, const tc_strings *strings)
    bint tc_span_metrics_read(tc_span_metrics *metrics, uint32_t i, tc_series *out)


cdef extern from "tc_otlp_json.h" nogil:
    tc_status tc_otlp_json(tc_bytes *out, const uint8_t *request, uint64_t n)


cdef extern from "tc_wake.h" nogil:
    ctypedef struct tc_wake:
        bint is_sleeping
    tc_status tc_wake_init(tc_wake *wake)
    void tc_wake_destroy(tc_wake *wake)
    tc_status tc_wake_init_in_child(tc_wake *wake)
    uint64_t tc_wake_generation(tc_wake *wake)
    void tc_wake_all(tc_wake *wake)
    bint tc_wake_wait(tc_wake *wake, uint64_t seen, uint64_t timeout_ns, bint hint)
