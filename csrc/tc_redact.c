#include "tc_redact.h"

#include <stdlib.h>

/* What all matches of one value may cost: this many times its length, and a little for short ones. */
#define MAX_READ_FACTOR 64u
#define MAX_READ_MORE 4096u

#define NO_LIMIT TC_MATCH_MAX_BITS

/* ---- rules ---------------------------------------------------------------------- */

void tc_redact_init(tc_redact *r) { memset(r, 0, sizeof *r); }

void tc_redact_clear(tc_redact *r) {
    for (uint32_t i = 0; i < r->n; i++) {
        tc_regex_free(r->rules[i].values);
        free(r->rules[i].text);
    }
    tc_match_clear(&r->keys);
    tc_match_clear(&r->known_names);
    tc_draft_pool_clear(&r->pool);
    tc_bytes_clear(&r->texts_made[0]);
    tc_bytes_clear(&r->texts_made[1]);
    tc_redact_init(r);
}

bool tc_redact_add(tc_redact *r, tc_redact_action action, const uint8_t *values, uint32_t n_values, uint32_t flags,
                   const uint8_t *text, uint32_t n_text, tc_regex_fault *fault) {
    *fault = (tc_regex_fault){0, "more than 63 rules"};
    if (r->n == TC_MATCH_MAX_BITS) return false;
    tc_redact_rule *rule = &r->rules[r->n];
    *rule = (tc_redact_rule){.action = action, .n_text = n_text};
    if (values != NULL) {
        rule->values = tc_regex_new(values, n_values, flags, fault);
        if (rule->values == NULL) return false;
    }
    rule->text = malloc(n_text != 0 ? n_text : 1);
    if (rule->text == NULL) {
        *fault = (tc_regex_fault){0, tc_status_text(TC_NO_MEMORY)};
        tc_regex_free(rule->values);
        return false;
    }
    if (n_text != 0) memcpy(rule->text, text, n_text);
    uint64_t bit = 1ull << r->n++;
    r->all_keys |= bit;
    if (values != NULL) r->texts |= bit;
    return true;
}

bool tc_redact_add_keys(tc_redact *r, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                        tc_regex_fault *fault) {
    uint64_t bit = 1ull << (r->n - 1);
    r->all_keys &= ~bit;
    r->texts &= ~bit;
    return tc_match_add(&r->keys, r->n - 1, kind, pattern, n, flags, fault);
}

static uint64_t below(uint32_t limit) { return (1ull << limit) - 1; }

static uint64_t rules_for(tc_redact *r, const tc_strings *strings, const tc_item *item) {
    if (TC_LIKELY(item->key_view == NULL)) {
        if (item->key_id == 0) return 0; /* an element of an array: what applies is inherited */
        return tc_match_id(&r->keys, strings, item->key_id) | r->all_keys;
    }
    return tc_match_bytes(&r->keys, item->key_view, item->key_length) | r->all_keys;
}

/* ---- values as text --------------------------------------------------------------- */

/* What an expression is searched in; false: the value has no text. */
static bool text_of(const tc_item *value, uint8_t digits[TC_DECIMAL_BYTES], const uint8_t **text, uint32_t *n) {
    switch (value->type) {
    case TC_STR:
    case TC_WTF8:
    case TC_BYTES:
    case TC_NAME:
    case TC_MESSAGE:
        *text = value->payload_view;
        *n = value->payload_length;
        return true;
    case TC_INT:
        *text = digits;
        *n = tc_decimal(tc_load_u64(value->payload_view), digits);
        return true;
    default: return false;
    }
}

static bool finds(const tc_redact_rule *rule, const tc_item *value) {
    uint8_t digits[TC_DECIMAL_BYTES];
    const uint8_t *text;
    uint32_t n;
    return text_of(value, digits, &text, &n) && tc_regex_search(rule->values, text, n);
}

static bool is_container(tc_item_type type) { return type == TC_ARRAY || type == TC_MAP; }

/* ---- looking: does anything apply? -------------------------------------------------- */

typedef enum answer { NO, YES, UNREADABLE } answer;

