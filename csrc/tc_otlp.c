#include "tc_otlp.h"

#include "tc_record.h"

#include <stdlib.h>

/* ---- common.proto: AnyValue, KeyValue ------------------------------------------ */

static bool write_value(tc_bytes *out, uint32_t field, const tc_item *item, const tc_strings *strings,
                        uint32_t depth);

/* Keys with an id are valid UTF-8; an inline one may hold a lone surrogate,
 * which UTF-8 spells ED A0..BF xx and protobuf refuses. */
static bool has_surrogate(const uint8_t *p, uint32_t n) {
    for (uint32_t i = 0; i + 1 < n; i++)
        if (p[i] == 0xed && p[i + 1] >= 0xa0) return true;
    return false;
}

/* The item's key; false: not encodable. */
static bool key_of(const tc_item *item, const tc_strings *strings, const uint8_t **key, uint32_t *length) {
    if (TC_LIKELY(item->key_view == NULL)) {
        tc_string s = tc_strings_view(strings, item->key_id);
        *key = s.bytes;
        *length = s.length;
        return true;
    }
    *key = item->key_view;
    *length = item->key_length;
    return !has_surrogate(item->key_view, item->key_length);
}

/* Bytes of the AnyValue of a value without nesting; 0 for NULL and for what is
 * nested or not encodable. */
static uint64_t flat_value_bytes(const tc_item *item) {
    switch (item->type) {
    case TC_FALSE:
    case TC_TRUE: return 2;
    case TC_INT: return 1 + tc_pb_varint_bytes(tc_load_u64(item->payload_view));
    case TC_DOUBLE: return 9;
    case TC_STR:
    case TC_BYTES: return 1 + tc_pb_varint_bytes(item->payload_length) + (uint64_t)item->payload_length;
    default: return 0;
    }
}

static bool is_flat(tc_item_type type) {
    return type <= TC_DOUBLE || type == TC_STR || type == TC_BYTES;
}

/* The content of the AnyValue of a flat item, at p; there is room. */
static uint8_t *flat_value_at(uint8_t *p, const tc_item *item) {
    switch (item->type) {
    case TC_FALSE:
    case TC_TRUE:
        *p++ = 2 << 3 | TC_PB_VARINT;
        *p++ = item->type == TC_TRUE;
        return p;
    case TC_INT:
        *p++ = 3 << 3 | TC_PB_VARINT;
        return tc_pb_varint_at(p, tc_load_u64(item->payload_view));
    case TC_DOUBLE: {
        *p++ = 4 << 3 | TC_PB_FIXED64;
        uint64_t v = tc_load_u64(item->payload_view);
        for (int i = 0; i < 8; i++) *p++ = (uint8_t)(v >> (8 * i));
        return p;
    }
    case TC_STR:
    case TC_BYTES:
        *p++ = (uint8_t)((item->type == TC_STR ? 1 : 7) << 3 | TC_PB_LENGTH);
        p = tc_pb_varint_at(p, item->payload_length);
        memcpy(p, item->payload_view, item->payload_length);
        return p + item->payload_length;
    default: return p;
    }
}

/* One KeyValue in `field`; false: it holds something protobuf cannot. */
static bool write_key_value(tc_bytes *out, uint32_t field, const tc_item *item, const tc_strings *strings,
                            uint32_t depth) {
    const uint8_t *key;
    uint32_t key_length;
    if (!key_of(item, strings, &key, &key_length)) return false;
    if (TC_LIKELY(is_flat(item->type))) {
        uint64_t value_bytes = flat_value_bytes(item);
        uint64_t n = 1 + tc_pb_varint_bytes(key_length) + (uint64_t)key_length + 1 + tc_pb_varint_bytes(value_bytes) +
                     value_bytes;
        if (!tc_bytes_room(out, 2 + TC_PB_MAX_VARINT + n)) return true;
        uint8_t *p = tc_pb_varint_at(tc_pb_tag_at(out->data + out->n, field, TC_PB_LENGTH), n);
        *p++ = 1 << 3 | TC_PB_LENGTH;
        p = tc_pb_varint_at(p, key_length);
        if (key_length != 0) memcpy(p, key, key_length);
        p += key_length;
        *p++ = 2 << 3 | TC_PB_LENGTH;
        p = tc_pb_varint_at(p, value_bytes);
        out->n = (uint64_t)(flat_value_at(p, item) - out->data);
        return true;
    }
    uint64_t at = tc_pb_open(out, field, 2);
    tc_pb_bytes(out, 1, key, key_length);
    if (!write_value(out, 2, item, strings, depth)) return false;
    tc_pb_close(out, at, 2);
    return true;
}

