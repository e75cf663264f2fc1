/* tc_record: drafts, their limits, and reading items back. */
#include "check.h"
#include "faults.h"
#include "tc_record.h"

#define NO_LIMIT UINT32_MAX

#if defined(__SANITIZE_THREAD__) /* ten times slower, and there is but one thread */
#define MANY 10000u
#else
#define MANY 100000u
#endif

static tc_draft_pool pool;

static const uint8_t *b(const char *text) { return (const uint8_t *)text; }

static void set_int(tc_draft *d, uint32_t key_id, uint64_t value, uint32_t limit) {
    uint32_t at = d->length;
    CHECK(tc_draft_put_word(d, TC_INT, key_id, NULL, 0, value));
    tc_draft_settle_attribute(d, at, key_id, limit);
}

static void set_int_inline(tc_draft *d, const char *key, uint64_t value, uint32_t limit) {
    uint32_t at = d->length;
    CHECK(tc_draft_put_word(d, TC_INT, 0, b(key), (uint32_t)strlen(key), value));
    tc_draft_settle_attribute(d, at, 0, limit);
}

/* Living items of the draft: how many, and the i-th. */
static uint32_t n_living(const tc_draft *d, tc_item *items, uint32_t room) {
    const uint8_t *at = d->data + TC_RECORD_HEAD_BYTES, *end = d->data + d->length;
    uint32_t n = 0;
    tc_item item;
    int more;
    while ((more = tc_item_next(&at, end, &item)) == 1) {
        if (item.dead) continue;
        if (n < room) items[n] = item;
        n++;
    }
    CHECK(more == 0);
    return n;
}

static bool is_int(const tc_item *item, uint32_t key_id, uint64_t value) {
    return item->type == TC_INT && item->key_id == key_id && item->key_view == NULL &&
           item->payload_length == 8 && tc_load_u64(item->payload_view) == value;
}

/* ---- the format ------------------------------------------------------------------ */

static void the_bytes_are_those_of_the_drawing(void) {
    CHECK(TC_RECORD_HEAD_BYTES == 80);
    CHECK(offsetof(tc_header, length) == 0 && offsetof(tc_header, scope) == 4 && offsetof(tc_header, type) == 6 &&
          offsetof(tc_header, flags) == 7 && offsetof(tc_header, checksum) == 8);
    CHECK(offsetof(tc_body, trace_id) == 0 && offsetof(tc_body, span_id) == 16 &&
          offsetof(tc_body, parent_span_id) == 24 && offsetof(tc_body, start_ns) == 32 &&
          offsetof(tc_body, end_ns) == 40 && offsetof(tc_body, name_id) == 48 && offsetof(tc_body, flags) == 52 &&
          offsetof(tc_body, kind) == 56 && offsetof(tc_body, status) == 57 && offsetof(tc_body, n_attributes) == 58 &&
          offsetof(tc_body, dropped_attributes) == 60);
    tc_draft *d = tc_draft_take(&pool);
    CHECK((uintptr_t)d->data % _Alignof(tc_header) == 0);
    uint32_t at = d->length;
    CHECK(tc_draft_put_bytes(d, TC_STR, 5, NULL, 0, b("GET"), 3));
    tc_draft_settle_attribute(d, at, 5, NO_LIMIT);
    at = d->length;
    CHECK(tc_draft_put_tag(d, TC_TRUE, 0, b("k"), 1));
    tc_draft_settle_attribute(d, at, 0, NO_LIMIT);
    set_int(d, 0x3ffffff, 0x0102030405060708ull, NO_LIMIT);
    tc_draft_finish(d, 0xabcd);
    static const uint8_t items[] = {
        0x45, 1, 0, 0, 3, 0, 0, 0, 'G', 'E', 'T',                   /* id 5, STR */
        0x22, 0, 0, 0, 1, 0, 0, 0, 'k',                             /* inline key, TRUE */
        0xc3, 0xff, 0xff, 0xff, 8, 7, 6, 5, 4, 3, 2, 1,             /* the largest id, INT */
    };
    CHECK(d->length == 80 + sizeof items);
    CHECK(memcmp(d->data + 80, items, sizeof items) == 0);
    static const uint8_t header[16] = {80 + sizeof items, 0, 0, 0, 0xcd, 0xab, TC_RECORD_OPEN, 0};
    CHECK(memcmp(d->data, header, 16) == 0);
    CHECK(tc_draft_body(d)->n_attributes == 3 && tc_draft_body(d)->dropped_attributes == 0);
    tc_draft_give_back(&pool, d);
}

