/* rules: what redaction, drop rules, folding and baggage cost a span of five attributes, on the worker. */
#include "span.h"

#include "tc_baggage.h"
#include "tc_drop.h"
#include "tc_fold.h"
#include "tc_redact.h"

#define N 512 /* spans in a batch, as in bench/compare.py */

static names n;
static tc_strings *scopes;
static tc_regex_fault fault;

typedef struct shape {
    int has_parent, has_baggage, is_parent_last;
} shape;

static void fill(tc_ring *ring, tc_draft_pool *pool, shape s) {
    for (int i = 0; i < N; i++) {
        tc_draft *d = tc_draft_take(pool);
        put_attributes(d, &n, (uint64_t)i);
        if (s.has_baggage) {
            uint32_t at = tc_draft_open(d, TC_EXTRA, TC_EXTRA_BAGGAGE, NULL, 0);
            tc_store_u32(tc_draft_reserve(d, TC_BAGGAGE_HEAD_BYTES), MAX_ATTRIBUTES);
            tc_draft_put_bytes(d, TC_STR, name_of(&n, "tenant.id"), NULL, 0, (const uint8_t *)"acme", 4);
            tc_draft_put_bytes(d, TC_STR, name_of(&n, "other"), NULL, 0, (const uint8_t *)"thing", 5);
            tc_draft_close(d, at);
        }
        finish(d, &n, (uint64_t)i);
        if (s.has_parent) {
            memset(tc_draft_body(d)->trace_id, 7, 16);
            memset(tc_draft_body(d)->parent_span_id, 9, 8);
            tc_draft_header(d)->flags |= TC_HAS_PARENT;
            if (s.is_parent_last && i == N - 1) {
                memset(tc_draft_body(d)->span_id, 9, 8);
                tc_draft_header(d)->flags = 0;
            }
        }
        must(tc_ring_put_spsc(ring, d->data) == TC_OK, "put");
        tc_draft_give_back(pool, d);
    }
}

/* One round after another of `process` over a fresh batch, of which `n_left` stay. */
static void bench(const char *name, shape s, void (*process)(void *, tc_batch *), void *rules, uint32_t n_left) {
    static double ns[N_ROUNDS];
    tc_ring *ring = tc_ring_new(1 << 20);
    tc_draft_pool pool = {0};
    must(ring != NULL, "memory");
    for (int round = -20; round < N_ROUNDS; round++) {
        fill(ring, &pool, s);
        tc_batch batch;
        tc_batch_init(&batch);
        must(tc_batch_take(&batch, ring, N, 3 << 20) == TC_OK && batch.n == N, "take");
        uint64_t started = now_ns();
        process(rules, &batch);
        uint64_t ended = now_ns();
        must(batch.n == n_left, "as many as expected");
        tc_batch_clear(&batch);
        if (round >= 0) ns[round] = (double)(ended - started) / N;
    }
    report(name, ns);
    tc_draft_pool_clear(&pool);
    tc_ring_free(ring);
}

static void run_redact(void *rules, tc_batch *b) { tc_redact_batch(rules, b, n.strings); }
static void run_drop(void *rules, tc_batch *b) { tc_drop_batch(rules, b, n.strings, scopes); }
static void run_fold(void *rules, tc_batch *b) { tc_fold_batch(rules, b, n.strings, 1); }
static void run_baggage(void *rules, tc_batch *b) { tc_baggage_batch(rules, b, n.strings); }

static void add(tc_redact *r, tc_redact_action action, const char *key, const char *values) {
    must(tc_redact_add(r, action, (const uint8_t *)values, values != NULL ? (uint32_t)strlen(values) : 0, 0,
                       (const uint8_t *)"[redacted]", 10, &fault), "rule");
    if (key != NULL) must(tc_redact_add_keys(r, TC_GLOB, (const uint8_t *)key, (uint32_t)strlen(key), 0, &fault), "keys");
    if (action == TC_REDACT_HASH) tc_hmac_key_init(&r->rules[r->n - 1].key, (const uint8_t *)"key", 3);
}