/* One AnyValue in `field`, inside `depth` arrays and maps. Our writers stop
 * before the limit; a record of foreign bytes must not run down the stack. */
static bool write_value(tc_bytes *out, uint32_t field, const tc_item *item, const tc_strings *strings,
                        uint32_t depth) {
    if (is_flat(item->type)) {
        uint64_t n = flat_value_bytes(item);
        if (!tc_bytes_room(out, 2 + TC_PB_MAX_VARINT + n)) return true;
        uint8_t *p = tc_pb_varint_at(tc_pb_tag_at(out->data + out->n, field, TC_PB_LENGTH), n);
        out->n = (uint64_t)(flat_value_at(p, item) - out->data);
        return true;
    }
    if (item->type != TC_ARRAY && item->type != TC_MAP) return false;
    depth += item->type == TC_ARRAY ? TC_RECORD_ARRAY_DEPTH : TC_RECORD_MAP_DEPTH;
    if (depth > TC_RECORD_MAX_DEPTH) return false;
    uint64_t value_at = tc_pb_open(out, field, 1);
    uint64_t list_at = tc_pb_open(out, item->type == TC_ARRAY ? 5 : 6, 1);
    const uint8_t *at = item->payload_view, *end = at + item->payload_length;
    tc_item inner;
    while (tc_item_next(&at, end, &inner) == 1) {
        bool fits = item->type == TC_ARRAY ? write_value(out, 1, &inner, strings, depth)
                                           : write_key_value(out, 1, &inner, strings, depth);
        if (!fits) return false;
    }
    tc_pb_close(out, list_at, 1);
    tc_pb_close(out, value_at, 1);
    return true;
}

static void write_attribute(tc_bytes *out, uint32_t field, const tc_item *item, const tc_strings *strings,
                            uint64_t *n_lost) {
    uint64_t before = out->n;
    if (TC_UNLIKELY(!write_key_value(out, field, item, strings, 0))) {
        out->n = before;
        ++*n_lost;
    }
}

tc_status tc_otlp_attributes(tc_bytes *out, uint32_t field, const uint8_t *items, uint64_t n_bytes,
                             const tc_strings *strings, uint64_t *n_lost) {
    const uint8_t *at = items, *end = items + n_bytes;
    tc_item item;
    int more;
    while ((more = tc_item_next(&at, end, &item)) == 1)
        if (!item.dead && item.type <= TC_MAP) write_attribute(out, field, &item, strings, n_lost);
    if (out->failed) return TC_NO_MEMORY;
    return more == 0 ? TC_OK : TC_CORRUPT;
}

/* ---- trace.proto: Span.Event, Span.Link, Status, Span ----------------------------- */

static void write_event(tc_bytes *out, const tc_item *item, const tc_strings *strings, uint64_t *n_lost) {
    const uint8_t *p = item->payload_view;
    uint64_t at = tc_pb_open(out, 11, 2);
    tc_pb_fixed64(out, 1, tc_load_u64(p));
    const uint8_t *name;
    uint32_t name_length;
    key_of(item, strings, &name, &name_length); /* names are made valid when they are set */
    tc_pb_bytes(out, 2, name, name_length);
    tc_otlp_attributes(out, 3, p + TC_EVENT_HEAD_BYTES, item->payload_length - TC_EVENT_HEAD_BYTES, strings, n_lost);
    uint32_t dropped = tc_load_u32(p + 8);
    if (dropped != 0) tc_pb_varint(out, 4, dropped);
    tc_pb_close(out, at, 2);
}

