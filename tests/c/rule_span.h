/* rule_span: a batch of records for the programs of the units that work on records. */
#ifndef RULE_SPAN_H
#define RULE_SPAN_H

#include "check.h"
#include "faults.h"
#include "tc_batch.h"
#include "tc_record.h"
#include "tc_strings.h"

#include <string.h>

static tc_draft_pool pool;
static tc_strings *strings;

static inline uint32_t id_of(const char *s) {
    uint32_t id = tc_strings_intern(strings, (const uint8_t *)s, (uint32_t)strlen(s), UINT32_MAX);
    CHECK(id != 0);
    return id;
}

static inline tc_draft *begin(const char *name, uint8_t span, uint8_t parent) {
    tc_draft *d = tc_draft_take(&pool);
    CHECK(d != NULL);
    tc_body *body = tc_draft_body(d);
    memset(body->trace_id, 7, sizeof body->trace_id);
    body->span_id[0] = span;
    body->parent_span_id[0] = parent;
    if (parent != 0) tc_draft_header(d)->flags |= TC_HAS_PARENT;
    body->name_id = id_of(name);
    body->start_ns = 1000;
    body->end_ns = 2000;
    return d;
}

static inline void put_str(tc_draft *d, const char *key, const char *value) {
    uint32_t at = d->length, id = id_of(key);
    CHECK(tc_draft_put_bytes(d, TC_STR, id, NULL, 0, (const uint8_t *)value, strlen(value)));
    tc_draft_settle_attribute(d, at, id, 128);
}

static inline void put_int(tc_draft *d, const char *key, int64_t value) {
    uint32_t at = d->length, id = id_of(key);
    CHECK(tc_draft_put_word(d, TC_INT, id, NULL, 0, (uint64_t)value));
    tc_draft_settle_attribute(d, at, id, 128);
}

static inline void end(tc_draft *d, tc_batch *batch) {
    tc_draft_finish(d, 1);
    CHECK(tc_batch_append(batch, d->data) == TC_OK);
    tc_draft_give_back(&pool, d);
}

static inline const tc_body *body_of(const tc_batch *b, uint32_t i) {
    return (const tc_body *)(const void *)(tc_batch_record_view(b, i) + sizeof(tc_header));
}

/* The living items among `at` to `end` as "key=value ", strings and integers; others by their type. */
static inline void read_items(const uint8_t *at, const uint8_t *end_of_items, char *out, size_t size) {
    tc_item item;
    *out = 0;
    int more;
    while ((more = tc_item_next(&at, end_of_items, &item)) == 1) {
        size_t n = strlen(out);
        tc_string key = tc_strings_view(strings, item.key_id);
        if (item.dead) continue;
        if (item.key_view != NULL) key = (tc_string){item.key_view, item.key_length, 0};
        if (item.type == TC_INT)
            snprintf(out + n, size - n, "%.*s=%lld ", (int)key.length, (const char *)key.bytes,
                     (long long)tc_load_u64(item.payload_view));
        else if (item.type == TC_STR || item.type == TC_NAME || item.type == TC_MESSAGE)
            snprintf(out + n, size - n, "%.*s=%.*s ", (int)key.length, (const char *)key.bytes,
                     (int)item.payload_length, (const char *)item.payload_view);
        else snprintf(out + n, size - n, "%.*s:%d ", (int)key.length, (const char *)key.bytes, (int)item.type);
    }
    CHECK(more == 0);
}

static inline const char *items_of(const tc_batch *b, uint32_t i) {
    static char text[1 << 14];
    const uint8_t *record = tc_batch_record_view(b, i);
    read_items(record + TC_RECORD_HEAD_BYTES, record + tc_load_u32(record), text, sizeof text);
    return text;
}

#endif
