/* tc_fold: equal siblings as one, none lost. Programs of spans are compared with a model in
 * tests/processors/test_folding.py. */
#include "rule_span.h"
#include "tc_fold.h"

static tc_fold fold;
static tc_batch batch;

static void open_fold(uint32_t threshold, uint32_t max_groups, uint32_t max_parents, uint64_t max_bytes) {
    memset(&fold, 0, sizeof fold);
    fold.threshold = threshold;
    fold.hold_ns = 1000;
    fold.max_groups = max_groups;
    fold.max_parents = max_parents;
    fold.max_bytes = max_bytes;
    fold.names = (tc_fold_names){id_of(TC_FOLD_COUNT), id_of(TC_FOLD_TOTAL_NS), id_of(TC_FOLD_MIN_NS), id_of(TC_FOLD_MAX_NS)};
    CHECK(tc_fold_open(&fold) == TC_OK);
}

static void set_up(void) {
    strings = tc_strings_new(256);
    tc_batch_init(&batch);
}

static void tear_down(void) {
    tc_fold_clear(&fold);
    tc_batch_clear(&batch);
    tc_draft_pool_clear(&pool);
    tc_strings_free(strings);
    CHECK(faults_n_held() == 0);
}

static void span(const char *name, uint8_t id, uint8_t parent, uint64_t start, uint64_t ns, const char *value) {
    tc_draft *d = begin(name, id, parent);
    tc_draft_body(d)->start_ns = start;
    tc_draft_body(d)->end_ns = start + ns;
    tc_draft_body(d)->flags = 1;
    put_str(d, "same", "x");
    if (value != NULL) put_str(d, "value", value);
    end(d, &batch);
}

static void run(uint64_t now) { tc_fold_batch(&fold, &batch, strings, now); }

static void many_over_several_batches_become_one_when_their_parent_ends(void) {
    set_up();
    open_fold(2, 16, 16, 1 << 20);
    for (uint8_t i = 0; i < 5; i++) {
        span("q", (uint8_t)(10 + i), 1, 100u + i, 10u + i, i & 1 ? "odd" : "even");
        run(1);
        CHECK(batch.n == 0 && fold.n_held == (i < 2 ? i + 1u : 1u) && fold.n_held + fold.n_folded == i + 1u);
    }
    span("q", 2, 0, 0, 1, NULL); /* somebody else */
    run(2);
    CHECK(batch.n == 1);
    tc_batch_clear(&batch);
    span("parent", 1, 0, 0, 1000, NULL);
    run(3);
    CHECK(batch.n == 2 && fold.n_held == 0 && fold.n_folded == 4 && fold.n_bytes == 0 && fold.n_parents == 0);
    CHECK(strcmp(items_of(&batch, 1), "same=x tracecore.fold.count=5 tracecore.fold.total_ns=60 tracecore.fold.min_ns=10 "
                                      "tracecore.fold.max_ns=14 ") == 0);
    const tc_body *body = body_of(&batch, 1);
    CHECK(body->span_id[0] == 10 && body->start_ns == 100 && body->end_ns == 118 && body->n_attributes == 5);
    tear_down();
}

static void few_are_sent_as_they_are(void) {
    set_up();
    open_fold(2, 16, 16, 1 << 20);
    span("q", 10, 1, 100, 10, "a");
    span("q", 11, 1, 100, 10, "b");
    span("r", 12, 1, 100, 10, NULL);
    run(1);
    CHECK(batch.n == 0 && fold.n_held == 3);
    span("parent", 1, 0, 0, 1000, NULL);
    run(1);
    CHECK(batch.n == 4 && fold.n_folded == 0 && fold.n_held == 0);
    tear_down();
}

static void what_has_children_events_or_an_error_is_left_alone(void) {
    set_up();
    open_fold(1, 16, 16, 1 << 20);
    for (uint8_t i = 0; i < 4; i++) {
        span("child", (uint8_t)(20 + i), (uint8_t)(10 + i), 0, 1, NULL);
        span("q", (uint8_t)(10 + i), 1, 0, 1, NULL);
    }
    run(1);
    CHECK(batch.n == 8 && fold.n_held == 0); /* each child came out when its parent came */
    tc_batch_clear(&batch);
    for (uint8_t i = 0; i < 4; i++) {
        span("q", (uint8_t)(30 + i), 1, 0, 1, NULL);
        tc_body *body = (tc_body *)(void *)(tc_batch_record(&batch, i) + sizeof(tc_header));
        if (i == 0) body->status = 2;
        if (i == 1) body->flags = 0;
        if (i == 2) body->flags |= TC_FLAG_IS_REMOTE;
        if (i == 3) body->trace_id[0]++; /* another trace: held, with nobody like it */
    }
    run(1);
    CHECK(batch.n == 3 && fold.n_held == 1);
    tear_down();
}

