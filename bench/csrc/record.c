/* record: five attributes into a draft, and the draft's own life around them. */
#include "span.h"

#define N 1000

int main(void) {
    names n = new_names();
    tc_draft_pool pool = {0};
    static double attribute[N_ROUNDS], whole[N_ROUNDS];
    for (int round = -20; round < N_ROUNDS; round++) {
        tc_draft *d = tc_draft_take(&pool);
        must(d != NULL, "tc_draft_take");
        uint64_t started = now_ns();
        for (int i = 0; i < N; i++) {
            d->length = TC_RECORD_HEAD_BYTES;
            d->key_bloom = 0;
            d->n_attributes = 0;
            put_attributes(d, &n, (uint64_t)i);
        }
        uint64_t half = now_ns();
        must(d->n_attributes == 5, "five attributes");
        tc_draft_give_back(&pool, d);
        uint64_t again = now_ns();
        for (int i = 0; i < N; i++) {
            d = tc_draft_take(&pool);
            put_attributes(d, &n, (uint64_t)i);
            finish(d, &n, (uint64_t)i);
            tc_draft_give_back(&pool, d);
        }
        uint64_t ended = now_ns();
        if (round < 0) continue;
        attribute[round] = (double)(half - started) / N / 5;
        whole[round] = (double)(ended - again) / N;
    }
    report("record: put one attribute", attribute);
    report("record: take, 5 attributes, finish, give back", whole);
    return 0;
}
