#include "tc_record.h"

#include <stdlib.h>

/* ---- reading ---------------------------------------------------------------- */

static bool has_length(tc_item_type type) { return type >= TC_STR; }

int tc_item_next(const uint8_t **at, const uint8_t *end, tc_item *item) {
    const uint8_t *p = *at;
    if (p == end) return 0;
    if (end - p < 4) return -1;
    uint32_t tag = tc_load_u32(p);
    p += 4;
    item->type = (tc_item_type)(tag & 0xf);
    item->dead = (tag & TC_TAG_DEAD) != 0;
    item->key_id = tag >> TC_TAG_KEY_SHIFT;
    item->key_view = NULL;
    item->key_length = 0;
    if (tag & TC_TAG_INLINE_KEY) {
        if (end - p < 4) return -1;
        item->key_length = tc_load_u32(p);
        p += 4;
        if ((uint64_t)(end - p) < item->key_length) return -1;
        item->key_view = p;
        p += item->key_length;
    }
    uint32_t n = 0;
    if (has_length(item->type)) {
        if (end - p < 4) return -1;
        n = tc_load_u32(p);
        p += 4;
    } else if (item->type == TC_INT || item->type == TC_DOUBLE) {
        n = 8;
    }
    if ((uint64_t)(end - p) < n) return -1;
    if (item->type == TC_EVENT && n < TC_EVENT_HEAD_BYTES) return -1;
    if (item->type == TC_LINK && n < TC_LINK_HEAD_BYTES) return -1;
    item->payload_view = p;
    item->payload_length = n;
    *at = p + n;
    return 1;
}

uint32_t tc_decimal(uint64_t word, uint8_t out[TC_DECIMAL_BYTES]) {
    uint64_t n = (int64_t)word < 0 ? 0 - word : word;
    uint8_t digits[TC_DECIMAL_BYTES];
    uint32_t length = 0, at = 0;
    do digits[length++] = (uint8_t)('0' + n % 10);
    while ((n /= 10) != 0);
    if ((int64_t)word < 0) out[at++] = '-';
    while (length != 0) out[at++] = digits[--length];
    return at;
}

/* ---- drafts ----------------------------------------------------------------- */

static void reset(tc_draft *d) {
    if (d->data != d->inline_bytes) free(d->data);
    /* everything but the buffer itself: zeroing 640 bytes costs more than a span */
    d->data = d->inline_bytes;
    d->capacity = TC_DRAFT_INLINE_BYTES;
    d->length = TC_RECORD_HEAD_BYTES;
    d->n_attributes = d->n_events = d->n_links = 0;
    d->dropped_attributes = d->dropped_events = d->dropped_links = 0;
    d->n_dead_bytes = 0;
    d->key_bloom = 0;
    d->is_finished = false;
    memset(d->data, 0, TC_RECORD_HEAD_BYTES);
}

tc_draft *tc_draft_take(tc_draft_pool *pool) {
    tc_draft *d = pool->first;
    if (TC_LIKELY(d != NULL)) {
        pool->first = d->next;
        pool->n--;
        return d;
    }
    d = malloc(sizeof *d);
    if (d == NULL) return NULL;
    d->data = d->inline_bytes;
    reset(d);
    return d;
}

void tc_draft_give_back(tc_draft_pool *pool, tc_draft *d) {
    if (TC_UNLIKELY(pool->n >= TC_DRAFT_POOL_MAX)) {
        if (d->data != d->inline_bytes) free(d->data);
        free(d);
        return;
    }
    reset(d);
    d->next = pool->first;
    pool->first = d;
    pool->n++;
}

void tc_draft_pool_clear(tc_draft_pool *pool) {
    while (pool->first != NULL) {
        tc_draft *d = pool->first;
        pool->first = d->next;
        free(d);
    }
    pool->n = 0;
}

bool tc_draft_grow(tc_draft *d, uint32_t n) {
    uint64_t need = (uint64_t)d->length + n;
    if (need > TC_DRAFT_MAX_BYTES) return false;
    uint64_t capacity = d->capacity;
    while (capacity < need) capacity *= 2;
    if (capacity > TC_DRAFT_MAX_BYTES) capacity = TC_DRAFT_MAX_BYTES; /* or it would take half as much again */
    uint8_t *data;
    if (d->data == d->inline_bytes) {
        data = malloc(capacity);
        if (data == NULL) return false;
        memcpy(data, d->data, d->length);
    } else {
        data = realloc(d->data, capacity);
        if (data == NULL) return false;
    }
    d->data = data;
    d->capacity = (uint32_t)capacity;
    return true;
}

bool tc_draft_append(tc_draft *d, const tc_draft *other) {
    if (d->is_finished) return false;
    uint32_t n = other->length - (uint32_t)TC_RECORD_HEAD_BYTES;
    uint8_t *at = tc_draft_reserve(d, n);
    if (at == NULL) return false;
    memcpy(at, other->data + TC_RECORD_HEAD_BYTES, n);
    return true;
}

uint32_t tc_draft_open(tc_draft *d, tc_item_type type, uint32_t key_id, const uint8_t *key, uint32_t key_length) {
    if (!tc_draft_put_tag(d, type, key_id, key, key_length)) return 0;
    uint8_t *at = tc_draft_reserve(d, 4);
    if (at == NULL) return 0;
    tc_store_u32(at, 0);
    return d->length;
}