static void an_empty_draft_is_a_head_of_zeros(void) {
    tc_draft *d = tc_draft_take(&pool);
    CHECK(d->length == TC_RECORD_HEAD_BYTES && n_living(d, NULL, 0) == 0);
    for (uint32_t i = 0; i < d->length; i++) CHECK(d->data[i] == 0);
    tc_draft_finish(d, 0);
    CHECK(tc_draft_header(d)->length == TC_RECORD_HEAD_BYTES);
    tc_draft_give_back(&pool, d);
}

static void more_attributes_than_16_bits_count_saturate(void) {
    tc_draft *d = tc_draft_take(&pool);
    d->n_attributes = UINT16_MAX + 1u;
    tc_draft_finish(d, 0);
    CHECK(tc_draft_body(d)->n_attributes == UINT16_MAX);
    tc_draft_give_back(&pool, d);
}

/* ---- attributes ------------------------------------------------------------------- */

static void an_overwritten_key_moves_to_the_end(void) {
    tc_draft *d = tc_draft_take(&pool);
    tc_item items[4];
    set_int(d, 1, 10, NO_LIMIT);
    set_int(d, 2, 20, NO_LIMIT);
    set_int(d, 65, 30, NO_LIMIT); /* the same bloom bit as 1: not the same key */
    set_int(d, 1, 11, NO_LIMIT);
    CHECK(n_living(d, items, 4) == 3 && d->n_attributes == 3 && d->dropped_attributes == 0);
    CHECK(is_int(&items[0], 2, 20) && is_int(&items[1], 65, 30) && is_int(&items[2], 1, 11));
    tc_draft_give_back(&pool, d);
}

static void inline_keys_are_compared_by_their_bytes(void) {
    tc_draft *d = tc_draft_take(&pool);
    tc_item items[5];
    set_int_inline(d, "a", 1, NO_LIMIT);
    set_int_inline(d, "ab", 2, NO_LIMIT);
    set_int(d, 7, 3, NO_LIMIT);
    set_int_inline(d, "bC", 4, NO_LIMIT); /* the same bloom bit as "ab": not the same key */
    set_int_inline(d, "a", 5, NO_LIMIT);
    CHECK(n_living(d, items, 5) == 4 && d->n_attributes == 4);
    CHECK(items[0].key_length == 2 && memcmp(items[0].key_view, "ab", 2) == 0);
    CHECK(is_int(&items[1], 7, 3));
    CHECK(items[3].key_length == 1 && items[3].key_view[0] == 'a' && tc_load_u64(items[3].payload_view) == 5);
    tc_draft_give_back(&pool, d);
}

static void at_the_limit_the_oldest_attribute_goes(void) {
    tc_draft *d = tc_draft_take(&pool);
    tc_item items[4];
    for (uint32_t id = 1; id <= 5; id++) set_int(d, id, id, 3);
    CHECK(n_living(d, items, 4) == 3 && d->n_attributes == 3 && d->dropped_attributes == 2);
    for (uint32_t i = 0; i < 3; i++) CHECK(is_int(&items[i], i + 3, i + 3));
    set_int(d, 3, 33, 3); /* overwriting at the limit drops nothing */
    CHECK(d->dropped_attributes == 2 && n_living(d, items, 4) == 3 && is_int(&items[2], 3, 33));
    set_int(d, 1, 11, 3); /* an evicted key is new again */
    CHECK(d->dropped_attributes == 3 && n_living(d, items, 4) == 3);
    CHECK(is_int(&items[0], 5, 5) && is_int(&items[1], 3, 33) && is_int(&items[2], 1, 11));
    tc_draft_finish(d, 0);
    CHECK(tc_draft_body(d)->n_attributes == 3 && tc_draft_body(d)->dropped_attributes == 3);
    tc_draft_give_back(&pool, d);
}

static void a_limit_of_zero_keeps_nothing_and_counts_all(void) {
    tc_draft *d = tc_draft_take(&pool);
    for (uint32_t i = 0; i < 1000; i++) {
        set_int(d, i % 3 + 1, i, 0);
        set_int_inline(d, "key", i, 0);
    }
    CHECK(n_living(d, NULL, 0) == 0 && d->n_attributes == 0 && d->dropped_attributes == 2000);
    CHECK(d->length < 16384);
    tc_draft_give_back(&pool, d);
}

