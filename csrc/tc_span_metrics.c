#include "tc_span_metrics.h"

#include "tc_record.h"

#include <stdlib.h>

#define FIRST_SLOTS 64u
#define NS_PER_S 1e9

tc_status tc_span_metrics_init(tc_span_metrics *m, uint32_t max) {
    *m = (tc_span_metrics){.max = max, .n_slots = FIRST_SLOTS};
    m->slots = calloc(m->n_slots, sizeof *m->slots);
    m->series = malloc((size_t)max * sizeof *m->series);
    if (m->slots != NULL && m->series != NULL && pthread_mutex_init(&m->lock, NULL) == 0) return TC_OK;
    free(m->slots);
    free(m->series);
    m->slots = NULL;
    m->series = NULL;
    return TC_NO_MEMORY;
}

void tc_span_metrics_destroy(tc_span_metrics *m) {
    if (m->slots == NULL) return;
    for (uint32_t i = 0; i < m->n; i++) {
        free(m->series[i]->name);
        free(m->series[i]);
    }
    free(m->slots);
    free(m->series);
    m->slots = NULL;
    pthread_mutex_destroy(&m->lock);
}

tc_status tc_span_metrics_reset_in_child(tc_span_metrics *m) {
    /* The parent's worker may have been anywhere in the table when it was copied: it is left alone, not freed. */
    return tc_span_metrics_init(m, m->max);
}

static uint32_t hash_series(const uint8_t *name, uint32_t length, uint8_t kind, uint8_t status) {
    uint32_t h = (2166136261u ^ (uint32_t)(kind << 8 | status)) * 16777619u; /* FNV-1a */
    for (uint32_t i = 0; i < length; i++) h = (h ^ name[i]) * 16777619u;
    return h;
}

static bool grow_slots(tc_span_metrics *m) {
    uint32_t n_slots = m->n_slots * 2;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t s = 0; s < m->n; s++) {
        uint32_t i = m->series[s]->hash & (n_slots - 1);
        while (slots[i] != 0) i = (i + 1) & (n_slots - 1);
        slots[i] = s + 1;
    }
    free(m->slots);
    m->slots = slots;
    m->n_slots = n_slots;
    return true;
}

/* A new series at a free slot; NULL: no memory. */
static tc_series *add(tc_span_metrics *m, const uint8_t *name, uint32_t length, uint8_t kind, uint8_t status,
                      uint32_t hash) {
    if (m->n >= m->n_slots / 2 && !grow_slots(m)) return NULL;
    tc_series *series = malloc(sizeof *series);
    uint8_t *copy = name == NULL ? NULL : malloc((size_t)length + 1);
    if (series == NULL || (name != NULL && copy == NULL)) {
        free(series);
        free(copy);
        return NULL;
    }
    if (length != 0) memcpy(copy, name, length);
    *series = (tc_series){.name = copy, .name_length = length, .hash = hash, .kind = kind, .status = status};
    tc_histogram_init(&series->seconds);
    uint32_t i = hash & (m->n_slots - 1);
    while (m->slots[i] != 0) i = (i + 1) & (m->n_slots - 1);
    m->series[m->n] = series;
    m->slots[i] = m->n + 1;
    m->n++;
    return series;
}

static tc_series *find(tc_span_metrics *m, const uint8_t *name, uint32_t length, uint8_t kind, uint8_t status) {
    uint32_t hash = name == NULL ? 0 : hash_series(name, length, kind, status);
    for (uint32_t i = hash & (m->n_slots - 1); m->slots[i] != 0; i = (i + 1) & (m->n_slots - 1)) {
        tc_series *s = m->series[m->slots[i] - 1];
        if (s->hash == hash && (s->name == NULL) == (name == NULL) && s->name_length == length && s->kind == kind
            && s->status == status && (length == 0 || memcmp(s->name, name, length) == 0))
            return s;
    }
    if (name != NULL && m->n + 1 >= m->max) return find(m, NULL, 0, 0, 0); /* the last place is the overflow's */
    return add(m, name, length, kind, status, hash);
}

/* The name of a span: interned, or an item of its own, or empty. */
static tc_string name_of(const uint8_t *record, const tc_body *body, const tc_strings *strings) {
    if (TC_LIKELY(body->name_id != 0)) return tc_strings_view(strings, body->name_id);
    const uint8_t *at = record + TC_RECORD_HEAD_BYTES, *end = record + tc_load_u32(record);
    tc_item item;
    while (tc_item_next(&at, end, &item) == 1)
        if (item.type == TC_NAME) return (tc_string){.bytes = item.payload_view, .length = item.payload_length};
    return (tc_string){.bytes = (const uint8_t *)"", .length = 0};
}

void tc_span_metrics_observe(tc_span_metrics *m, tc_batch *batch, const tc_strings *strings) {
    pthread_mutex_lock(&m->lock);
    for (uint32_t i = 0; i < batch->n; i++) {
        const uint8_t *record = tc_batch_record_view(batch, i);
        const tc_header *header = (const tc_header *)(const void *)record;
        const tc_body *body = (const tc_body *)(const void *)(record + sizeof *header);
        tc_string name = name_of(record, body, strings);
        static const uint8_t nothing = 0;
        tc_series *series =
            find(m, name.bytes == NULL ? &nothing : name.bytes, name.length, body->kind, body->status);
        if (TC_LIKELY(series != NULL))
            tc_histogram_record(&series->seconds,
                                body->end_ns > body->start_ns ? (double)(body->end_ns - body->start_ns) / NS_PER_S : 0);
        else
            m->n_no_memory++;
        if (header->flags & TC_UNSAMPLED) tc_batch_remove(batch, i);
    }
    pthread_mutex_unlock(&m->lock);
    tc_batch_settle(batch);
}

bool tc_span_metrics_read(tc_span_metrics *m, uint32_t i, tc_series *out) {
    pthread_mutex_lock(&m->lock);
    bool there = i < m->n;
    if (there) *out = *m->series[i];
    pthread_mutex_unlock(&m->lock);
    return there;
}