static answer any_applies(tc_redact *r, const tc_strings *strings, const uint8_t *at, const uint8_t *end,
                          uint64_t inherited, uint32_t limit, uint32_t depth);

/* Whether a rule changes this attribute, entry or element, or something inside it. */
static answer applies(tc_redact *r, const tc_strings *strings, const tc_item *item, uint64_t inherited, uint32_t limit,
                      uint32_t depth) {
    uint64_t bits = (rules_for(r, strings, item) | inherited) & below(limit);
    bool container = is_container(item->type);
    uint64_t inside = 0;
    for (uint64_t left = bits; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left);
        const tc_redact_rule *rule = &r->rules[i];
        if (rule->action == TC_REDACT_KEEP) {
            limit = i;
            break;
        }
        if (rule->values == NULL) return YES;
        if (container) inside |= 1ull << i;
        else if (finds(rule, item)) return YES;
    }
    if (!container) return NO;
    return any_applies(r, strings, item->payload_view, item->payload_view + item->payload_length, inside, limit,
                       depth + 1);
}

static answer any_applies(tc_redact *r, const tc_strings *strings, const uint8_t *at, const uint8_t *end,
                          uint64_t inherited, uint32_t limit, uint32_t depth) {
    if (depth > TC_RECORD_MAX_DEPTH) return UNREADABLE;
    tc_item item;
    int more;
    while ((more = tc_item_next(&at, end, &item)) == 1) {
        if (item.dead || item.type > TC_MAP) continue;
        answer found = applies(r, strings, &item, inherited, limit, depth);
        if (found != NO) return found;
    }
    return more == 0 ? NO : UNREADABLE;
}

/* ---- changing one value --------------------------------------------------------------- */

typedef enum fate { STAYS, GOES, FAILED } fate;

static tc_bytes *new_text(tc_redact *r) {
    tc_bytes *made = &r->texts_made[r->turn ^= 1];
    if (made->failed) tc_bytes_clear(made);
    made->n = 0;
    return made;
}

static bool put_text(tc_bytes *out, const uint8_t *bytes, uint64_t n) {
    if (!tc_bytes_room(out, n)) return false;
    if (n != 0) memcpy(out->data + out->n, bytes, n);
    out->n += n;
    return true;
}