static void write_link(tc_bytes *out, const tc_item *item, const tc_strings *strings, uint64_t *n_lost) {
    const uint8_t *p = item->payload_view;
    const uint8_t *attributes = p + TC_LINK_HEAD_BYTES;
    uint64_t n = item->payload_length - TC_LINK_HEAD_BYTES;
    uint64_t at = tc_pb_open(out, 13, 1);
    tc_pb_bytes(out, 1, p, 16);
    tc_pb_bytes(out, 2, p + 16, 8);
    /* its tracestate, where there is one, comes first */
    const uint8_t *next = attributes;
    tc_item first;
    if (tc_item_next(&next, attributes + n, &first) == 1 && first.type == TC_EXTRA)
        tc_pb_bytes(out, 3, first.payload_view, first.payload_length);
    tc_otlp_attributes(out, 4, attributes, n, strings, n_lost);
    uint32_t dropped = tc_load_u32(p + 28);
    if (dropped != 0) tc_pb_varint(out, 5, dropped);
    tc_pb_fixed32(out, 6, tc_load_u32(p + 24) & TC_OTLP_FLAGS);
    tc_pb_close(out, at, 1);
}

static void write_status(tc_bytes *out, uint8_t code, const tc_item *message) {
    uint64_t at = tc_pb_open(out, 15, 1);
    if (message != NULL) tc_pb_bytes(out, 2, message->payload_view, message->payload_length);
    if (code != 0) tc_pb_varint(out, 3, code);
    tc_pb_close(out, at, 1);
}

static void write_span(tc_bytes *out, const uint8_t *record, const tc_strings *strings, uint64_t *n_lost) {
    const tc_header *header = (const tc_header *)(const void *)record;
    const tc_body *body = (const tc_body *)(const void *)(record + sizeof *header);
    uint64_t at = tc_pb_open(out, 2, 2);
    tc_pb_bytes(out, 1, body->trace_id, 16);
    tc_pb_bytes(out, 2, body->span_id, 8);
    if (header->flags & TC_HAS_PARENT) tc_pb_bytes(out, 4, body->parent_span_id, 8);
    if (body->name_id != 0) {
        tc_string name = tc_strings_view(strings, body->name_id);
        tc_pb_bytes(out, 5, name.bytes, name.length);
    }
    tc_pb_varint(out, 6, body->kind + 1u); /* proto's 0 is UNSPECIFIED */
    tc_pb_fixed64(out, 7, body->start_ns);
    tc_pb_fixed64(out, 8, body->end_ns);

    const uint8_t *p = record + TC_RECORD_HEAD_BYTES, *end = record + header->length;
    tc_item item, message;
    bool has_message = false;
    while (tc_item_next(&p, end, &item) == 1) {
        if (item.dead) continue;
        switch (item.type) {
        case TC_EVENT: write_event(out, &item, strings, n_lost); break;
        case TC_LINK: write_link(out, &item, strings, n_lost); break;
        case TC_NAME: tc_pb_bytes(out, 5, item.payload_view, item.payload_length); break;
        case TC_MESSAGE:
            message = item;
            has_message = true;
            break;
        case TC_EXTRA:
            if (item.key_id == TC_EXTRA_TRACE_STATE) {
                tc_pb_bytes(out, 3, item.payload_view, item.payload_length);
            } else if (item.key_id == TC_EXTRA_DROPPED && item.payload_length >= 8) {
                uint32_t events = tc_load_u32(item.payload_view), links = tc_load_u32(item.payload_view + 4);
                if (events != 0) tc_pb_varint(out, 12, events);
                if (links != 0) tc_pb_varint(out, 14, links);
            }
            break;
        default: write_attribute(out, 9, &item, strings, n_lost); break;
        }
    }
    if (body->dropped_attributes != 0) tc_pb_varint(out, 10, body->dropped_attributes);
    write_status(out, body->status, has_message ? &message : NULL);
    tc_pb_fixed32(out, 16, body->flags & TC_OTLP_FLAGS);
    tc_pb_close(out, at, 2);
}

