#include "tc_ring.h"

#include "tc_record.h"

#include <stdlib.h>
#include <sys/mman.h>

tc_ring *tc_ring_new(uint64_t n_bytes) {
    if (n_bytes < TC_RING_MIN_BYTES || n_bytes > TC_RING_MAX_BYTES || (n_bytes & (n_bytes - 1)) != 0) return NULL;
    tc_ring *r = aligned_alloc(TC_CACHE_LINE_BYTES, sizeof *r);
    if (r == NULL) return NULL;
    memset(r, 0, sizeof *r);
    void *data = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        free(r);
        return NULL;
    }
    r->data = data;
    r->n_bytes = n_bytes;
    return r;
}

void tc_ring_free(tc_ring *r) {
    if (r == NULL) return;
    while (tc_ring_take_spsc(r) != NULL) tc_ring_take_done_spsc(r);
    munmap(r->data, r->n_bytes);
    free(r);
}

void tc_ring_prefault(tc_ring *r) {
#ifdef MADV_POPULATE_WRITE
    if (madvise(r->data, r->n_bytes, MADV_POPULATE_WRITE) == 0) return;
#endif
    (void)r; /* an older kernel: the first lap pays */
}

void tc_ring_reset_in_child(tc_ring *r) {
    /* Addresses in the ring point into memory the child owns as well (a copy). */
    while (tc_ring_take_spsc(r) != NULL) tc_ring_take_done_spsc(r);
    madvise(r->data, r->n_bytes, MADV_DONTNEED);
    atomic_store_explicit(&r->head, 0, memory_order_relaxed);
    atomic_store_explicit(&r->tail, 0, memory_order_relaxed);
    r->cached_tail = 0;
    atomic_store_explicit(&r->n_written, 0, memory_order_relaxed);
    atomic_store_explicit(&r->n_dropped, 0, memory_order_relaxed);
    atomic_store_explicit(&r->n_taken, 0, memory_order_relaxed);
    atomic_store_explicit(&r->indirect_bytes, 0, memory_order_relaxed);
}

/* A test weakens these to prove that the thread sanitizer notices. */
#ifndef TC_RING_PUBLISH_ORDER
#define TC_RING_PUBLISH_ORDER memory_order_release
#endif
#ifndef TC_RING_FREE_ORDER
#define TC_RING_FREE_ORDER memory_order_release
#endif

/* ---- producer ----------------------------------------------------------------- */

static inline void bump(_Atomic uint64_t *counter) {
    /* single writer: a load and a store, not a locked add */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_release);
}

/* Room for n contiguous bytes at head, padding to the end first if need be;
 * NULL when full. Moves *head past the pad only. */
static uint8_t *reserve(tc_ring *r, uint64_t n, uint64_t *head) {
    uint64_t mask = r->n_bytes - 1;
    uint64_t to_end = r->n_bytes - (*head & mask);
    uint64_t need = to_end < n ? to_end + n : n;
    if (TC_UNLIKELY(*head + need - r->cached_tail > r->n_bytes)) {
        r->cached_tail = atomic_load_explicit(&r->tail, memory_order_acquire); /* pairs with take_done */
        if (*head + need - r->cached_tail > r->n_bytes) return NULL;
    }
    if (TC_UNLIKELY(to_end < n)) {
        tc_header pad = {.length = (uint32_t)to_end, .type = TC_RECORD_PAD};
        memcpy(r->data + (*head & mask), &pad, sizeof pad); /* to_end >= TC_RING_ALIGN */
        *head += to_end;
    }
    return r->data + (*head & mask);
}

static uint64_t aligned(uint64_t n) { return (n + TC_RING_ALIGN - 1) & ~(uint64_t)(TC_RING_ALIGN - 1); }

/* Publishes the record at `place`, whose type byte is still TC_RECORD_OPEN. */
static void commit(tc_ring *r, uint8_t *place, uint8_t type, uint64_t new_head) {
    atomic_store_explicit((_Atomic uint8_t *)(place + offsetof(tc_header, type)), type, memory_order_release);
    bump(&r->n_written); /* before head: nobody must take what is not counted yet */
    atomic_store_explicit(&r->head, new_head, TC_RING_PUBLISH_ORDER); /* pairs with acquire in take */
}

