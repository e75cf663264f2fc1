#include "tc_drop.h"

void tc_drop_init(tc_drop *d) { memset(d, 0, sizeof *d); }

void tc_drop_clear(tc_drop *d) {
    tc_match_clear(&d->names);
    tc_match_clear(&d->scopes);
    tc_match_clear(&d->keys);
    tc_match_clear(&d->values);
    tc_drop_init(d);
}

bool tc_drop_add(tc_drop *d, uint8_t kinds, uint8_t statuses, uint64_t under_ns, tc_regex_fault *fault) {
    *fault = (tc_regex_fault){0, "more than 63 rules"};
    if (d->n == TC_MATCH_MAX_BITS) return false;
    d->rules[d->n] = (tc_drop_rule){kinds, statuses, under_ns, 0};
    uint64_t bit = 1ull << d->n++;
    d->all_names |= bit;
    d->all_scopes |= bit;
    return true;
}

bool tc_drop_add_name(tc_drop *d, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                      tc_regex_fault *fault) {
    d->all_names &= ~(1ull << (d->n - 1));
    return tc_match_add(&d->names, d->n - 1, kind, pattern, n, flags, fault);
}

bool tc_drop_add_scope(tc_drop *d, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                       tc_regex_fault *fault) {
    d->all_scopes &= ~(1ull << (d->n - 1));
    return tc_match_add(&d->scopes, d->n - 1, kind, pattern, n, flags, fault);
}

bool tc_drop_add_attribute(tc_drop *d, tc_pattern_kind key_kind, const uint8_t *key, uint32_t n_key, uint32_t key_flags,
                           tc_pattern_kind value_kind, const uint8_t *value, uint32_t n_value, uint32_t value_flags,
                           tc_regex_fault *fault) {
    *fault = (tc_regex_fault){0, "more than 63 conditions on attributes"};
    if (d->n_conditions == TC_MATCH_MAX_BITS) return false;
    uint64_t bit = 1ull << d->n_conditions;
    if (!tc_match_add(&d->keys, d->n_conditions, key_kind, key, n_key, key_flags, fault)) return false;
    if (value == NULL) d->all_values |= bit;
    else if (!tc_match_add(&d->values, d->n_conditions, value_kind, value, n_value, value_flags, fault)) return false;
    d->n_conditions++;
    d->rules[d->n - 1].conditions |= bit;
    return true;
}

/* ---- what a record says ------------------------------------------------------------- */

/* A varint; false: the bytes end or it is longer than any length of ours. */
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (uint32_t shift = 0; shift < 63 && *at < end; shift += 7) {
        uint8_t b = *(*at)++;
        *value |= (uint64_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0) return true;
    }
    return false;
}

/* The content of field 1, which must come first, of a message of ours. */
static bool first_field(const uint8_t **at, const uint8_t **end) {
    uint64_t n;
    if (*at == *end || **at != (1 << 3 | 2)) return false;
    ++*at;
    if (!read_varint(at, *end, &n) || n > (uint64_t)(*end - *at)) return false;
    *end = *at + n;
    return true;
}

/* ScopeSpans.scope.name, empty where the scope has none. */
static uint64_t scope_bits(tc_drop *d, const tc_strings *scopes, uint16_t id) {
    uint64_t bits;
    if (TC_LIKELY(tc_match_known(&d->scopes, id, &bits))) return bits;
    tc_string s = tc_strings_view(scopes, id);
    static const uint8_t nothing[1] = {0};
    const uint8_t *at = s.bytes != NULL ? s.bytes : nothing, *end = at + s.length;
    if (!first_field(&at, &end) || !first_field(&at, &end)) at = end = nothing;
    bits = tc_match_bytes(&d->scopes, at, (uint32_t)(end - at));
    tc_match_keep(&d->scopes, id, bits);
    return bits;
}

static uint64_t name_bits(tc_drop *d, const tc_strings *strings, const uint8_t *record, const tc_body *body) {
    if (TC_LIKELY(body->name_id != 0)) return tc_match_id(&d->names, strings, body->name_id);
    const uint8_t *at = record + TC_RECORD_HEAD_BYTES, *end = record + tc_load_u32(record);
    tc_item item;
    while (tc_item_next(&at, end, &item) == 1)
        if (item.type == TC_NAME && !item.dead) return tc_match_bytes(&d->names, item.payload_view, item.payload_length);
    return tc_match_bytes(&d->names, record, 0);
}

static uint64_t value_bits(tc_drop *d, const tc_item *item) {
    uint8_t digits[TC_DECIMAL_BYTES];
    switch (item->type) {
    case TC_STR:
    case TC_WTF8: return tc_match_bytes(&d->values, item->payload_view, item->payload_length);
    case TC_INT: return tc_match_bytes(&d->values, digits, tc_decimal(tc_load_u64(item->payload_view), digits));
    case TC_TRUE: return tc_match_bytes(&d->values, (const uint8_t *)"true", 4);
    case TC_FALSE: return tc_match_bytes(&d->values, (const uint8_t *)"false", 5);
    default: return 0;
    }
}

/* The conditions on attributes that the record meets. */
static uint64_t conditions_met(tc_drop *d, const tc_strings *strings, const uint8_t *record) {
    const uint8_t *at = record + TC_RECORD_HEAD_BYTES, *end = record + tc_load_u32(record);
    uint64_t met = 0;
    tc_item item;
    while (tc_item_next(&at, end, &item) == 1) {
        if (item.dead || item.type > TC_MAP) continue;
        uint64_t asked = item.key_view == NULL ? tc_match_id(&d->keys, strings, item.key_id)
                                               : tc_match_bytes(&d->keys, item.key_view, item.key_length);
        if (asked == 0) continue;
        met |= asked & d->all_values;
        if ((asked & ~d->all_values) != 0) met |= asked & value_bits(d, &item);
    }
    return met;
}

static bool goes(tc_drop *d, const tc_strings *strings, const tc_strings *scopes, const uint8_t *record) {
    const tc_header *header = (const tc_header *)(const void *)record;
    const tc_body *body = (const tc_body *)(const void *)(record + sizeof *header);
    uint64_t bits = d->all_names;
    if (d->names.n != 0) bits |= name_bits(d, strings, record, body);
    if (bits != 0 && d->scopes.n != 0) bits &= d->all_scopes | scope_bits(d, scopes, header->scope);
    uint64_t met = 0;
    bool knows_met = false;
    for (; bits != 0; bits &= bits - 1) {
        const tc_drop_rule *rule = &d->rules[__builtin_ctzll(bits)];
        uint64_t duration_ns = body->end_ns > body->start_ns ? body->end_ns - body->start_ns : 0;
        if ((rule->kinds >> (body->kind & 7) & 1) == 0 || (rule->statuses >> (body->status & 7) & 1) == 0) continue;
        if (rule->under_ns != UINT64_MAX && duration_ns >= rule->under_ns) continue;
        if (rule->conditions != 0 && !knows_met) {
            met = conditions_met(d, strings, record);
            knows_met = true;
        }
        if ((rule->conditions & ~met) == 0) return true;
    }
    return false;
}

uint32_t tc_drop_batch(tc_drop *d, tc_batch *batch, const tc_strings *strings, const tc_strings *scopes) {
    for (uint32_t i = 0; i < batch->n; i++)
        if (goes(d, strings, scopes, tc_batch_record_view(batch, i))) tc_batch_remove(batch, i);
    return tc_batch_settle(batch);
}
