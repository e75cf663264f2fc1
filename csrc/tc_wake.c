#include "tc_wake.h"

#include "tc_clock.h"

#include <errno.h>
#include <time.h>

tc_status tc_wake_init(tc_wake *w) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return TC_NO_MEMORY;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&w->condition, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed || pthread_mutex_init(&w->mutex, NULL) != 0) return TC_NO_MEMORY;
    atomic_init(&w->generation, 0);
    atomic_init(&w->is_sleeping, false);
    return TC_OK;
}

tc_status tc_wake_init_in_child(tc_wake *w) {
    /* The old objects may be locked or waited on by threads that do not exist
     * here; they hold no resources but their own bytes, so overwrite them. */
    return tc_wake_init(w);
}

void tc_wake_destroy(tc_wake *w) {
    pthread_cond_destroy(&w->condition);
    pthread_mutex_destroy(&w->mutex);
}

void tc_wake_all(tc_wake *w) {
    pthread_mutex_lock(&w->mutex);
    atomic_fetch_add_explicit(&w->generation, 1, memory_order_release);
    pthread_cond_broadcast(&w->condition);
    pthread_mutex_unlock(&w->mutex);
}

bool tc_wake_wait(tc_wake *w, uint64_t seen, uint64_t timeout_ns, bool hint) {
    uint64_t until = tc_clock_monotonic_ns() + timeout_ns;
    struct timespec deadline = {(time_t)(until / 1000000000ull), (long)(until % 1000000000ull)};
    pthread_mutex_lock(&w->mutex);
    if (hint) atomic_store_explicit(&w->is_sleeping, true, memory_order_relaxed);
    int failed = 0;
    while (atomic_load_explicit(&w->generation, memory_order_relaxed) == seen && failed != ETIMEDOUT)
        failed = pthread_cond_timedwait(&w->condition, &w->mutex, &deadline);
    bool woken = atomic_load_explicit(&w->generation, memory_order_relaxed) != seen;
    if (hint) atomic_store_explicit(&w->is_sleeping, false, memory_order_relaxed);
    pthread_mutex_unlock(&w->mutex);
    return woken;
}