static void one_key_set_many_times_takes_bounded_memory(void) {
    for (int is_inline = 0; is_inline < 2; is_inline++) {
        tc_draft *d = tc_draft_take(&pool);
        tc_item items[2];
        set_int(d, 9, 99, NO_LIMIT);
        for (uint32_t i = 0; i < MANY; i++) {
            if (is_inline) set_int_inline(d, "hot", i, NO_LIMIT);
            else set_int(d, 5, i, NO_LIMIT);
            CHECK(d->length < 8400 && d->capacity <= 10240);
        }
        CHECK(n_living(d, items, 2) == 2 && is_int(&items[0], 9, 99));
        CHECK(tc_load_u64(items[1].payload_view) == MANY - 1);
        tc_draft_give_back(&pool, d);
    }
}

static void the_oldest_evicted_many_times_takes_bounded_memory(void) {
    tc_draft *d = tc_draft_take(&pool);
    tc_item items[128];
    for (uint32_t i = 0; i < MANY; i++) {
        set_int(d, i + 1, i, 128);
        CHECK(d->length < 12000);
    }
    CHECK(n_living(d, items, 128) == 128 && d->dropped_attributes == MANY - 128);
    for (uint32_t i = 0; i < 128; i++) CHECK(is_int(&items[i], MANY - 127 + i, MANY - 128 + i));
    tc_draft_give_back(&pool, d);
}

/* Random keys and sizes against the simplest model there is: the last value of
 * each key, and when it was set. */
static void random_overwrites_leave_the_last_value_of_each_key_in_order(void) {
    static uint8_t filler[512];
    uint64_t state = 1;
    for (int round = 0; round < 20; round++) {
        tc_draft *d = tc_draft_take(&pool);
        struct { uint32_t at, n; uint8_t byte; } last[16] = {{0}};
        for (uint32_t i = 1; i <= 3000; i++) {
            uint64_t r = check_random(&state);
            uint32_t key = r & 15, n = (uint32_t)(r >> 8) % sizeof filler, at = d->length;
            uint8_t byte = (uint8_t)(r >> 32);
            memset(filler, byte, n);
            char text[8] = "inline?";
            text[6] = (char)key;
            if (key & 1) CHECK(tc_draft_put_bytes(d, TC_BYTES, 0, b(text), 7, filler, n));
            else CHECK(tc_draft_put_bytes(d, TC_STR, key + 100, NULL, 0, filler, n));
            tc_draft_settle_attribute(d, at, key & 1 ? 0 : key + 100, NO_LIMIT);
            last[key].at = i;
            last[key].n = n;
            last[key].byte = byte;
        }
        tc_item items[16];
        uint32_t n = n_living(d, items, 16), before = 0;
        CHECK(n == 16 && d->n_attributes == 16);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t key = items[i].key_view != NULL ? items[i].key_view[6] : items[i].key_id - 100;
            CHECK(last[key].at > before);
            before = last[key].at;
            CHECK(items[i].payload_length == last[key].n);
            for (uint32_t j = 0; j < last[key].n; j++) CHECK(items[i].payload_view[j] == last[key].byte);
        }
        tc_draft_give_back(&pool, d);
    }
}

/* ---- events, links, nesting --------------------------------------------------------- */

static void put_event(tc_draft *d, const char *name, uint64_t time, uint32_t limit) {
    uint32_t content = tc_draft_open(d, TC_EVENT, 0, b(name), (uint32_t)strlen(name));
    uint8_t *head = tc_draft_reserve(d, TC_EVENT_HEAD_BYTES);
    CHECK(content != 0 && head != NULL);
    tc_store_u64(head, time);
    tc_store_u32(head + 8, 0);
    CHECK(tc_draft_put_word(d, TC_INT, 3, NULL, 0, time));
    tc_draft_close(d, content);
    tc_draft_settle_event(d, limit);
}

static void put_link(tc_draft *d, uint8_t byte, uint32_t limit) {
    uint32_t content = tc_draft_open(d, TC_LINK, 0, NULL, 0);
    uint8_t *head = tc_draft_reserve(d, TC_LINK_HEAD_BYTES);
    CHECK(content != 0 && head != NULL);
    memset(head, byte, TC_LINK_HEAD_BYTES);
    tc_draft_close(d, content);
    tc_draft_settle_link(d, limit);
}

