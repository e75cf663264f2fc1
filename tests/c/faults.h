/* faults: the outside world, made to fail or to tell a chosen time.
 *
 * The programs are linked with --wrap for each call below, so that what csrc
 * asks of the C library passes through here first. Everything is relaxed: a
 * stronger order would hide from the thread sanitizer what a test must show.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The call number `n` from now (0: the next) that asks for a resource fails:
 * memory, mappings, locks, fork handlers. One thread. */
void faults_fail_after(long n);
/* Ends that; true if the failing call was reached. */
bool faults_stop(void);

/* Resources held now: blocks and mappings. Exact, where LeakSanitizer is not
 * there to ask. */
long faults_n_held(void);
/* Calls for a resource since the start of the process. */
long faults_n_asked(void);

/* Called with each block right after it was freed; NULL for nobody. */
extern void (*faults_after_free)(const void *block);

/* A chosen time: the two clocks stand still but for the steps, of which one is
 * added to both before each reading; without more steps they stop. */
typedef struct faults_clock {
    bool is_on, fails;
    uint64_t monotonic_ns, wall_ns;
    const uint64_t *steps_ns;
    unsigned n_steps, n_readings;
} faults_clock;
extern faults_clock faults_time;

/* What getrandom answers: a script of words used in turn, or a failure. */
typedef struct faults_entropy {
    bool fails;
    const uint64_t *words; /* NULL: the real thing */
} faults_entropy;
extern faults_entropy faults_random;

#endif
