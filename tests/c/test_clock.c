/* tc_clock: one offset a second, read without a skew. */
#include "check.h"
#include "faults.h"
#include "tc_clock.h"

#include <time.h>

#define SECOND 1000000000ull
#define EPOCH_NS (1700000000ull * SECOND)

static void stop_time_at(uint64_t monotonic_ns, uint64_t wall_ns) {
    faults_time = (faults_clock){.is_on = true, .monotonic_ns = monotonic_ns, .wall_ns = wall_ns};
}

static void monotonic_time_never_runs_backwards(void) {
    uint64_t last = 0;
    for (int i = 0; i < 100000; i++) {
        uint64_t now = tc_clock_monotonic_ns();
        CHECK(now != 0 && now >= last);
        last = now;
    }
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t expected = (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
    CHECK(expected >= last && expected - last < 10 * SECOND);
}

static void monotonic_plus_offset_is_wall_time(void) {
    tc_clock clock = {0};
    uint64_t now = tc_clock_monotonic_ns();
    uint64_t as_wall = now + (uint64_t)tc_clock_offset_ns(&clock, now);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t wall = (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
    CHECK(wall - as_wall < 10 * SECOND || as_wall - wall < 10 * SECOND);
}

static void the_wall_clock_is_read_once_within_the_age(void) {
    stop_time_at(50 * SECOND, EPOCH_NS);
    tc_clock clock = {0};
    int64_t offset = tc_clock_offset_ns(&clock, 50 * SECOND);
    CHECK(offset == (int64_t)(EPOCH_NS - 50 * SECOND));
    CHECK(clock.read_at_ns == 50 * SECOND && faults_time.n_readings == 9);
    faults_time.wall_ns += 3600 * SECOND; /* somebody sets the clock */
    CHECK(tc_clock_offset_ns(&clock, 50 * SECOND) == offset);
    CHECK(tc_clock_offset_ns(&clock, 51 * SECOND - 1) == offset);
    CHECK(faults_time.n_readings == 9);
    faults_time.monotonic_ns += SECOND;
    CHECK(tc_clock_offset_ns(&clock, 51 * SECOND) == offset + (int64_t)(3599 * SECOND));
    CHECK(faults_time.n_readings == 18 && clock.read_at_ns == 51 * SECOND);
}

static void a_wall_clock_behind_the_monotonic_one_gives_a_negative_offset(void) {
    stop_time_at(50 * SECOND, 20 * SECOND);
    tc_clock clock = {0};
    CHECK(tc_clock_offset_ns(&clock, 50 * SECOND) == -(int64_t)(30 * SECOND));
}

static void a_time_before_the_last_reading_reads_again(void) {
    stop_time_at(50 * SECOND, EPOCH_NS);
    tc_clock clock = {0};
    tc_clock_offset_ns(&clock, 50 * SECOND);
    tc_clock_offset_ns(&clock, 50 * SECOND - 1);
    CHECK(faults_time.n_readings == 18);
}

static void a_preemption_between_the_readings_does_not_shift_the_offset(void) {
    /* before, wall, after; three times. The second bracket is the narrowest. */
    static const uint64_t steps[9] = {0, 900000, 100, 5, 10, 10, 7, 300, 1};
    stop_time_at(50 * SECOND, EPOCH_NS);
    faults_time.steps_ns = steps;
    faults_time.n_steps = 9;
    tc_clock clock = {0};
    CHECK(tc_clock_offset_ns(&clock, 50 * SECOND) == (int64_t)(EPOCH_NS - 50 * SECOND));
    CHECK(clock.read_at_ns == 50 * SECOND + 900000 + 100 + 5 + 10 + 10);

    /* All wide: wrong by half the width of the narrowest at most. */
    static const uint64_t wide[9] = {0, 4000, 0, 0, 2000, 0, 0, 3000, 0};
    stop_time_at(50 * SECOND, EPOCH_NS);
    faults_time.steps_ns = wide;
    faults_time.n_steps = 9;
    clock = (tc_clock){0};
    CHECK(tc_clock_offset_ns(&clock, 50 * SECOND) == (int64_t)(EPOCH_NS - 50 * SECOND) + 1000);
}

static void a_clock_that_fails_says_zero(void) {
    stop_time_at(50 * SECOND, EPOCH_NS);
    faults_time.fails = true;
    tc_clock clock = {0};
    CHECK(tc_clock_monotonic_ns() == 0);
    CHECK(tc_clock_offset_ns(&clock, 0) == 0);
}

int main(void) {
    monotonic_time_never_runs_backwards();
    monotonic_plus_offset_is_wall_time();
    the_wall_clock_is_read_once_within_the_age();
    a_wall_clock_behind_the_monotonic_one_gives_a_negative_offset();
    a_time_before_the_last_reading_reads_again();
    a_preemption_between_the_readings_does_not_shift_the_offset();
    a_clock_that_fails_says_zero();
    return 0;
}
