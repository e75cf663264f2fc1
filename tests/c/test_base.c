/* tc_base: status texts and byte order. */
#include "check.h"
#include "tc_base.h"

static void every_status_has_words_and_no_two_the_same(void) {
    for (int i = TC_OK; i <= TC_CLOSED + 1; i++) {
        const char *text = tc_status_text((tc_status)i);
        CHECK(text != NULL && text[0] != '\0');
        for (int j = TC_OK; j < i; j++) CHECK(strcmp(text, tc_status_text((tc_status)j)) != 0);
    }
    CHECK(strcmp(tc_status_text((tc_status)-1), tc_status_text((tc_status)1000)) == 0);
}

static void loads_and_stores_need_no_alignment(void) {
    uint8_t bytes[17] = {0};
    for (int at = 0; at < 8; at++) {
        tc_store_u64(bytes + at, 0x0123456789abcdefull + (unsigned)at);
        CHECK(tc_load_u64(bytes + at) == 0x0123456789abcdefull + (unsigned)at);
        tc_store_u32(bytes + at, 0x89abcdefu);
        CHECK(tc_load_u32(bytes + at) == 0x89abcdefu);
    }
}

static void be64_puts_the_most_significant_byte_first(void) {
    uint8_t bytes[9];
    const uint8_t expected[8] = {1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    tc_store_be64(bytes + 1, 0x0123456789abcdefull);
    CHECK(memcmp(bytes + 1, expected, 8) == 0);
    CHECK(tc_load_be64(bytes + 1) == 0x0123456789abcdefull);
    tc_store_be64(bytes, UINT64_MAX);
    CHECK(tc_load_be64(bytes) == UINT64_MAX);
}

int main(void) {
    every_status_has_words_and_no_two_the_same();
    loads_and_stores_need_no_alignment();
    be64_puts_the_most_significant_byte_first();
    return 0;
}
