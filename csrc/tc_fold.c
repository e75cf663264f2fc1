#include "tc_fold.h"

#include <stdlib.h>

/* Places in the tables are numbered from 1; 0 is none. */
#define NONE 0u

struct tc_fold_held {
    tc_fold_held *next;
    _Alignas(16) uint8_t record[];
};

struct tc_fold_group {
    uint64_t hash;
    uint32_t parent;
    uint32_t next;           /* of the same parent, or of the free ones */
    uint32_t next_in_bucket;
    uint32_t n;              /* spans */
    tc_fold_held *first, *last; /* in the order they came; one alone once there are more than the threshold */
    uint64_t start_ns, end_ns, total_ns, min_ns, max_ns;
};

struct tc_fold_parent {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint64_t since_ns;
    uint32_t first_group;
    uint32_t next_in_bucket;
    uint32_t older, newer;
};

static tc_body *body_of(uint8_t *record) { return (tc_body *)(void *)(record + sizeof(tc_header)); }
static const tc_body *body_view(const uint8_t *record) { return (const tc_body *)(const void *)(record + sizeof(tc_header)); }
static const tc_header *header_view(const uint8_t *record) { return (const tc_header *)(const void *)record; }
static const uint8_t *items_of(const uint8_t *record) { return record + TC_RECORD_HEAD_BYTES; }
static const uint8_t *end_of(const uint8_t *record) { return record + tc_load_u32(record); }

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

static uint64_t mix_bytes(uint64_t h, const uint8_t *p, uint64_t n) {
    h = mix(h, n);
    for (; n >= 8; n -= 8, p += 8) h = mix(h, tc_load_u64(p));
    uint64_t rest = 0;
    if (n != 0) memcpy(&rest, p, n);
    return mix(h, rest);
}

/* ---- tables ----------------------------------------------------------------------- */

static uint32_t power_of_two(uint32_t n) {
    uint32_t p = 16;
    while (p < n) p *= 2;
    return p;
}

tc_status tc_fold_open(tc_fold *f) {
    f->n_buckets[0] = power_of_two(f->max_groups);
    f->n_buckets[1] = power_of_two(f->max_parents);
    f->groups = calloc(f->max_groups + 1ull, sizeof *f->groups);
    f->parents = calloc(f->max_parents + 1ull, sizeof *f->parents);
    f->group_buckets = calloc(f->n_buckets[0], sizeof *f->group_buckets);
    f->parent_buckets = calloc(f->n_buckets[1], sizeof *f->parent_buckets);
    if (f->groups == NULL || f->parents == NULL || f->group_buckets == NULL || f->parent_buckets == NULL) {
        tc_fold_clear(f);
        return TC_NO_MEMORY;
    }
    for (uint32_t i = 1; i < f->max_groups; i++) f->groups[i].next = i + 1;
    for (uint32_t i = 1; i < f->max_parents; i++) f->parents[i].newer = i + 1;
    f->first_free_group = f->max_groups != 0 ? 1 : NONE;
    f->first_free_parent = f->max_parents != 0 ? 1 : NONE;
    return TC_OK;
}

static void free_records(tc_fold *f, tc_fold_group *g) {
    while (g->first != NULL) {
        tc_fold_held *held = g->first;
        g->first = held->next;
        f->n_bytes -= tc_load_u32(held->record);
        free(held);
    }
    g->last = NULL;
}

void tc_fold_clear(tc_fold *f) {
    if (f->groups != NULL)
        for (uint32_t i = 1; i <= f->max_groups; i++) free_records(f, &f->groups[i]);
    free(f->groups);
    free(f->parents);
    free(f->group_buckets);
    free(f->parent_buckets);
    tc_match_clear(&f->keys);
    tc_draft_pool_clear(&f->pool);
    memset(f, 0, sizeof *f);
}

static uint32_t *parent_bucket(tc_fold *f, const uint8_t *trace_id, const uint8_t *span_id) {
    uint64_t h = mix(mix(tc_load_u64(trace_id), tc_load_u64(trace_id + 8)), tc_load_u64(span_id));
    return &f->parent_buckets[h & (f->n_buckets[1] - 1)];
}

