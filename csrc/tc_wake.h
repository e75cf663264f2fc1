/* tc_wake: how the worker sleeps and how it is woken.
 *
 * A generation counter under a mutex and a condition variable on the monotonic
 * clock. A waiter names the generation it has seen, so a wake-up that comes
 * before the wait is not lost. The span path asks one relaxed load
 * (`is_sleeping`) before it pays for a wake-up.
 */
#ifndef TC_WAKE_H
#define TC_WAKE_H

#include "tc_base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct tc_wake {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    _Atomic uint64_t generation; /* written under the mutex */
    _Atomic bool is_sleeping;    /* a hint: relaxed; a stale answer costs one early or late wake-up */
} tc_wake;

tc_status tc_wake_init(tc_wake *wake);
void tc_wake_destroy(tc_wake *wake);
/* In a forked child, where the mutex may be held by a thread that is gone. */
tc_status tc_wake_init_in_child(tc_wake *wake);

static inline uint64_t tc_wake_generation(tc_wake *w) {
    return atomic_load_explicit(&w->generation, memory_order_acquire);
}
/* Wakes every waiter. Any thread. */
void tc_wake_all(tc_wake *wake);
/* Sleeps until the generation differs from `seen` or `timeout_ns` pass. True:
 * woken. `hint` marks the sleeper for the span path. */
bool tc_wake_wait(tc_wake *wake, uint64_t seen, uint64_t timeout_ns, bool hint);

#endif
