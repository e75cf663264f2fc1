/* tc_base: what every unit of the core shares.
 *
 * The include graph, bottom to top (no other edges; what stands below a unit's
 * own is reached through it). A test compares this drawing with the includes.
 *
 *     base <- clock
 *               <- wake      how the worker sleeps
 *          <- ids            (the only unit with state of its own: per-thread
 *                             generators and the fork generation)
 *          <- strings        interned strings: id -> bytes
 *          <- program        regular expressions as steps
 *               <- regex     those steps taken over a text
 *               strings, regex <- match     sets of patterns over keys and names
 *          <- hmac           values that nobody can read but that still compare
 *          <- record         one span as contiguous bytes
 *               <- ring      records in flight from the span path to the worker
 *                    <- batch     records taken out of the ring
 *          <- pb             protobuf primitives
 *               strings, batch, pb <- otlp
 *               batch, match, hmac, pb <- redact    attributes dropped, hashed, replaced, renamed
 *               batch, match <- drop                spans taken out by rules
 *               batch, match <- baggage             what contexts carried as attributes
 *               batch, match <- fold                equal siblings as one
 *               <- json      JSON primitives
 *                    <- otlp_json  a request of protobuf as JSON
 *          <- histogram      durations in exponential buckets
 *               strings, batch, histogram <- span_metrics
 *
 * Nothing here includes Python.h: that is how the compiler checks that the
 * worker never needs the GIL. Nothing prints and nothing aborts; a function
 * that can fail returns a tc_status.
 */
#ifndef TC_BASE_H
#define TC_BASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* getrandom, madvise, pthread_condattr_setclock */
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum tc_status {
    TC_OK = 0,
    TC_FULL = 1,      /* no room now; counted by the caller's ring */
    TC_TOO_LARGE = 2, /* would never fit */
    TC_NO_MEMORY = 3,
    TC_CORRUPT = 4, /* bytes that no writer of ours makes */
    TC_CLOSED = 5,
} tc_status;

/* English words for a status; never NULL. */
const char *tc_status_text(tc_status status);

#if defined(__GNUC__)
#define TC_LIKELY(x) __builtin_expect(!!(x), 1)
#define TC_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define TC_LIKELY(x) (x)
#define TC_UNLIKELY(x) (x)
#endif

/* Two cache lines: neighbouring-line prefetch makes 64 too few on x86. */
#define TC_CACHE_LINE_BYTES 128

/* Unaligned, byte-order-explicit access; compilers make single moves of them. */
static inline uint32_t tc_load_u32(const void *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t tc_load_u64(const void *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void tc_store_u32(void *p, uint32_t v) { memcpy(p, &v, sizeof v); }
static inline void tc_store_u64(void *p, uint64_t v) { memcpy(p, &v, sizeof v); }

static inline uint64_t tc_load_be64(const void *p) {
    const uint8_t *b = (const uint8_t *)p;
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | b[i];
    return v;
}
static inline void tc_store_be64(void *p, uint64_t v) {
    uint8_t *b = (uint8_t *)p;
    for (int i = 0; i < 8; i++) b[i] = (uint8_t)(v >> (56 - 8 * i));
}

#endif