static void events_and_links_have_limits_of_their_own(void) {
    tc_draft *d = tc_draft_take(&pool);
    tc_item items[8];
    for (uint8_t i = 0; i < 5; i++) {
        put_event(d, "event", i, 2);
        put_link(d, i, 3);
        set_int(d, i + 1u, i, 1);
    }
    CHECK(n_living(d, items, 8) == 6);
    CHECK(d->n_events == 2 && d->dropped_events == 3 && d->n_links == 3 && d->dropped_links == 2);
    CHECK(items[0].type == TC_LINK && items[0].payload_view[0] == 2);
    CHECK(items[1].type == TC_EVENT && tc_load_u64(items[1].payload_view) == 3);
    CHECK(items[1].payload_length == TC_EVENT_HEAD_BYTES + 12);
    CHECK(items[5].type == TC_INT);
    tc_draft_finish(d, 1);
    CHECK(n_living(d, items, 8) == 7);
    CHECK(items[6].type == TC_EXTRA && items[6].key_id == TC_EXTRA_DROPPED && items[6].payload_length == 8);
    CHECK(tc_load_u32(items[6].payload_view) == 3 && tc_load_u32(items[6].payload_view + 4) == 2);
    tc_draft_give_back(&pool, d);
}

static void an_event_limit_of_zero_keeps_none_and_stays_small(void) {
    tc_draft *d = tc_draft_take(&pool);
    for (uint32_t i = 0; i < MANY / 10; i++) {
        put_event(d, "event", 1, 0);
        put_link(d, 1, 0);
    }
    CHECK(n_living(d, NULL, 0) == 0 && d->dropped_events == MANY / 10 && d->dropped_links == MANY / 10);
    CHECK(d->n_events == 0 && d->n_links == 0 && d->length < 16384);
    tc_draft_give_back(&pool, d);
}

static void nested_items_know_their_length(void) {
    tc_draft *d = tc_draft_take(&pool);
    uint32_t at = d->length;
    uint32_t map = tc_draft_open(d, TC_MAP, 4, NULL, 0);
    uint32_t list = tc_draft_open(d, TC_ARRAY, 0, b("list"), 4);
    CHECK(tc_draft_put_word(d, TC_INT, 0, NULL, 0, 1));
    CHECK(tc_draft_put_tag(d, TC_NULL, 0, NULL, 0));
    tc_draft_close(d, list);
    uint32_t empty = tc_draft_open(d, TC_ARRAY, 8, NULL, 0);
    tc_draft_close(d, empty);
    tc_draft_close(d, map);
    tc_draft_settle_attribute(d, at, 4, NO_LIMIT);
    tc_item item, inner, leaf;
    CHECK(n_living(d, &item, 1) == 1 && item.type == TC_MAP && item.key_id == 4);
    const uint8_t *p = item.payload_view, *end = p + item.payload_length;
    CHECK(tc_item_next(&p, end, &inner) == 1 && inner.type == TC_ARRAY && memcmp(inner.key_view, "list", 4) == 0);
    const uint8_t *q = inner.payload_view;
    CHECK(tc_item_next(&q, q + inner.payload_length, &leaf) == 1 && leaf.type == TC_INT);
    CHECK(tc_item_next(&q, inner.payload_view + inner.payload_length, &leaf) == 1 && leaf.type == TC_NULL);
    CHECK(tc_item_next(&q, inner.payload_view + inner.payload_length, &leaf) == 0);
    CHECK(tc_item_next(&p, end, &inner) == 1 && inner.key_id == 8 && inner.payload_length == 0);
    CHECK(tc_item_next(&p, end, &inner) == 0 && p == end);
    tc_draft_give_back(&pool, d);
}

