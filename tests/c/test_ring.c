/* tc_ring: nothing lost but what was counted, nothing changed on the way.
 *
 * `test_ring concurrent` runs the two threads only: the program that must fail
 * under the thread sanitizer once an order in tc_ring.c is weakened.
 */
#include "check.h"
#include "faults.h"
#include "tc_record.h"
#include "tc_ring.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALLEST TC_RING_MIN_BYTES
#define LARGEST_DIRECT (SMALLEST / 8)

static uint8_t record[4u << 20];

/* A record of `length` bytes that says its number, and whose every byte follows
 * from it. */
static const uint8_t *make(uint64_t number, uint32_t length) {
    uint64_t state = number;
    tc_header header = {.length = length, .scope = (uint16_t)number};
    memcpy(record, &header, sizeof header);
    tc_store_u64(record + 16, number);
    uint32_t at = 24;
    for (; at + 8 <= length; at += 8) tc_store_u64(record + at, check_random(&state));
    for (; at < length; at++) record[at] = (uint8_t)number;
    return record;
}

static uint64_t number_of(const uint8_t *r) { return tc_load_u64(r + 16); }

/* The record says its number: are all bytes as `make` made them? */
static void check_whole(const uint8_t *r) {
    uint64_t number = number_of(r), state = number;
    tc_header header;
    memcpy(&header, r, sizeof header);
    CHECK(header.type == TC_RECORD_SPAN && header.scope == (uint16_t)number);
    uint32_t at = 24;
    for (; at + 8 <= header.length; at += 8) CHECK(tc_load_u64(r + at) == check_random(&state));
    for (; at < header.length; at++) CHECK(r[at] == (uint8_t)number);
}

static uint32_t length_of(const uint8_t *r) { return tc_load_u32(r); }

static void check_taken(tc_ring *r, uint64_t number, uint32_t length) {
    const uint8_t *taken = tc_ring_take_spsc(r);
    CHECK(taken != NULL && ((uintptr_t)taken & 15) == 0);
    CHECK(number_of(taken) == number && length_of(taken) == length);
    check_whole(taken);
    tc_ring_take_done_spsc(r);
}

static void check_empty(tc_ring *r) {
    CHECK(tc_ring_take_spsc(r) == NULL);
    CHECK(r->n_written == r->n_taken && tc_ring_n_waiting(r) == 0 && r->indirect_bytes == 0);
}

/* ---- one thread ------------------------------------------------------------------ */

static void a_size_that_is_no_power_of_two_in_range_is_refused(void) {
    static const uint64_t sizes[] = {0, 1, SMALLEST / 2, SMALLEST - 1, SMALLEST + 1, 3 * SMALLEST,
                                     (uint64_t)TC_RING_MAX_BYTES * 2, UINT64_MAX, 1ull << 63};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) CHECK(tc_ring_new(sizes[i]) == NULL);
    tc_ring *r = tc_ring_new(TC_RING_MAX_BYTES); /* pages are not touched */
    CHECK(r != NULL && ((uintptr_t)r & (TC_CACHE_LINE_BYTES - 1)) == 0);
    tc_ring_free(r);
    tc_ring_free(NULL);
}

static void records_come_out_in_order_and_unchanged_over_many_laps(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    tc_ring_prefault(r);
    uint64_t state = 3, put = 0, taken = 0;
    static uint32_t lengths[4096];
    bool ended_at[TC_RING_MIN_BYTES / TC_RING_ALIGN] = {false}; /* where pads began */
    for (int i = 0; i < 60000; i++) {
        uint64_t x = check_random(&state);
        if (x & 1 || put == taken) {
            uint32_t length = 80 + (uint32_t)(x >> 8) % (LARGEST_DIRECT - 80 + 1);
            if (x & 6) length = 80 + length % 400;
            ended_at[r->head % SMALLEST / TC_RING_ALIGN] = true;
            tc_status status = tc_ring_put_spsc(r, make(put, length));
            CHECK(status == TC_OK || status == TC_FULL);
            if (status == TC_OK) lengths[put++ & 4095] = length;
        } else {
            check_taken(r, taken, lengths[taken & 4095]);
            taken++;
        }
        CHECK(r->n_written == put && r->n_taken == taken && tc_ring_n_waiting(r) == put - taken);
    }
    for (; taken < put; taken++) check_taken(r, taken, lengths[taken & 4095]);
    check_empty(r);
    CHECK(r->head / SMALLEST > 100);
    uint32_t n_ends = 0;
    for (uint32_t i = SMALLEST / 2 / TC_RING_ALIGN; i < SMALLEST / TC_RING_ALIGN; i++) n_ends += ended_at[i];
    CHECK(n_ends > 1000); /* pads of most sizes */
    tc_ring_free(r);
}

