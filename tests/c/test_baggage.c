/* tc_baggage: entries become attributes as if they had been set where they stand. */
#include "rule_span.h"
#include "tc_baggage.h"

static tc_baggage baggage;
static tc_batch batch;

static void set_up(void) {
    strings = tc_strings_new(256);
    tc_batch_init(&batch);
    tc_baggage_init(&baggage);
    tc_regex_fault fault;
    CHECK(tc_match_add(&baggage.keys, 0, TC_GLOB, (const uint8_t *)"b*", 2, 0, &fault));
}

static void tear_down(void) {
    tc_baggage_clear(&baggage);
    tc_batch_clear(&batch);
    tc_draft_pool_clear(&pool);
    tc_strings_free(strings);
    CHECK(faults_n_held() == 0);
}

static void span(uint32_t limit) {
    tc_draft *d = begin("GET", 1, 0);
    put_str(d, "a", "1");
    put_str(d, "b1", "given");
    uint32_t at = tc_draft_open(d, TC_EXTRA, TC_EXTRA_BAGGAGE, NULL, 0);
    uint8_t *head = tc_draft_reserve(d, 4);
    tc_store_u32(head, limit);
    tc_draft_put_bytes(d, TC_STR, id_of("b1"), NULL, 0, (const uint8_t *)"x", 1);
    tc_draft_put_bytes(d, TC_STR, 0, (const uint8_t *)"b2", 2, (const uint8_t *)"y", 1);
    tc_draft_put_bytes(d, TC_STR, id_of("other"), NULL, 0, (const uint8_t *)"z", 1);
    tc_draft_put_bytes(d, TC_STR, id_of("b3"), NULL, 0, (const uint8_t *)"v", 1);
    tc_draft_close(d, at);
    put_str(d, "b3", "later");
    end(d, &batch);
}

static void entries_are_set_where_they_stand(void) {
    set_up();
    span(128);
    tc_baggage_batch(&baggage, &batch, strings);
    CHECK(strcmp(items_of(&batch, 0), "a=1 b1=x b2=y b3=later ") == 0);
    CHECK(body_of(&batch, 0)->n_attributes == 4 && body_of(&batch, 0)->dropped_attributes == 0 && baggage.n_spans == 1);
    tc_baggage_batch(&baggage, &batch, strings); /* nothing is left to do */
    CHECK(baggage.n_spans == 1);
    tear_down();
}

static void beyond_the_limit_the_oldest_go_and_are_counted(void) {
    set_up();
    span(2);
    tc_baggage_batch(&baggage, &batch, strings);
    CHECK(strcmp(items_of(&batch, 0), "b2=y b3=later ") == 0);
    CHECK(body_of(&batch, 0)->n_attributes == 2 && body_of(&batch, 0)->dropped_attributes == 2);
    tear_down();
}

static void without_memory_a_span_goes_without_its_baggage(void) {
    for (long n = 0;; n++) {
        set_up();
        span(128);
        faults_fail_after(n);
        tc_baggage_batch(&baggage, &batch, strings);
        bool failed = faults_stop();
        CHECK(baggage.n_spans + baggage.n_failed == 1 && batch.n == 1);
        CHECK(body_of(&batch, 0)->n_attributes == (baggage.n_failed ? 3 : 4));
        tear_down();
        if (!failed) return;
    }
}

int main(void) {
    entries_are_set_where_they_stand();
    beyond_the_limit_the_oldest_go_and_are_counted();
    without_memory_a_span_goes_without_its_baggage();
    return 0;
}
