/* tc_record: one span as one contiguous run of bytes.
 *
 * Before Span.end() Python owns the span and these bytes grow in a tc_draft;
 * after it they are copied into a ring once and belong to the worker. The same
 * bytes serve the OTLP encoder, the decoder behind `span.attributes`, and later
 * tail rules and crash recovery.
 *
 *     0        16                         80                          length
 *     +--------+--------------------------+---------------------------+
 *     | header |           body           | item  item  item  ...     |
 *     +--------+--------------------------+---------------------------+
 *
 * Item, little endian, unaligned:
 *
 *     u32 tag = key id << 6 | inline key << 5 | dead << 4 | type
 *     [u32 n, n bytes]            the key itself, when "inline key" is set
 *     payload                     by type, see tc_item_type
 *
 * Attributes, events and links stand in one sequence in the order they were
 * set: order within each kind is what the API promises, and one append-only
 * buffer is the cheapest thing that keeps it. An attribute that is overwritten
 * or evicted is marked dead in place and skipped by readers; tc_draft_settle
 * squeezes the dead out when they outgrow the living.
 */
#ifndef TC_RECORD_H
#define TC_RECORD_H

#include "tc_base.h"

#include <stdbool.h>

typedef enum tc_record_type {
    TC_RECORD_OPEN = 0,     /* reserved, not yet committed */
    TC_RECORD_SPAN = 1,
    TC_RECORD_PAD = 2,      /* fills the ring to its end */
    TC_RECORD_INDIRECT = 3, /* body: pointer to a malloc'd record too large for the ring */
} tc_record_type;

typedef struct tc_header {
    uint32_t length; /* bytes of the whole record, this header included */
    uint16_t scope;  /* index into the recorder's scopes */
    uint8_t type;    /* tc_record_type */
    uint8_t flags;   /* tc_header_flag */
    uint64_t checksum; /* 0: not computed; reserved for rings that outlive the process */
} tc_header;

enum tc_header_flag {
    TC_HAS_PARENT = 1,
    TC_UNSAMPLED = 2, /* head only, written for span metrics: never sent */
};

/* tc_body.flags: bits 0-7 are the span's W3C trace flags, 8 and 9 are OTLP's
 * "has is_remote" and "is_remote" of the parent (trace.proto, SpanFlags), 16-23
 * are the parent's W3C trace flags. OTLP_FLAGS is what goes on the wire: the
 * SDK sends no trace flags there. */
#define TC_FLAG_HAS_IS_REMOTE 0x100u
#define TC_FLAG_IS_REMOTE 0x200u
#define TC_OTLP_FLAGS (TC_FLAG_HAS_IS_REMOTE | TC_FLAG_IS_REMOTE)
#define TC_PARENT_FLAGS_SHIFT 16

typedef struct tc_body {
    uint8_t trace_id[16]; /* most significant byte first, as on the wire */
    uint8_t span_id[8];
    uint8_t parent_span_id[8]; /* zero without a parent */
    uint64_t start_ns;         /* since the Unix epoch */
    uint64_t end_ns;
    uint32_t name_id; /* 0: a TC_NAME item holds the name */
    uint32_t flags;
    uint8_t kind;   /* OpenTelemetry's SpanKind: INTERNAL 0 .. CONSUMER 4 */
    uint8_t status; /* UNSET 0, OK 1, ERROR 2 */
    uint16_t n_attributes; /* living ones; saturates */
    uint32_t dropped_attributes;
} tc_body;

_Static_assert(sizeof(tc_header) == 16, "the header is a file format");
_Static_assert(sizeof(tc_body) == 64, "the body is a file format");

#define TC_RECORD_HEAD_BYTES (sizeof(tc_header) + sizeof(tc_body))

typedef enum tc_item_type {
    TC_NULL = 0,    /* no payload */
    TC_FALSE = 1,   /* no payload */
    TC_TRUE = 2,    /* no payload */
    TC_INT = 3,     /* i64 */
    TC_DOUBLE = 4,  /* IEEE double */
    TC_STR = 5,     /* u32 n, n bytes of UTF-8 */
    TC_WTF8 = 6,    /* the same, with lone surrogates: not encodable as protobuf */
    TC_BYTES = 7,   /* u32 n, n bytes */
    TC_BIGINT = 8,  /* u32 n, n bytes: hexadecimal with sign; not encodable as protobuf */
    TC_ARRAY = 9,   /* u32 n, n bytes of items without keys */
    TC_MAP = 10,    /* u32 n, n bytes of items with keys */
    TC_EVENT = 11,  /* key = name; u32 n, then u64 time, u32 dropped, attributes */
    TC_LINK = 12,   /* u32 n, then trace id 16, span id 8, u32 flags, u32 dropped, attributes */
    TC_NAME = 13,   /* u32 n, n bytes: a name that is not interned */
    TC_MESSAGE = 14, /* u32 n, n bytes: the status description */
    TC_EXTRA = 15,  /* key id = tc_extra; u32 n, n bytes */
} tc_item_type;