static uint32_t find_parent(tc_fold *f, const uint8_t *trace_id, const uint8_t *span_id) {
    uint32_t i = *parent_bucket(f, trace_id, span_id);
    for (; i != NONE; i = f->parents[i].next_in_bucket)
        if (memcmp(f->parents[i].trace_id, trace_id, 16) == 0 && memcmp(f->parents[i].span_id, span_id, 8) == 0) break;
    return i;
}

static uint32_t *group_bucket(tc_fold *f, uint32_t parent, uint64_t hash) {
    return &f->group_buckets[mix(hash, parent) & (f->n_buckets[0] - 1)];
}

/* The link that leads to place i in a bucket. */
static void unlink_group(tc_fold *f, uint32_t i) {
    uint32_t *link = group_bucket(f, f->groups[i].parent, f->groups[i].hash);
    while (*link != i) link = &f->groups[*link].next_in_bucket;
    *link = f->groups[i].next_in_bucket;
}

static void unlink_parent(tc_fold *f, uint32_t i) {
    tc_fold_parent *p = &f->parents[i];
    uint32_t *link = parent_bucket(f, p->trace_id, p->span_id);
    while (*link != i) link = &f->parents[*link].next_in_bucket;
    *link = p->next_in_bucket;
    if (p->older != NONE) f->parents[p->older].newer = p->newer;
    else f->oldest = p->newer;
    if (p->newer != NONE) f->parents[p->newer].older = p->older;
    else f->newest = p->older;
    p->newer = f->first_free_parent;
    f->first_free_parent = i;
    f->n_parents--;
}

/* ---- leaving ------------------------------------------------------------------------- */

static bool put_count(tc_draft *d, uint32_t key_id, const char *key, uint64_t value) {
    tc_draft_body(d)->n_attributes += tc_draft_body(d)->n_attributes != UINT16_MAX;
    return tc_draft_put_word(d, TC_INT, key_id, key_id != 0 ? NULL : (const uint8_t *)key, (uint32_t)strlen(key), value);
}

static bool is_ours(const tc_fold *f, const tc_item *item) {
    uint32_t id = item->key_id;
    return id != 0 && item->type <= TC_MAP &&
           (id == f->names.count || id == f->names.total_ns || id == f->names.min_ns || id == f->names.max_ns);
}

/* The span that stands for a group. */
static tc_status put_folded(tc_fold *f, tc_batch *batch, const tc_fold_group *g) {
    tc_draft *d = tc_draft_take(&f->pool);
    if (d == NULL) return TC_NO_MEMORY;
    const uint8_t *record = g->first->record, *at = items_of(record), *end = end_of(record);
    memcpy(d->data, record, TC_RECORD_HEAD_BYTES);
    tc_body *body = tc_draft_body(d);
    body->start_ns = g->start_ns;
    body->end_ns = g->end_ns;
    body->n_attributes = 0;
    bool ok = true;
    uint32_t n = 0;
    tc_item item;
    for (;;) {
        const uint8_t *from = at;
        if (tc_item_next(&at, end, &item) != 1) break;
        if (item.dead || is_ours(f, &item)) continue;
        uint8_t *to = tc_draft_reserve(d, (uint32_t)(at - from));
        if (to == NULL) {
            ok = false;
            break;
        }
        memcpy(to, from, (size_t)(at - from));
        n += item.type <= TC_MAP;
    }
    tc_draft_body(d)->n_attributes = n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
    ok = ok && put_count(d, f->names.count, TC_FOLD_COUNT, g->n) &&
         put_count(d, f->names.total_ns, TC_FOLD_TOTAL_NS, g->total_ns) &&
         put_count(d, f->names.min_ns, TC_FOLD_MIN_NS, g->min_ns) &&
         put_count(d, f->names.max_ns, TC_FOLD_MAX_NS, g->max_ns);
    tc_draft_header(d)->length = d->length;
    tc_status status = ok ? tc_batch_append(batch, d->data) : TC_NO_MEMORY;
    tc_draft_give_back(&f->pool, d);
    return status;
}