/* ---- trace_service.proto: ExportTraceServiceRequest --------------------------------- */

#define NONE UINT32_MAX

/* Records of one scope as a chain, so that grouping is one pass and no sort. */
typedef struct chain {
    uint16_t scope;
    uint32_t first, last;
} chain;

typedef struct groups {
    chain *chains;
    uint32_t n, capacity;
    uint32_t *next;     /* record -> next record of its scope */
    uint32_t *by_scope; /* scope -> index into chains */
} groups;

static bool add_chain(groups *g, uint16_t scope, uint32_t record) {
    if (g->n == g->capacity) {
        uint32_t capacity = g->capacity == 0 ? 16 : g->capacity * 2;
        chain *chains = realloc(g->chains, capacity * sizeof *chains);
        if (chains == NULL) return false;
        g->chains = chains;
        g->capacity = capacity;
    }
    g->by_scope[scope] = g->n;
    g->chains[g->n++] = (chain){scope, record, record};
    return true;
}

static bool group(groups *g, const tc_batch *batch, uint32_t first, uint32_t n, uint32_t n_scopes) {
    g->next = malloc(((size_t)n + 1) * sizeof *g->next);
    g->by_scope = malloc(n_scopes * sizeof *g->by_scope);
    if (g->next == NULL || g->by_scope == NULL) return false;
    for (uint32_t i = 0; i < n_scopes; i++) g->by_scope[i] = NONE;
    for (uint32_t i = 0; i < n; i++) {
        const tc_header *header = (const tc_header *)(const void *)tc_batch_record_view(batch, first + i);
        uint16_t scope = header->scope < n_scopes ? header->scope : 0;
        g->next[i] = NONE;
        uint32_t which = g->by_scope[scope];
        if (which == NONE) {
            if (!add_chain(g, scope, i)) return false;
        } else {
            g->next[g->chains[which].last] = i;
            g->chains[which].last = i;
        }
    }
    return true;
}

tc_status tc_otlp_request(tc_bytes *out, const tc_batch *batch, uint32_t first, uint32_t n,
                          const tc_otlp_names *names, uint64_t *n_lost) {
    groups g = {0};
    tc_status status = TC_NO_MEMORY;
    /* relaxed: a record committed before this names a scope below it */
    uint32_t n_scopes = atomic_load_explicit(&((tc_strings *)names->scopes)->n, memory_order_relaxed);
    if (!group(&g, batch, first, n, n_scopes)) goto done;
    uint64_t resource_at = tc_pb_open(out, 1, 3);
    tc_pb_raw(out, names->resource, names->resource_bytes);
    for (uint32_t c = 0; c < g.n; c++) {
        uint64_t scope_at = tc_pb_open(out, 2, 3);
        tc_string scope = tc_strings_view(names->scopes, g.chains[c].scope);
        tc_pb_raw(out, scope.bytes, scope.length);
        for (uint32_t i = g.chains[c].first; i != NONE; i = g.next[i])
            write_span(out, tc_batch_record_view(batch, first + i), names->strings, n_lost);
        tc_pb_close(out, scope_at, 3);
    }
    tc_pb_close(out, resource_at, 3);
    status = out->failed ? TC_NO_MEMORY : TC_OK;
done:
    free(g.chains);
    free(g.next);
    free(g.by_scope);
    return status;
}
