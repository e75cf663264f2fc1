"""Builds tracecore._reader: the C units a process needs that reads records and wrote none.

cffi in API mode: the C compiler checks every declaration below against csrc's headers. Structs with
atomics in them stay opaque and are asked through functions.
"""

from __future__ import annotations

import cffi

UNITS = ["base", "strings", "record", "ring", "batch", "pb", "otlp"]

ffi = cffi.FFI()

ffi.cdef(
    """
    typedef enum { TC_OK, TC_FULL, TC_TOO_LARGE, TC_NO_MEMORY, TC_CORRUPT, TC_CLOSED, ... } tc_status;
    const char *tc_status_text(tc_status status);

    #define TC_STRINGS_MAX ...
    #define TC_STRINGS_MAX_BYTES ...
    typedef struct { const uint8_t *bytes; uint32_t length; ...; } tc_string;
    typedef struct { uint32_t n_bytes; ...; } tc_strings;
    tc_strings *tc_strings_new(uint32_t max_length);
    void tc_strings_free(tc_strings *strings);
    uint32_t tc_strings_intern(tc_strings *strings, const uint8_t *bytes, uint32_t length, uint32_t limit);
    tc_string tc_strings_view(const tc_strings *strings, uint32_t id);

    #define TC_RECORD_HEAD_BYTES ...
    #define TC_RECORD_MAX_DEPTH ...
    #define TC_RECORD_ARRAY_DEPTH ...
    #define TC_RECORD_MAP_DEPTH ...
    #define TC_EVENT_HEAD_BYTES ...
    #define TC_LINK_HEAD_BYTES ...
    #define TC_DRAFT_MAX_BYTES ...
    typedef enum { TC_HAS_PARENT, ... } tc_header_flag;
    typedef enum {
        TC_NULL, TC_FALSE, TC_TRUE, TC_INT, TC_DOUBLE, TC_STR, TC_WTF8, TC_BYTES, TC_BIGINT, TC_ARRAY, TC_MAP,
        TC_EVENT, TC_LINK, TC_NAME, TC_MESSAGE, TC_EXTRA, ...
    } tc_item_type;
    typedef enum { TC_EXTRA_TRACE_STATE, TC_EXTRA_PARENT_TRACE_STATE, TC_EXTRA_DROPPED, ... } tc_extra;
    typedef struct { uint32_t length; uint16_t scope; uint8_t type; uint8_t flags; ...; } tc_header;
    typedef struct {
        uint8_t trace_id[16];
        uint8_t span_id[8];
        uint8_t parent_span_id[8];
        uint64_t start_ns;
        uint64_t end_ns;
        uint32_t name_id;
        uint32_t flags;
        uint8_t kind;
        uint8_t status;
        uint16_t n_attributes;
        uint32_t dropped_attributes;
    } tc_body;
    typedef struct {
        tc_item_type type;
        bool dead;
        uint32_t key_id;
        const uint8_t *key_view;
        uint32_t key_length;
        const uint8_t *payload_view;
        uint32_t payload_length;
        ...;
    } tc_item;
    int tc_item_next(const uint8_t **at, const uint8_t *end, tc_item *item);

    typedef struct {
        uint8_t *data;
        uint32_t length, capacity;
        uint32_t n_attributes, n_events, n_links;
        uint32_t dropped_attributes, dropped_events, dropped_links;
        ...;
    } tc_draft;
    typedef struct { tc_draft *first; uint32_t n; } tc_draft_pool;
    tc_draft *tc_draft_take(tc_draft_pool *pool);
    void tc_draft_give_back(tc_draft_pool *pool, tc_draft *draft);
    void tc_draft_pool_clear(tc_draft_pool *pool);
    uint8_t *tc_draft_reserve(tc_draft *draft, uint32_t n);
    bool tc_draft_put_tag(tc_draft *draft, tc_item_type type, uint32_t key_id, const uint8_t *key, uint32_t key_length);
    bool tc_draft_put_word(tc_draft *draft, tc_item_type type, uint32_t key_id, const uint8_t *key,
                           uint32_t key_length, uint64_t word);
    bool tc_draft_put_bytes(tc_draft *draft, tc_item_type type, uint32_t key_id, const uint8_t *key,
                            uint32_t key_length, const uint8_t *bytes, uint64_t n);
    uint32_t tc_draft_open(tc_draft *draft, tc_item_type type, uint32_t key_id, const uint8_t *key,
                           uint32_t key_length);
    void tc_draft_close(tc_draft *draft, uint32_t content_at);
    void tc_draft_settle_attribute(tc_draft *draft, uint32_t at, uint32_t key_id, uint32_t limit);
    void tc_draft_settle_event(tc_draft *draft, uint32_t limit);
    void tc_draft_settle_link(tc_draft *draft, uint32_t limit);
    void tc_draft_finish(tc_draft *draft, uint16_t scope);

    #define TC_RING_MIN_BYTES ...
    #define TC_RING_MAX_BYTES ...
    #define TC_RING_ALIGN ...
    typedef struct { uint64_t n_bytes; ...; } tc_ring;
    tc_ring *tc_ring_new(uint64_t n_bytes);
    void tc_ring_free(tc_ring *ring);
    tc_status tc_ring_put_spsc(tc_ring *ring, const uint8_t *record);
    const uint8_t *tc_ring_take_spsc(tc_ring *ring);
    void tc_ring_take_done_spsc(tc_ring *ring);
    uint64_t tc_ring_n_waiting(tc_ring *ring);
    void ring_counts(tc_ring *ring, uint64_t *written, uint64_t *dropped, uint64_t *taken, uint64_t *indirect_bytes);

    typedef struct { uint64_t n_bytes; uint32_t n; ...; } tc_batch;
    void tc_batch_init(tc_batch *batch);
    void tc_batch_clear(tc_batch *batch);
    tc_status tc_batch_take(tc_batch *batch, tc_ring *ring, uint32_t max_records, uint64_t max_bytes);
    const uint8_t *tc_batch_record_view(const tc_batch *batch, uint32_t i);

    typedef struct { uint8_t *data; uint64_t n, capacity; bool failed; } tc_bytes;
    void tc_bytes_clear(tc_bytes *bytes);

    typedef struct {
        const tc_strings *strings;
        const tc_strings *scopes;
        const uint8_t *resource;
        uint64_t resource_bytes;
    } tc_otlp_names;
    tc_status tc_otlp_request(tc_bytes *out, const tc_batch *batch, uint32_t first, uint32_t n,
                              const tc_otlp_names *names, uint64_t *n_lost_attributes);
    """
)

ffi.set_source(
    "tracecore._reader",
    """
    #include "tc_otlp.h"
    #include "tc_record.h"

    typedef enum tc_header_flag tc_header_flag;

    static void ring_counts(tc_ring *r, uint64_t *written, uint64_t *dropped, uint64_t *taken,
                            uint64_t *indirect_bytes) {
        *written = r->n_written;
        *dropped = r->n_dropped;
        *taken = r->n_taken;
        *indirect_bytes = r->indirect_bytes;
    }
    """,
    sources=[f"csrc/tc_{unit}.c" for unit in UNITS],
    include_dirs=["csrc"],
    extra_compile_args=["-std=c11", "-O3", "-fvisibility=hidden"],
)
