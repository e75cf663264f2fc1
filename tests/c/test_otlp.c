/* tc_otlp: records as the messages of opentelemetry-proto, read back by a reader of its own. */
#include "check.h"
#include "faults.h"
#include "otlp_text.h"
#include "tc_otlp.h"
#include "tc_record.h"

#include <pthread.h>
#include <stdatomic.h>

#define NO_LIMIT UINT32_MAX
#define NAME 1u /* ids in the string table */
#define KEY 2u

static tc_draft_pool pool;
static tc_ring *ring;
static tc_strings *strings, *scopes;
static char text[1 << 20];

static const uint8_t *b(const char *s) { return (const uint8_t *)s; }

static uint32_t intern(tc_strings *table, const char *s) {
    return tc_strings_intern(table, b(s), (uint32_t)strlen(s), NO_LIMIT);
}

static void set_up(void) {
    ring = tc_ring_new(1u << 20);
    strings = tc_strings_new(256);
    scopes = tc_strings_new(256);
    CHECK(intern(strings, "GET /") == NAME && intern(strings, "key") == KEY);
    /* fields of ScopeSpans: 1 scope { 1 name } */
    CHECK(intern(scopes, "\x0a\x05\x0a\x03one") == 1 && intern(scopes, "\x0a\x05\x0a\x03two") == 2);
}

static void tear_down(void) {
    tc_ring_free(ring);
    tc_strings_free(strings);
    tc_strings_free(scopes);
    tc_draft_pool_clear(&pool);
}

static void put(tc_draft *d, uint16_t scope) {
    tc_draft_finish(d, scope);
    CHECK(tc_ring_put_spsc(ring, d->data) == TC_OK);
    tc_draft_give_back(&pool, d);
}

static tc_otlp_names names(void) {
    return (tc_otlp_names){strings, scopes, b("\x0a\x00"), 2}; /* 1 resource {} */
}

/* What the ring holds, as text; answers the lost attributes. */
static uint64_t encode(void) {
    tc_batch batch;
    tc_batch_init(&batch);
    CHECK(tc_batch_take(&batch, ring, UINT32_MAX, UINT64_MAX) == TC_OK);
    tc_bytes out = {0};
    uint64_t n_lost = 0;
    tc_otlp_names n = names();
    CHECK(tc_otlp_request(&out, &batch, 0, batch.n, &n, &n_lost) == TC_OK);
    otlp_text t = {text, 0, sizeof text};
    text[0] = '\0';
    otlp_read(&t, REQUEST, out.data, out.data + out.n);
    tc_bytes_clear(&out);
    tc_batch_clear(&batch);
    return n_lost;
}

static void expect(const char *expected) {
    if (strcmp(text, expected) != 0) fprintf(stderr, "is       %s\nexpected %s\n", text, expected);
    CHECK(strcmp(text, expected) == 0);
}

#define REST "kind:1 start:0 end:0"

static void expect_attributes(const char *attributes) {
    static char expected[1 << 16];
    snprintf(expected, sizeof expected,
             "resource_spans{resource{} scope_spans{spans{trace_id=00000000000000000000000000000000 "
             "span_id=0000000000000000 " REST "%s status{} flags:0}}}",
             attributes);
    expect(expected);
}

/* ---- a whole span ------------------------------------------------------------------- */