static void what_is_held_for_its_time_leaves(void) {
    set_up();
    open_fold(1, 16, 16, 1 << 20);
    span("q", 10, 1, 0, 1, NULL);
    run(500);
    span("q", 11, 2, 0, 1, NULL);
    run(1000);
    CHECK(batch.n == 0 && fold.n_held == 2);
    CHECK(tc_fold_release(&fold, &batch, 1499) == TC_OK && batch.n == 0);
    CHECK(tc_fold_release(&fold, &batch, 1500) == TC_OK && batch.n == 1 && fold.n_held == 1);
    CHECK(tc_fold_release(&fold, &batch, UINT64_MAX) == TC_OK && batch.n == 2 && fold.n_held == 0 && fold.n_parents == 0);
    tear_down();
}

static void beyond_a_bound_spans_pass_and_are_counted(void) {
    set_up();
    open_fold(1, 2, 4, 1 << 20);
    for (uint8_t i = 0; i < 4; i++) {
        char name[2] = {(char)('a' + i), 0};
        span(name, (uint8_t)(10 + i), 1, 0, 1, NULL);
    }
    run(1);
    CHECK(batch.n == 2 && fold.n_held == 2 && fold.n_passed == 2);
    tc_batch_clear(&batch);
    for (uint8_t i = 0; i < 8; i++) span("q", (uint8_t)(40 + i), (uint8_t)(30 + i), 0, 1, NULL);
    run(1); /* the oldest parents are forgotten, what was held for them leaves */
    CHECK(fold.n_parents == 4 && batch.n + fold.n_held == 8 + 2);
    tc_batch_clear(&batch);
    tc_fold_clear(&fold);
    open_fold(1, 16, 16, 150); /* room for one record */
    span("a", 10, 1, 0, 1, NULL);
    span("b", 11, 1, 0, 1, NULL);
    run(1);
    CHECK(batch.n == 1 && fold.n_held == 1 && fold.n_passed == 1 && fold.n_bytes <= 150);
    tear_down();
}

static void an_attribute_that_is_asked_for_divides_the_groups(void) {
    for (int all = 0; all < 3; all++) {
        set_up();
        open_fold(1, 16, 16, 1 << 20);
        tc_regex_fault fault;
        if (all == 1) CHECK(tc_match_add(&fold.keys, 0, TC_EXACT, (const uint8_t *)"value", 5, 0, &fault));
        fold.by_all_attributes = all == 2;
        for (uint8_t i = 0; i < 6; i++) span("q", (uint8_t)(10 + i), 1, 0, 1, i < 3 ? "a" : "b");
        span("parent", 1, 0, 0, 1, NULL);
        run(1);
        CHECK(batch.n == (all ? 3u : 2u) && fold.n_folded == (all ? 4u : 5u));
        tear_down();
    }
}

/* At every moment each span is in the batch, held, or stood for. */
static void without_memory_no_span_is_lost(void) {
    for (long n = 0;; n++) {
        set_up();
        open_fold(2, 16, 16, 1 << 20);
        for (uint8_t i = 0; i < 9; i++) span(i < 6 ? "q" : "r", (uint8_t)(10 + i), 1, 0, 1, NULL);
        faults_fail_after(n);
        run(1);
        bool failed = faults_stop();
        CHECK(batch.n + fold.n_held + fold.n_folded == 9);
        span("parent", 1, 0, 0, 1, NULL);
        faults_fail_after(n);
        run(1);
        failed |= faults_stop();
        CHECK(batch.n + fold.n_held + fold.n_folded == 10);
        CHECK(tc_fold_release(&fold, &batch, UINT64_MAX) == TC_OK);
        CHECK(batch.n + fold.n_folded == 10 && fold.n_held == 0 && fold.n_bytes == 0);
        tear_down();
        if (!failed) break;
    }
    for (long n = 0;; n++) {
        set_up();
        memset(&fold, 0, sizeof fold);
        fold.max_groups = fold.max_parents = 4;
        faults_fail_after(n);
        tc_status status = tc_fold_open(&fold);
        bool failed = faults_stop();
        CHECK(status == (failed ? TC_NO_MEMORY : TC_OK));
        tear_down();
        if (!failed) break;
    }
}

int main(void) {
    many_over_several_batches_become_one_when_their_parent_ends();
    few_are_sent_as_they_are();
    what_has_children_events_or_an_error_is_left_alone();
    what_is_held_for_its_time_leaves();
    beyond_a_bound_spans_pass_and_are_counted();
    an_attribute_that_is_asked_for_divides_the_groups();
    without_memory_no_span_is_lost();
    return 0;
}
