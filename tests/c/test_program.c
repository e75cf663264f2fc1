/* tc_program: patterns become programs, or are refused where they go wrong. */
#include "check.h"
#include "faults.h"
#include "tc_program.h"

static tc_program program;
static tc_regex_fault fault;

static bool compiles(const char *pattern, uint32_t flags) {
    return tc_program_compile(&program, (const uint8_t *)pattern, (uint32_t)strlen(pattern), flags, &fault);
}

static void the_program_is_the_one_that_is_drawn(void) {
    static const tc_op drawn[] = {TC_OP_BYTE, TC_OP_SPLIT, TC_OP_SPLIT, TC_OP_BYTE,
                                  TC_OP_JUMP, TC_OP_SET,   TC_OP_JUMP,  TC_OP_MATCH};
    CHECK(compiles("a(b|[0-9])*", 0) && program.n == 8);
    for (uint32_t i = 0; i < 8; i++) CHECK(program.steps[i].op == drawn[i]);
    const tc_step *s = program.steps;
    CHECK(1 + s[1].first == 2 && 1 + s[1].second == 7);
    CHECK(2 + s[2].first == 3 && 2 + s[2].second == 5);
    CHECK(4 + s[4].first == 6 && 6 + s[6].first == 1);
    for (int b = 0; b < 256; b++) CHECK(tc_byte_set_has(&program.sets[s[5].set], (uint8_t)b) == (b >= '0' && b <= '9'));
    tc_program_clear(&program);
}

static void what_is_not_in_the_dialect_is_refused_where_it_stands(void) {
    static const struct {
        const char *pattern;
        uint32_t at;
    } refused[] = {
        {"(", 0},        {"ab(c", 2},     {"a)", 1},        {"[a", 0},      {"x[]", 1},     {"*", 0},      {"a**", 2},
        {"a|*", 2},      {"(?=a)", 0},    {"(?!a)", 0},     {"(?<=a)", 0},  {"(?<!a)", 0},  {"(?>a)", 0},  {"(?P=a)", 0},
        {"(?P<a", 0},    {"(?i:a)", 0},   {"(a)\\1", 3},    {"a\\", 1},     {"\\xg0", 0},   {"\\xff", 0},  {"\\q", 0},
        {"[b-a]", 2},    {"[\xc3\xa9]", 1}, {"[a-\xc3\xa9]", 3}, {"[\\W]", 1}, {"[a\\", 2}, {"a{2,1}", 1}, {"a{1001}", 2},
        {"a*+", 2},      {"^*", 1},       {"(?x)a", 0},     {"(?i", 0},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(!compiles(refused[i].pattern, 0));
        CHECK(fault.at == refused[i].at && fault.reason != NULL && program.steps == NULL);
    }
}

static void a_program_has_an_end_to_its_size(void) {
    CHECK(!compiles("((((a{100}){100}){100}){100})", 0) && strstr(fault.reason, "too large") != NULL);
    CHECK(compiles("(a{1000}){4}", 0) && program.n == 4001 && program.n < TC_REGEX_MAX_STEPS);
    tc_program_clear(&program);
    char deep[3 * TC_REGEX_MAX_GROUPS];
    memset(deep, '(', sizeof deep);
    CHECK(!tc_program_compile(&program, (const uint8_t *)deep, sizeof deep, 0, &fault));
    CHECK(strstr(fault.reason, "too deep") != NULL);
}

static void without_memory_there_is_no_program_and_nothing_is_kept(void) {
    long held = faults_n_held();
    for (long n = 0;; n++) {
        faults_fail_after(n);
        bool made = compiles("a(b|[0-9])*", 0);
        bool failed = faults_stop();
        if (made) tc_program_clear(&program); /* giving memory back may fail without harm */
        else CHECK(failed && strcmp(fault.reason, tc_status_text(TC_NO_MEMORY)) == 0);
        CHECK(faults_n_held() == held);
        if (!failed) return;
    }
}

/* Whatever the bytes: a program whose jumps stay inside, or a fault inside the pattern. */
static void any_bytes_make_a_sound_program_or_are_refused(void) {
    static const char *pieces[] = {"a", "(", ")", "|", "*", "+", "?", "{2}", "{,3}", "[", "]", "^", "\\d", "\\", "(?:", ".", "-", "\xc3\xa9", "\xff", "$"};
    uint64_t state = 1;
    uint32_t n_made = 0;
    for (int round = 0; round < 20000; round++) {
        char pattern[128] = "";
        for (uint64_t k = check_random(&state) % 10; k != UINT64_MAX; k--)
            strcat(pattern, pieces[check_random(&state) % (sizeof pieces / sizeof *pieces)]);
        if (!compiles(pattern, (uint32_t)check_random(&state) & 7)) {
            CHECK(fault.at <= strlen(pattern));
            continue;
        }
        n_made++;
        CHECK(program.steps[program.n - 1].op == TC_OP_MATCH);
        for (uint32_t i = 0; i < program.n; i++) {
            const tc_step *s = &program.steps[i];
            if (s->op == TC_OP_SPLIT || s->op == TC_OP_JUMP) CHECK((uint32_t)((int32_t)i + s->first) < program.n);
            if (s->op == TC_OP_SPLIT) CHECK((uint32_t)((int32_t)i + s->second) < program.n);
            if (s->op == TC_OP_SET) CHECK(s->set < program.n_sets);
            if (s->op == TC_OP_MATCH) CHECK(i == program.n - 1);
        }
        tc_program_clear(&program);
    }
    CHECK(n_made > 1000);
}

int main(void) {
    the_program_is_the_one_that_is_drawn();
    what_is_not_in_the_dialect_is_refused_where_it_stands();
    a_program_has_an_end_to_its_size();
    without_memory_there_is_no_program_and_nothing_is_kept();
    any_bytes_make_a_sound_program_or_are_refused();
    CHECK(faults_n_held() == 0);
    return 0;
}