static void a_ring_holds_exactly_its_bytes(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    for (int lap = 0; lap < 3; lap++) {
        for (uint32_t i = 0; i < SMALLEST / 128; i++) CHECK(tc_ring_put_spsc(r, make(i, 128)) == TC_OK);
        CHECK(tc_ring_producer_bytes(r) == SMALLEST);
        CHECK(tc_ring_put_spsc(r, make(9999, 80)) == TC_FULL);
        CHECK(r->n_dropped == (uint64_t)lap + 1);
        for (uint32_t i = 0; i < SMALLEST / 128; i++) check_taken(r, i, 128);
        check_empty(r);
    }
    tc_ring_free(r);
}

static void a_full_ring_drops_the_newest_and_counts_it(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    uint64_t put = 0;
    while (tc_ring_put_spsc(r, make(put, 112)) == TC_OK) put++;
    CHECK(put == SMALLEST / 112 && r->n_dropped == 1); /* 16 bytes are left */
    for (int i = 0; i < 10; i++) CHECK(tc_ring_put_spsc(r, make(999999, 112)) == TC_FULL);
    CHECK(r->n_dropped == 11 && r->n_written == put);
    check_taken(r, 0, 112); /* room for one, but behind a pad */
    CHECK(tc_ring_put_spsc(r, make(put, 112)) == TC_OK);
    CHECK(tc_ring_put_spsc(r, make(999999, 112)) == TC_FULL);
    for (uint64_t i = 1; i <= put; i++) check_taken(r, i, 112);
    check_empty(r);
    CHECK(r->n_dropped == 12 && r->n_written == put + 1);
    tc_ring_free(r);
}

static void a_record_is_the_same_until_it_is_done(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    tc_ring_take_done_spsc(r); /* nothing to finish */
    CHECK(r->n_taken == 0 && r->tail == 0);
    tc_ring_put_spsc(r, make(1, 100));
    tc_ring_put_spsc(r, make(2, 10000));
    const uint8_t *first = tc_ring_take_spsc(r);
    CHECK(tc_ring_take_spsc(r) == first && number_of(first) == 1);
    tc_ring_take_done_spsc(r);
    const uint8_t *second = tc_ring_take_spsc(r);
    CHECK(tc_ring_take_spsc(r) == second && number_of(second) == 2);
    check_whole(second);
    tc_ring_take_done_spsc(r);
    tc_ring_take_done_spsc(r);
    CHECK(r->n_taken == 2);
    tc_ring_free(r);
}

/* ---- records that travel by address ------------------------------------------------- */

static void only_a_record_beyond_an_eighth_travels_by_address(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    CHECK(tc_ring_put_spsc(r, make(1, LARGEST_DIRECT)) == TC_OK && r->indirect_bytes == 0);
    CHECK(tc_ring_put_spsc(r, make(2, LARGEST_DIRECT + 1)) == TC_OK && r->indirect_bytes == LARGEST_DIRECT + 1);
    CHECK(tc_ring_put_spsc(r, make(3, 80)) == TC_OK);
    CHECK(r->head == LARGEST_DIRECT + 32 + 80);
    check_taken(r, 1, LARGEST_DIRECT);
    check_taken(r, 2, LARGEST_DIRECT + 1);
    CHECK(r->indirect_bytes == 0);
    check_taken(r, 3, 80);
    check_empty(r);
    tc_ring_free(r);
}

