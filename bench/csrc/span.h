/* The span of the five-attribute workload (bench/workloads.py), written as the Cython layer writes it. */
#ifndef BENCH_SPAN_H
#define BENCH_SPAN_H

#include "rounds.h"

#include "tc_record.h"
#include "tc_strings.h"

#include <string.h>

#define MAX_ATTRIBUTES 128 /* the default limit */

typedef struct names {
    tc_strings *strings;
    uint32_t name, method, route, count, vip, total;
} names;

static inline uint32_t name_of(names *n, const char *text) {
    uint32_t id = tc_strings_intern(n->strings, (const uint8_t *)text, (uint32_t)strlen(text), TC_STRINGS_MAX);
    must(id != 0, "interning");
    return id;
}

static inline names new_names(void) {
    names n = {.strings = tc_strings_new(256)};
    must(n.strings != NULL, "tc_strings_new");
    n.name = name_of(&n, "operation");
    n.method = name_of(&n, "http.request.method");
    n.route = name_of(&n, "http.route");
    n.count = name_of(&n, "cart.item_count");
    n.vip = name_of(&n, "user.vip");
    n.total = name_of(&n, "cart.total");
    return n;
}

static inline void put_attributes(tc_draft *d, const names *n, uint64_t i) {
    double total = 99.99;
    uint64_t word;
    memcpy(&word, &total, 8);
    uint32_t at = d->length;
    tc_draft_put_bytes(d, TC_STR, n->method, NULL, 0, (const uint8_t *)"POST", 4);
    tc_draft_settle_attribute(d, at, n->method, MAX_ATTRIBUTES);
    at = d->length;
    tc_draft_put_bytes(d, TC_STR, n->route, NULL, 0, (const uint8_t *)"/checkout", 9);
    tc_draft_settle_attribute(d, at, n->route, MAX_ATTRIBUTES);
    at = d->length;
    tc_draft_put_word(d, TC_INT, n->count, NULL, 0, i);
    tc_draft_settle_attribute(d, at, n->count, MAX_ATTRIBUTES);
    at = d->length;
    tc_draft_put_tag(d, TC_TRUE, n->vip, NULL, 0);
    tc_draft_settle_attribute(d, at, n->vip, MAX_ATTRIBUTES);
    at = d->length;
    tc_draft_put_word(d, TC_DOUBLE, n->total, NULL, 0, word);
    tc_draft_settle_attribute(d, at, n->total, MAX_ATTRIBUTES);
}

static inline void finish(tc_draft *d, const names *n, uint64_t i) {
    tc_body *body = tc_draft_body(d);
    for (int b = 0; b < 16; b++) body->trace_id[b] = (uint8_t)(i >> (b % 8 * 8)) | 1;
    memcpy(body->span_id, body->trace_id, 8);
    body->start_ns = 1700000000000000000ull + i * 1000;
    body->end_ns = body->start_ns + 700;
    body->name_id = n->name;
    body->flags = TC_FLAG_HAS_IS_REMOTE | 1;
    tc_draft_finish(d, 1);
}

#endif
