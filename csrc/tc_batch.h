/* tc_batch: records taken out of a ring, to be encoded, decoded or retried.
 *
 * Records are copied out at once so that the span path finds room again while
 * an exporter waits for the network. One thread at a time.
 */
#ifndef TC_BATCH_H
#define TC_BATCH_H

#include "tc_ring.h"

typedef struct tc_batch {
    uint8_t *bytes; /* the records, one after the other, 16-byte aligned */
    uint64_t n_bytes;
    uint64_t capacity;
    uint64_t *offsets; /* where each record starts in `bytes` */
    uint32_t n;
    uint32_t n_offsets;
} tc_batch;

void tc_batch_init(tc_batch *batch);
void tc_batch_clear(tc_batch *batch); /* frees; the batch is empty and usable again */

/* Moves up to max_records more records out of the ring, stopping once max_bytes
 * are held (at least one record is moved). TC_NO_MEMORY: what was moved so far
 * is kept, the rest stays in the ring. */
tc_status tc_batch_take(tc_batch *batch, tc_ring *ring, uint32_t max_records, uint64_t max_bytes);

/* Appends copies of records first .. first + n - 1, as far as there are any.
 * TC_NO_MEMORY: those that were copied so far stay. */
tc_status tc_batch_copy(tc_batch *to, const tc_batch *batch, uint32_t first, uint32_t n);

static inline const uint8_t *tc_batch_record_view(const tc_batch *b, uint32_t i) { return b->bytes + b->offsets[i]; }

#endif
