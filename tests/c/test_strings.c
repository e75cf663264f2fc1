/* tc_strings: small ids for bytes that never move. */
#include "check.h"
#include "faults.h"
#include "tc_strings.h"

#include <pthread.h>
#include <stdatomic.h>

#define NO_LIMIT UINT32_MAX

static uint32_t intern(tc_strings *s, const char *text) {
    return tc_strings_intern(s, (const uint8_t *)text, (uint32_t)strlen(text), NO_LIMIT);
}

static bool is(const tc_strings *s, uint32_t id, const void *bytes, uint32_t length) {
    tc_string view = tc_strings_view(s, id);
    return view.bytes != NULL && view.length == length && memcmp(view.bytes, bytes, length) == 0;
}

static void equal_bytes_share_an_id_and_others_do_not(void) {
    tc_strings *s = tc_strings_new(256);
    CHECK(intern(s, "http.method") == 1);
    CHECK(intern(s, "http") == 2);
    CHECK(intern(s, "http.method") == 1);
    CHECK(is(s, 1, "http.method", 11) && is(s, 2, "http", 4));
    CHECK(tc_strings_intern(s, (const uint8_t *)"a\0b", 3, NO_LIMIT) == 3);
    CHECK(tc_strings_intern(s, (const uint8_t *)"a\0c", 3, NO_LIMIT) == 4);
    CHECK(tc_strings_intern(s, (const uint8_t *)"a", 1, NO_LIMIT) == 5);
    CHECK(is(s, 3, "a\0b", 3) && is(s, 4, "a\0c", 3));
    uint32_t empty = intern(s, "");
    CHECK(empty == 6 && intern(s, "") == empty && is(s, empty, "", 0));
    CHECK(s->n == 7 && s->n_bytes == 11 + 4 + 3 + 3 + 1);
    tc_strings_free(s);
    tc_strings_free(NULL);
}

static void strings_of_the_same_hash_stay_apart(void) {
    static const char *const pairs[][2] = {/* FNV-1a gives each pair one 32-bit hash */
                                           {"costarring", "liquid"},
                                           {"declinate", "macallums"},
                                           {"altarage", "zinke"}};
    tc_strings *s = tc_strings_new(256);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(intern(s, pairs[i][0]) == 2 * i + 1 && intern(s, pairs[i][1]) == 2 * i + 2);
        CHECK(tc_strings_view(s, 2 * i + 1).hash == tc_strings_view(s, 2 * i + 2).hash);
    }
    tc_strings_free(s);
}

static void an_id_that_was_not_handed_out_has_no_bytes(void) {
    tc_strings *s = tc_strings_new(256);
    static const uint32_t ids[] = {0, 1, 2, 1023, 1024, TC_STRINGS_MAX - 1, TC_STRINGS_MAX, UINT32_MAX};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
            if (round == 1 && ids[i] == 1) continue;
            tc_string view = tc_strings_view(s, ids[i]);
            CHECK(view.bytes == NULL && view.length == 0);
        }
        CHECK(intern(s, "one") == 1);
    }
    tc_strings_free(s);
}

static void a_string_beyond_the_maximum_is_refused(void) {
    tc_strings *s = tc_strings_new(8);
    CHECK(intern(s, "12345678") == 1);
    CHECK(intern(s, "123456789") == 0);
    CHECK(s->n == 2);
    tc_strings_free(s);
}

static void a_limit_stops_new_ids_but_not_known_ones(void) {
    tc_strings *s = tc_strings_new(256);
    CHECK(tc_strings_intern(s, (const uint8_t *)"a", 1, 0) == 0);
    CHECK(tc_strings_intern(s, (const uint8_t *)"a", 1, 2) == 1);
    CHECK(tc_strings_intern(s, (const uint8_t *)"b", 1, 2) == 2);
    CHECK(tc_strings_intern(s, (const uint8_t *)"c", 1, 2) == 0);
    CHECK(tc_strings_intern(s, (const uint8_t *)"a", 1, 0) == 1);
    CHECK(tc_strings_intern(s, (const uint8_t *)"c", 1, 3) == 3);
    tc_strings_free(s);
}

static void name_of(uint32_t i, char name[16]) { snprintf(name, 16, "key.%u", i); }

static void a_table_full_of_ids_refuses_new_strings_and_moves_no_old_one(void) {
    tc_strings *s = tc_strings_new(256);
    const uint8_t **where = malloc(TC_STRINGS_MAX * sizeof *where);
    char name[16];
    for (uint32_t i = 1; i < TC_STRINGS_MAX; i++) {
        name_of(i, name);
        CHECK(intern(s, name) == i);
        where[i] = tc_strings_view(s, i).bytes;
    }
    CHECK(intern(s, "one more") == 0 && intern(s, "and another") == 0);
    CHECK(s->n == TC_STRINGS_MAX && s->n_slots <= 2 * TC_STRINGS_MAX);
    for (uint32_t i = 1; i < TC_STRINGS_MAX; i++) {
        name_of(i, name);
        CHECK(intern(s, name) == i);
        CHECK(tc_strings_view(s, i).bytes == where[i] && is(s, i, name, (uint32_t)strlen(name)));
    }
    free(where);
    tc_strings_free(s);
}