typedef enum tc_extra {
    TC_EXTRA_TRACE_STATE = 1,        /* W3C tracestate of a span (or of a link, inside it) */
    TC_EXTRA_PARENT_TRACE_STATE = 2, /* only where the sampler changed it */
    TC_EXTRA_DROPPED = 3,            /* u32 events, u32 links that limits dropped */
    TC_EXTRA_BAGGAGE = 4,            /* u32 limit of attributes, entries as attributes: tc_baggage.h; else ignored */
} tc_extra;

#define TC_TAG_DEAD 0x10u
#define TC_TAG_INLINE_KEY 0x20u
#define TC_TAG_KEY_SHIFT 6
#define TC_EVENT_HEAD_BYTES 12 /* time, dropped */
#define TC_BAGGAGE_HEAD_BYTES 4
#define TC_LINK_HEAD_BYTES 32  /* ids, flags, dropped */

/* How deep values may nest, counted in the messages OTLP makes of them: readers of
 * protobuf give up at 100, with the whole request, and seven stand above an event's
 * attribute. Writers refuse an attribute that is deeper, the encoder leaves it out. */
#define TC_RECORD_MAX_DEPTH 90u
#define TC_RECORD_ARRAY_DEPTH 2u /* AnyValue, ArrayValue */
#define TC_RECORD_MAP_DEPTH 3u   /* AnyValue, KeyValueList, KeyValue */

typedef struct tc_item {
    tc_item_type type;
    bool dead;
    uint32_t key_id; /* 0: `key` or none */
    const uint8_t *key_view; /* the inline key; NULL when interned or absent */
    uint32_t key_length;
    const uint8_t *payload_view; /* past the u32 n of types that have one */
    uint32_t payload_length;
} tc_item;

/* Reads the item at *at and moves *at past it. 1: an item, 0: the end, -1: bytes
 * that no writer of ours makes (then *at is unchanged). Never reads past `end`. */
int tc_item_next(const uint8_t **at, const uint8_t *end, tc_item *item);

#define TC_DECIMAL_BYTES 20u

/* The decimal digits of a TC_INT's word, with a sign where it is negative; returns how many. */
uint32_t tc_decimal(uint64_t word, uint8_t out[TC_DECIMAL_BYTES]);

/* ---- a record being written ------------------------------------------------ */

#define TC_DRAFT_INLINE_BYTES 640u        /* head and about ten attributes without a malloc */
#define TC_DRAFT_MAX_BYTES (64u << 20)    /* beyond this an attribute is refused */

typedef struct tc_draft {
    uint8_t *data; /* inline_bytes, or malloc'd and owned */
    uint32_t length;
    uint32_t capacity;
    uint32_t n_attributes, n_events, n_links;                   /* living */
    uint32_t dropped_attributes, dropped_events, dropped_links; /* by limits */
    uint32_t n_dead_bytes;
    uint64_t key_bloom; /* which keys may already be there */
    bool is_finished;   /* nothing is appended any more */
    struct tc_draft *next; /* in a tc_draft_pool */
    uint8_t inline_bytes[TC_DRAFT_INLINE_BYTES];
} tc_draft;

/* Drafts to reuse; one thread at a time. */
typedef struct tc_draft_pool {
    tc_draft *first;
    uint32_t n;
} tc_draft_pool;

#define TC_DRAFT_POOL_MAX 256u /* about 180 KiB kept */

/* An empty draft whose head is all zero; NULL when memory is short. */
tc_draft *tc_draft_take(tc_draft_pool *pool);
void tc_draft_give_back(tc_draft_pool *pool, tc_draft *draft);
void tc_draft_pool_clear(tc_draft_pool *pool);

static inline tc_header *tc_draft_header(tc_draft *d) { return (tc_header *)(void *)d->data; }
static inline tc_body *tc_draft_body(tc_draft *d) { return (tc_body *)(void *)(d->data + sizeof(tc_header)); }

/* Makes room for n more bytes; false: out of memory or beyond the maximum. */
bool tc_draft_grow(tc_draft *draft, uint32_t n);