/* What is left of a group after a failure is still a group. */
static tc_status release_group(tc_fold *f, tc_batch *batch, tc_fold_group *g) {
    if (g->n > f->threshold) {
        tc_status status = put_folded(f, batch, g);
        if (status != TC_OK) return status;
        f->n_held--;
        free_records(f, g);
        return TC_OK;
    }
    while (g->first != NULL) {
        tc_fold_held *held = g->first;
        tc_status status = tc_batch_append(batch, held->record);
        if (status != TC_OK) return status;
        g->first = held->next;
        g->n--;
        f->n_held--;
        f->n_bytes -= tc_load_u32(held->record);
        free(held);
    }
    g->last = NULL;
    return TC_OK;
}

static tc_status release_groups(tc_fold *f, tc_batch *batch, uint32_t parent) {
    tc_fold_parent *p = &f->parents[parent];
    while (p->first_group != NONE) {
        uint32_t i = p->first_group;
        tc_status status = release_group(f, batch, &f->groups[i]);
        if (status != TC_OK) return status;
        unlink_group(f, i);
        p->first_group = f->groups[i].next;
        f->groups[i].next = f->first_free_group;
        f->first_free_group = i;
        f->n_groups--;
    }
    return TC_OK;
}

tc_status tc_fold_release(tc_fold *f, tc_batch *batch, uint64_t now_ns) {
    while (f->oldest != NONE) {
        uint32_t i = f->oldest;
        if (now_ns != UINT64_MAX && now_ns - f->parents[i].since_ns < f->hold_ns) break;
        tc_status status = release_groups(f, batch, i);
        if (status != TC_OK) return status;
        unlink_parent(f, i);
    }
    return TC_OK;
}

/* ---- entering -------------------------------------------------------------------------- */

/* The parent of a record, marked as one; NONE: without one, or without room for it. */
static uint32_t mark_parent(tc_fold *f, tc_batch *batch, const uint8_t *trace_id, const uint8_t *span_id, uint64_t now_ns) {
    uint32_t i = find_parent(f, trace_id, span_id);
    if (i != NONE) return i;
    if (f->first_free_parent == NONE) {
        if (f->oldest == NONE || release_groups(f, batch, f->oldest) != TC_OK) return NONE;
        unlink_parent(f, f->oldest);
    }
    i = f->first_free_parent;
    tc_fold_parent *p = &f->parents[i];
    f->first_free_parent = p->newer;
    uint32_t *bucket = parent_bucket(f, trace_id, span_id);
    *p = (tc_fold_parent){.since_ns = now_ns, .next_in_bucket = *bucket, .older = f->newest};
    memcpy(p->trace_id, trace_id, 16);
    memcpy(p->span_id, span_id, 8);
    *bucket = i;
    if (f->newest != NONE) f->parents[f->newest].newer = i;
    else f->oldest = i;
    f->newest = i;
    f->n_parents++;
    return i;
}

static bool is_chosen(tc_fold *f, const tc_strings *strings, const tc_item *item) {
    if (item->dead || item->type > TC_MAP) return false;
    if (f->by_all_attributes) return true;
    if (f->keys.n == 0) return false;
    return (item->key_view == NULL ? tc_match_id(&f->keys, strings, item->key_id)
                                   : tc_match_bytes(&f->keys, item->key_view, item->key_length)) != 0;
}

