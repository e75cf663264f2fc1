/* fuzz_record: arbitrary bytes as the items of a record, for the walk and for the encoders.
 *
 * None may read beyond the bytes, run down the stack or hang; what the encoder writes
 * must be well-formed OTLP whatever it read, and have a well-formed JSON. The same
 * bytes go to the JSON encoder as if they were a request. All of it again after the
 * rules that change records and take them out. Driven by libFuzzer (make fuzz)
 * or by replay_corpus.
 */
#include "check.h"
#include "json_text.h"
#include "otlp_text.h"
#include "tc_drop.h"
#include "tc_fold.h"
#include "tc_otlp.h"
#include "tc_otlp_json.h"
#include "tc_record.h"
#include "tc_redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT_BYTES (1u << 20)

static void walk(const uint8_t *at, const uint8_t *end, uint32_t depth) {
    tc_item item;
    const uint8_t *before = at;
    while (tc_item_next(&at, end, &item) == 1) {
        CHECK(at > before && at <= end && item.payload_view + item.payload_length == at);
        before = at;
        if (depth == TC_RECORD_MAX_DEPTH) continue;
        uint32_t head = item.type == TC_EVENT ? TC_EVENT_HEAD_BYTES : item.type == TC_LINK ? TC_LINK_HEAD_BYTES : 0;
        if (item.type >= TC_ARRAY && item.type <= TC_LINK) walk(item.payload_view + head, at, depth + 1);
    }
    CHECK(at == before);
}

static void check_well_formed(tc_bytes *out, otlp_message message) {
    otlp_text nowhere = {NULL, 0, 0};
    CHECK(!out->failed);
    if (out->n != 0) otlp_read(&nowhere, message, out->data, out->data + out->n);
    tc_bytes_clear(out);
}

static const uint8_t *b8(const char *s) { return (const uint8_t *)s; }

/* Every action, on keys that mutations of the corpus are likely to have. */
static void redact(tc_batch *batch, const tc_strings *strings) {
    tc_redact r;
    tc_regex_fault fault;
    tc_redact_init(&r);
    r.names = true;
    CHECK(tc_redact_add(&r, TC_REDACT_DROP, NULL, 0, 0, NULL, 0, &fault));
    CHECK(tc_redact_add_keys(&r, TC_REGEX, b8("[x-z]"), 5, 0, &fault));
    CHECK(tc_redact_add(&r, TC_REDACT_RENAME, NULL, 0, 0, b8("key"), 3, &fault));
    r.rules[1].key_id = 1;
    CHECK(tc_redact_add_keys(&r, TC_GLOB, b8("?"), 1, 0, &fault));
    CHECK(tc_redact_add(&r, TC_REDACT_HASH, NULL, 0, 0, NULL, 0, &fault));
    CHECK(tc_redact_add_keys(&r, TC_GLOB, b8("k*"), 2, 0, &fault));
    CHECK(tc_redact_add(&r, TC_REDACT_TRUNCATE, NULL, 0, 0, NULL, 0, &fault));
    CHECK(tc_redact_add_keys(&r, TC_REGEX, b8("[a-m]"), 5, 0, &fault));
    r.rules[3].n_characters = 1;
    CHECK(tc_redact_add(&r, TC_REDACT_REPLACE, b8("[a-m0-9]+"), 9, 0, b8("#"), 1, &fault));
    tc_redact_batch(&r, batch, strings);
    CHECK(batch->n == 3);
    tc_redact_clear(&r);
}

static void drop(tc_batch *batch, const tc_strings *strings, const tc_strings *scopes) {
    tc_drop d;
    tc_regex_fault fault;
    tc_drop_init(&d);
    CHECK(tc_drop_add(&d, 0x55, 0xff, UINT64_MAX, &fault));
    CHECK(tc_drop_add_name(&d, TC_GLOB, b8("*"), 1, 0, &fault) && tc_drop_add_scope(&d, TC_GLOB, b8("*"), 1, 0, &fault));
    CHECK(tc_drop_add_attribute(&d, TC_GLOB, b8("*"), 1, 0, TC_REGEX, b8("[a-m]"), 5, 0, &fault));
    uint32_t n = batch->n;
    n -= tc_drop_batch(&d, batch, strings, scopes);
    CHECK(batch->n == n);
    tc_drop_clear(&d);
}