static inline uint8_t *tc_draft_reserve(tc_draft *d, uint32_t n) {
    if (TC_UNLIKELY(d->capacity - d->length < n) && !tc_draft_grow(d, n)) return NULL;
    uint8_t *at = d->data + d->length;
    d->length += n;
    return at;
}

/* Appends a tag, and the key itself when it has no id. */
static inline bool tc_draft_put_tag(tc_draft *d, tc_item_type type, uint32_t key_id, const uint8_t *key,
                                    uint32_t key_length) {
    if (TC_LIKELY(key == NULL)) {
        uint8_t *at = tc_draft_reserve(d, 4);
        if (at == NULL) return false;
        tc_store_u32(at, key_id << TC_TAG_KEY_SHIFT | (uint32_t)type);
        return true;
    }
    if (key_length > TC_DRAFT_MAX_BYTES) return false;
    uint8_t *at = tc_draft_reserve(d, 8 + key_length);
    if (at == NULL) return false;
    tc_store_u32(at, TC_TAG_INLINE_KEY | (uint32_t)type);
    tc_store_u32(at + 4, key_length);
    memcpy(at + 8, key, key_length);
    return true;
}

/* Append one item. `key` is NULL when key_id tells it (or there is none). False:
 * no room; then restore `length` to what it was before. */
static inline bool tc_draft_put_word(tc_draft *d, tc_item_type type, uint32_t key_id, const uint8_t *key,
                                     uint32_t key_length, uint64_t word) {
    if (TC_UNLIKELY(key != NULL) && !tc_draft_put_tag(d, type, key_id, key, key_length)) return false;
    uint8_t *at = tc_draft_reserve(d, key == NULL ? 12 : 8);
    if (TC_UNLIKELY(at == NULL)) return false;
    if (TC_LIKELY(key == NULL)) {
        tc_store_u32(at, key_id << TC_TAG_KEY_SHIFT | (uint32_t)type);
        at += 4;
    }
    tc_store_u64(at, word);
    return true;
}
static inline bool tc_draft_put_bytes(tc_draft *d, tc_item_type type, uint32_t key_id, const uint8_t *key,
                                      uint32_t key_length, const uint8_t *bytes, uint64_t n) {
    if (TC_UNLIKELY(n > TC_DRAFT_MAX_BYTES)) return false;
    if (TC_UNLIKELY(key != NULL) && !tc_draft_put_tag(d, type, key_id, key, key_length)) return false;
    uint8_t *at = tc_draft_reserve(d, (key == NULL ? 8 : 4) + (uint32_t)n);
    if (TC_UNLIKELY(at == NULL)) return false;
    if (TC_LIKELY(key == NULL)) {
        tc_store_u32(at, key_id << TC_TAG_KEY_SHIFT | (uint32_t)type);
        at += 4;
    }
    tc_store_u32(at, (uint32_t)n);
    memcpy(at + 4, bytes, n);
    return true;
}

/* Nested items: `open` appends tag and an empty length, returns where the
 * content starts (0: no room); `close` fills the length in. */
uint32_t tc_draft_open(tc_draft *draft, tc_item_type type, uint32_t key_id, const uint8_t *key, uint32_t key_length);
void tc_draft_close(tc_draft *draft, uint32_t content_at);

/* Make the item that was appended last (for an attribute: at `at`) count: an
 * attribute replaces the one with the same key or, at `limit`, the oldest; an
 * event or link replaces the oldest of its kind, which with a limit of 0 is
 * itself. The limit UINT32_MAX means none. */
void tc_draft_settle_attribute_slowly(tc_draft *draft, uint32_t at, uint32_t limit);
static inline void tc_draft_settle_attribute(tc_draft *d, uint32_t at, uint32_t key_id, uint32_t limit) {
    uint64_t bit = 1ull << (key_id & 63);
    if (TC_LIKELY(key_id != 0 && (d->key_bloom & bit) == 0 && d->n_attributes < limit)) {
        d->key_bloom |= bit;
        d->n_attributes++;
        return;
    }
    tc_draft_settle_attribute_slowly(d, at, limit);
}
void tc_draft_settle_event(tc_draft *draft, uint32_t limit);
void tc_draft_settle_link(tc_draft *draft, uint32_t limit);

/* Appends the items of another draft, in one step: a value whose own code runs
 * while it is written (and may write to the same span, on this thread or on
 * another) is written aside and appended when it is whole. False: no room, or
 * the draft is finished. */
bool tc_draft_append(tc_draft *draft, const tc_draft *other);

/* Writes counts and length into the head; the record is then complete. */
void tc_draft_finish(tc_draft *draft, uint16_t scope);

#endif
