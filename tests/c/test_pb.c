/* tc_pb: protobuf's wire format, with minimal lengths, without memory too. */
#include "check.h"
#include "faults.h"
#include "tc_pb.h"

static bool is(const tc_bytes *b, const void *expected, uint64_t n) {
    return !b->failed && b->n == n && memcmp(b->data, expected, n) == 0;
}

static void varints_are_those_of_the_specification(void) {
    static const struct { uint64_t value; uint32_t n; uint8_t bytes[10]; } cases[] = {
        {0, 1, {0}},
        {1, 1, {1}},
        {127, 1, {0x7f}},
        {128, 2, {0x80, 1}},
        {150, 2, {0x96, 1}},
        {16383, 2, {0xff, 0x7f}},
        {16384, 3, {0x80, 0x80, 1}},
        {UINT32_MAX, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
        {1ull << 63, 10, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}},
        {UINT64_MAX, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[TC_PB_MAX_VARINT];
        CHECK(tc_pb_varint_bytes(cases[i].value) == cases[i].n);
        CHECK(tc_pb_varint_at(bytes, cases[i].value) == bytes + cases[i].n);
        CHECK(memcmp(bytes, cases[i].bytes, cases[i].n) == 0);
    }
    for (int bit = 0; bit < 64; bit++) {
        uint8_t bytes[TC_PB_MAX_VARINT];
        uint64_t v = 1ull << bit;
        CHECK(tc_pb_varint_bytes(v) == (uint32_t)bit / 7 + 1 && tc_pb_varint_bytes(v - 1) <= (uint32_t)bit / 7 + 1);
        CHECK(tc_pb_varint_at(bytes, v) - bytes == bit / 7 + 1);
    }
}

static void each_kind_of_field_has_its_wire_type(void) {
    tc_bytes b = {0};
    tc_pb_varint(&b, 1, 150);
    tc_pb_varint(&b, 16, 0);
    tc_pb_fixed64(&b, 7, 0x0102030405060708ull);
    tc_pb_fixed32(&b, 2047, 0x01020304);
    tc_pb_bytes(&b, 2, (const uint8_t *)"testing", 7);
    tc_pb_bytes(&b, 15, NULL, 0);
    tc_pb_raw(&b, (const uint8_t *)"raw", 3);
    tc_pb_raw(&b, NULL, 0);
    static const uint8_t expected[] = {
        0x08, 0x96, 1, 0x80, 1, 0, 0x39, 8, 7, 6, 5, 4, 3, 2, 1, 0xfd, 0x7f, 4, 3, 2, 1,
        0x12, 7, 't', 'e', 's', 't', 'i', 'n', 'g', 0x7a, 0, 'r', 'a', 'w',
    };
    CHECK(is(&b, expected, sizeof expected));
    tc_bytes_clear(&b);
    CHECK(b.data == NULL && b.n == 0 && b.capacity == 0 && !b.failed);
    tc_bytes_clear(&b);
}

/* What open and close write, written the plain way. */
static uint64_t plain(uint8_t *to, uint32_t field, const uint8_t *content, uint64_t n) {
    uint8_t *p = tc_pb_varint_at(tc_pb_tag_at(to, field, TC_PB_LENGTH), n);
    memcpy(p, content, n);
    return (uint64_t)(p - to) + n;
}

static void any_guess_of_a_length_comes_out_minimal(void) {
    static const uint64_t lengths[] = {0, 1, 127, 128, 129, 16383, 16384, 16385, 2097151, 2097152};
    static uint8_t content[2097152], expected[2097152 + 16];
    for (size_t i = 0; i < sizeof content; i++) content[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (uint32_t guess = 1; guess <= TC_PB_MAX_VARINT; guess++) {
            if (lengths[i] > 100000 && guess > 4 && guess < TC_PB_MAX_VARINT) continue;
            tc_bytes b = {0};
            uint64_t at = tc_pb_open(&b, 2047, guess);
            tc_pb_raw(&b, content, lengths[i]);
            tc_pb_close(&b, at, guess);
            tc_pb_varint(&b, 1, 1); /* what follows is where it belongs */
            uint64_t n = plain(expected, 2047, content, lengths[i]);
            expected[n++] = 0x08;
            expected[n++] = 1;
            CHECK(is(&b, expected, n));
            tc_bytes_clear(&b);
        }
    }
}

static void messages_nest(void) {
    enum { DEPTH = 200 };
    tc_bytes b = {0};
    uint64_t at[DEPTH];
    for (int i = 0; i < DEPTH; i++) at[i] = tc_pb_open(&b, 1 + (uint32_t)i % 20, 1 + (uint32_t)i % 3);
    tc_pb_varint(&b, 5, 77);
    for (int i = DEPTH; i-- > 0;) tc_pb_close(&b, at[i], 1 + (uint32_t)i % 3);
    uint8_t expected[2][4096] = {{0x28, 77}};
    uint64_t n = 2;
    int which = 0;
    for (int i = DEPTH; i-- > 0; which = !which) n = plain(expected[!which], 1 + (uint32_t)i % 20, expected[which], n);
    CHECK(is(&b, expected[which], n));
    tc_bytes_clear(&b);
}

static void write_much(tc_bytes *b, const uint8_t *content, uint64_t n) {
    uint64_t outer = tc_pb_open(b, 1, 1);
    for (int i = 0; i < 40; i++) {
        uint64_t inner = tc_pb_open(b, 2, 1);
        tc_pb_varint(b, 3, UINT64_MAX);
        tc_pb_fixed64(b, 4, 1);
        tc_pb_fixed32(b, 5, 1);
        tc_pb_bytes(b, 6, content, n);
        tc_pb_raw(b, content, 0);
        tc_pb_close(b, inner, 1);
    }
    tc_pb_close(b, outer, 1);
}

static void without_memory_the_rest_is_harmless_and_the_failure_stays(void) {
    static uint8_t content[1000];
    long held = faults_n_held();
    tc_bytes whole = {0};
    write_much(&whole, content, sizeof content);
    CHECK(!whole.failed);
    for (long n = 0;; n++) {
        tc_bytes b = {0};
        faults_fail_after(n);
        write_much(&b, content, sizeof content);
        bool failed = faults_stop();
        CHECK(b.failed == failed);
        if (failed) {
            CHECK(!tc_bytes_grow(&b, 1)); /* memory is back, the gap is not */
            write_much(&b, content, sizeof content);
            CHECK(b.failed && b.n <= b.capacity);
        } else {
            CHECK(is(&b, whole.data, whole.n));
        }
        tc_bytes_clear(&b);
        CHECK(!b.failed);
        if (!failed) {
            CHECK(n >= 5);
            break;
        }
    }
    tc_bytes_clear(&whole);
    CHECK(faults_n_held() == held);
}

int main(void) {
    varints_are_those_of_the_specification();
    each_kind_of_field_has_its_wire_type();
    any_guess_of_a_length_comes_out_minimal();
    messages_nest();
    without_memory_the_rest_is_harmless_and_the_failure_stays();
    CHECK(faults_n_held() == 0);
    return 0;
}
