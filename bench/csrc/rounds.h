/* Short rounds and their minimum and median, for the benches beside this file. */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N_ROUNDS 301 /* odd: the median is one of them */

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts `ns` and prints one line of JSON. */
static inline void report(const char *name, double ns[N_ROUNDS]) {
    qsort(ns, N_ROUNDS, sizeof *ns, by_value);
    printf("{\"bench\": \"%s\", \"min_ns\": %.1f, \"median_ns\": %.1f}\n", name, ns[0], ns[N_ROUNDS / 2]);
}

/* Ends the program when a call that cannot fail here failed. */
static inline void must(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}

#endif
