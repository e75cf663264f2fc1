/* tc_ids: never zero, never twice; over threads and over fork. */
#include "check.h"
#include "faults.h"
#include "tc_ids.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_THREADS 8
#define N_IDS 20000

static void a_refused_fork_handler_is_reported_and_asked_for_again(void) {
    faults_fail_after(0);
    CHECK(tc_ids_init() == TC_NO_MEMORY);
    CHECK(faults_stop());
    long asked = faults_n_asked();
    CHECK(tc_ids_init() == TC_OK);
    CHECK(faults_n_asked() == asked + 1);
    CHECK(tc_ids_init() == TC_OK); /* once a process */
    CHECK(faults_n_asked() == asked + 1);
}

/* ---- a generator whose seed is known ------------------------------------------- */

typedef struct job {
    const uint64_t *words;
    uint64_t ids[N_IDS];
    uint64_t traces[4][2];
} job;

static void *make_from_seed(void *arg) {
    job *j = arg;
    faults_random.words = j->words;
    for (int i = 0; i < 4; i++) tc_ids_trace((uint8_t *)j->traces[i]);
    faults_random.words = NULL;
    return NULL;
}

static void *make_spans_from_seed(void *arg) {
    job *j = arg;
    faults_random.words = j->words;
    for (int i = 0; i < 4; i++) tc_ids_span((uint8_t *)&j->ids[i]);
    faults_random.words = NULL;
    return NULL;
}

static void in_a_thread(void *(*work)(void *), void *arg) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, arg) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static job a_job;

static void the_numbers_are_those_of_xoshiro256_starstar(void) {
    /* its published sequence for the state 1, 2, 3, 4: 11520, 0, 1509978240, 1215971899390074240, ... */
    static const uint64_t seed[4] = {1, 2, 3, 4};
    a_job.words = seed;
    in_a_thread(make_from_seed, &a_job);
    CHECK(a_job.traces[0][0] == 11520 && a_job.traces[0][1] == 0); /* half of a trace id may be zero */
    CHECK(a_job.traces[1][0] == 1509978240 && a_job.traces[1][1] == 1215971899390074240ull);
}

static void a_zero_is_never_a_span_id(void) {
    static const uint64_t seed[4] = {1, 2, 3, 4};
    a_job.words = seed;
    in_a_thread(make_spans_from_seed, &a_job);
    CHECK(a_job.ids[0] == 11520 && a_job.ids[1] == 1509978240 && a_job.ids[2] == 1215971899390074240ull);
}

static void sixteen_zeros_are_never_a_trace_id(void) {
    static const uint64_t two_zeros_first[4] = {5, 0, 5, 7};
    a_job.words = two_zeros_first;
    in_a_thread(make_from_seed, &a_job);
    for (int i = 0; i < 4; i++) CHECK((a_job.traces[i][0] | a_job.traces[i][1]) != 0);
}

static void a_seed_of_zeros_is_no_trap(void) {
    static const uint64_t zeros[4] = {0, 0, 0, 0};
    a_job.words = zeros;
    in_a_thread(make_spans_from_seed, &a_job);
    for (int i = 0; i < 4; i++) CHECK(a_job.ids[i] != 0);
    CHECK(a_job.ids[3] != a_job.ids[0]);
}

/* ---- distinct ------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x < y ? -1 : x > y;
}

static void check_distinct(uint64_t *ids, size_t n) {
    qsort(ids, n, sizeof *ids, compare);
    for (size_t i = 0; i < n; i++) CHECK(ids[i] != 0 && (i == 0 || ids[i] != ids[i - 1]));
}

static void *make_spans(void *arg) {
    uint64_t *ids = arg;
    for (int i = 0; i < N_IDS / 2; i++) tc_ids_span((uint8_t *)&ids[i]);
    for (int i = N_IDS / 2; i < N_IDS; i++) {
        uint64_t trace[2];
        tc_ids_trace((uint8_t *)trace);
        ids[i] = trace[0] ^ trace[1];
    }
    return NULL;
}

static uint64_t of_threads[N_THREADS * N_IDS];

static void ids_differ_over_threads(void) {
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, make_spans, of_threads + i * N_IDS) == 0);
    for (int i = 0; i < N_THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    check_distinct(of_threads, N_THREADS * N_IDS);
}

#define N_FORKED 500 /* 4,000 bytes: a pipe takes them whole */
#define N_CHILDREN 4

/* Ids of the parent, of children, and of a grandchild in each: all distinct. */
static void ids_differ_over_forks(void) {
    static uint64_t all[(2 * N_CHILDREN + 1) * N_FORKED];
    uint64_t *at = all;
    uint32_t generation = tc_ids_generation();
    for (int i = 0; i < N_FORKED; i++) tc_ids_span((uint8_t *)at++);
    for (int c = 0; c < N_CHILDREN; c++) {
        int ends[2];
        CHECK(pipe(ends) == 0);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            CHECK(tc_ids_generation() == generation + 1);
            CHECK(*tc_ids_generation_view() == generation + 1);
            pid_t grandchild = fork();
            CHECK(grandchild >= 0);
            if (grandchild == 0) CHECK(tc_ids_generation() == generation + 2);
            uint64_t mine[N_FORKED];
            for (int i = 0; i < N_FORKED; i++) tc_ids_span((uint8_t *)&mine[i]);
            CHECK(write(ends[1], mine, sizeof mine) == (ssize_t)sizeof mine);
            int status = 0;
            if (grandchild != 0) CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
            _exit(0);
        }
        close(ends[1]);
        for (size_t left = 2 * N_FORKED * sizeof *at; left > 0;) {
            ssize_t n = read(ends[0], at, left);
            CHECK(n > 0 && n % 8 == 0);
            at += n / 8;
            left -= (size_t)n;
        }
        close(ends[0]);
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    CHECK(tc_ids_generation() == generation && *tc_ids_generation_view() == generation);
    check_distinct(all, (size_t)(at - all));
}

int main(void) {
    a_refused_fork_handler_is_reported_and_asked_for_again();
    ids_differ_over_forks();
    the_numbers_are_those_of_xoshiro256_starstar();
    a_zero_is_never_a_span_id();
    sixteen_zeros_are_never_a_trace_id();
    a_seed_of_zeros_is_no_trap();
    ids_differ_over_threads();
    faults_random.fails = true; /* a sandbox without the system call */
    ids_differ_over_threads();
    ids_differ_over_forks();
    return 0;
}