static void a_value_written_aside_is_appended_whole_or_not_at_all(void) {
    tc_draft *d = tc_draft_take(&pool), *aside = tc_draft_take(&pool);
    tc_item items[4];
    set_int(d, 1, 1, NO_LIMIT);
    CHECK(tc_draft_append(d, aside)); /* nothing */
    CHECK(n_living(d, items, 4) == 1);
    for (uint32_t i = 0; i < 100; i++) CHECK(tc_draft_put_word(aside, TC_INT, 2, NULL, 0, i));
    uint32_t before = d->length;
    faults_fail_after(0);
    CHECK(!tc_draft_append(d, aside));
    CHECK(faults_stop() && d->length == before);
    CHECK(tc_draft_append(d, aside));
    CHECK(n_living(d, items, 4) == 101 && is_int(&items[0], 1, 1) && is_int(&items[1], 2, 0));
    CHECK(aside->length == TC_RECORD_HEAD_BYTES + 100 * 12);
    tc_draft_finish(d, 0);
    before = d->length;
    CHECK(!tc_draft_append(d, aside) && d->length == before);
    tc_draft_give_back(&pool, d);
    d = tc_draft_take(&pool);
    CHECK(tc_draft_append(d, aside)); /* a draft taken again is not finished */
    tc_draft_give_back(&pool, d);
    tc_draft_give_back(&pool, aside);
}

/* ---- room ------------------------------------------------------------------------------ */

static void a_draft_grows_beyond_its_inline_bytes_and_keeps_its_content(void) {
    tc_draft *d = tc_draft_take(&pool);
    memset(tc_draft_body(d)->trace_id, 0xaa, 16);
    tc_item items[100];
    for (uint32_t id = 1; id <= 46; id++) set_int(d, id, id, NO_LIMIT);
    CHECK(d->data == d->inline_bytes && d->length == 80 + 46 * 12);
    for (uint32_t id = 47; id <= 100; id++) set_int(d, id, id, NO_LIMIT);
    CHECK(d->data != d->inline_bytes && d->capacity == 2 * TC_DRAFT_INLINE_BYTES);
    CHECK(n_living(d, items, 100) == 100);
    for (uint32_t i = 0; i < 100; i++) CHECK(is_int(&items[i], i + 1, i + 1));
    CHECK(tc_draft_body(d)->trace_id[15] == 0xaa);
    tc_draft_give_back(&pool, d);
    d = tc_draft_take(&pool); /* the same one, as new */
    CHECK(d->data == d->inline_bytes && d->length == TC_RECORD_HEAD_BYTES && d->data[TC_RECORD_HEAD_BYTES - 1] == 0);
    CHECK(tc_draft_body(d)->trace_id[15] == 0 && d->n_attributes == 0 && d->key_bloom == 0);
    tc_draft_give_back(&pool, d);
}

static void a_draft_takes_its_maximum_and_not_a_byte_more(void) {
    tc_draft *d = tc_draft_take(&pool);
    uint8_t *large = calloc(1, TC_DRAFT_MAX_BYTES);
    uint32_t before = d->length;
    CHECK(!tc_draft_put_bytes(d, TC_STR, 1, NULL, 0, large, (uint64_t)TC_DRAFT_MAX_BYTES + 1));
    CHECK(!tc_draft_put_bytes(d, TC_STR, 1, NULL, 0, large, UINT64_MAX));
    CHECK(!tc_draft_put_tag(d, TC_TRUE, 0, large, TC_DRAFT_MAX_BYTES + 1));
    CHECK(!tc_draft_put_tag(d, TC_TRUE, 0, large, UINT32_MAX));
    CHECK(d->length == before);
    CHECK(!tc_draft_put_bytes(d, TC_STR, 1, NULL, 0, large, TC_DRAFT_MAX_BYTES - before - 8 + 1));
    d->length = before;
    CHECK(tc_draft_put_bytes(d, TC_STR, 1, NULL, 0, large, TC_DRAFT_MAX_BYTES - before - 8));
    CHECK(d->length == TC_DRAFT_MAX_BYTES);
    CHECK(!tc_draft_put_tag(d, TC_TRUE, 2, NULL, 0));
    CHECK(d->length == TC_DRAFT_MAX_BYTES);
    CHECK(tc_draft_open(d, TC_ARRAY, 2, NULL, 0) == 0);
    tc_draft_give_back(&pool, d);
    free(large);
}

/* Grows twice: inline to malloc'd to realloc'd. False when anything was refused,
 * after putting `length` back as the header asks. */