static void a_table_full_of_bytes_refuses_new_strings_and_keeps_the_old(void) {
    tc_strings *s = tc_strings_new(1u << 20);
    uint8_t *large = malloc(1u << 20);
    memset(large, 'x', 1u << 20);
    for (uint8_t i = 0; i < 4; i++) {
        large[0] = i;
        CHECK(tc_strings_intern(s, large, 1u << 20, NO_LIMIT) == i + 1u);
    }
    CHECK(s->n_bytes == TC_STRINGS_MAX_BYTES);
    CHECK(intern(s, "y") == 0);
    for (uint8_t i = 0; i < 4; i++) {
        large[0] = i;
        CHECK(tc_strings_intern(s, large, 1u << 20, NO_LIMIT) == i + 1u && is(s, i + 1u, large, 1u << 20));
    }
    free(large);
    tc_strings_free(s);
}

static void strings_of_any_length_fit_the_arenas(void) {
    static const uint32_t lengths[] = {1, 65527, 65528, 65529, 65536, 0, 70000, 3, 32768, 32760, 32761, 131072, 2};
    tc_strings *s = tc_strings_new(1u << 20);
    uint8_t *bytes = malloc(131072);
    for (uint32_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(bytes, (int)i + 1, lengths[i]);
        CHECK(tc_strings_intern(s, bytes, lengths[i], NO_LIMIT) == i + 1);
    }
    for (uint32_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(bytes, (int)i + 1, lengths[i]);
        CHECK(is(s, i + 1, bytes, lengths[i]));
    }
    free(bytes);
    tc_strings_free(s);
}

/* Enough strings for a second chunk, grown slots and a second arena. */
static bool fill(tc_strings *s) {
    char name[16];
    bool whole = true;
    for (uint32_t i = 1; i <= 1500; i++) {
        name_of(i, name);
        whole = intern(s, name) != 0 && whole;
    }
    uint8_t large[70000] = {0};
    return tc_strings_intern(s, large, sizeof large, NO_LIMIT) != 0 && whole;
}

static void without_memory_the_answer_is_no_id_and_the_table_stays_whole(void) {
    long held = faults_n_held();
    for (long n = 0;; n++) {
        faults_fail_after(n);
        tc_strings *s = tc_strings_new(1u << 20);
        bool whole = s != NULL && fill(s);
        bool failed = faults_stop();
        CHECK(whole == !failed);
        if (s != NULL) {
            CHECK(fill(s) && s->n == 1502); /* what failed succeeds later */
            for (uint32_t id = 1; id < s->n; id++) {
                tc_string view = tc_strings_view(s, id);
                CHECK(view.bytes != NULL && tc_strings_intern(s, view.bytes, view.length, 0) == id);
            }
        }
        tc_strings_free(s);
        CHECK(faults_n_held() == held);
        if (!failed) {
            CHECK(n >= 6);
            return;
        }
    }
}

/* ---- one writer, many readers ----------------------------------------------------- */

static _Atomic uint32_t newest; /* stands for the ring: release after intern, acquire before view */

static void *read_all(void *arg) {
    const tc_strings *s = arg;
    uint32_t seen = 0;
    char name[16];
    while (seen < TC_STRINGS_MAX / 2) {
        uint32_t now = atomic_load_explicit(&newest, memory_order_acquire);
        for (; seen < now; seen++) {
            name_of(seen + 1, name);
            CHECK(is(s, seen + 1, name, (uint32_t)strlen(name)));
        }
    }
    return NULL;
}

static void a_reader_needs_no_lock_for_an_id_it_was_given(void) {
    tc_strings *s = tc_strings_new(256);
    pthread_t readers[2];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&readers[i], NULL, read_all, s) == 0);
    char name[16];
    for (uint32_t i = 1; i <= TC_STRINGS_MAX / 2; i++) {
        name_of(i, name);
        uint32_t id = intern(s, name);
        CHECK(id == i);
        atomic_store_explicit(&newest, id, memory_order_release);
    }
    for (int i = 0; i < 2; i++) CHECK(pthread_join(readers[i], NULL) == 0);
    tc_strings_free(s);
}

int main(void) {
    equal_bytes_share_an_id_and_others_do_not();
    strings_of_the_same_hash_stay_apart();
    an_id_that_was_not_handed_out_has_no_bytes();
    a_string_beyond_the_maximum_is_refused();
    a_limit_stops_new_ids_but_not_known_ones();
    a_table_full_of_ids_refuses_new_strings_and_moves_no_old_one();
    a_table_full_of_bytes_refuses_new_strings_and_keeps_the_old();
    strings_of_any_length_fit_the_arenas();
    without_memory_the_answer_is_no_id_and_the_table_stays_whole();
    a_reader_needs_no_lock_for_an_id_it_was_given();
    CHECK(faults_n_held() == 0);
    return 0;
}
