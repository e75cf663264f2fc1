/* tc_match: patterns over strings, and answers that are remembered. */
#include "check.h"
#include "faults.h"
#include "tc_match.h"

static tc_regex_fault fault;

static void add(tc_match *m, uint32_t bit, tc_pattern_kind kind, const char *pattern, uint32_t flags) {
    CHECK(tc_match_add(m, bit, kind, (const uint8_t *)pattern, (uint32_t)strlen(pattern), flags, &fault));
}

static uint64_t bits_of(tc_match *m, const char *text) { return tc_match_bytes(m, (const uint8_t *)text, (uint32_t)strlen(text)); }

static bool globs(const char *pattern, const char *text) {
    tc_match m;
    tc_match_init(&m);
    add(&m, 5, TC_GLOB, pattern, 0);
    uint64_t bits = bits_of(&m, text);
    CHECK(bits == 0 || bits == 32);
    tc_match_clear(&m);
    return bits != 0;
}

static void a_glob_is_for_the_whole_text(void) {
    CHECK(globs("http.*", "http.method") && globs("http.*", "http.") && !globs("http.*", "xhttp.a"));
    CHECK(globs("*", "") && globs("", "") && !globs("", "a") && !globs("?", ""));
    CHECK(globs("a*b*c", "axxbxbc") && !globs("a*b*c", "axxbxb") && globs("**a", "ba"));
    CHECK(globs("?", "\xc3\xa9") && globs("a?c", "a\xe2\x82\xac" "c") && !globs("??", "\xc3\xa9"));
    CHECK(globs("[a-c]x", "bx") && !globs("[a-c]x", "dx") && globs("[!a-c]x", "dx") && globs("[!a]x", "\xc3\xa9x"));
    CHECK(globs("[]]", "]") && globs("[*]", "*") && !globs("[*]", "a") && globs("[a-]", "-") && globs("[[]", "["));
    CHECK(globs("*\xa9", "\xc3\xa9") == false); /* no match in the middle of a character */
    char stars[200], text[200];
    for (int i = 0; i < 199; i++) {
        stars[i] = i & 1 ? 'a' : '*';
        text[i] = 'a';
    }
    stars[198] = 'b';
    stars[199] = text[199] = 0;
    CHECK(!globs(stars, text)); /* and comes back */
}

static void a_wrong_glob_is_refused_where_it_goes_wrong(void) {
    tc_match m;
    tc_match_init(&m);
    CHECK(!tc_match_add(&m, 0, TC_GLOB, (const uint8_t *)"ab[c", 4, 0, &fault) && fault.at == 2 && fault.reason != NULL);
    CHECK(!tc_match_add(&m, 0, TC_GLOB, (const uint8_t *)"[\xc3\xa9]", 4, 0, &fault) && fault.at == 0);
    CHECK(!tc_match_add(&m, 0, TC_REGEX, (const uint8_t *)"a(", 2, 0, &fault) && fault.at == 1);
    CHECK(m.n == 0 && bits_of(&m, "ab[c") == 0);
    tc_match_clear(&m);
}

static void each_pattern_answers_with_its_bit(void) {
    tc_match m;
    tc_match_init(&m);
    add(&m, 0, TC_EXACT, "user.id", 0);
    add(&m, 1, TC_GLOB, "user.*", 0);
    add(&m, 2, TC_REGEX, "id$", 0);
    add(&m, 62, TC_EXACT, "USER.ID", TC_REGEX_IGNORE_CASE);
    add(&m, 0, TC_EXACT, "other", 0);
    CHECK(bits_of(&m, "user.id") == (7 | 1ull << 62) && bits_of(&m, "User.Id") == 1ull << 62);
    CHECK(bits_of(&m, "user.name") == 2 && bits_of(&m, "pid") == 4 && bits_of(&m, "other") == 1 && bits_of(&m, "") == 0);
    tc_match_clear(&m);
}

static void an_id_is_matched_once_and_remembered(void) {
    tc_strings *strings = tc_strings_new(256);
    uint32_t id = tc_strings_intern(strings, (const uint8_t *)"user.id", 7, UINT32_MAX);
    uint32_t none = tc_strings_intern(strings, (const uint8_t *)"none", 4, UINT32_MAX);
    tc_match m;
    tc_match_init(&m);
    add(&m, 3, TC_EXACT, "user.id", 0);
    uint64_t bits;
    CHECK(!tc_match_known(&m, id, &bits));
    CHECK(tc_match_id(&m, strings, id) == 8 && tc_match_id(&m, strings, none) == 0);
    CHECK(tc_match_known(&m, id, &bits) && bits == 8 && tc_match_known(&m, none, &bits) && bits == 0);
    add(&m, 4, TC_GLOB, "*", 0); /* what is known is not asked again */
    CHECK(tc_match_id(&m, strings, id) == 8 && tc_match_id(&m, strings, none) == 0);
    tc_match_forget(&m);
    CHECK(tc_match_id(&m, strings, id) == 24 && tc_match_id(&m, strings, none) == 16);
    CHECK(tc_match_id(&m, strings, 65535) == 16); /* not handed out: the empty text */
    CHECK(tc_match_id(&m, strings, 1u << 25) == 16); /* out of range: answered, not kept */
    tc_match_clear(&m);
    tc_strings_free(strings);
}

static void without_memory_answers_are_right_and_not_remembered(void) {
    tc_strings *strings = tc_strings_new(256);
    uint32_t id = tc_strings_intern(strings, (const uint8_t *)"user.id", 7, UINT32_MAX);
    tc_match m;
    tc_match_init(&m);
    for (long n = 0;; n++) {
        faults_fail_after(n);
        bool made = tc_match_add(&m, 3, TC_GLOB, (const uint8_t *)"user.*", 6, 0, &fault);
        bool failed = faults_stop();
        CHECK(made == !failed);
        if (made) break;
    }
    uint64_t bits;
    faults_fail_after(0);
    CHECK(tc_match_id(&m, strings, id) == 8 && !tc_match_known(&m, id, &bits));
    CHECK(faults_stop());
    CHECK(tc_match_id(&m, strings, id) == 8 && tc_match_known(&m, id, &bits));
    tc_match_clear(&m);
    tc_strings_free(strings);
}

int main(void) {
    a_glob_is_for_the_whole_text();
    a_wrong_glob_is_refused_where_it_goes_wrong();
    each_pattern_answers_with_its_bit();
    an_id_is_matched_once_and_remembered();
    without_memory_answers_are_right_and_not_remembered();
    CHECK(faults_n_held() == 0);
    return 0;
}