void tc_draft_close(tc_draft *d, uint32_t content_at) {
    tc_store_u32(d->data + content_at - 4, d->length - content_at);
}

static bool is_attribute(tc_item_type type) { return type <= TC_MAP; }

static void kill_item(tc_draft *d, const uint8_t *from, const uint8_t *to) {
    uint8_t *tag = d->data + (from - d->data);
    tc_store_u32(tag, tc_load_u32(tag) | TC_TAG_DEAD);
    d->n_dead_bytes += (uint32_t)(to - from);
}

/* Squeezes dead items out once they are more than half of a grown buffer, so
 * that setting one key in a loop neither grows without bound nor scans more
 * than a constant factor of what lives. */
static void squeeze(tc_draft *d) {
    if (d->n_dead_bytes < 4096 || d->n_dead_bytes * 2 < d->length) return;
    uint8_t *to = d->data + TC_RECORD_HEAD_BYTES;
    const uint8_t *at = to, *end = d->data + d->length;
    for (;;) {
        const uint8_t *from = at;
        tc_item item;
        if (tc_item_next(&at, end, &item) != 1) break;
        if (item.dead) continue;
        size_t n = (size_t)(at - from);
        memmove(to, from, n);
        to += n;
    }
    d->length = (uint32_t)(to - d->data);
    d->n_dead_bytes = 0;
}

static bool same_key(const tc_item *a, const tc_item *b) {
    if (a->key_id != b->key_id || a->key_length != b->key_length) return false;
    return a->key_view == NULL || memcmp(a->key_view, b->key_view, a->key_length) == 0;
}

/* For an interned key the same bit as in tc_draft_settle_attribute. */
static uint64_t bloom_bit(const tc_item *item) {
    uint32_t h = item->key_id;
    for (uint32_t i = 0; i < item->key_length; i++) h = h * 31 + item->key_view[i];
    return 1ull << (h & 63);
}

void tc_draft_settle_attribute_slowly(tc_draft *d, uint32_t at_offset, uint32_t limit) {
    const uint8_t *at = d->data + at_offset, *end = d->data + d->length;
    tc_item added;
    if (tc_item_next(&at, end, &added) != 1) return;
    uint64_t bit = bloom_bit(&added);
    if (TC_UNLIKELY(d->key_bloom & bit)) {
        const uint8_t *stop = d->data + at_offset;
        for (at = d->data + TC_RECORD_HEAD_BYTES;;) {
            const uint8_t *from = at;
            tc_item item;
            if (tc_item_next(&at, stop, &item) != 1) break;
            if (item.dead || !is_attribute(item.type) || !same_key(&item, &added)) continue;
            kill_item(d, from, at);
            squeeze(d);
            return;
        }
    }
    d->key_bloom |= bit;
    if (TC_LIKELY(d->n_attributes < limit)) {
        d->n_attributes++;
        return;
    }
    d->dropped_attributes++;
    for (at = d->data + TC_RECORD_HEAD_BYTES;;) {
        const uint8_t *from = at;
        tc_item item;
        if (tc_item_next(&at, end, &item) != 1) break;
        if (item.dead || !is_attribute(item.type)) continue;
        kill_item(d, from, at);
        squeeze(d);
        return;
    }
}

static void settle_other(tc_draft *d, tc_item_type type, uint32_t limit, uint32_t *n, uint32_t *dropped) {
    if (TC_LIKELY(*n < limit)) {
        ++*n;
        return;
    }
    ++*dropped;
    const uint8_t *end = d->data + d->length;
    for (const uint8_t *at = d->data + TC_RECORD_HEAD_BYTES;;) {
        const uint8_t *from = at;
        tc_item item;
        if (tc_item_next(&at, end, &item) != 1) break;
        if (item.dead || item.type != type) continue;
        kill_item(d, from, at);
        squeeze(d);
        return;
    }
}

void tc_draft_settle_event(tc_draft *d, uint32_t limit) {
    settle_other(d, TC_EVENT, limit, &d->n_events, &d->dropped_events);
}

void tc_draft_settle_link(tc_draft *d, uint32_t limit) {
    settle_other(d, TC_LINK, limit, &d->n_links, &d->dropped_links);
}

void tc_draft_finish(tc_draft *d, uint16_t scope) {
    if (TC_UNLIKELY((d->dropped_events | d->dropped_links) != 0)) {
        uint8_t counts[8];
        tc_store_u32(counts, d->dropped_events);
        tc_store_u32(counts + 4, d->dropped_links);
        uint32_t before = d->length;
        if (!tc_draft_put_bytes(d, TC_EXTRA, TC_EXTRA_DROPPED, NULL, 0, counts, sizeof counts)) d->length = before;
    }
    tc_header *header = tc_draft_header(d);
    tc_body *body = tc_draft_body(d);
    body->n_attributes = d->n_attributes > UINT16_MAX ? UINT16_MAX : (uint16_t)d->n_attributes;
    body->dropped_attributes = d->dropped_attributes;
    header->length = d->length;
    header->scope = scope;
    d->is_finished = true;
    header->type = TC_RECORD_OPEN; /* the ring's commit says otherwise */
}
