/* tc_batch: records taken out of a ring, to be changed by stages, encoded, decoded or retried.
 *
 * Records are copied out at once so that the span path finds room again while
 * an exporter waits for the network. One thread at a time while it is changed;
 * any number of threads may read it once it is not.
 *
 *     offsets   [ o0 | o1 | o2 ]          n of them: what the batch holds, in this order
 *                  |    |    `--------------------.
 *                  v    `----------.              v
 *     bytes     [ record 0 | (1, as it was) | record 2 | record 1, replaced ]
 *
 * Nothing points into `bytes` but the offsets, so a record is taken out by
 * dropping its offset and replaced by new bytes at the end. Bytes that no offset
 * names any more stay until tc_batch_trim or tc_batch_clear. A view is good until
 * the next append, replace, trim, take or clear, which may move `bytes`.
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

/* ---- the records ---------------------------------------------------------- */

static inline const uint8_t *tc_batch_record_view(const tc_batch *b, uint32_t i) { return b->bytes + b->offsets[i]; }

/* The same, to be changed in place. Its length must not rise. */
static inline uint8_t *tc_batch_record(tc_batch *b, uint32_t i) { return b->bytes + b->offsets[i]; }

/* ---- changing the batch: stages, before any exporter sees it ---------------- */

#define TC_BATCH_REMOVED UINT64_MAX

/* Takes record i out. Indexes stay as they are, and record i must not be asked
 * for again, until tc_batch_settle closes the gaps: so a loop over the batch may
 * remove as it goes. Call settle before anybody else sees the batch. */
static inline void tc_batch_remove(tc_batch *b, uint32_t i) { b->offsets[i] = TC_BATCH_REMOVED; }
static inline bool tc_batch_is_removed(const tc_batch *b, uint32_t i) { return b->offsets[i] == TC_BATCH_REMOVED; }
/* Closes the gaps, keeping the order; returns how many were removed. */
uint32_t tc_batch_settle(tc_batch *batch);

/* Adds a copy of a finished record (tc_draft_finish, or a view of this batch or
 * another) at the end. TC_NO_MEMORY: nothing has changed. */
tc_status tc_batch_append(tc_batch *batch, const uint8_t *record);

/* Puts a copy of a finished record in the place of record i, which it may be
 * longer or shorter than, and which it may be a view of. Record i must not have
 * been removed. TC_NO_MEMORY: nothing has changed. */
tc_status tc_batch_replace(tc_batch *batch, uint32_t i, const uint8_t *record);

/* Gives back memory that no record uses, for a batch that will wait. Settled
 * batches only. Cannot fail: without memory it keeps what it has. */
void tc_batch_trim(tc_batch *batch);

/* Memory that the batch holds on to, in bytes. */
static inline uint64_t tc_batch_held_bytes(const tc_batch *b) {
    return b->capacity + (uint64_t)b->n_offsets * sizeof *b->offsets;
}

#endif
