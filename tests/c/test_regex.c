/* tc_regex: both ways of matching agree, take what `re` takes, and no pattern blows them up. */
#include "check.h"
#include "faults.h"
#include "tc_regex.h"

static tc_regex *new_regex(const char *pattern) {
    tc_regex_fault fault;
    tc_regex *r = tc_regex_new((const uint8_t *)pattern, (uint32_t)strlen(pattern), 0, &fault);
    CHECK(r != NULL);
    return r;
}

/* -1, -1: no match. */
static void takes(const char *pattern, const char *text, int from, int to) {
    tc_regex *r = new_regex(pattern);
    uint32_t n = (uint32_t)strlen(text), start, end;
    uint64_t n_read = 0;
    for (int twice = 0; twice < 2; twice++) { /* with and without states to go by */
        CHECK(tc_regex_search(r, (const uint8_t *)text, n) == (from >= 0));
        bool found = tc_regex_find(r, (const uint8_t *)text, n, 0, &start, &end, &n_read);
        CHECK(found == (from >= 0));
        if (found) CHECK((int)start == from && (int)end == to);
    }
    tc_regex_free(r);
}

static void the_leftmost_match_is_taken_and_of_several_the_first_alternative(void) {
    takes("b+", "aabbb", 2, 5);
    takes("b+?", "aabbb", 2, 3);
    takes("a|ab", "xab", 1, 2);
    takes("ab|a", "xab", 1, 3);
    takes("(a|b)*c|x", "ababx", 4, 5);
    takes("a{2,3}", "aaaa", 0, 3);
    takes("a{2,3}?", "aaaa", 0, 2);
    takes("a{,2}b", "aaab", 1, 4);
    takes("", "abc", 0, 0);
    takes("z", "abc", -1, -1);
    takes("a.c", "xa\xc3\xa9" "c", 1, 5);
    takes("[^a]", "a\xe2\x82\xac", 1, 4);
    takes("\\.", "a.b", 1, 2);
    takes("(?i)AbC", "xaBc", 1, 4);
    takes("(?P<year>\\d{4})-\\d\\d", "on 2024-05", 3, 10);
}

static void assertions_look_at_both_sides_of_a_place(void) {
    takes("^b", "ab", -1, -1);
    takes("(?m)^b", "a\nb", 2, 3);
    takes("a$", "ab", -1, -1);
    takes("a$", "a\n", 0, 2); /* the newline is taken along */
    takes("(?m)a$", "a\nb", 0, 1);
    takes("\\bb\\b", "ab b bc", 3, 4);
    takes("\\Bb", "b ab", 3, 4);
    takes("a\\Z", "a\n", -1, -1);
    takes("\\b\\d{13,16}\\b", "card 4111111111111111.", 5, 21);
    takes("\\b\\d{13,16}\\b", "card 41111111111111112.", -1, -1);
}

static void a_search_from_the_middle_knows_what_came_before(void) {
    tc_regex *r = new_regex("\\ba|^b");
    uint32_t start, end;
    uint64_t n_read = 0;
    CHECK(!tc_regex_find(r, (const uint8_t *)"xab", 3, 1, &start, &end, &n_read));
    CHECK(tc_regex_find(r, (const uint8_t *)"xa a", 4, 1, &start, &end, &n_read) && start == 3 && end == 4);
    CHECK(!tc_regex_find(r, (const uint8_t *)"aa", 2, 2, &start, &end, &n_read));
    tc_regex_free(r);
}