static tc_status put_indirect(tc_ring *r, const uint8_t *record, uint32_t length) {
    /* Bounded by the ring's own size again: memory stays within twice of it. */
    uint64_t out = atomic_load_explicit(&r->indirect_bytes, memory_order_relaxed);
    if (out != 0 && out + length > r->n_bytes) return TC_FULL;
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t n = aligned(sizeof(tc_header) + sizeof(uint8_t *));
    uint8_t *place = reserve(r, n, &head);
    if (place == NULL) return TC_FULL;
    uint8_t *copy = malloc(length);
    if (copy == NULL) return TC_NO_MEMORY;
    memcpy(copy, record, length);
    copy[offsetof(tc_header, type)] = TC_RECORD_SPAN;
    atomic_fetch_add_explicit(&r->indirect_bytes, length, memory_order_relaxed);
    tc_header header = {.length = (uint32_t)n, .type = TC_RECORD_OPEN};
    memcpy(place, &header, sizeof header);
    memcpy(place + sizeof header, &copy, sizeof copy);
    commit(r, place, TC_RECORD_INDIRECT, head + n);
    return TC_OK;
}

tc_status tc_ring_put_spsc(tc_ring *r, const uint8_t *record) {
    uint32_t length = tc_load_u32(record + offsetof(tc_header, length));
    tc_status status;
    if (TC_UNLIKELY(length > r->n_bytes / 8)) {
        status = put_indirect(r, record, length);
    } else {
        uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed); /* own variable */
        uint64_t n = aligned(length);
        uint8_t *place = reserve(r, n, &head);
        if (TC_LIKELY(place != NULL)) {
            memcpy(place, record, length);
            commit(r, place, TC_RECORD_SPAN, head + n);
            return TC_OK;
        }
        status = TC_FULL;
    }
    if (status != TC_OK) bump(&r->n_dropped);
    return status;
}

/* ---- consumer ----------------------------------------------------------------- */

static uint64_t skip_pads(tc_ring *r, uint64_t tail, uint64_t head) {
    while (tail != head) {
        tc_header header;
        memcpy(&header, r->data + (tail & (r->n_bytes - 1)), sizeof header);
        if (header.type != TC_RECORD_PAD) break;
        tail += header.length;
    }
    return tail;
}

const uint8_t *tc_ring_take_spsc(tc_ring *r) {
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire); /* pairs with commit */
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed); /* own variable */
    tail = skip_pads(r, tail, head);
    if (tail == head) return NULL;
    uint8_t *place = r->data + (tail & (r->n_bytes - 1));
    if (((tc_header *)(void *)place)->type == TC_RECORD_INDIRECT) {
        uint8_t *copy;
        memcpy(&copy, place + sizeof(tc_header), sizeof copy);
        return copy;
    }
    return place;
}

void tc_ring_take_done_spsc(tc_ring *r) {
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    uint64_t tail = skip_pads(r, atomic_load_explicit(&r->tail, memory_order_relaxed), head);
    if (tail == head) return;
    uint8_t *place = r->data + (tail & (r->n_bytes - 1));
    tc_header header;
    memcpy(&header, place, sizeof header);
    uint8_t *copy = NULL;
    if (header.type == TC_RECORD_INDIRECT) {
        memcpy(&copy, place + sizeof header, sizeof copy);
        atomic_fetch_sub_explicit(&r->indirect_bytes, tc_load_u32(copy), memory_order_relaxed);
    }
    bump(&r->n_taken);
    /* release: the producer may overwrite the place once it sees this (acquire
     * in reserve), so every read of the record must come before */
    atomic_store_explicit(&r->tail, tail + aligned(header.length), TC_RING_FREE_ORDER);
    /* Last, because another thread may fork between any two lines: the child
     * frees what stands past tail, and must not find an address that is gone. */
    free(copy);
}