static bool put_hash(tc_bytes *out, const tc_hmac_key *key, const uint8_t *bytes, uint64_t n) {
    uint8_t hash[TC_SHA256_BYTES], digits[TC_REDACT_HASH_DIGITS];
    tc_hmac(key, bytes, n, hash);
    for (uint32_t i = 0; i < TC_REDACT_HASH_DIGITS; i++)
        digits[i] = (uint8_t)"0123456789abcdef"[i & 1 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
    return put_text(out, digits, sizeof digits);
}

static bool becomes(tc_item *value, tc_item_type type, const tc_bytes *made) {
    if (made->failed || made->n > TC_DRAFT_MAX_BYTES) return false;
    static const uint8_t nothing[1] = {0};
    value->type = type;
    value->payload_view = made->n != 0 ? made->data : nothing;
    value->payload_length = (uint32_t)made->n;
    return true;
}

/* What the rule's expression finds, replaced, hashed or (as in `drops`) cut out. */
static fate change_finds(tc_redact *r, const tc_redact_rule *rule, tc_item *value) {
    uint8_t digits[TC_DECIMAL_BYTES];
    const uint8_t *text;
    uint32_t n, from = 0, copied = 0, start, end;
    if (!text_of(value, digits, &text, &n) || !tc_regex_search(rule->values, text, n)) return STAYS;
    tc_bytes *out = new_text(r);
    uint64_t n_read = 0;
    bool ok = true;
    while (ok && from <= n && tc_regex_find(rule->values, text, n, from, &start, &end, &n_read)) {
        if (n_read > (uint64_t)n * MAX_READ_FACTOR + MAX_READ_MORE) return FAILED;
        if (end == start) { /* nothing was found there, and a step must be made */
            from = end + 1;
            continue;
        }
        ok = put_text(out, text + copied, start - copied);
        if (rule->action == TC_REDACT_HASH) ok = ok && put_hash(out, &rule->key, text + start, end - start);
        else if (rule->action == TC_REDACT_REPLACE) ok = ok && put_text(out, rule->text, rule->n_text);
        copied = from = end;
    }
    if (n_read > (uint64_t)n * MAX_READ_FACTOR + MAX_READ_MORE) return FAILED;
    ok = ok && put_text(out, text + copied, n - copied);
    return ok && becomes(value, value->type == TC_INT ? TC_STR : value->type, out) ? STAYS : FAILED;
}

static fate hash_value(tc_redact *r, const tc_redact_rule *rule, tc_item *value) {
    uint8_t word[TC_DECIMAL_BYTES];
    const uint8_t *bytes = value->payload_view;
    uint32_t n = value->payload_length;
    switch (value->type) {
    case TC_NULL: return STAYS;
    case TC_FALSE:
    case TC_TRUE:
        bytes = (const uint8_t *)(value->type == TC_TRUE ? "true" : "false");
        n = value->type == TC_TRUE ? 4 : 5;
        break;
    case TC_INT:
        n = tc_decimal(tc_load_u64(bytes), word);
        bytes = word;
        break;
    default: break;
    }
    tc_bytes *out = new_text(r);
    return put_hash(out, &rule->key, bytes, n) && becomes(value, TC_STR, out) ? STAYS : FAILED;
}

static void truncate_value(const tc_redact_rule *rule, tc_item *value) {
    uint32_t n = 0, left = rule->n_characters;
    if (value->type == TC_BYTES) {
        if (value->payload_length > left) value->payload_length = left;
    } else if (value->type == TC_STR || value->type == TC_WTF8) {
        while (n < value->payload_length && left != 0) {
            n++;
            while (n < value->payload_length && (value->payload_view[n] & 0xc0) == 0x80) n++;
            left--;
        }
        value->payload_length = n;
    }
}

/* A rule applied to a value that holds no others. */
static fate change_value(tc_redact *r, const tc_redact_rule *rule, tc_item *value) {
    if (rule->values != NULL) {
        if (rule->action == TC_REDACT_DROP) return finds(rule, value) ? GOES : STAYS;
        return change_finds(r, rule, value);
    }
    switch (rule->action) {
    case TC_REDACT_DROP: return GOES;
    case TC_REDACT_HASH: return hash_value(r, rule, value);
    case TC_REDACT_TRUNCATE: truncate_value(rule, value); return STAYS;
    default: return STAYS;
    }
}

/* ---- writing what is left ---------------------------------------------------------------- */

/* One list of attributes, entries or elements being written. */
typedef struct list {
    uint32_t start;   /* where it starts in the draft */
    uint32_t n;       /* living items */
    uint64_t renamed; /* by these rules */
} list;

static bool write_list(tc_redact *r, const tc_strings *strings, tc_draft *out, const uint8_t *at, const uint8_t *end,
                       uint64_t inherited, uint32_t limit, uint32_t depth, uint32_t *n_living);

static bool put_item(tc_draft *out, const tc_item *item) {
    if (item->type == TC_INT || item->type == TC_DOUBLE)
        return tc_draft_put_word(out, item->type, item->key_id, item->key_view, item->key_length,
                                 tc_load_u64(item->payload_view));
    if (item->type < TC_STR) return tc_draft_put_tag(out, item->type, item->key_id, item->key_view, item->key_length);
    return tc_draft_put_bytes(out, item->type, item->key_id, item->key_view, item->key_length, item->payload_view,
                              item->payload_length);
}

static fate write_item(tc_redact *r, const tc_strings *strings, tc_draft *out, tc_item item, uint64_t inherited,
                       uint32_t limit, uint32_t depth, list *l) {
    uint64_t bits = (rules_for(r, strings, &item) | inherited) & below(limit), inside = 0;
    bool is_ours = false; /* a hash or a text of a rule: nothing is searched in it */
    while (bits != 0) {
        uint32_t i = (uint32_t)__builtin_ctzll(bits);
        const tc_redact_rule *rule = &r->rules[i];
        bits &= bits - 1;
        if (is_ours && rule->values != NULL) continue;
        if (rule->action == TC_REDACT_KEEP) {
            limit = i;
            break;
        }
        if (rule->action == TC_REDACT_RENAME) {
            item.key_id = rule->key_id;
            item.key_view = rule->key_id != 0 ? NULL : rule->text;
            item.key_length = rule->key_id != 0 ? 0 : rule->n_text;
            bits = (rules_for(r, strings, &item) | inherited) & below(limit) & ~below(i + 1);
            l->renamed |= 1ull << i;
        } else if (rule->action == TC_REDACT_REPLACE && rule->values == NULL) {
            item.type = TC_STR;
            item.payload_view = rule->text;
            item.payload_length = rule->n_text;
            is_ours = true;
        } else if (is_container(item.type) && !(rule->action == TC_REDACT_DROP && rule->values == NULL)) {
            inside |= 1ull << i;
        } else {
            fate found = change_value(r, rule, &item);
            if (found != STAYS) return found;
            is_ours |= rule->action == TC_REDACT_HASH && rule->values == NULL;
        }
    }
    if (!is_container(item.type)) return put_item(out, &item) ? STAYS : FAILED;
    uint32_t content_at = tc_draft_open(out, item.type, item.key_id, item.key_view, item.key_length), n;
    if (content_at == 0) return FAILED;
    if (!write_list(r, strings, out, item.payload_view, item.payload_view + item.payload_length, inside, limit,
                    depth + 1, &n))
        return FAILED;
    tc_draft_close(out, content_at);
    return STAYS;
}

static bool has_key(const tc_strings *strings, const tc_item *item, const tc_redact_rule *rule) {
    if (item->key_view == NULL) {
        if (rule->key_id != 0) return item->key_id == rule->key_id;
        tc_string s = tc_strings_view(strings, item->key_id);
        return s.length == rule->n_text && s.length != 0 && memcmp(s.bytes, rule->text, s.length) == 0;
    }
    return item->key_length == rule->n_text && memcmp(item->key_view, rule->text, rule->n_text) == 0;
}

/* Of the items with a rule's new key all but the last become dead. */
static void settle_renamed(const tc_redact *r, const tc_strings *strings, tc_draft *out, list *l) {
    for (; l->renamed != 0; l->renamed &= l->renamed - 1) {
        const tc_redact_rule *rule = &r->rules[__builtin_ctzll(l->renamed)];
        const uint8_t *at = out->data + l->start, *end = out->data + out->length;
        uint32_t last = 0;
        tc_item item;
        for (;;) {
            uint32_t from = (uint32_t)(at - out->data);
            if (tc_item_next(&at, end, &item) != 1) break;
            if (item.dead || item.type > TC_MAP || !has_key(strings, &item, rule)) continue;
            if (last != 0) {
                tc_store_u32(out->data + last, tc_load_u32(out->data + last) | TC_TAG_DEAD);
                l->n--;
            }
            last = from;
        }
    }
}

static bool write_list(tc_redact *r, const tc_strings *strings, tc_draft *out, const uint8_t *at, const uint8_t *end,
                       uint64_t inherited, uint32_t limit, uint32_t depth, uint32_t *n_living) {
    if (depth > TC_RECORD_MAX_DEPTH) return false;
    list l = {.start = out->length};
    tc_item item;
    int more;
    while ((more = tc_item_next(&at, end, &item)) == 1) {
        if (item.dead) continue;
        if (item.type > TC_MAP) { /* a link's tracestate */
            if (!put_item(out, &item)) return false;
            continue;
        }
        fate found = write_item(r, strings, out, item, inherited, limit, depth, &l);
        if (found == FAILED) return false;
        if (found == STAYS) l.n++;
    }
    settle_renamed(r, strings, out, &l);
    *n_living = l.n;
    return more == 0;
}

/* ---- names and descriptions ------------------------------------------------------------------ */

static bool text_applies(const tc_redact *r, const uint8_t *bytes, uint32_t n) {
    for (uint64_t left = r->texts; left != 0; left &= left - 1)
        if (tc_regex_search(r->rules[__builtin_ctzll(left)].values, bytes, n)) return true;
    return false;
}

static bool name_applies(tc_redact *r, const tc_strings *strings, uint32_t id) {
    uint64_t bits;
    if (tc_match_known(&r->known_names, id, &bits)) return bits != 0;
    tc_string s = tc_strings_view(strings, id);
    bits = s.bytes != NULL && text_applies(r, s.bytes, s.length);
    tc_match_keep(&r->known_names, id, bits);
    return bits != 0;
}

/* The text with every rule applied; it stands in the scratch until the next value is changed. */
static bool change_text(tc_redact *r, tc_item *text) {
    for (uint64_t left = r->texts; left != 0; left &= left - 1)
        if (change_finds(r, &r->rules[__builtin_ctzll(left)], text) == FAILED) return false;
    return true;
}

/* An event's name as a text of its own. */
static tc_item name_of(const tc_strings *strings, const tc_item *event) {
    tc_item name = {.type = TC_STR, .payload_view = event->key_view, .payload_length = event->key_length};
    if (event->key_view == NULL) {
        tc_string s = tc_strings_view(strings, event->key_id);
        name.payload_view = s.bytes;
        name.payload_length = s.length;
    }
    return name;
}

/* ---- records ------------------------------------------------------------------------------------ */

/* What stands before the attributes in an event, a link or baggage that is no attribute yet. */
static uint32_t head_bytes(tc_item_type type) {
    return type == TC_EVENT ? TC_EVENT_HEAD_BYTES : type == TC_LINK ? TC_LINK_HEAD_BYTES : TC_BAGGAGE_HEAD_BYTES;
}

static bool holds_attributes(const tc_item *item) {
    if (item->type == TC_EXTRA)
        return item->key_id == TC_EXTRA_BAGGAGE && item->payload_length >= TC_BAGGAGE_HEAD_BYTES;
    return item->type == TC_EVENT || item->type == TC_LINK;
}

static answer inner_applies(tc_redact *r, const tc_strings *strings, const tc_item *item) {
    const uint8_t *at = item->payload_view + head_bytes(item->type);
    return any_applies(r, strings, at, item->payload_view + item->payload_length, 0, NO_LIMIT, 1);
}

static answer item_applies(tc_redact *r, const tc_strings *strings, const tc_item *item) {
    switch (item->type) {
    case TC_EVENT:
        if (r->names && r->texts != 0 &&
            (item->key_view != NULL ? text_applies(r, item->key_view, item->key_length)
                                    : name_applies(r, strings, item->key_id)))
            return YES;
        return inner_applies(r, strings, item);
    case TC_LINK: return inner_applies(r, strings, item);
    case TC_NAME:
    case TC_MESSAGE: return r->names && text_applies(r, item->payload_view, item->payload_length) ? YES : NO;
    case TC_EXTRA: return holds_attributes(item) ? inner_applies(r, strings, item) : NO;
    default: return applies(r, strings, item, 0, NO_LIMIT, 0);
    }
}

static bool write_other(tc_redact *r, const tc_strings *strings, tc_draft *out, tc_item item) {
    uint32_t n;
    if (holds_attributes(&item)) {
        const uint8_t *payload = item.payload_view;
        if (item.type == TC_EVENT && r->names && r->texts != 0) {
            tc_item name = name_of(strings, &item);
            const uint8_t *before = name.payload_view;
            if (!change_text(r, &name)) return false;
            if (name.payload_view != before) {
                item.key_id = 0;
                item.key_view = name.payload_view;
                item.key_length = name.payload_length;
            }
        }
        uint32_t content_at = tc_draft_open(out, item.type, item.key_id, item.key_view, item.key_length);
        uint8_t *head = content_at != 0 ? tc_draft_reserve(out, head_bytes(item.type)) : NULL;
        if (head == NULL) return false;
        memcpy(head, payload, head_bytes(item.type));
        if (!write_list(r, strings, out, payload + head_bytes(item.type), payload + item.payload_length, 0, NO_LIMIT, 1,
                        &n))
            return false;
        tc_draft_close(out, content_at);
        return true;
    }
    if (r->names && (item.type == TC_NAME || item.type == TC_MESSAGE) && !change_text(r, &item)) return false;
    return put_item(out, &item);
}

static bool put_name(tc_redact *r, const tc_strings *strings, tc_draft *out, uint32_t id) {
    tc_string s = tc_strings_view(strings, id);
    tc_item name = {.type = TC_NAME, .payload_view = s.bytes, .payload_length = s.length};
    if (!change_text(r, &name)) return false;
    tc_draft_body(out)->name_id = 0;
    return put_item(out, &name);
}

static bool write_record(tc_redact *r, const tc_strings *strings, tc_draft *out, const uint8_t *record) {
    const uint8_t *at = record + TC_RECORD_HEAD_BYTES, *end = record + tc_load_u32(record);
    memcpy(out->data, record, TC_RECORD_HEAD_BYTES);
    out->length = TC_RECORD_HEAD_BYTES;
    uint32_t name_id = tc_draft_body(out)->name_id;
    if (r->names && r->texts != 0 && name_id != 0 && name_applies(r, strings, name_id) &&
        !put_name(r, strings, out, name_id))
        return false;
    list l = {.start = out->length};
    tc_item item;
    int more;
    while ((more = tc_item_next(&at, end, &item)) == 1) {
        if (item.dead) continue;
        if (item.type > TC_MAP) {
            if (!write_other(r, strings, out, item)) return false;
            continue;
        }
        fate found = write_item(r, strings, out, item, 0, NO_LIMIT, 0, &l);
        if (found == FAILED) return false;
        if (found == STAYS) l.n++;
    }
    if (more != 0) return false;
    settle_renamed(r, strings, out, &l);
    tc_draft_body(out)->n_attributes = l.n > UINT16_MAX ? UINT16_MAX : (uint16_t)l.n;
    tc_draft_header(out)->length = out->length;
    return true;
}

static answer record_applies(tc_redact *r, const tc_strings *strings, const uint8_t *record) {
    const tc_body *body = (const tc_body *)(const void *)(record + sizeof(tc_header));
    if (r->names && r->texts != 0 && body->name_id != 0 && name_applies(r, strings, body->name_id)) return YES;
    const uint8_t *at = record + TC_RECORD_HEAD_BYTES, *end = record + tc_load_u32(record);
    tc_item item;
    int more;
    while ((more = tc_item_next(&at, end, &item)) == 1) {
        if (item.dead) continue;
        answer found = item_applies(r, strings, &item);
        if (found != NO) return found;
    }
    return more == 0 ? NO : UNREADABLE;
}

/* Leaves what no rule can be about. In place: it works without memory. */
static void strip(uint8_t *record) {
    tc_header *header = (tc_header *)(void *)record;
    tc_body *body = (tc_body *)(void *)(record + sizeof *header);
    uint32_t dropped = body->dropped_attributes + body->n_attributes;
    body->dropped_attributes = dropped >= body->n_attributes ? dropped : UINT32_MAX;
    body->n_attributes = 0;
    body->name_id = 0;
    header->length = TC_RECORD_HEAD_BYTES;
}

void tc_redact_batch(tc_redact *r, tc_batch *batch, const tc_strings *strings) {
    tc_draft *out = NULL;
    for (uint32_t i = 0; i < batch->n; i++) {
        answer found = record_applies(r, strings, tc_batch_record_view(batch, i));
        if (TC_LIKELY(found == NO)) continue;
        bool ok = false;
        if (found == YES) {
            if (out == NULL) out = tc_draft_take(&r->pool);
            ok = out != NULL && write_record(r, strings, out, tc_batch_record_view(batch, i)) &&
                 tc_batch_replace(batch, i, out->data) == TC_OK;
        }
        if (ok) {
            r->n_spans++;
        } else {
            strip(tc_batch_record(batch, i));
            r->n_stripped++;
        }
    }
    if (out != NULL) tc_draft_give_back(&r->pool, out);
}

tc_draft *tc_redact_items(tc_redact *r, const uint8_t *items, uint32_t n_bytes, const tc_strings *strings) {
    tc_draft *out = tc_draft_take(&r->pool);
    uint32_t n;
    if (out == NULL || write_list(r, strings, out, items, items + n_bytes, 0, NO_LIMIT, 0, &n)) return out;
    tc_draft_give_back(&r->pool, out);
    return NULL;
}