static void one_huge_record_passes_and_the_next_waits_its_turn(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    CHECK(tc_ring_put_spsc(r, make(1, sizeof record)) == TC_OK); /* 64 times the ring */
    CHECK(tc_ring_put_spsc(r, make(2, LARGEST_DIRECT + 1)) == TC_FULL);
    CHECK(tc_ring_put_spsc(r, make(3, 100)) == TC_OK); /* it starves nobody small */
    CHECK(r->n_dropped == 1 && r->indirect_bytes == sizeof record);
    check_taken(r, 1, sizeof record);
    check_taken(r, 3, 100);
    CHECK(tc_ring_put_spsc(r, make(4, LARGEST_DIRECT + 1)) == TC_OK);
    check_taken(r, 4, LARGEST_DIRECT + 1);
    check_empty(r);
    tc_ring_free(r);
}

static void memory_for_large_records_is_bounded_by_the_ring_again(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    for (uint64_t i = 0; i < 4; i++) CHECK(tc_ring_put_spsc(r, make(i, SMALLEST / 4)) == TC_OK);
    CHECK(r->indirect_bytes == SMALLEST);
    CHECK(tc_ring_put_spsc(r, make(9, LARGEST_DIRECT + 1)) == TC_FULL && r->n_dropped == 1);
    check_taken(r, 0, SMALLEST / 4);
    CHECK(tc_ring_put_spsc(r, make(4, SMALLEST / 4)) == TC_OK);
    for (uint64_t i = 1; i < 5; i++) check_taken(r, i, SMALLEST / 4);
    check_empty(r);
    tc_ring_free(r);
}

static void a_full_ring_has_no_room_for_an_address_either(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    long held = faults_n_held();
    for (uint32_t i = 0; i < SMALLEST / 128; i++) CHECK(tc_ring_put_spsc(r, make(i, 128)) == TC_OK);
    CHECK(tc_ring_put_spsc(r, make(1, 100000)) == TC_FULL);
    CHECK(faults_n_held() == held && r->indirect_bytes == 0 && r->n_dropped == 1);
    tc_ring_free(r);
}

static void freeing_a_ring_frees_what_is_inside(void) {
    long held = faults_n_held();
    tc_ring *r = tc_ring_new(SMALLEST);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK(tc_ring_put_spsc(r, make(i, 20000)) == TC_OK);
        CHECK(tc_ring_put_spsc(r, make(i, 100)) == TC_OK);
    }
    tc_ring_take_spsc(r);
    tc_ring_free(r);
    CHECK(faults_n_held() == held);
}

static void without_memory_a_large_record_is_dropped_and_counted(void) {
    long held = faults_n_held();
    for (long n = 0;; n++) {
        faults_fail_after(n);
        tc_ring *r = tc_ring_new(SMALLEST);
        tc_status status = TC_NO_MEMORY;
        if (r != NULL) status = tc_ring_put_spsc(r, make(1, 20000));
        bool failed = faults_stop();
        CHECK((status == TC_OK) == !failed);
        if (r != NULL) {
            CHECK(status == (failed ? TC_NO_MEMORY : TC_OK) && r->n_dropped == failed);
            CHECK(tc_ring_put_spsc(r, make(2, 20000)) == TC_OK);
            if (!failed) check_taken(r, 1, 20000);
            check_taken(r, 2, 20000);
            check_empty(r);
        }
        tc_ring_free(r);
        CHECK(faults_n_held() == held);
        if (!failed) {
            CHECK(n == 3); /* the ring, its bytes, the record */
            return;
        }
    }
}

static void without_memory_behind_a_pad_the_next_record_still_finds_its_place(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    for (uint64_t i = 0; i < SMALLEST / 112; i++) CHECK(tc_ring_put_spsc(r, make(i, 112)) == TC_OK);
    for (uint64_t i = 0; i < SMALLEST / 112; i++) check_taken(r, i, 112);
    faults_fail_after(0); /* 16 bytes before the end: the address needs a pad and 32 */
    CHECK(tc_ring_put_spsc(r, make(1, 20000)) == TC_NO_MEMORY);
    CHECK(faults_stop());
    check_empty(r);
    CHECK(tc_ring_put_spsc(r, make(2, 20000)) == TC_OK && tc_ring_put_spsc(r, make(3, 112)) == TC_OK);
    check_taken(r, 2, 20000);
    check_taken(r, 3, 112);
    check_empty(r);
    tc_ring_free(r);
}

