/* tc_span_metrics: one series for each name, kind and status, from every span of a batch. */
#include "check.h"
#include "faults.h"
#include "tc_record.h"
#include "tc_span_metrics.h"

static tc_strings *strings;

/* A finished record in the ring; `name` interned unless it is not to be. */
static void put(tc_ring *ring, const char *name, bool interned, uint8_t kind, uint8_t status, uint64_t ns, uint8_t flags) {
    static tc_draft_pool pool;
    tc_draft *draft = tc_draft_take(&pool);
    tc_body *body = tc_draft_body(draft);
    uint32_t length = (uint32_t)strlen(name);
    body->name_id = interned ? tc_strings_intern(strings, (const uint8_t *)name, length, TC_STRINGS_MAX) : 0;
    body->kind = kind;
    body->status = status;
    body->start_ns = 1000;
    body->end_ns = 1000 + ns;
    if (!interned && length != 0) CHECK(tc_draft_put_bytes(draft, TC_NAME, 0, NULL, 0, (const uint8_t *)name, length));
    tc_draft_header(draft)->flags = flags;
    tc_draft_finish(draft, 0);
    CHECK(tc_ring_put_spsc(ring, draft->data) == TC_OK);
    tc_draft_give_back(&pool, draft);
    tc_draft_pool_clear(&pool);
}

static void observe(tc_span_metrics *m, tc_ring *ring, uint32_t kept) {
    tc_batch batch;
    tc_batch_init(&batch);
    CHECK(tc_batch_take(&batch, ring, UINT32_MAX, UINT64_MAX) == TC_OK);
    tc_span_metrics_observe(m, &batch, strings);
    CHECK(batch.n == kept);
    for (uint32_t i = 0; i < batch.n; i++)
        CHECK(!(((const tc_header *)(const void *)tc_batch_record_view(&batch, i))->flags & TC_UNSAMPLED));
    tc_batch_clear(&batch);
}

static bool is(const tc_series *s, const char *name, uint8_t kind, uint8_t status) {
    return s->name_length == strlen(name) && memcmp(s->name, name, s->name_length) == 0 && s->kind == kind
           && s->status == status;
}

static void every_span_is_counted_in_the_series_of_its_name_kind_and_status(void) {
    tc_ring *ring = tc_ring_new(TC_RING_MIN_BYTES);
    tc_span_metrics m;
    CHECK(tc_span_metrics_init(&m, TC_SPAN_METRICS_MAX) == TC_OK);
    put(ring, "GET", true, 1, 0, 1000000000, 0);
    put(ring, "GET", true, 1, 2, 2000000000, 0);
    put(ring, "GET", true, 2, 0, 3000000000, TC_HAS_PARENT);
    put(ring, "GET", false, 1, 0, 500000000, 0); /* the same name, told another way */
    put(ring, "", false, 0, 0, 7, 0);
    observe(&m, ring, 5);
    tc_series s;
    CHECK(tc_span_metrics_read(&m, 0, &s) && is(&s, "GET", 1, 0));
    CHECK(s.seconds.count == 2 && s.seconds.sum == 1.5 && s.seconds.min == 0.5 && s.seconds.max == 1);
    CHECK(tc_span_metrics_read(&m, 1, &s) && is(&s, "GET", 1, 2) && s.seconds.count == 1);
    CHECK(tc_span_metrics_read(&m, 2, &s) && is(&s, "GET", 2, 0) && s.seconds.sum == 3);
    CHECK(tc_span_metrics_read(&m, 3, &s) && is(&s, "", 0, 0) && s.seconds.sum == 7e-9);
    CHECK(!tc_span_metrics_read(&m, 4, &s));
    tc_span_metrics_destroy(&m);
    tc_span_metrics_destroy(&m);
    tc_ring_free(ring);
}

static void spans_that_are_there_to_be_measured_go_no_further(void) {
    tc_ring *ring = tc_ring_new(TC_RING_MIN_BYTES);
    tc_span_metrics m;
    CHECK(tc_span_metrics_init(&m, 10) == TC_OK);
    for (int i = 0; i < 30; i++) put(ring, "a", true, 0, 0, 10, i % 3 == 0 ? 0 : TC_UNSAMPLED);
    observe(&m, ring, 10);
    tc_series s;
    CHECK(tc_span_metrics_read(&m, 0, &s) && s.seconds.count == 30);
    tc_span_metrics_destroy(&m);
    tc_ring_free(ring);
}