static bool put_much(tc_draft *d) {
    static const uint8_t bytes[400];
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t before = d->length;
        bool put = i & 1 ? tc_draft_put_bytes(d, TC_BYTES, i + 1, NULL, 0, bytes, sizeof bytes)
                         : tc_draft_put_bytes(d, TC_BYTES, 0, bytes, sizeof bytes, bytes, 3);
        if (!put) {
            d->length = before;
            return false;
        }
        tc_draft_settle_attribute(d, before, i & 1 ? i + 1 : 0, NO_LIMIT);
        uint32_t open_at = d->length;
        uint32_t content = tc_draft_open(d, TC_MAP, 60 + i, NULL, 0);
        if (content == 0) {
            d->length = open_at;
            return false;
        }
        tc_draft_close(d, content);
        tc_draft_settle_attribute(d, open_at, 60 + i, NO_LIMIT);
    }
    return true;
}

static void without_memory_an_attribute_is_refused_and_the_draft_stays_whole(void) {
    tc_draft_pool_clear(&pool);
    long held = faults_n_held();
    for (long n = 0;; n++) {
        faults_fail_after(n);
        tc_draft *d = tc_draft_take(&pool);
        bool whole = d != NULL && put_much(d);
        bool failed = faults_stop();
        CHECK(whole == !failed);
        if (d != NULL) {
            CHECK(n_living(d, NULL, 0) == d->n_attributes);
            set_int(d, 1000, 1, NO_LIMIT);
            tc_draft_finish(d, 0);
            CHECK(tc_draft_header(d)->length == d->length);
            tc_draft_give_back(&pool, d);
        }
        tc_draft_pool_clear(&pool);
        CHECK(faults_n_held() == held);
        if (!failed) {
            CHECK(n >= 3); /* the draft, its first buffer, a larger one */
            return;
        }
    }
}

static void without_memory_for_the_dropped_counts_the_record_is_still_whole(void) {
    tc_draft *d = tc_draft_take(&pool);
    put_event(d, "e", 1, 0);
    while (d->capacity - d->length >= 4) CHECK(tc_draft_put_tag(d, TC_TRUE, 1, NULL, 0));
    faults_fail_after(0);
    tc_draft_finish(d, 0);
    CHECK(faults_stop());
    CHECK(tc_draft_header(d)->length == d->length && d->data == d->inline_bytes);
    CHECK(n_living(d, NULL, 0) > 0);
    tc_draft_give_back(&pool, d);
}

static void a_pool_keeps_only_so_many_drafts(void) {
    tc_draft_pool_clear(&pool);
    long held = faults_n_held();
    tc_draft *drafts[TC_DRAFT_POOL_MAX + 10];
    for (uint32_t i = 0; i < TC_DRAFT_POOL_MAX + 10; i++) {
        drafts[i] = tc_draft_take(&pool);
        for (uint32_t id = 1; id < 100; id++) set_int(drafts[i], id, 1, NO_LIMIT); /* a buffer of its own */
    }
    for (uint32_t i = 0; i < TC_DRAFT_POOL_MAX + 10; i++) tc_draft_give_back(&pool, drafts[i]);
    CHECK(pool.n == TC_DRAFT_POOL_MAX && faults_n_held() == held + TC_DRAFT_POOL_MAX);
    tc_draft_pool_clear(&pool);
    CHECK(pool.n == 0 && pool.first == NULL && faults_n_held() == held);
}

/* ---- bytes that no writer of ours makes ---------------------------------------------------- */

/* Walks n bytes in a block of exactly that size, nested items too: the address
 * sanitizer sees a byte read beyond. */
static void walk(const uint8_t *at, const uint8_t *end, int depth) {
    tc_item item;
    for (;;) {
        const uint8_t *before = at;
        int more = tc_item_next(&at, end, &item);
        if (more != 1) {
            CHECK(at == before);
            CHECK(more == -1 || (more == 0 && at == end));
            return;
        }
        CHECK(at > before && at <= end);
        CHECK(item.payload_view >= before && item.payload_view + item.payload_length == at);
        if (item.key_view != NULL) CHECK(item.key_view >= before && item.key_view + item.key_length <= item.payload_view);
        if (item.type == TC_EVENT) CHECK(item.payload_length >= TC_EVENT_HEAD_BYTES);
        if (item.type == TC_LINK) CHECK(item.payload_length >= TC_LINK_HEAD_BYTES);
        if ((item.type == TC_ARRAY || item.type == TC_MAP) && depth < 64)
            walk(item.payload_view, item.payload_view + item.payload_length, depth + 1);
    }
}

static void walk_copy(const uint8_t *bytes, size_t n) {
    uint8_t *copy = malloc(n != 0 ? n : 1);
    memcpy(copy, bytes, n);
    walk(copy, copy + n, 0);
    free(copy);
}

