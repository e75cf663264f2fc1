/* tc_redact: rules over records, and nothing of a record that could not be redacted. What the rules mean for every
 * kind of value is compared with a model in tests/processors/test_redaction.py. */
#include "rule_span.h"
#include "tc_redact.h"

static tc_redact redact;
static tc_regex_fault fault;

static void rule(tc_redact_action action, const char *keys, const char *values, const char *text) {
    CHECK(tc_redact_add(&redact, action, (const uint8_t *)values, values != NULL ? (uint32_t)strlen(values) : 0, 0,
                        (const uint8_t *)text, (uint32_t)strlen(text), &fault));
    if (keys != NULL)
        CHECK(tc_redact_add_keys(&redact, TC_GLOB, (const uint8_t *)keys, (uint32_t)strlen(keys), 0, &fault));
    tc_redact_rule *r = &redact.rules[redact.n - 1];
    if (action == TC_REDACT_RENAME) r->key_id = id_of(text);
    if (action == TC_REDACT_HASH) tc_hmac_key_init(&r->key, (const uint8_t *)"key", 3);
}

static void set_up(void) {
    strings = tc_strings_new(256);
    tc_redact_init(&redact);
    redact.names = true;
    rule(TC_REDACT_KEEP, "public.*", NULL, "");
    rule(TC_REDACT_DROP, "*.password", NULL, "");
    rule(TC_REDACT_RENAME, "old", NULL, "new");
    rule(TC_REDACT_HASH, "user", NULL, "");
    rule(TC_REDACT_REPLACE, NULL, "[0-9]{4}", "####");
}

static void tear_down(void) {
    tc_redact_clear(&redact);
    tc_draft_pool_clear(&pool);
    tc_strings_free(strings);
}

static void a_span_for_all_rules(tc_batch *b) {
    tc_draft *d = begin("pay 1234", 1, 0);
    put_str(d, "a.password", "secret");
    put_str(d, "public.password", "1234");
    put_str(d, "new", "before");
    put_str(d, "old", "moves");
    put_int(d, "user", 42);
    put_int(d, "number", -12345);
    uint32_t at = tc_draft_open(d, TC_EVENT, id_of("event 9999"), NULL, 0);
    memset(tc_draft_reserve(d, TC_EVENT_HEAD_BYTES), 0, TC_EVENT_HEAD_BYTES);
    tc_draft_put_bytes(d, TC_STR, id_of("e.password"), NULL, 0, (const uint8_t *)"secret", 6);
    tc_draft_put_bytes(d, TC_STR, id_of("e"), NULL, 0, (const uint8_t *)"secret5678", 10);
    tc_draft_close(d, at);
    tc_draft_settle_event(d, 128);
    tc_draft_put_bytes(d, TC_MESSAGE, 0, NULL, 0, (const uint8_t *)"failed 0000", 11);
    end(d, b);
}

static void every_rule_is_applied_in_its_order(void) {
    set_up();
    tc_batch b;
    tc_batch_init(&b);
    a_span_for_all_rules(&b);
    tc_redact_batch(&redact, &b, strings);
    CHECK(redact.n_spans == 1 && redact.n_stripped == 0);
    CHECK(strcmp(items_of(&b, 0), "=pay #### public.password=1234 new=moves user=f2991b7ce981d0b5adc5e6a0f31acaeb "
                                  "number=-####5 event ####:11 =failed #### ") == 0);
    CHECK(body_of(&b, 0)->n_attributes == 4 && body_of(&b, 0)->name_id == 0 && body_of(&b, 0)->span_id[0] == 1);
    tc_batch_clear(&b);
    tear_down();
}

static void what_no_rule_is_about_is_not_touched(void) {
    set_up();
    tc_batch b;
    tc_batch_init(&b);
    tc_draft *d = begin("GET", 1, 0);
    put_str(d, "public.password", "1234");
    put_int(d, "n", 123);
    end(d, &b);
    uint64_t n_bytes = b.n_bytes;
    uint8_t before[512];
    memcpy(before, b.bytes, n_bytes);
    tc_redact_batch(&redact, &b, strings);
    CHECK(redact.n_spans == 0 && b.n_bytes == n_bytes && memcmp(before, b.bytes, n_bytes) == 0);
    tc_batch_clear(&b);
    tear_down();
}

/* No byte of a value, key or name is left. */
static void check_stripped(const tc_batch *b, uint32_t i) {
    CHECK(tc_load_u32(tc_batch_record_view(b, i)) == TC_RECORD_HEAD_BYTES);
    const tc_body *body = body_of(b, i);
    CHECK(body->n_attributes == 0 && body->name_id == 0 && body->dropped_attributes == 6);
    CHECK(body->span_id[0] == 1 && body->start_ns == 1000 && body->end_ns == 2000);
}