/* Whether the record may stand for others or be stood for; `hash` of what makes a group then. */
static bool may_fold(tc_fold *f, const tc_strings *strings, const uint8_t *record, uint64_t *hash) {
    const tc_header *header = header_view(record);
    const tc_body *body = body_view(record);
    if (!(header->flags & TC_HAS_PARENT) || body->status == 2 || !(body->flags & 1)) return false;
    if (header->length > TC_FOLD_MAX_RECORD_BYTES) return false;
    uint64_t h = mix(mix(body->name_id, header->scope), (uint64_t)body->kind << 8 | body->status);
    const uint8_t *at = items_of(record), *end = end_of(record);
    tc_item item;
    int more;
    for (;;) {
        const uint8_t *from = at;
        if ((more = tc_item_next(&at, end, &item)) != 1) break;
        if (item.dead) continue;
        switch (item.type) {
        case TC_EVENT:
        case TC_LINK:
        case TC_MESSAGE: return false;
        case TC_EXTRA:
            if (item.key_id == TC_EXTRA_DROPPED) return false;
            break;
        case TC_NAME: h = mix_bytes(h, item.payload_view, item.payload_length); break;
        default:
            if (is_chosen(f, strings, &item)) h = mix_bytes(h, from, (uint64_t)(at - from));
            break;
        }
    }
    *hash = h;
    return more == 0;
}

/* The next item that makes the group, as its bytes; NULL at the end. */
static const uint8_t *next_of_group(tc_fold *f, const tc_strings *strings, const uint8_t **at, const uint8_t *end) {
    tc_item item;
    for (;;) {
        const uint8_t *from = *at;
        if (tc_item_next(at, end, &item) != 1) return NULL;
        if (!item.dead && (item.type == TC_NAME || is_chosen(f, strings, &item))) return from;
    }
}

static bool same_group(tc_fold *f, const tc_strings *strings, const uint8_t *a, const uint8_t *b) {
    const tc_body *x = body_view(a), *y = body_view(b);
    if (x->name_id != y->name_id || x->kind != y->kind || x->status != y->status) return false;
    if (header_view(a)->scope != header_view(b)->scope) return false;
    const uint8_t *at_a = items_of(a), *at_b = items_of(b);
    for (;;) {
        const uint8_t *from_a = next_of_group(f, strings, &at_a, end_of(a));
        const uint8_t *from_b = next_of_group(f, strings, &at_b, end_of(b));
        if (from_a == NULL || from_b == NULL) return from_a == from_b;
        if (at_a - from_a != at_b - from_b || memcmp(from_a, from_b, (size_t)(at_a - from_a)) != 0) return false;
    }
}

/* Whether an item with exactly these bytes lives in the record. */
static bool has_item(const uint8_t *record, const uint8_t *bytes, size_t n) {
    const uint8_t *at = items_of(record), *end = end_of(record);
    tc_item item;
    for (;;) {
        const uint8_t *from = at;
        if (tc_item_next(&at, end, &item) != 1) return false;
        if (!item.dead && (size_t)(at - from) == n && memcmp(from, bytes, n) == 0) return true;
    }
}

/* Leaves the attributes that the other record has, too. */
static void keep_common(uint8_t *record, const uint8_t *other) {
    size_t n = tc_load_u32(record) - TC_RECORD_HEAD_BYTES;
    if (tc_load_u32(other) - TC_RECORD_HEAD_BYTES == n && memcmp(items_of(record), items_of(other), n) == 0) return;
    uint8_t *tag = record + TC_RECORD_HEAD_BYTES;
    const uint8_t *at = tag, *end = end_of(record);
    tc_item item;
    for (;;) {
        tag = record + (at - record);
        if (tc_item_next(&at, end, &item) != 1) return;
        if (item.dead || item.type > TC_MAP || has_item(other, tag, (size_t)(at - tag))) continue;
        tc_store_u32(tag, tc_load_u32(tag) | TC_TAG_DEAD);
        if (body_of(record)->n_attributes != 0) body_of(record)->n_attributes--;
    }
}

static void measure(tc_fold_group *g, const tc_body *body) {
    uint64_t ns = body->end_ns > body->start_ns ? body->end_ns - body->start_ns : 0;
    if (g->n == 0 || body->start_ns < g->start_ns) g->start_ns = body->start_ns;
    if (g->n == 0 || body->end_ns > g->end_ns) g->end_ns = body->end_ns;
    if (g->n == 0 || ns < g->min_ns) g->min_ns = ns;
    if (g->n == 0 || ns > g->max_ns) g->max_ns = ns;
    g->total_ns += ns;
    g->n++;
}

