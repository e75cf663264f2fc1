#define _GNU_SOURCE 1 /* pthread_condattr_t, getrandom */

#include "faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static _Atomic long fail_after = -1; /* -1: never */
static _Atomic bool has_failed;
static _Atomic long n_held, n_asked;

void (*faults_after_free)(const void *block);
faults_clock faults_time;
faults_entropy faults_random;

void faults_fail_after(long n) {
    atomic_store_explicit(&has_failed, false, memory_order_relaxed);
    atomic_store_explicit(&fail_after, n, memory_order_relaxed);
}

bool faults_stop(void) {
    atomic_store_explicit(&fail_after, -1, memory_order_relaxed);
    return atomic_load_explicit(&has_failed, memory_order_relaxed);
}

long faults_n_held(void) { return atomic_load_explicit(&n_held, memory_order_relaxed); }
long faults_n_asked(void) { return atomic_load_explicit(&n_asked, memory_order_relaxed); }

static bool fails(void) {
    atomic_fetch_add_explicit(&n_asked, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_after, memory_order_relaxed) < 0) return false;
    if (atomic_fetch_sub_explicit(&fail_after, 1, memory_order_relaxed) != 0) return false;
    atomic_store_explicit(&has_failed, true, memory_order_relaxed);
    return true;
}

static void *held(void *block) {
    if (block != NULL) atomic_fetch_add_explicit(&n_held, 1, memory_order_relaxed);
    return block;
}
static void released(void) { atomic_fetch_sub_explicit(&n_held, 1, memory_order_relaxed); }

/* ---- memory ------------------------------------------------------------------- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void __real_free(void *block);
void *__real_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset);
int __real_munmap(void *at, size_t n);

void *__wrap_malloc(size_t n) { return fails() ? NULL : held(__real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : held(__real_calloc(n, size)); }
void *__wrap_aligned_alloc(size_t alignment, size_t n) {
    return fails() ? NULL : held(__real_aligned_alloc(alignment, n));
}
void *__wrap_realloc(void *block, size_t n) {
    if (fails()) return NULL;
    return block == NULL ? held(__real_realloc(NULL, n)) : __real_realloc(block, n);
}
void __wrap_free(void *block) {
    if (block == NULL) return;
    uintptr_t was = (uintptr_t)block;
    released();
    __real_free(block);
    if (faults_after_free != NULL) faults_after_free((const void *)was);
}
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset) {
    if (fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *mapped = __real_mmap(at, n, protection, flags, file, offset);
    if (mapped != MAP_FAILED) held(mapped);
    return mapped;
}
int __wrap_munmap(void *at, size_t n) {
    released();
    return __real_munmap(at, n);
}

/* ---- threads ------------------------------------------------------------------ */

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __real_pthread_condattr_init(pthread_condattr_t *attributes);
int __real_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    return fails() ? ENOMEM : __real_pthread_atfork(prepare, parent, child);
}
int __wrap_pthread_condattr_init(pthread_condattr_t *attributes) {
    return fails() ? ENOMEM : __real_pthread_condattr_init(attributes);
}
int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes) {
    return fails() ? EAGAIN : __real_pthread_cond_init(condition, attributes);
}
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
    return fails() ? EAGAIN : __real_pthread_mutex_init(mutex, attributes);
}

/* ---- time and chance ------------------------------------------------------------ */

int __real_clock_gettime(clockid_t id, struct timespec *t);
ssize_t __real_getrandom(void *to, size_t n, unsigned flags);

int __wrap_clock_gettime(clockid_t id, struct timespec *t) {
    faults_clock *f = &faults_time;
    if (!f->is_on) return __real_clock_gettime(id, t);
    if (f->fails) return -1;
    if (f->n_readings < f->n_steps) {
        f->monotonic_ns += f->steps_ns[f->n_readings];
        f->wall_ns += f->steps_ns[f->n_readings];
    }
    f->n_readings++;
    uint64_t now = id == CLOCK_REALTIME ? f->wall_ns : f->monotonic_ns;
    t->tv_sec = (time_t)(now / 1000000000u);
    t->tv_nsec = (long)(now % 1000000000u);
    return 0;
}

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags) {
    if (faults_random.fails) {
        errno = ENOSYS;
        return -1;
    }
    if (faults_random.words == NULL) return __real_getrandom(to, n, flags);
    memcpy(to, faults_random.words, n);
    return (ssize_t)n;
}
