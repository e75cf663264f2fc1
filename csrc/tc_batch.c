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

static tc_status append(tc_batch *b, const uint8_t *record) {
    uint32_t length = tc_load_u32(record + offsetof(tc_header, length));
    uint64_t n = ((uint64_t)length + 15) & ~15ull;
    if (!make_room(b, n)) return TC_NO_MEMORY;
    memcpy(b->bytes + b->n_bytes, record, length);
    b->offsets[b->n++] = b->n_bytes;
    b->n_bytes += n;
    return TC_OK;
}

tc_status tc_batch_take(tc_batch *b, tc_ring *ring, uint32_t max_records, uint64_t max_bytes) {
    for (uint32_t i = 0; i < max_records; i++) {
        if (i != 0 && b->n_bytes >= max_bytes) break;
        const uint8_t *record = tc_ring_take_spsc(ring);
        if (record == NULL) break;
        if (append(b, record) != TC_OK) return TC_NO_MEMORY;
        tc_ring_take_done_spsc(ring);
    }
    return TC_OK;
}

tc_status tc_batch_copy(tc_batch *to, const tc_batch *batch, uint32_t first, uint32_t n) {
    for (uint32_t i = first; i < batch->n && i - first < n; i++)
        if (append(to, tc_batch_record_view(batch, i)) != TC_OK) return TC_NO_MEMORY;
    return TC_OK;
}