static void bench_redact(const char *name, tc_redact_action action, const char *key, const char *values) {
    tc_redact r;
    tc_redact_init(&r);
    r.names = true;
    add(&r, action, key, values);
    bench(name, (shape){0}, run_redact, &r, N);
    tc_redact_clear(&r);
}

static void bench_fold(const char *name, uint32_t threshold, shape s, uint32_t n_left) {
    tc_fold f = {.threshold = threshold, .hold_ns = 1, .max_groups = 1024, .max_parents = 4096, .max_bytes = 4 << 20};
    must(tc_fold_open(&f) == TC_OK, "memory");
    bench(name, s, run_fold, &f, n_left);
    tc_fold_clear(&f);
}

int main(void) {
    n = new_names();
    scopes = tc_strings_new(1 << 10);
    must(scopes != NULL && tc_strings_intern(scopes, (const uint8_t *)"\x0a\x07\x0a\x05" "bench", 9, TC_STRINGS_MAX) == 1, "scope");

    bench_redact("redact: 1 rule for keys, none there", TC_REDACT_DROP, "*.password", NULL);
    bench_redact("redact: 1 attribute dropped", TC_REDACT_DROP, "user.*", NULL);
    bench_redact("redact: 1 attribute replaced", TC_REDACT_REPLACE, "http.route", NULL);
    bench_redact("redact: 1 attribute hashed", TC_REDACT_HASH, "http.route", NULL);
    bench_redact("redact: cards searched in all values, none", TC_REDACT_REPLACE, NULL, "\\b\\d{13,16}\\b");
    bench_redact("redact: a find in one value replaced", TC_REDACT_REPLACE, NULL, "check");
    tc_redact many;
    tc_redact_init(&many);
    for (int i = 0; i < 63; i++) add(&many, TC_REDACT_DROP, "*.password", NULL);
    bench("redact: 63 rules for keys, none there", (shape){0}, run_redact, &many, N);
    tc_redact_clear(&many);

    tc_drop d;
    tc_drop_init(&d);
    must(tc_drop_add(&d, 0xff, 0xff, UINT64_MAX, &fault) &&
         tc_drop_add_name(&d, TC_GLOB, (const uint8_t *)"* http send", 11, 0, &fault), "rule");
    bench("drop: by name, another one", (shape){0}, run_drop, &d, N);
    tc_drop_clear(&d); /* names that were asked about are not asked again */
    must(tc_drop_add(&d, 0xff, 0xff, UINT64_MAX, &fault) &&
         tc_drop_add_name(&d, TC_GLOB, (const uint8_t *)"oper*", 5, 0, &fault) &&
         tc_drop_add_scope(&d, TC_GLOB, (const uint8_t *)"bench", 5, 0, &fault), "rule");
    bench("drop: by name and scope, dropped", (shape){0}, run_drop, &d, 0);
    tc_drop_clear(&d);

    bench_fold("fold: roots, nothing to fold", 10, (shape){0}, N);
    bench_fold("fold: equal siblings, folded", 10, (shape){.has_parent = 1, .is_parent_last = 1}, 2);
    bench_fold("fold: siblings held and sent as they are", N, (shape){.has_parent = 1, .is_parent_last = 1}, N);

    tc_baggage b;
    tc_baggage_init(&b);
    must(tc_match_add(&b.keys, 0, TC_GLOB, (const uint8_t *)"tenant.*", 8, 0, &fault), "keys");
    bench("baggage: none", (shape){0}, run_baggage, &b, N);
    bench("baggage: 1 entry of 2 taken", (shape){.has_baggage = 1}, run_baggage, &b, N);
    tc_baggage_clear(&b);
    tc_strings_free(scopes);
    tc_strings_free(n.strings);
    return 0;
}