static void a_truncated_record_ends_at_an_item_or_is_malformed(void) {
    tc_draft *d = tc_draft_take(&pool);
    bool is_boundary[1024] = {false};
    is_boundary[0] = true;
    const uint32_t start = TC_RECORD_HEAD_BYTES;
    set_int(d, 1, 1, NO_LIMIT);
    is_boundary[d->length - start] = true;
    set_int_inline(d, "a key", 1, NO_LIMIT);
    is_boundary[d->length - start] = true;
    put_event(d, "an event", 1, NO_LIMIT);
    is_boundary[d->length - start] = true;
    put_link(d, 1, NO_LIMIT);
    is_boundary[d->length - start] = true;
    CHECK(tc_draft_put_bytes(d, TC_BIGINT, 2, NULL, 0, b("-ffff"), 5));
    is_boundary[d->length - start] = true;
    CHECK(tc_draft_put_bytes(d, TC_EXTRA, TC_EXTRA_TRACE_STATE, NULL, 0, b("k=v"), 3));
    for (uint32_t n = 0; n < d->length - start; n++) {
        uint8_t *copy = malloc(n != 0 ? n : 1);
        memcpy(copy, d->data + start, n);
        const uint8_t *at = copy;
        tc_item item;
        int more;
        while ((more = tc_item_next(&at, copy + n, &item)) == 1) {}
        CHECK(more == (is_boundary[n] ? 0 : -1));
        CHECK(is_boundary[at - copy]); /* unchanged by what could not be read */
        free(copy);
    }
    tc_draft_give_back(&pool, d);
}

static void an_event_or_link_too_short_for_its_head_is_malformed(void) {
    for (uint32_t n = 0; n < 40; n++) {
        uint8_t bytes[48] = {TC_EVENT};
        tc_store_u32(bytes + 4, n);
        const uint8_t *at = bytes;
        tc_item item;
        CHECK(tc_item_next(&at, bytes + 8 + n, &item) == (n < TC_EVENT_HEAD_BYTES ? -1 : 1));
        bytes[0] = TC_LINK;
        at = bytes;
        CHECK(tc_item_next(&at, bytes + 8 + n, &item) == (n < TC_LINK_HEAD_BYTES ? -1 : 1));
    }
}

static void random_bytes_are_never_read_beyond_their_end(void) {
    uint64_t state = 7;
    uint8_t bytes[96];
    for (uint32_t i = 0; i < MANY; i++) {
        size_t n = check_random(&state) % sizeof bytes;
        for (size_t j = 0; j < n; j++) {
            uint64_t r = check_random(&state);
            bytes[j] = r & 0x300 ? (uint8_t)r & 0x3f : (uint8_t)r;
            if (r & 0x3000) bytes[j] = (uint8_t)(bytes[j] & 15); /* lengths that often fit */
        }
        walk_copy(bytes, n);
    }
}

int main(void) {
    the_bytes_are_those_of_the_drawing();
    an_empty_draft_is_a_head_of_zeros();
    more_attributes_than_16_bits_count_saturate();
    an_overwritten_key_moves_to_the_end();
    inline_keys_are_compared_by_their_bytes();
    at_the_limit_the_oldest_attribute_goes();
    a_limit_of_zero_keeps_nothing_and_counts_all();
    one_key_set_many_times_takes_bounded_memory();
    the_oldest_evicted_many_times_takes_bounded_memory();
    random_overwrites_leave_the_last_value_of_each_key_in_order();
    events_and_links_have_limits_of_their_own();
    an_event_limit_of_zero_keeps_none_and_stays_small();
    nested_items_know_their_length();
    a_value_written_aside_is_appended_whole_or_not_at_all();
    a_draft_grows_beyond_its_inline_bytes_and_keeps_its_content();
    a_draft_takes_its_maximum_and_not_a_byte_more();
    without_memory_an_attribute_is_refused_and_the_draft_stays_whole();
    without_memory_for_the_dropped_counts_the_record_is_still_whole();
    a_pool_keeps_only_so_many_drafts();
    a_truncated_record_ends_at_an_item_or_is_malformed();
    an_event_or_link_too_short_for_its_head_is_malformed();
    random_bytes_are_never_read_beyond_their_end();
    tc_draft_pool_clear(&pool);
    CHECK(faults_n_held() == 0);
    return 0;
}
