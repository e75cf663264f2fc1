#include "tc_ids.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Written only by the fork handler, while the child has a single thread:
 * relaxed is enough everywhere. */
static _Atomic uint32_t generation = 1;

typedef struct generator {
    uint64_t s[4];
    uint32_t generation; /* 0: never seeded */
} generator;

static _Thread_local generator local;

static void after_fork_in_child(void) {
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

tc_status tc_ids_init(void) {
    static atomic_flag registered = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&registered)) return TC_OK;
    if (pthread_atfork(NULL, NULL, after_fork_in_child) == 0) return TC_OK;
    atomic_flag_clear(&registered); /* the next call tries again */
    return TC_NO_MEMORY;
}

uint32_t tc_ids_generation(void) { return atomic_load_explicit(&generation, memory_order_relaxed); }

const uint32_t *tc_ids_generation_view(void) { return (const uint32_t *)&generation; }

static uint64_t splitmix64(uint64_t *x) {
    uint64_t z = (*x += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static void seed(generator *g, uint32_t now_generation) {
    ssize_t got = getrandom(g->s, sizeof g->s, GRND_NONBLOCK);
    if (got != (ssize_t)sizeof g->s) {
        /* Very early boot or a sandbox without the system call. Time, pid and
         * the address of thread-local memory still tell processes and threads
         * apart; blocking a request for entropy would be worse. */
        struct timespec t = {0, 0};
        clock_gettime(CLOCK_REALTIME, &t);
        uint64_t x = (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
        x ^= (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)g ^ now_generation;
        for (int i = 0; i < 4; i++) g->s[i] = splitmix64(&x);
    }
    if ((g->s[0] | g->s[1] | g->s[2] | g->s[3]) == 0) g->s[0] = 1; /* the one state it can't leave */
    g->generation = now_generation;
}

static inline uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

static inline uint64_t next(void) {
    generator *g = &local;
    uint32_t now = atomic_load_explicit(&generation, memory_order_relaxed);
    if (TC_UNLIKELY(g->generation != now)) seed(g, now);
    uint64_t *s = g->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

void tc_ids_trace(uint8_t out[TC_TRACE_ID_BYTES]) {
    uint64_t high, low;
    do {
        high = next();
        low = next();
    } while (TC_UNLIKELY((high | low) == 0));
    memcpy(out, &high, 8);
    memcpy(out + 8, &low, 8);
}

void tc_ids_span(uint8_t out[TC_SPAN_ID_BYTES]) {
    uint64_t id;
    do id = next();
    while (TC_UNLIKELY(id == 0));
    memcpy(out, &id, 8);
}