/* From here on the first stands for all. */
static void fold_group(tc_fold *f, tc_fold_group *g) {
    tc_fold_held *first = g->first;
    for (tc_fold_held *held = first->next; held != NULL;) {
        tc_fold_held *next = held->next;
        keep_common(first->record, held->record);
        f->n_bytes -= tc_load_u32(held->record);
        free(held);
        held = next;
    }
    first->next = NULL;
    g->last = first;
}

static bool hold(tc_fold *f, tc_fold_group *g, const uint8_t *record) {
    uint32_t length = tc_load_u32(record);
    if (f->n_bytes + length > f->max_bytes) return false;
    tc_fold_held *held = malloc(sizeof *held + length);
    if (held == NULL) return false;
    held->next = NULL;
    memcpy(held->record, record, length);
    if (g->last != NULL) g->last->next = held;
    else g->first = held;
    g->last = held;
    f->n_bytes += length;
    return true;
}

static bool add_to_group(tc_fold *f, tc_fold_group *g, const uint8_t *record) {
    if (g->n > f->threshold) {
        keep_common(g->first->record, record);
        f->n_folded++;
    } else if (g->n == f->threshold && g->n != 0) {
        fold_group(f, g);
        keep_common(g->first->record, record);
        f->n_held -= f->threshold - 1;
        f->n_folded += f->threshold;
    } else {
        if (!hold(f, g, record)) return false;
        f->n_held++;
    }
    measure(g, body_view(record));
    return true;
}

static bool enter(tc_fold *f, const tc_strings *strings, uint32_t parent, uint64_t hash, const uint8_t *record) {
    uint32_t *bucket = group_bucket(f, parent, hash);
    for (uint32_t i = *bucket; i != NONE; i = f->groups[i].next_in_bucket) {
        tc_fold_group *g = &f->groups[i];
        if (g->parent == parent && g->hash == hash && g->first != NULL && same_group(f, strings, g->first->record, record))
            return add_to_group(f, g, record);
    }
    uint32_t i = f->first_free_group;
    if (i == NONE) return false;
    tc_fold_group *g = &f->groups[i];
    uint32_t next_free = g->next;
    *g = (tc_fold_group){.hash = hash, .parent = parent};
    if (!add_to_group(f, g, record)) {
        g->next = next_free;
        return false;
    }
    f->first_free_group = next_free;
    f->n_groups++;
    g->next = f->parents[parent].first_group;
    f->parents[parent].first_group = i;
    g->next_in_bucket = *bucket;
    *bucket = i;
    return true;
}

void tc_fold_batch(tc_fold *f, tc_batch *batch, const tc_strings *strings, uint64_t now_ns) {
    uint32_t n = batch->n; /* what leaves a group stands behind these */
    tc_fold_release(f, batch, now_ns);
    for (uint32_t i = 0; i < n; i++) {
        const tc_body *body = body_view(tc_batch_record_view(batch, i));
        uint32_t itself = find_parent(f, body->trace_id, body->span_id);
        if (itself != NONE && release_groups(f, batch, itself) == TC_OK) unlink_parent(f, itself);
        const uint8_t *record = tc_batch_record_view(batch, i); /* the batch may have moved */
        if (!(header_view(record)->flags & TC_HAS_PARENT) || body_view(record)->flags & TC_FLAG_IS_REMOTE) continue;
        uint8_t ids[24];
        memcpy(ids, body_view(record)->trace_id, 16);
        memcpy(ids + 16, body_view(record)->parent_span_id, 8);
        uint32_t parent = mark_parent(f, batch, ids, ids + 16, now_ns);
        record = tc_batch_record_view(batch, i);
        uint64_t hash;
        if (itself != NONE || !may_fold(f, strings, record, &hash)) continue;
        if (parent != NONE && enter(f, strings, parent, hash, record)) tc_batch_remove(batch, i);
        else f->n_passed++;
    }
    tc_batch_settle(batch);
}