/* ---- fork ------------------------------------------------------------------------------ */

static void wait_for(pid_t child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What the child does with the ring it inherited. */
static void reset_and_use(tc_ring *r) {
    tc_ring_reset_in_child(r);
    CHECK(r->head == 0 && r->tail == 0 && r->n_dropped == 0 && r->n_written == 0 && r->n_taken == 0);
    check_empty(r);
    for (uint64_t lap = 0; lap < 3; lap++) {
        uint64_t n = 0;
        for (; n < 200; n++) CHECK(tc_ring_put_spsc(r, make(n, 300)) == TC_OK);
        CHECK(tc_ring_put_spsc(r, make(n, 30000)) == TC_OK);
        for (uint64_t i = 0; i < n; i++) check_taken(r, i, 300);
        check_taken(r, n, 30000);
    }
    CHECK(r->n_written == 603 && r->n_taken == 603 && r->n_dropped == 0);
    tc_ring_free(r);
}

static void a_forked_child_starts_with_an_empty_ring_and_the_parent_keeps_its_own(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    long held = faults_n_held();
    for (uint64_t i = 0; i < 400; i++) { /* wrapped, pads and addresses inside */
        CHECK(tc_ring_put_spsc(r, make(i, 5000)) == TC_OK);
        if (i % 3 == 0) CHECK(tc_ring_put_spsc(r, make(i, 9000)) == TC_OK);
        if (i >= 3) {
            check_taken(r, i - 3, 5000);
            if ((i - 3) % 3 == 0) check_taken(r, i - 3, 9000);
        }
    }
    while (tc_ring_put_spsc(r, make(0, 3000)) == TC_OK) {}
    tc_ring_take_spsc(r); /* taken, not done: what a worker was reading at the fork */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        reset_and_use(r);
        CHECK(faults_n_held() == held - 2); /* the ring and its bytes; the large records too */
        _exit(0);
    }
    wait_for(child);
    for (uint64_t i = 397; i < 400; i++) {
        check_taken(r, i, 5000);
        if (i % 3 == 0) check_taken(r, i, 9000);
    }
    while (tc_ring_take_spsc(r) != NULL) check_taken(r, 0, 3000);
    check_empty(r);
    tc_ring_free(r);
}

static tc_ring *forked_ring;

static void fork_now(const void *block) {
    (void)block;
    faults_after_free = NULL;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        reset_and_use(forked_ring);
        _exit(0);
    }
    wait_for(child);
}

/* The worker needs no GIL to take, so a fork by another thread may find it
 * between any two lines of take_done. */
static void a_fork_right_after_a_large_record_was_freed_does_not_free_it_again(void) {
    tc_ring *r = forked_ring = tc_ring_new(SMALLEST);
    CHECK(tc_ring_put_spsc(r, make(1, 30000)) == TC_OK);
    CHECK(tc_ring_put_spsc(r, make(2, 100)) == TC_OK);
    CHECK(tc_ring_take_spsc(r) != NULL);
    faults_after_free = fork_now;
    tc_ring_take_done_spsc(r);
    CHECK(faults_after_free == NULL);
    check_taken(r, 2, 100);
    check_empty(r);
    tc_ring_free(r);
}

/* ---- two threads ------------------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__)
#define N_RECORDS 400000u
#elif defined(__SANITIZE_ADDRESS__)
#define N_RECORDS 1000000u
#else
#define N_RECORDS 3000000u
#endif

typedef struct traffic {
    tc_ring *ring;
    uint64_t n_refused;
    _Atomic bool is_over; /* relaxed: it must not order what the ring must order itself */
} traffic;

static void *produce(void *arg) {
    traffic *t = arg;
    uint64_t state = 11;
    for (uint64_t number = 0; t->ring->n_written < N_RECORDS; number++) {
        uint64_t x = check_random(&state);
        uint32_t length = 80 + (uint32_t)(x >> 8) % 200;
        if ((x & 0xff) == 0) length = 80 + (uint32_t)(x >> 8) % (LARGEST_DIRECT - 80);
        if ((x & 0xfff) == 1) length = LARGEST_DIRECT + (uint32_t)(x >> 12) % 40000;
        tc_status status = tc_ring_put_spsc(t->ring, make(number, length));
        CHECK(status == TC_OK || status == TC_FULL);
        if (status == TC_FULL) {
            t->n_refused++;
            sched_yield();
        }
    }
    atomic_store_explicit(&t->is_over, true, memory_order_relaxed);
    return NULL;
}

