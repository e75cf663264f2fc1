/* tc_clock: wall time that never runs backwards inside a trace.
 *
 * A span is timed by the monotonic clock only. What turns that into epoch
 * nanoseconds is one offset (wall - monotonic), read when a local root starts
 * and inherited by its children, so a step of the wall clock can neither make a
 * duration negative nor put a child before its parent. The caller keeps the
 * offset; this unit has no state.
 */
#ifndef TC_CLOCK_H
#define TC_CLOCK_H

#include "tc_base.h"

/* How old a cached offset may be before a new root reads it again: steps of the
 * wall clock show up in new traces within this time. */
#define TC_CLOCK_OFFSET_MAX_AGE_NS 1000000000ull

typedef struct tc_clock {
    uint64_t read_at_ns; /* monotonic time of the last reading; 0: never */
    int64_t offset_ns;   /* wall - monotonic at that time */
} tc_clock;

/* Nanoseconds of CLOCK_MONOTONIC. Any thread. */
uint64_t tc_clock_monotonic_ns(void);

/* The offset to use for a trace that starts at `now_ns` (monotonic). Reads the
 * wall clock at most once per TC_CLOCK_OFFSET_MAX_AGE_NS. One thread at a time. */
int64_t tc_clock_offset_ns(tc_clock *clock, uint64_t now_ns);

#endif