static void a_span_with_everything_fills_every_field(void) {
    tc_draft *d = tc_draft_take(&pool);
    tc_body *body = tc_draft_body(d);
    memset(body->trace_id, 0x11, 16);
    memset(body->span_id, 0x22, 8);
    memset(body->parent_span_id, 0x33, 8);
    body->start_ns = 1700000000000000001ull;
    body->end_ns = 1700000000000000002ull;
    body->name_id = NAME;
    body->kind = 2;
    body->status = 2;
    body->flags = 0x01 | TC_FLAG_HAS_IS_REMOTE | TC_FLAG_IS_REMOTE | 1u << TC_PARENT_FLAGS_SHIFT;
    tc_draft_header(d)->flags = TC_HAS_PARENT;
    for (int i = 0; i < 2; i++) {
        uint32_t at = d->length;
        CHECK(tc_draft_put_word(d, TC_INT, KEY, NULL, 0, (uint64_t)i));
        tc_draft_settle_attribute(d, at, KEY, 1);
        uint32_t event = tc_draft_open(d, TC_EVENT, KEY, NULL, 0);
        uint8_t *head = tc_draft_reserve(d, TC_EVENT_HEAD_BYTES);
        tc_store_u64(head, 77 + (uint64_t)i);
        tc_store_u32(head + 8, 4);
        CHECK(tc_draft_put_tag(d, TC_TRUE, KEY, NULL, 0));
        tc_draft_close(d, event);
        tc_draft_settle_event(d, 1);
        uint32_t link = tc_draft_open(d, TC_LINK, 0, NULL, 0);
        head = tc_draft_reserve(d, TC_LINK_HEAD_BYTES);
        memset(head, 0x44, 16);
        memset(head + 16, 0x55, 8);
        tc_store_u32(head + 24, 0x01 | TC_FLAG_HAS_IS_REMOTE);
        tc_store_u32(head + 28, 6);
        CHECK(tc_draft_put_bytes(d, TC_EXTRA, TC_EXTRA_TRACE_STATE, NULL, 0, b("l=1"), 3));
        CHECK(tc_draft_put_tag(d, TC_FALSE, KEY, NULL, 0));
        tc_draft_close(d, link);
        tc_draft_settle_link(d, 1);
    }
    d->dropped_attributes = 9;
    CHECK(tc_draft_put_bytes(d, TC_MESSAGE, 0, NULL, 0, b("broken"), 6));
    CHECK(tc_draft_put_bytes(d, TC_EXTRA, TC_EXTRA_TRACE_STATE, NULL, 0, b("s=1"), 3));
    CHECK(tc_draft_put_bytes(d, TC_EXTRA, TC_EXTRA_PARENT_TRACE_STATE, NULL, 0, b("p=1"), 3));
    put(d, 2);
    CHECK(encode() == 0);
    expect("resource_spans{resource{} scope_spans{scope{name\"two\"} spans{"
           "trace_id=11111111111111111111111111111111 span_id=2222222222222222 parent_span_id=3333333333333333 "
           "name\"GET /\" kind:3 start:1700000000000000001 end:1700000000000000002 "
           "attributes{key\"key\" value{int:1}} "
           "events{time:78 name\"key\" attributes{key\"key\" value{bool:1}} dropped_attributes:4} "
           "links{trace_id=44444444444444444444444444444444 span_id=5555555555555555 trace_state\"l=1\" "
           "attributes{key\"key\" value{bool:0}} dropped_attributes:6 flags:256} "
           "trace_state\"s=1\" dropped_events:1 dropped_links:1 dropped_attributes:9 "
           "status{message\"broken\" code:2} flags:768}}}");
}

static void a_name_that_is_not_interned_is_an_item(void) {
    tc_draft *d = tc_draft_take(&pool);
    CHECK(tc_draft_put_bytes(d, TC_NAME, 0, NULL, 0, b("rare"), 4));
    put(d, 0);
    CHECK(encode() == 0);
    CHECK(strstr(text, " name\"rare\" ") != NULL);
}

