/* otlp: batches of five-attribute spans out of the ring and into an OTLP request; a span each. */
#include "span.h"

#include "tc_otlp.h"

#define N 512 /* spans in a batch, as in bench/compare.py */

int main(void) {
    names n = new_names();
    tc_draft_pool pool = {0};
    tc_ring *ring = tc_ring_new(1 << 20);
    tc_strings *scopes = tc_strings_new(1 << 10);
    must(ring != NULL && scopes != NULL, "memory");
    /* ScopeSpans.scope = InstrumentationScope{name: "bench"} */
    must(tc_strings_intern(scopes, (const uint8_t *)"\x0a\x07\x0a\x05" "bench", 9, TC_STRINGS_MAX) == 1, "scope");
    tc_otlp_names request = {.strings = n.strings, .scopes = scopes};
    static double take[N_ROUNDS], fresh[N_ROUNDS], grown[N_ROUNDS];
    uint64_t n_lost = 0;
    tc_bytes kept = {0};
    for (int round = -20; round < N_ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            tc_draft *d = tc_draft_take(&pool);
            put_attributes(d, &n, (uint64_t)i);
            finish(d, &n, (uint64_t)i);
            must(tc_ring_put_spsc(ring, d->data) == TC_OK, "put");
            tc_draft_give_back(&pool, d);
        }
        tc_batch batch;
        tc_batch_init(&batch);
        uint64_t started = now_ns();
        must(tc_batch_take(&batch, ring, N, 3 << 20) == TC_OK && batch.n == N, "take");
        uint64_t taken = now_ns();
        tc_bytes out = {0};
        must(tc_otlp_request(&out, &batch, 0, N, &request, &n_lost) == TC_OK, "encode");
        uint64_t encoded = now_ns();
        kept.n = 0;
        must(tc_otlp_request(&kept, &batch, 0, N, &request, &n_lost) == TC_OK, "encode again");
        uint64_t again = now_ns();
        must(out.n == kept.n && memcmp(out.data, kept.data, out.n) == 0 && n_lost == 0, "both alike");
        tc_bytes_clear(&out);
        tc_batch_clear(&batch);
        if (round < 0) continue;
        take[round] = (double)(taken - started) / N;
        fresh[round] = (double)(encoded - taken) / N;
        grown[round] = (double)(again - encoded) / N;
    }
    report("batch: take", take);
    report("otlp: encode, new buffer", fresh);
    report("otlp: encode, grown buffer", grown);
    return 0;
}
