#include "tc_baggage.h"

void tc_baggage_init(tc_baggage *b) { *b = (tc_baggage){0}; }

void tc_baggage_clear(tc_baggage *b) {
    tc_match_clear(&b->keys);
    tc_draft_pool_clear(&b->pool);
    tc_baggage_init(b);
}

static bool is_baggage(const tc_item *item) {
    return item->type == TC_EXTRA && item->key_id == TC_EXTRA_BAGGAGE && !item->dead &&
           item->payload_length >= TC_BAGGAGE_HEAD_BYTES;
}

static bool put_bytes(tc_draft *d, const uint8_t *from, const uint8_t *to) {
    uint8_t *at = tc_draft_reserve(d, (uint32_t)(to - from));
    if (at == NULL) return false;
    memcpy(at, from, (size_t)(to - from));
    return true;
}

/* Appends an attribute under the rules of set_attribute. */
static bool set(tc_draft *d, const tc_item *item, const uint8_t *from, const uint8_t *to, uint32_t limit) {
    uint32_t at = d->length;
    if (!put_bytes(d, from, to)) return false;
    tc_draft_settle_attribute(d, at, item->key_view == NULL ? item->key_id : 0, limit);
    return true;
}

static bool set_entries(tc_baggage *b, const tc_strings *strings, tc_draft *d, const tc_item *baggage, uint32_t limit) {
    const uint8_t *at = baggage->payload_view + TC_BAGGAGE_HEAD_BYTES, *end = baggage->payload_view + baggage->payload_length;
    tc_item item;
    for (;;) {
        const uint8_t *from = at;
        if (tc_item_next(&at, end, &item) != 1) return true;
        if (item.dead || item.type > TC_MAP) continue;
        uint64_t bits = item.key_view == NULL ? tc_match_id(&b->keys, strings, item.key_id)
                                              : tc_match_bytes(&b->keys, item.key_view, item.key_length);
        if (bits != 0 && !set(d, &item, from, at, limit)) return false;
    }
}

/* The record with attributes in the place of its baggage, written anew item by item. */
static bool write_record(tc_baggage *b, const tc_strings *strings, tc_draft *d, const uint8_t *record, uint32_t limit) {
    const uint8_t *at = record + TC_RECORD_HEAD_BYTES, *end = record + tc_load_u32(record);
    memcpy(d->data, record, TC_RECORD_HEAD_BYTES);
    tc_item item;
    int more;
    for (;;) {
        const uint8_t *from = at;
        if ((more = tc_item_next(&at, end, &item)) != 1) break;
        if (item.dead) continue;
        bool ok = is_baggage(&item)      ? set_entries(b, strings, d, &item, limit)
                  : item.type <= TC_MAP ? set(d, &item, from, at, limit)
                                        : put_bytes(d, from, at);
        if (!ok) return false;
    }
    tc_body *body = tc_draft_body(d);
    body->n_attributes = d->n_attributes > UINT16_MAX ? UINT16_MAX : (uint16_t)d->n_attributes;
    body->dropped_attributes += d->dropped_attributes;
    tc_draft_header(d)->length = d->length;
    return more == 0;
}

void tc_baggage_batch(tc_baggage *b, tc_batch *batch, const tc_strings *strings) {
    for (uint32_t i = 0; i < batch->n; i++) {
        const uint8_t *record = tc_batch_record_view(batch, i);
        const uint8_t *at = record + TC_RECORD_HEAD_BYTES, *end = record + tc_load_u32(record);
        tc_item item;
        bool found = false;
        while (!found && tc_item_next(&at, end, &item) == 1) found = is_baggage(&item);
        if (TC_LIKELY(!found)) continue;
        tc_draft *d = tc_draft_take(&b->pool);
        bool ok = d != NULL && write_record(b, strings, d, record, tc_load_u32(item.payload_view)) &&
                  tc_batch_replace(batch, i, d->data) == TC_OK;
        if (d != NULL) tc_draft_give_back(&b->pool, d);
        if (ok) b->n_spans++;
        else b->n_failed++;
    }
}