static void the_simplest_span_has_these_bytes(void) {
    tc_draft *d = tc_draft_take(&pool);
    tc_draft_body(d)->name_id = NAME;
    put(d, 1);
    tc_batch batch;
    tc_batch_init(&batch);
    CHECK(tc_batch_take(&batch, ring, 1, 0) == TC_OK);
    tc_bytes out = {0};
    uint64_t n_lost = 0;
    tc_otlp_names n = names();
    CHECK(tc_otlp_request(&out, &batch, 0, 1, &n, &n_lost) == TC_OK);
    static const uint8_t expected[] = {
        0x0a, 76, 0x0a, 0,                                              /* resource_spans, resource */
        0x12, 72, 0x0a, 5, 0x0a, 3, 'o', 'n', 'e',                      /* scope_spans, scope */
        0x12, 63,                                                       /* spans */
        0x0a, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,       /* trace_id */
        0x12, 8, 0, 0, 0, 0, 0, 0, 0, 0,                                /* span_id */
        0x2a, 5, 'G', 'E', 'T', ' ', '/',                               /* name */
        0x30, 1,                                                        /* kind */
        0x39, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0, 0, 0, 0, 0, 0, 0, 0,     /* start, end */
        0x7a, 0,                                                        /* status */
        0x85, 1, 0, 0, 0, 0,                                            /* flags */
    };
    CHECK(out.n == sizeof expected && memcmp(out.data, expected, out.n) == 0);
    tc_bytes_clear(&out);
    tc_batch_clear(&batch);
}

/* ---- values ----------------------------------------------------------------------------- */

static void each_value_has_its_field(void) {
    tc_draft *d = tc_draft_take(&pool);
    double real = -2.5;
    uint64_t word;
    memcpy(&word, &real, 8);
    CHECK(tc_draft_put_tag(d, TC_NULL, KEY, NULL, 0));
    CHECK(tc_draft_put_tag(d, TC_FALSE, KEY, NULL, 0));
    CHECK(tc_draft_put_tag(d, TC_TRUE, KEY, NULL, 0));
    CHECK(tc_draft_put_word(d, TC_INT, KEY, NULL, 0, UINT64_MAX)); /* -1 */
    CHECK(tc_draft_put_word(d, TC_DOUBLE, KEY, NULL, 0, word));
    CHECK(tc_draft_put_bytes(d, TC_STR, KEY, NULL, 0, b(""), 0));
    CHECK(tc_draft_put_bytes(d, TC_STR, 0, b("inline"), 6, b("text"), 4));
    CHECK(tc_draft_put_bytes(d, TC_BYTES, KEY, NULL, 0, b("\x00\xff"), 2));
    put(d, 0);
    CHECK(encode() == 0);
    expect_attributes(" attributes{key\"key\" value{}} attributes{key\"key\" value{bool:0}} "
                      "attributes{key\"key\" value{bool:1}} attributes{key\"key\" value{int:18446744073709551615}} "
                      "attributes{key\"key\" value{double:-2.5}} attributes{key\"key\" value{string\"\"}} "
                      "attributes{key\"inline\" value{string\"text\"}} attributes{key\"key\" value{bytes=00ff}}");
}

static void values_nest(void) {
    tc_draft *d = tc_draft_take(&pool);
    uint32_t map = tc_draft_open(d, TC_MAP, KEY, NULL, 0);
    uint32_t list = tc_draft_open(d, TC_ARRAY, 0, b("list"), 4);
    CHECK(tc_draft_put_word(d, TC_INT, 0, NULL, 0, 7) && tc_draft_put_tag(d, TC_NULL, 0, NULL, 0));
    tc_draft_close(d, list);
    uint32_t empty = tc_draft_open(d, TC_MAP, 0, b("empty"), 5);
    tc_draft_close(d, empty);
    CHECK(tc_draft_put_bytes(d, TC_STR, KEY, NULL, 0, b("leaf"), 4));
    tc_draft_close(d, map);
    put(d, 0);
    CHECK(encode() == 0);
    expect_attributes(" attributes{key\"key\" value{map{values{key\"list\" value{array{values{int:7} values{}}}} "
                      "values{key\"empty\" value{map{}}} values{key\"key\" value{string\"leaf\"}}}}}");
}

