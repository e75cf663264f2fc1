/* span_metrics: every span of a batch into its series' histogram; a span each. */
#include "span.h"

#include "tc_span_metrics.h"

#define N 512        /* spans in a batch, as in bench/compare.py */
#define N_NAMES 60   /* operations of a service of ordinary size */

int main(void) {
    names n = new_names();
    uint32_t operations[N_NAMES];
    for (int i = 0; i < N_NAMES; i++) {
        char name[32];
        snprintf(name, sizeof name, "GET /api/v1/resource/%d", i);
        operations[i] = name_of(&n, name);
    }
    tc_draft_pool pool = {0};
    tc_ring *ring = tc_ring_new(1 << 20);
    tc_span_metrics metrics;
    must(ring != NULL && tc_span_metrics_init(&metrics, TC_SPAN_METRICS_MAX) == TC_OK, "memory");
    static double observe[N_ROUNDS];
    uint64_t random = 1;
    for (int round = -20; round < N_ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            tc_draft *d = tc_draft_take(&pool);
            put_attributes(d, &n, (uint64_t)i);
            finish(d, &n, (uint64_t)i);
            random = random * 6364136223846793005ull + 1442695040888963407ull;
            tc_draft_body(d)->name_id = operations[(random >> 33) % N_NAMES];
            tc_draft_body(d)->end_ns = tc_draft_body(d)->start_ns + (random >> 40); /* up to 16 ms */
            must(tc_ring_put_spsc(ring, d->data) == TC_OK, "put");
            tc_draft_give_back(&pool, d);
        }
        tc_batch batch;
        tc_batch_init(&batch);
        must(tc_batch_take(&batch, ring, N, 3 << 20) == TC_OK && batch.n == N, "take");
        uint64_t started = now_ns();
        tc_span_metrics_observe(&metrics, &batch, n.strings);
        uint64_t observed = now_ns();
        must(batch.n == N, "all pass");
        tc_batch_clear(&batch);
        if (round >= 0) observe[round] = (double)(observed - started) / N;
    }
    report("span metrics: observe", observe);
    tc_span_metrics_destroy(&metrics);
    return 0;
}
