#include "tc_clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t id) {
    struct timespec t;
    if (TC_UNLIKELY(clock_gettime(id, &t) != 0)) return 0;
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t tc_clock_monotonic_ns(void) { return read_ns(CLOCK_MONOTONIC); }

int64_t tc_clock_offset_ns(tc_clock *clock, uint64_t now_ns) {
    if (TC_LIKELY(clock->read_at_ns != 0 && now_ns - clock->read_at_ns < TC_CLOCK_OFFSET_MAX_AGE_NS))
        return clock->offset_ns;
    /* The monotonic reading must bracket the wall reading, or a preemption in
     * between would shift every span of the next second: of three tries take
     * the one whose bracket is narrowest. */
    uint64_t narrowest = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        uint64_t before = read_ns(CLOCK_MONOTONIC);
        uint64_t wall = read_ns(CLOCK_REALTIME);
        uint64_t after = read_ns(CLOCK_MONOTONIC);
        if (after - before < narrowest) {
            narrowest = after - before;
            clock->offset_ns = (int64_t)(wall - (before + (after - before) / 2));
            clock->read_at_ns = after;
        }
    }
    return clock->offset_ns;
}