static void what_protobuf_cannot_hold_is_lost_alone_and_counted(void) {
    tc_draft *d = tc_draft_take(&pool);
    CHECK(tc_draft_put_bytes(d, TC_BIGINT, KEY, NULL, 0, b("ffffffffffffffffff"), 18));
    CHECK(tc_draft_put_bytes(d, TC_WTF8, KEY, NULL, 0, b("\xed\xa0\x80"), 3));
    CHECK(tc_draft_put_tag(d, TC_TRUE, 0, b("lone \xed\xbf\xbf"), 8)); /* in the key */
    uint32_t list = tc_draft_open(d, TC_ARRAY, KEY, NULL, 0);
    CHECK(tc_draft_put_word(d, TC_INT, 0, NULL, 0, 1));
    uint32_t inner = tc_draft_open(d, TC_ARRAY, 0, NULL, 0);
    CHECK(tc_draft_put_bytes(d, TC_BIGINT, 0, NULL, 0, b("-1"), 2)); /* deep inside */
    tc_draft_close(d, inner);
    tc_draft_close(d, list);
    CHECK(tc_draft_put_tag(d, TC_TRUE, 0, b("\xed\x9f\xbf"), 3)); /* U+D7FF: no surrogate */
    put(d, 0);
    CHECK(encode() == 4);
    expect_attributes(" attributes{key\"\xed\x9f\xbf\" value{bool:1}}");
}

/* `depth` arrays or maps within one another. */
static void put_nested(tc_draft *d, uint32_t depth, tc_item_type type) {
    static uint32_t at[1 << 20];
    CHECK(depth <= 1 << 20);
    for (uint32_t i = 0; i < depth; i++) {
        at[i] = tc_draft_open(d, type, type == TC_MAP || i == 0 ? KEY : 0, NULL, 0);
        CHECK(at[i] != 0);
    }
    for (uint32_t i = depth; i-- > 0;) tc_draft_close(d, at[i]);
}

static void nesting_beyond_the_limit_loses_the_attribute_and_not_the_stack(void) {
    for (int type = TC_ARRAY; type <= TC_MAP; type++) {
        uint32_t limit = TC_RECORD_MAX_DEPTH / (type == TC_ARRAY ? TC_RECORD_ARRAY_DEPTH : TC_RECORD_MAP_DEPTH);
        const uint32_t depths[] = {1, limit, limit + 1, 1000, 1 << 20};
        for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
            tc_draft *d = tc_draft_take(&pool);
            put_nested(d, depths[i], (tc_item_type)type);
            CHECK(tc_draft_put_tag(d, TC_TRUE, KEY, NULL, 0));
            put(d, 0);
            CHECK(encode() == (depths[i] > limit));
            CHECK(strstr(text, " attributes{key\"key\" value{bool:1}} status{}") != NULL);
        }
    }
}

static void large_values_have_long_lengths(void) {
    static uint8_t large[70000];
    memset(large, 'x', sizeof large);
    static const uint32_t lengths[] = {100, 120, 127, 128, 16000, 16383, 16384, 70000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        tc_draft *d = tc_draft_take(&pool);
        CHECK(tc_draft_put_bytes(d, TC_STR, KEY, NULL, 0, large, lengths[i]));
        uint32_t list = tc_draft_open(d, TC_ARRAY, KEY, NULL, 0);
        CHECK(tc_draft_put_bytes(d, TC_STR, 0, NULL, 0, large, lengths[i]));
        tc_draft_close(d, list);
        put(d, 0);
        CHECK(encode() == 0);
        const char *first = strchr(text, 'x'), *second;
        CHECK(strspn(first, "x") == lengths[i]);
        second = strchr(first + lengths[i], 'x');
        CHECK(strspn(second, "x") == lengths[i] && strchr(second + lengths[i], 'x') == NULL);
    }
}

static void an_unknown_key_id_is_an_empty_key(void) {
    tc_draft *d = tc_draft_take(&pool);
    CHECK(tc_draft_put_tag(d, TC_TRUE, 0x3ffffff, NULL, 0));
    put(d, 0);
    CHECK(encode() == 0);
    expect_attributes(" attributes{key\"\" value{bool:1}}");
}

/* ---- grouping ------------------------------------------------------------------------- */