static void without_memory_a_span_is_stripped_and_never_sent_as_it_was(void) {
    bool seen_failure = false;
    for (long n = 0;; n++) {
        set_up();
        tc_batch b;
        tc_batch_init(&b);
        a_span_for_all_rules(&b);
        faults_fail_after(n);
        tc_redact_batch(&redact, &b, strings);
        bool failed = faults_stop();
        CHECK(redact.n_spans + redact.n_stripped == 1);
        if (redact.n_stripped) check_stripped(&b, 0);
        else CHECK(strstr(items_of(&b, 0), "secret") == NULL && strstr(items_of(&b, 0), "new=moves") != NULL);
        seen_failure |= redact.n_stripped != 0;
        tc_batch_clear(&b);
        tear_down();
        CHECK(faults_n_held() == 0);
        if (!failed) break;
    }
    CHECK(seen_failure);
}

static void a_record_that_cannot_be_read_is_stripped(void) {
    set_up();
    tc_batch b;
    tc_batch_init(&b);
    a_span_for_all_rules(&b);
    uint32_t length = tc_load_u32(b.bytes);
    for (uint32_t cut = 1; cut < 12; cut++) { /* in the middle of the last item */
        tc_batch_clear(&b);
        a_span_for_all_rules(&b);
        tc_store_u32(b.bytes, length - cut);
        uint64_t before = redact.n_stripped;
        tc_redact_batch(&redact, &b, strings);
        CHECK(redact.n_stripped == before + 1);
        check_stripped(&b, 0);
    }
    tc_batch_clear(&b);
    tear_down();
}

/* Each find reads to the end of the text to learn that no "!" is there: the square of its length in all. */
static void a_search_that_takes_too_long_strips_the_span(void) {
    set_up();
    rule(TC_REDACT_REPLACE, NULL, "a(.*!)?", "x");
    tc_batch b;
    tc_batch_init(&b);
    static char text[100001];
    memset(text, 'a', sizeof text - 1);
    tc_draft *d = begin("GET", 1, 0);
    put_str(d, "long", text);
    end(d, &b);
    tc_redact_batch(&redact, &b, strings);
    CHECK(redact.n_stripped == 1 && tc_load_u32(tc_batch_record_view(&b, 0)) == TC_RECORD_HEAD_BYTES);
    tc_batch_clear(&b);
    tear_down();
}

static void an_inline_key_is_a_key_like_any_other(void) {
    set_up();
    tc_batch b;
    tc_batch_init(&b);
    tc_draft *d = begin("GET", 1, 0);
    uint32_t at = d->length;
    CHECK(tc_draft_put_bytes(d, TC_STR, 0, (const uint8_t *)"x.password", 10, (const uint8_t *)"secret", 6));
    tc_draft_settle_attribute(d, at, 0, 128);
    at = d->length;
    CHECK(tc_draft_put_bytes(d, TC_STR, 0, (const uint8_t *)"old", 3, (const uint8_t *)"1", 1));
    tc_draft_settle_attribute(d, at, 0, 128);
    at = d->length;
    CHECK(tc_draft_put_bytes(d, TC_STR, 0, (const uint8_t *)"new", 3, (const uint8_t *)"2", 1));
    tc_draft_settle_attribute(d, at, 0, 128);
    end(d, &b);
    tc_redact_batch(&redact, &b, strings);
    CHECK(strcmp(items_of(&b, 0), "new=2 ") == 0 && body_of(&b, 0)->n_attributes == 1);
    tc_batch_clear(&b);
    tear_down();
}

static void there_are_63_rules_at_most(void) {
    strings = tc_strings_new(256);
    tc_redact_init(&redact);
    for (uint32_t i = 0; i < TC_MATCH_MAX_BITS; i++) rule(TC_REDACT_DROP, "key", NULL, "");
    CHECK(!tc_redact_add(&redact, TC_REDACT_DROP, NULL, 0, 0, NULL, 0, &fault) && fault.reason != NULL);
    tear_down();
}

int main(void) {
    every_rule_is_applied_in_its_order();
    what_no_rule_is_about_is_not_touched();
    without_memory_a_span_is_stripped_and_never_sent_as_it_was();
    a_record_that_cannot_be_read_is_stripped();
    a_search_that_takes_too_long_strips_the_span();
    an_inline_key_is_a_key_like_any_other();
    there_are_63_rules_at_most();
    CHECK(faults_n_held() == 0);
    return 0;
}
