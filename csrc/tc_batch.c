#include "tc_batch.h"

#include "tc_record.h"

#include <stdlib.h>

void tc_batch_init(tc_batch *b) { *b = (tc_batch){0}; }

void tc_batch_clear(tc_batch *b) {
    free(b->bytes);
    free(b->offsets);
    tc_batch_init(b);
}

/* Room for one more record of n bytes. */
static bool make_room(tc_batch *b, uint64_t n) {
    if (b->n == b->n_offsets) {
        uint32_t n_offsets = b->n_offsets == 0 ? 256 : b->n_offsets * 2;
        uint64_t *offsets = realloc(b->offsets, n_offsets * sizeof *offsets);
        if (offsets == NULL) return false;
        b->offsets = offsets;
        b->n_offsets = n_offsets;
    }
    if (b->n_bytes + n > b->capacity) {
        uint64_t capacity = b->capacity == 0 ? 64u << 10 : b->capacity;
        while (capacity < b->n_bytes + n) capacity *= 2;
        uint8_t *bytes = realloc(b->bytes, capacity);
        if (bytes == NULL) return false;
        b->bytes = bytes;
        b->capacity = capacity;
    }
    return true;
}

static uint32_t length_of(const uint8_t *record) { return tc_load_u32(record + offsetof(tc_header, length)); }
static uint64_t aligned(uint64_t n) { return (n + 15) & ~15ull; }

/* A copy of a record at the end of `bytes`, which no offset names yet. The record may stand in `bytes` itself. */
static bool put_bytes(tc_batch *b, const uint8_t *record, uint64_t *offset) {
    uint32_t length = length_of(record);
    uint64_t n = aligned(length);
    uintptr_t at = (uintptr_t)record - (uintptr_t)b->bytes;
    bool is_inside = at < b->n_bytes;
    if (!make_room(b, n)) return false;
    if (is_inside) record = b->bytes + at; /* it may have moved */
    uint8_t *place = b->bytes + b->n_bytes;
    memcpy(place, record, length);
    place[offsetof(tc_header, type)] = TC_RECORD_SPAN; /* a draft says "open" */
    *offset = b->n_bytes;
    b->n_bytes += n;
    return true;
}

tc_status tc_batch_append(tc_batch *b, const uint8_t *record) {
    uint64_t offset;
    if (!put_bytes(b, record, &offset)) return TC_NO_MEMORY;
    b->offsets[b->n++] = offset;
    return TC_OK;
}

tc_status tc_batch_take(tc_batch *b, tc_ring *ring, uint32_t max_records, uint64_t max_bytes) {
    for (uint32_t i = 0; i < max_records; i++) {
        if (i != 0 && b->n_bytes >= max_bytes) break;
        const uint8_t *record = tc_ring_take_spsc(ring);
        if (record == NULL) break;
        if (tc_batch_append(b, record) != TC_OK) return TC_NO_MEMORY;
        tc_ring_take_done_spsc(ring);
    }
    return TC_OK;
}

uint32_t tc_batch_settle(tc_batch *b) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n; i++)
        if (b->offsets[i] != TC_BATCH_REMOVED) b->offsets[n++] = b->offsets[i];
    uint32_t n_removed = b->n - n;
    b->n = n;
    return n_removed;
}

tc_status tc_batch_replace(tc_batch *b, uint32_t i, const uint8_t *record) {
    uint8_t *old = tc_batch_record(b, i);
    uint32_t length = length_of(record);
    if (aligned(length) <= aligned(length_of(old))) {
        memmove(old, record, length);
        old[offsetof(tc_header, type)] = TC_RECORD_SPAN;
        return TC_OK;
    }
    uint64_t offset;
    if (!put_bytes(b, record, &offset)) return TC_NO_MEMORY;
    b->offsets[i] = offset; /* not handed to put_bytes: it may move the offsets */
    return TC_OK;
}

void tc_batch_trim(tc_batch *b) {
    uint64_t n_used = 0;
    for (uint32_t i = 0; i < b->n; i++) n_used += aligned(length_of(tc_batch_record_view(b, i)));
    if (n_used == 0) {
        tc_batch_clear(b);
        return;
    }
    if (n_used < b->n_bytes) {
        /* Offsets need not rise after a replacement: copy, do not slide. */
        uint8_t *bytes = malloc(n_used);
        if (bytes == NULL) return;
        uint64_t at = 0;
        for (uint32_t i = 0; i < b->n; i++) {
            const uint8_t *record = tc_batch_record_view(b, i);
            uint32_t length = length_of(record);
            memcpy(bytes + at, record, length);
            b->offsets[i] = at;
            at += aligned(length);
        }
        free(b->bytes);
        b->bytes = bytes;
        b->n_bytes = b->capacity = n_used;
    } else if (b->capacity > n_used) {
        uint8_t *bytes = realloc(b->bytes, n_used);
        if (bytes != NULL) {
            b->bytes = bytes;
            b->capacity = n_used;
        }
    }
    if (b->n_offsets > b->n) {
        uint64_t *offsets = realloc(b->offsets, b->n * sizeof *offsets);
        if (offsets != NULL) {
            b->offsets = offsets;
            b->n_offsets = b->n;
        }
    }
}