static void spans_are_grouped_by_scope_in_the_order_of_their_first(void) {
    static const uint16_t of[] = {2, 1, 2, 0, 999, 1, 2};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        tc_draft *d = tc_draft_take(&pool);
        char name = (char)('a' + i);
        CHECK(tc_draft_put_bytes(d, TC_NAME, 0, NULL, 0, (const uint8_t *)&name, 1));
        put(d, of[i]);
    }
    encode();
    char order[64], *to = order;
    for (const char *p = text; *p != '\0'; p++) {
        if (strncmp(p, "scope_spans{", 12) == 0) *to++ = '|';
        if (strncmp(p, "scope{name\"", 11) == 0) *to++ = p[11];
        if (strncmp(p, " name\"", 6) == 0) *to++ = p[6];
    }
    *to = '\0';
    CHECK(strcmp(order, "|tacg|obf|de") == 0); /* an unknown scope is none */
}

static void a_part_of_a_batch_can_be_encoded(void) {
    for (int i = 0; i < 40; i++) {
        tc_draft *d = tc_draft_take(&pool);
        tc_draft_body(d)->start_ns = 100 + (uint64_t)i;
        put(d, (uint16_t)(i % 3));
    }
    tc_batch batch;
    tc_batch_init(&batch);
    CHECK(tc_batch_take(&batch, ring, UINT32_MAX, UINT64_MAX) == TC_OK);
    tc_otlp_names n = names();
    uint64_t n_lost = 0;
    static const uint32_t parts[][2] = {{0, 0}, {0, 1}, {10, 5}, {39, 1}, {0, 40}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        tc_bytes out = {0};
        CHECK(tc_otlp_request(&out, &batch, parts[i][0], parts[i][1], &n, &n_lost) == TC_OK);
        otlp_text t = {text, 0, sizeof text};
        otlp_read(&t, REQUEST, out.data, out.data + out.n);
        uint32_t n_spans = 0;
        for (const char *p = text; (p = strstr(p, "start:")) != NULL; p++, n_spans++) {
            uint32_t which = (uint32_t)atoi(p + 6) - 100;
            CHECK(which >= parts[i][0] && which < parts[i][0] + parts[i][1]);
        }
        CHECK(n_spans == parts[i][1]);
        tc_bytes_clear(&out);
    }
    tc_batch_clear(&batch);
}

/* ---- attributes of a resource ------------------------------------------------------------- */

static void items_alone_become_key_values_and_malformed_ones_are_told(void) {
    tc_draft *d = tc_draft_take(&pool);
    for (uint64_t i = 0; i < 2; i++) {
        uint32_t at = d->length;
        CHECK(tc_draft_put_word(d, TC_INT, KEY, NULL, 0, i));
        tc_draft_settle_attribute(d, at, KEY, NO_LIMIT);
    }
    CHECK(tc_draft_put_bytes(d, TC_BIGINT, KEY, NULL, 0, b("f"), 1));
    const uint8_t *items = d->data + TC_RECORD_HEAD_BYTES;
    uint64_t n = d->length - TC_RECORD_HEAD_BYTES, n_lost = 0;
    tc_bytes out = {0};
    CHECK(tc_otlp_attributes(&out, 1, items, n, strings, &n_lost) == TC_OK && n_lost == 1);
    static const uint8_t expected[] = {0x0a, 9, 0x0a, 3, 'k', 'e', 'y', 0x12, 2, 0x18, 1};
    CHECK(out.n == sizeof expected && memcmp(out.data, expected, out.n) == 0);
    CHECK(tc_otlp_attributes(&out, 1, items, n - 1, strings, &n_lost) == TC_CORRUPT);
    CHECK(tc_otlp_attributes(&out, 1, items, 0, strings, &n_lost) == TC_OK);
    tc_bytes_clear(&out);
    faults_fail_after(0);
    CHECK(tc_otlp_attributes(&out, 1, items, n, strings, &n_lost) == TC_NO_MEMORY);
    CHECK(faults_stop());
    tc_bytes_clear(&out);
    tc_draft_give_back(&pool, d);
}

