/* tc_ring: finished spans on their way from the span path to the worker.
 *
 * One producer, one consumer, one contiguous buffer of a power of two of bytes.
 * "One producer" holds because the GIL orders all threads that end spans; a
 * free-threaded build would take a ring a thread.
 *
 *              tail (consumer)                 head (producer)
 *                 v                               v
 *     +-----------+----------+----------+---------+-----------------+
 *     |  free     |  record  |  record  | record  |  free           |
 *     +-----------+----------+----------+---------+-----------------+
 *
 * head and tail count bytes since the start and never wrap (2^64 bytes are 58
 * years at 10 GB/s); the offset is their low bits. A record never wraps: when
 * it does not fit before the end, a pad record fills the rest.
 *
 * Commit: payload, then the type byte (release), then head (release). The type
 * byte is redundant with head for a live consumer; it is what lets a later
 * reader of a dead process's ring tell a finished record from a torn one.
 *
 *     put:  relaxed head, cached tail; on "full" acquire tail   <- pairs with release of tail in `take`
 *     take: acquire head                                        <- pairs with release of head in `put`
 *
 * Full: the newest span is dropped and counted. A record larger than an eighth
 * of the ring goes through malloc and only its address through the ring, under
 * a bound of its own, so that one huge span neither is lost nor starves others.
 */
#ifndef TC_RING_H
#define TC_RING_H

#include "tc_base.h"

#include <stdatomic.h>
#include <stdbool.h>

#define TC_RING_MIN_BYTES (64u << 10)
#define TC_RING_MAX_BYTES (1u << 30)
#define TC_RING_ALIGN 16u /* so that a header never straddles the end */

typedef struct tc_ring {
    uint8_t *data;
    uint64_t n_bytes; /* a power of two */

    /* the producer's line */
    _Alignas(TC_CACHE_LINE_BYTES) _Atomic uint64_t head;
    uint64_t cached_tail; /* the newest tail the producer has seen */
    _Atomic uint64_t n_written; /* records; written by the producer only */
    _Atomic uint64_t n_dropped; /* records refused because the ring was full; likewise */

    /* the consumer's line */
    _Alignas(TC_CACHE_LINE_BYTES) _Atomic uint64_t tail;
    _Atomic uint64_t n_taken; /* records; written by the consumer only */

    /* both: bytes of records that travel by address */
    _Alignas(TC_CACHE_LINE_BYTES) _Atomic uint64_t indirect_bytes;
} tc_ring;

/* NULL: n_bytes is no power of two within the bounds, or memory is short. Pages
 * are not touched yet. */
tc_ring *tc_ring_new(uint64_t n_bytes);
/* Frees everything, records still inside included. No producer or consumer may
 * be active. */
void tc_ring_free(tc_ring *ring);

/* Touches every page (any thread, any time; best called by the worker before
 * the first lap: a first touch costs the span path 2-5 us). */
void tc_ring_prefault(tc_ring *ring);

/* Copies one finished record (see tc_draft_finish) in. TC_OK, TC_FULL or
 * TC_NO_MEMORY; the two failures are counted in n_dropped. */
tc_status tc_ring_put_spsc(tc_ring *ring, const uint8_t *record);

/* The next record, or NULL when empty. It stays valid until tc_ring_take_done,
 * which frees its place. The consumer only. */
const uint8_t *tc_ring_take_spsc(tc_ring *ring);
void tc_ring_take_done_spsc(tc_ring *ring);

/* Records that wait. Exact when producer and consumer rest; else a bound. */
static inline uint64_t tc_ring_n_waiting(tc_ring *r) {
    uint64_t taken = atomic_load_explicit(&r->n_taken, memory_order_acquire);
    return atomic_load_explicit(&r->n_written, memory_order_acquire) - taken;
}
/* Bytes in use, as the producer can tell without touching the consumer's line. */
static inline uint64_t tc_ring_producer_bytes(tc_ring *r) {
    return atomic_load_explicit(&r->head, memory_order_relaxed) - r->cached_tail;
}

/* In a forked child: forget the parent's records and counts, give the shared
 * pages back. No other thread exists. */
void tc_ring_reset_in_child(tc_ring *ring);

#endif