static void fold(tc_batch *batch, const tc_strings *strings) {
    tc_fold f = {.threshold = 1, .hold_ns = 1, .max_bytes = 1 << 20, .max_groups = 2, .max_parents = 2, .by_all_attributes = true};
    CHECK(tc_fold_open(&f) == TC_OK);
    uint32_t n = batch->n;
    for (uint32_t i = 0; i < n; i++) { /* each twice, with a parent */
        tc_header *header = (tc_header *)(void *)tc_batch_record(batch, i);
        header->flags |= TC_HAS_PARENT;
        ((tc_body *)(void *)(header + 1))->flags |= 1;
        CHECK(tc_batch_append(batch, tc_batch_record_view(batch, i)) == TC_OK);
    }
    tc_fold_batch(&f, batch, strings, 1);
    CHECK(batch->n + f.n_held + f.n_folded == 2 * n);
    CHECK(tc_fold_release(&f, batch, UINT64_MAX) == TC_OK && batch->n + f.n_folded == 2 * n);
    tc_fold_clear(&f);
}

/* A batch of three records: the items with a head of zeros, the same with a head
 * made of the input too, and one that must not suffer from its neighbours. */
static void encode(const uint8_t *data, size_t size, const tc_otlp_names *names) {
    tc_ring *ring = tc_ring_new(TC_RING_MIN_BYTES);
    tc_batch batch;
    tc_batch_init(&batch);
    uint32_t length = (uint32_t)(TC_RECORD_HEAD_BYTES + size);
    for (int which = 0; which < 3; which++) {
        uint8_t *record = calloc(1, length); /* of exactly its size */
        if (which == 1)
            for (uint32_t i = 0; i < TC_RECORD_HEAD_BYTES && size != 0; i++) record[i] = data[i % size];
        tc_header header;
        memcpy(&header, record, sizeof header);
        header.length = which == 2 ? TC_RECORD_HEAD_BYTES : length;
        header.type = TC_RECORD_OPEN;
        memcpy(record, &header, sizeof header);
        if (size != 0) memcpy(record + TC_RECORD_HEAD_BYTES, data, size);
        CHECK(tc_ring_put_spsc(ring, record) == TC_OK);
        free(record);
        CHECK(tc_batch_take(&batch, ring, 1, 0) == TC_OK && batch.n == (uint32_t)which + 1);
    }
    tc_bytes out = {0};
    uint64_t n_lost = 0;
    CHECK(tc_otlp_request(&out, &batch, 0, batch.n, names, &n_lost) == TC_OK);
    tc_bytes json = {0};
    CHECK(tc_otlp_json(&json, out.data, out.n) == TC_OK);
    json_check(json.data, json.n);
    tc_bytes_clear(&json);
    check_well_formed(&out, REQUEST);
    redact(&batch, names->strings);
    CHECK(tc_otlp_request(&out, &batch, 0, batch.n, names, &n_lost) == TC_OK);
    check_well_formed(&out, REQUEST);
    fold(&batch, names->strings);
    CHECK(tc_otlp_request(&out, &batch, 0, batch.n, names, &n_lost) == TC_OK);
    check_well_formed(&out, REQUEST);
    drop(&batch, names->strings, names->scopes);
    CHECK(tc_otlp_request(&out, &batch, 0, batch.n, names, &n_lost) == TC_OK);
    check_well_formed(&out, REQUEST);
    tc_batch_clear(&batch);
    tc_ring_free(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > MAX_INPUT_BYTES) return 0;
    tc_strings *strings = tc_strings_new(256), *scopes = tc_strings_new(256);
    tc_strings_intern(strings, (const uint8_t *)"key", 3, UINT32_MAX);
    tc_strings_intern(scopes, (const uint8_t *)"\x0a\x05\x0a\x03one", 7, UINT32_MAX);
    tc_otlp_names names = {strings, scopes, (const uint8_t *)"\x0a\x00", 2};

    walk(data, data + size, 0);
    encode(data, size, &names);
    tc_bytes out = {0};
    uint64_t n_lost = 0;
    tc_status status = tc_otlp_attributes(&out, 1, data, size, strings, &n_lost);
    CHECK(status == TC_OK || status == TC_CORRUPT);
    check_well_formed(&out, RESOURCE);
    status = tc_otlp_json(&out, data, size);
    CHECK(status == TC_OK || status == TC_CORRUPT);
    if (status == TC_OK) json_check(out.data, out.n);
    tc_bytes_clear(&out);

    tc_strings_free(strings);
    tc_strings_free(scopes);
    return 0;
}