static void without_memory_there_is_no_request_and_nothing_leaks(void) {
    static const uint8_t large[5000];
    for (uint32_t i = 0; i < 40; i++) { /* more scopes than a first table of groups holds */
        char scope[] = "\x0a\x05\x0a\x03-00";
        scope[5] = (char)('0' + i / 10);
        scope[6] = (char)('0' + i % 10);
        tc_draft *d = tc_draft_take(&pool);
        CHECK(tc_draft_put_bytes(d, TC_STR, KEY, NULL, 0, large, sizeof large));
        put_nested(d, 3, TC_MAP);
        put(d, (uint16_t)intern(scopes, scope));
    }
    tc_batch batch;
    tc_batch_init(&batch);
    CHECK(tc_batch_take(&batch, ring, UINT32_MAX, UINT64_MAX) == TC_OK);
    tc_otlp_names n = names();
    long held = faults_n_held();
    for (long which = 0;; which++) {
        tc_bytes out = {0};
        uint64_t n_lost = 0;
        faults_fail_after(which);
        tc_status status = tc_otlp_request(&out, &batch, 0, batch.n, &n, &n_lost);
        bool failed = faults_stop();
        CHECK(status == (failed ? TC_NO_MEMORY : TC_OK) && n_lost == 0);
        tc_bytes_clear(&out);
        CHECK(faults_n_held() == held);
        if (!failed) {
            CHECK(which >= 8);
            break;
        }
    }
    tc_batch_clear(&batch);
}

/* ---- the span path goes on while the worker encodes ------------------------------------------ */

static _Atomic bool is_over;

static void *intern_on(void *arg) {
    (void)arg;
    char scope[8];
    for (int i = 0; !atomic_load_explicit(&is_over, memory_order_relaxed); i++) {
        snprintf(scope, sizeof scope, "%d", i % 5000);
        intern(scopes, scope);
        intern(strings, scope);
    }
    return NULL;
}

static void scopes_and_keys_may_be_added_while_a_batch_is_encoded(void) {
    for (int i = 0; i < 50; i++) {
        tc_draft *d = tc_draft_take(&pool);
        CHECK(tc_draft_put_tag(d, TC_TRUE, KEY, NULL, 0));
        put(d, (uint16_t)(i % 3));
    }
    tc_batch batch;
    tc_batch_init(&batch);
    CHECK(tc_batch_take(&batch, ring, UINT32_MAX, UINT64_MAX) == TC_OK);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, intern_on, NULL) == 0);
    tc_otlp_names n = names();
    for (int i = 0; i < 500; i++) {
        tc_bytes out = {0};
        uint64_t n_lost = 0;
        CHECK(tc_otlp_request(&out, &batch, 0, batch.n, &n, &n_lost) == TC_OK);
        tc_bytes_clear(&out);
    }
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    CHECK(pthread_join(thread, NULL) == 0);
    tc_batch_clear(&batch);
}

int main(void) {
    set_up();
    a_span_with_everything_fills_every_field();
    a_name_that_is_not_interned_is_an_item();
    the_simplest_span_has_these_bytes();
    each_value_has_its_field();
    values_nest();
    what_protobuf_cannot_hold_is_lost_alone_and_counted();
    nesting_beyond_the_limit_loses_the_attribute_and_not_the_stack();
    large_values_have_long_lengths();
    an_unknown_key_id_is_an_empty_key();
    spans_are_grouped_by_scope_in_the_order_of_their_first();
    a_part_of_a_batch_can_be_encoded();
    items_alone_become_key_values_and_malformed_ones_are_told();
    scopes_and_keys_may_be_added_while_a_batch_is_encoded();
    without_memory_there_is_no_request_and_nothing_leaks();
    tear_down();
    CHECK(faults_n_held() == 0);
    return 0;
}