static void past_the_limit_spans_are_counted_without_a_name(void) {
    tc_ring *ring = tc_ring_new(1u << 20);
    tc_span_metrics m;
    CHECK(tc_span_metrics_init(&m, 100) == TC_OK);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        put(ring, name, false, 3, 2, 10, 0);
    }
    put(ring, "n7", false, 3, 2, 10, 0); /* those that have a series keep it */
    observe(&m, ring, 1001);
    CHECK(m.n == 100);
    tc_series s;
    uint64_t total = 0;
    for (uint32_t i = 0; i < 99; i++) {
        CHECK(tc_span_metrics_read(&m, i, &s) && s.name != NULL && s.seconds.count == (i == 7 ? 2u : 1u));
        total += s.seconds.count;
    }
    CHECK(tc_span_metrics_read(&m, 99, &s) && s.name == NULL && s.seconds.count == 901);
    CHECK(total + s.seconds.count == 1001);
    tc_span_metrics parents = m;
    CHECK(tc_span_metrics_reset_in_child(&m) == TC_OK);
    CHECK(!tc_span_metrics_read(&m, 0, &s));
    put(ring, "n7", false, 3, 2, 10, 0);
    observe(&m, ring, 1);
    CHECK(tc_span_metrics_read(&m, 0, &s) && s.seconds.count == 1);
    tc_span_metrics_destroy(&m);
    tc_span_metrics_destroy(&parents); /* nobody does outside a test */
    tc_ring_free(ring);
}

static void a_clock_that_went_back_is_no_time(void) {
    tc_ring *ring = tc_ring_new(TC_RING_MIN_BYTES);
    tc_span_metrics m;
    CHECK(tc_span_metrics_init(&m, 10) == TC_OK);
    put(ring, "a", true, 0, 0, (uint64_t)-500, 0);
    observe(&m, ring, 1);
    tc_series s;
    CHECK(tc_span_metrics_read(&m, 0, &s) && s.seconds.zero_count == 1 && s.seconds.sum == 0);
    tc_span_metrics_destroy(&m);
    tc_ring_free(ring);
}

static void without_memory_spans_pass_unmeasured_and_are_counted(void) {
    tc_span_metrics m;
    for (long n = 0; n < 3; n++) {
        faults_fail_after(n);
        tc_status status = tc_span_metrics_init(&m, 10);
        CHECK(faults_stop() == (status != TC_OK));
        CHECK(status == TC_NO_MEMORY);
    }
    CHECK(tc_span_metrics_init(&m, TC_SPAN_METRICS_MAX) == TC_OK);
    uint64_t lost = 0;
    for (int i = 0; i < 200; i++) {
        tc_ring *ring = tc_ring_new(TC_RING_MIN_BYTES);
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        put(ring, name, true, 0, 0, 10, 0);
        tc_batch batch;
        tc_batch_init(&batch);
        CHECK(tc_batch_take(&batch, ring, 1, UINT64_MAX) == TC_OK);
        faults_fail_after(i % 3);
        tc_span_metrics_observe(&m, &batch, strings);
        if (faults_stop()) lost++;
        CHECK(batch.n == 1 && m.n_no_memory == lost && m.n == (uint32_t)i + 1 - lost);
        tc_batch_clear(&batch);
        tc_ring_free(ring);
    }
    CHECK(lost > 100);
    tc_span_metrics_destroy(&m);
}

int main(void) {
    strings = tc_strings_new(1000);
    tc_strings_intern(strings, (const uint8_t *)"x", 1, TC_STRINGS_MAX); /* its first chunk and arena */
    long held = faults_n_held();
    every_span_is_counted_in_the_series_of_its_name_kind_and_status();
    spans_that_are_there_to_be_measured_go_no_further();
    past_the_limit_spans_are_counted_without_a_name();
    a_clock_that_went_back_is_no_time();
    CHECK(faults_n_held() == held);
    without_memory_spans_pass_unmeasured_and_are_counted();
    tc_strings_free(strings);
    CHECK(faults_n_held() == 0);
    return 0;
}