static void both_ways_agree_on_random_patterns_and_texts(void) {
    static const char *pieces[] = {"a", "b", "ab", ".", "[ab]", "[^a]", "(a|b)", "(ab)*", "a+", "b?", "(a|b){2}", "\\b", "\\w", "|", "^", "$", "\xc3\xa9"};
    static const char *texts[] = {"a", "b", " ", "\n", "\xc3\xa9", "_"};
    uint64_t state = 3;
    for (int round = 0; round < 3000; round++) {
        char pattern[256] = "";
        for (uint64_t k = check_random(&state) % 6; k != UINT64_MAX; k--)
            strcat(pattern, pieces[check_random(&state) % (sizeof pieces / sizeof *pieces)]);
        tc_regex_fault fault;
        tc_regex *r = tc_regex_new((const uint8_t *)pattern, (uint32_t)strlen(pattern), 0, &fault);
        if (r == NULL) continue;
        for (int k = 0; k < 20; k++) {
            char text[64] = "";
            for (uint64_t m = check_random(&state) % 8; m != UINT64_MAX; m--) strcat(text, texts[check_random(&state) % 6]);
            uint32_t start, end;
            uint64_t n_read = 0;
            uint32_t n = (uint32_t)strlen(text);
            bool found = tc_regex_find(r, (const uint8_t *)text, n, 0, &start, &end, &n_read);
            CHECK(found == tc_regex_search(r, (const uint8_t *)text, n));
            CHECK(n_read <= n + 1);
            if (found) CHECK(start <= end && end <= n);
        }
        tc_regex_free(r);
    }
}

/* A backtracking matcher takes 2^30 steps for the first and n^3 for the second. */
static void what_blows_up_a_backtracking_matcher_is_read_once(void) {
    takes("(a+)+c", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", -1, -1);
    tc_regex *r = new_regex("(a|aa)*(a|aaa)*(.*a){9}c");
    static uint8_t text[20000];
    memset(text, 'a', sizeof text);
    uint32_t start, end;
    uint64_t n_read = 0;
    CHECK(!tc_regex_search(r, text, sizeof text));
    CHECK(!tc_regex_find(r, text, sizeof text, 0, &start, &end, &n_read) && n_read == sizeof text + 1);
    tc_regex_free(r);
}

/* "an a, twelve characters before the end of a run" has 2^12 states: more than are kept. */
static void states_that_are_forgotten_are_made_again(void) {
    tc_regex *r = new_regex("a[ab]{11}c");
    uint64_t state = 5;
    static uint8_t text[4000];
    for (int round = 0; round < 30; round++) {
        for (size_t i = 0; i < sizeof text; i++) text[i] = check_random(&state) & 1 ? 'a' : 'b';
        CHECK(!tc_regex_search(r, text, sizeof text));
        memcpy(text + 3000, "abbbbbbbbbbbc", 13);
        CHECK(tc_regex_search(r, text, sizeof text));
    }
    tc_regex_free(r);
}

static void without_memory_there_is_no_regex_and_matching_asks_for_none(void) {
    for (long n = 0;; n++) {
        tc_regex_fault fault;
        faults_fail_after(n);
        tc_regex *r = tc_regex_new((const uint8_t *)"(a|b)*c", 7, 0, &fault);
        bool failed = faults_stop();
        if (r == NULL) {
            CHECK(failed && strcmp(fault.reason, tc_status_text(TC_NO_MEMORY)) == 0);
        } else {
            long asked = faults_n_asked();
            uint32_t start, end;
            uint64_t n_read = 0;
            CHECK(tc_regex_search(r, (const uint8_t *)"xababc", 6));
            CHECK(tc_regex_find(r, (const uint8_t *)"xababc", 6, 0, &start, &end, &n_read));
            CHECK(faults_n_asked() == asked);
            tc_regex_free(r);
        }
        CHECK(faults_n_held() == 0);
        if (!failed) return;
    }
}

int main(void) {
    the_leftmost_match_is_taken_and_of_several_the_first_alternative();
    assertions_look_at_both_sides_of_a_place();
    a_search_from_the_middle_knows_what_came_before();
    both_ways_agree_on_random_patterns_and_texts();
    what_blows_up_a_backtracking_matcher_is_read_once();
    states_that_are_forgotten_are_made_again();
    without_memory_there_is_no_regex_and_matching_asks_for_none();
    CHECK(faults_n_held() == 0);
    return 0;
}
