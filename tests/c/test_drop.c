/* tc_drop: spans that a rule holds for go, all others stay in their order. */
#include "rule_span.h"
#include "tc_drop.h"

static tc_drop drop;
static tc_regex_fault fault;
static tc_strings *scopes;

#define EVERY 0xff

static const uint8_t *b8(const char *s) { return (const uint8_t *)s; }

static void set_up(void) {
    strings = tc_strings_new(256);
    scopes = tc_strings_new(256);
    CHECK(tc_strings_intern(scopes, b8("\x0a\x05\x0a\x03one"), 7, UINT32_MAX) == 1);
    CHECK(tc_strings_intern(scopes, b8("\x0a\x05\x0a\x03two"), 7, UINT32_MAX) == 2);
    CHECK(tc_strings_intern(scopes, b8("\x0a\x00"), 2, UINT32_MAX) == 3); /* without a name */
    tc_drop_init(&drop);
}

static void tear_down(void) {
    tc_drop_clear(&drop);
    tc_draft_pool_clear(&pool);
    tc_strings_free(strings);
    tc_strings_free(scopes);
}

static void span(tc_batch *b, uint8_t id, const char *name, uint16_t scope, uint8_t kind, uint8_t status, uint64_t ns,
                 const char *value) {
    tc_draft *d = begin(name, id, 0);
    tc_draft_body(d)->kind = kind;
    tc_draft_body(d)->status = status;
    tc_draft_body(d)->end_ns = 1000 + ns;
    if (value != NULL) put_str(d, "key", value);
    tc_draft_finish(d, scope);
    CHECK(tc_batch_append(b, d->data) == TC_OK);
    tc_draft_give_back(&pool, d);
}

static const char *left(tc_batch *b) {
    static char ids[64];
    uint32_t i = 0;
    for (; i < b->n; i++) ids[i] = (char)('0' + body_of(b, i)->span_id[0]);
    ids[i] = 0;
    return ids;
}

static const char *after(void (*add_rules)(void)) {
    set_up();
    add_rules();
    tc_batch b;
    tc_batch_init(&b);
    span(&b, 1, "GET http send", 1, 0, 0, 100, NULL);
    span(&b, 2, "GET", 1, 1, 0, 100, "x");
    span(&b, 3, "GET", 2, 1, 2, 5000, "x1");
    span(&b, 4, "POST", 3, 2, 1, 5000, NULL);
    span(&b, 5, "POST", 0, 2, 0, 0, "x");
    uint32_t n_dropped = tc_drop_batch(&drop, &b, strings, scopes);
    const char *ids = left(&b);
    CHECK(strlen(ids) + n_dropped == 5);
    tc_batch_clear(&b);
    tear_down();
    return ids;
}

static void name(const char *glob) { CHECK(tc_drop_add_name(&drop, TC_GLOB, b8(glob), (uint32_t)strlen(glob), 0, &fault)); }
static void scope(const char *glob) { CHECK(tc_drop_add_scope(&drop, TC_GLOB, b8(glob), (uint32_t)strlen(glob), 0, &fault)); }
static void rule(uint8_t kinds, uint8_t statuses, uint64_t under) { CHECK(tc_drop_add(&drop, kinds, statuses, under, &fault)); }

static void none(void) {}
static void by_name(void) { rule(EVERY, EVERY, UINT64_MAX); name("* http send"); }
static void by_two_names(void) { rule(EVERY, EVERY, UINT64_MAX); name("* http send"); name("POST"); }
static void by_kind(void) { rule(1 << 1, EVERY, UINT64_MAX); }
static void by_kind_and_status(void) { rule(1 << 1, EVERY & ~(1 << 2), UINT64_MAX); }
static void by_scope(void) { rule(EVERY, EVERY, UINT64_MAX); scope("t*"); }
static void by_no_scope(void) { rule(EVERY, EVERY, UINT64_MAX); scope(""); }
static void by_duration(void) { rule(EVERY, EVERY, 101); }
static void by_key(void) {
    rule(EVERY, EVERY, UINT64_MAX);
    CHECK(tc_drop_add_attribute(&drop, TC_EXACT, b8("key"), 3, 0, TC_EXACT, NULL, 0, 0, &fault));
}
static void by_value(void) {
    rule(EVERY, EVERY, UINT64_MAX);
    CHECK(tc_drop_add_attribute(&drop, TC_EXACT, b8("key"), 3, 0, TC_REGEX, b8("[0-9]"), 5, 0, &fault));
}
static void by_everything(void) {
    rule(1 << 1, EVERY, UINT64_MAX);
    name("GET");
    scope("one");
    CHECK(tc_drop_add_attribute(&drop, TC_EXACT, b8("key"), 3, 0, TC_EXACT, b8("x"), 1, 0, &fault));
}
static void by_either(void) { by_name(); by_value(); }

static void a_span_goes_where_all_of_one_rule_holds(void) {
    CHECK(strcmp(after(none), "12345") == 0);
    CHECK(strcmp(after(by_name), "2345") == 0);
    CHECK(strcmp(after(by_two_names), "23") == 0);
    CHECK(strcmp(after(by_kind), "145") == 0);
    CHECK(strcmp(after(by_kind_and_status), "1345") == 0);
    CHECK(strcmp(after(by_scope), "1245") == 0);
    CHECK(strcmp(after(by_no_scope), "123") == 0);
    CHECK(strcmp(after(by_duration), "34") == 0);
    CHECK(strcmp(after(by_key), "14") == 0);
    CHECK(strcmp(after(by_value), "1245") == 0);
    CHECK(strcmp(after(by_everything), "1345") == 0);
    CHECK(strcmp(after(by_either), "245") == 0);
}

static void a_name_without_an_id_is_matched_too(void) {
    set_up();
    by_name();
    tc_batch b;
    tc_batch_init(&b);
    tc_draft *d = begin("x", 1, 0);
    tc_draft_body(d)->name_id = 0;
    tc_draft_put_bytes(d, TC_NAME, 0, NULL, 0, b8("GET http send"), 13);
    end(d, &b);
    CHECK(tc_drop_batch(&drop, &b, strings, scopes) == 1 && b.n == 0);
    tc_batch_clear(&b);
    tear_down();
}

static void without_memory_for_remembering_the_answer_is_the_same(void) {
    set_up();
    by_everything();
    tc_batch b;
    tc_batch_init(&b);
    span(&b, 2, "GET", 1, 1, 0, 100, "x");
    span(&b, 3, "GET", 2, 1, 0, 100, "x");
    faults_fail_after(0);
    CHECK(tc_drop_batch(&drop, &b, strings, scopes) == 1);
    CHECK(faults_stop());
    CHECK(strcmp(left(&b), "3") == 0);
    tc_batch_clear(&b);
    tear_down();
}

int main(void) {
    a_span_goes_where_all_of_one_rule_holds();
    a_name_without_an_id_is_matched_too();
    without_memory_for_remembering_the_answer_is_the_same();
    CHECK(faults_n_held() == 0);
    return 0;
}