static void *watch(void *arg) {
    traffic *t = arg;
    uint64_t most = 0;
    while (!atomic_load_explicit(&t->is_over, memory_order_relaxed)) {
        uint64_t n = tc_ring_n_waiting(t->ring);
        if (n > most) most = n;
        sched_yield();
    }
    /* A bound: what fits, and what was put between the two loads. Below zero
     * would be near 2^64. */
    CHECK(most <= N_RECORDS);
    return NULL;
}

static void two_threads_lose_nothing_but_what_is_counted(void) {
    static traffic t;
    t.ring = tc_ring_new(SMALLEST);
    pthread_t producer, watcher;
    CHECK(pthread_create(&producer, NULL, produce, &t) == 0);
    CHECK(pthread_create(&watcher, NULL, watch, &t) == 0);
    uint64_t next = 0, n_missing = 0, n_taken = 0;
    while (n_taken < N_RECORDS) {
        const uint8_t *taken = tc_ring_take_spsc(t.ring);
        if (taken == NULL) {
            sched_yield();
            continue;
        }
        check_whole(taken);
        uint64_t number = number_of(taken);
        CHECK(number >= next);
        n_missing += number - next;
        next = number + 1;
        tc_ring_take_done_spsc(t.ring);
        n_taken++;
    }
    CHECK(pthread_join(producer, NULL) == 0 && pthread_join(watcher, NULL) == 0);
    check_empty(t.ring);
    CHECK(t.ring->n_written == N_RECORDS && t.ring->n_taken == N_RECORDS);
    CHECK(t.ring->n_dropped == t.n_refused && t.n_refused == n_missing);
    tc_ring_free(t.ring);
}

/* The consumer may ask how many wait between its takes: never fewer than none. */
static void *take_and_ask(void *arg) {
    tc_ring *r = arg;
    for (uint32_t n = 0; n < N_RECORDS / 4;) {
        if (tc_ring_take_spsc(r) == NULL) continue;
        tc_ring_take_done_spsc(r);
        n++;
        CHECK(tc_ring_n_waiting(r) <= SMALLEST / 80 + 1);
    }
    return NULL;
}

static void the_consumer_never_sees_fewer_than_no_records_waiting(void) {
    tc_ring *r = tc_ring_new(SMALLEST);
    pthread_t consumer;
    CHECK(pthread_create(&consumer, NULL, take_and_ask, r) == 0);
    make(1, 80);
    while (r->n_written < N_RECORDS / 4) tc_ring_put_spsc(r, record);
    CHECK(pthread_join(consumer, NULL) == 0);
    check_empty(r);
    tc_ring_free(r);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "concurrent") == 0) {
        two_threads_lose_nothing_but_what_is_counted();
        return 0;
    }
    a_size_that_is_no_power_of_two_in_range_is_refused();
    records_come_out_in_order_and_unchanged_over_many_laps();
    a_ring_holds_exactly_its_bytes();
    a_full_ring_drops_the_newest_and_counts_it();
    a_record_is_the_same_until_it_is_done();
    only_a_record_beyond_an_eighth_travels_by_address();
    one_huge_record_passes_and_the_next_waits_its_turn();
    memory_for_large_records_is_bounded_by_the_ring_again();
    a_full_ring_has_no_room_for_an_address_either();
    freeing_a_ring_frees_what_is_inside();
    without_memory_a_large_record_is_dropped_and_counted();
    without_memory_behind_a_pad_the_next_record_still_finds_its_place();
    a_forked_child_starts_with_an_empty_ring_and_the_parent_keeps_its_own();
    a_fork_right_after_a_large_record_was_freed_does_not_free_it_again();
    two_threads_lose_nothing_but_what_is_counted();
    the_consumer_never_sees_fewer_than_no_records_waiting();
    CHECK(faults_n_held() == 0);
    return 0;
}
