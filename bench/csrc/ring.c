/* ring: put and take of the five-attribute record, one thread, warm. */
#include "span.h"

#include "tc_ring.h"

#define N 1000 /* records a round: fits the ring, which is drained between the two halves */

int main(void) {
    names n = new_names();
    tc_draft_pool pool = {0};
    tc_draft *d = tc_draft_take(&pool);
    must(d != NULL, "tc_draft_take");
    put_attributes(d, &n, 1);
    finish(d, &n, 1);
    tc_ring *ring = tc_ring_new(1 << 20);
    must(ring != NULL, "tc_ring_new");
    tc_ring_prefault(ring);
    static double put[N_ROUNDS], take[N_ROUNDS];
    volatile uint64_t sum = 0; /* so that the record is read */
    for (int round = -20; round < N_ROUNDS; round++) { /* the first laps warm the ring */
        uint64_t started = now_ns();
        for (int i = 0; i < N; i++) tc_ring_put_spsc(ring, d->data);
        uint64_t half = now_ns();
        for (const uint8_t *record; (record = tc_ring_take_spsc(ring)) != NULL;) {
            sum += tc_load_u32(record);
            tc_ring_take_done_spsc(ring);
        }
        uint64_t ended = now_ns();
        if (round < 0) continue;
        put[round] = (double)(half - started) / N;
        take[round] = (double)(ended - half) / N;
    }
    must(ring->n_dropped == 0, "nothing dropped");
    report("ring put", put);
    report("ring take", take);
    return 0;
}
