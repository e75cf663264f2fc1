/* tc_wake: no wake-up is lost, no sleep is forever. */
#include "check.h"
#include "faults.h"
#include "tc_clock.h"
#include "tc_wake.h"

#include <sys/wait.h>
#include <unistd.h>

#define MS 1000000ull
#define FOREVER (30000 * MS) /* longer than any test may take */

static void a_wait_ends_at_its_timeout_and_not_before(void) {
    tc_wake w;
    CHECK(tc_wake_init(&w) == TC_OK && tc_wake_generation(&w) == 0);
    static const uint64_t timeouts[] = {0, 1, 5 * MS, 1001 * MS};
    for (size_t i = 0; i < 4; i++) {
        uint64_t before = tc_clock_monotonic_ns();
        CHECK(!tc_wake_wait(&w, 0, timeouts[i], true));
        uint64_t slept = tc_clock_monotonic_ns() - before;
        CHECK(slept >= timeouts[i] && slept < timeouts[i] + 10000 * MS);
        CHECK(!w.is_sleeping);
    }
    tc_wake_destroy(&w);
}

static void a_wake_up_before_the_wait_is_not_lost(void) {
    tc_wake w;
    CHECK(tc_wake_init(&w) == TC_OK);
    uint64_t seen = tc_wake_generation(&w);
    tc_wake_all(&w);
    CHECK(tc_wake_generation(&w) == seen + 1);
    CHECK(tc_wake_wait(&w, seen, FOREVER, true));
    CHECK(tc_wake_wait(&w, seen, 0, true)); /* it still is */
    CHECK(!tc_wake_wait(&w, seen + 1, 0, true));
    tc_wake_destroy(&w);
}

/* ---- two threads ------------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__)
#define N_ROUNDS 5000u
#else
#define N_ROUNDS 20000u
#endif

typedef struct court {
    tc_wake to_left, to_right;
    uint64_t ball; /* plain: the wake-ups must order it */
} court;

/* Each side names the generation before it asks the other to go on, so the
 * answer may come before the wait; one lost wake-up and the test hangs to its
 * timeout. */
static void *play_right(void *arg) {
    court *c = arg;
    for (uint64_t i = 0; i < N_ROUNDS; i++) {
        CHECK(tc_wake_wait(&c->to_right, i, FOREVER, i & 1));
        CHECK(c->ball == 2 * i + 1);
        c->ball++;
        tc_wake_all(&c->to_left);
    }
    return NULL;
}

static void two_threads_play_ping_pong(void) {
    static court c;
    CHECK(tc_wake_init(&c.to_left) == TC_OK && tc_wake_init(&c.to_right) == TC_OK);
    pthread_t right;
    CHECK(pthread_create(&right, NULL, play_right, &c) == 0);
    for (uint64_t i = 0; i < N_ROUNDS; i++) {
        CHECK(c.ball == 2 * i);
        c.ball++;
        tc_wake_all(&c.to_right);
        CHECK(tc_wake_wait(&c.to_left, i, FOREVER, false));
    }
    CHECK(pthread_join(right, NULL) == 0);
    CHECK(c.ball == 2 * N_ROUNDS);
    tc_wake_destroy(&c.to_left);
    tc_wake_destroy(&c.to_right);
}

static void *sleep_once(void *arg) {
    CHECK(tc_wake_wait(arg, 0, FOREVER, true));
    return NULL;
}

static void everybody_who_waits_is_woken_and_the_hint_shows_a_sleeper(void) {
    static tc_wake w;
    CHECK(tc_wake_init(&w) == TC_OK);
    CHECK(!w.is_sleeping);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, sleep_once, &w) == 0);
    while (!atomic_load_explicit(&w.is_sleeping, memory_order_relaxed)) usleep(100);
    tc_wake_all(&w);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(!w.is_sleeping);
    tc_wake_destroy(&w);
}

static void a_wait_without_hint_shows_no_sleeper(void) {
    static tc_wake w;
    CHECK(tc_wake_init(&w) == TC_OK);
    atomic_store(&w.is_sleeping, true); /* the worker's */
    CHECK(!tc_wake_wait(&w, 0, MS, false));
    CHECK(w.is_sleeping);
    tc_wake_destroy(&w);
}

/* ---- fork and faults -------------------------------------------------------------- */

static void a_child_forked_while_the_lock_was_held_can_wait_and_wake(void) {
    static tc_wake w;
    CHECK(tc_wake_init(&w) == TC_OK);
    tc_wake_all(&w);
    pthread_mutex_lock(&w.mutex);
    atomic_store(&w.is_sleeping, true);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20); /* a deadlock ends here */
        CHECK(tc_wake_init_in_child(&w) == TC_OK);
        CHECK(tc_wake_generation(&w) == 0 && !w.is_sleeping);
        CHECK(!tc_wake_wait(&w, 0, MS, true));
        tc_wake_all(&w);
        CHECK(tc_wake_wait(&w, 0, FOREVER, true));
        _exit(0);
    }
    pthread_mutex_unlock(&w.mutex);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    tc_wake_destroy(&w);
}

static void what_the_system_refuses_is_no_memory(void) {
    tc_wake w;
    for (long n = 0; n < 3; n++) {
        faults_fail_after(n);
        CHECK(tc_wake_init(&w) == TC_NO_MEMORY);
        CHECK(faults_stop());
    }
    CHECK(tc_wake_init(&w) == TC_OK);
    tc_wake_destroy(&w);
}

int main(void) {
    a_wait_ends_at_its_timeout_and_not_before();
    a_wake_up_before_the_wait_is_not_lost();
    a_child_forked_while_the_lock_was_held_can_wait_and_wake();
    what_the_system_refuses_is_no_memory();
    two_threads_play_ping_pong();
    everybody_who_waits_is_woken_and_the_hint_shows_a_sleeper();
    a_wait_without_hint_shows_no_sleeper();
    return 0;
}
