/* tc_baggage: what the context carried when a span started, as attributes of the span.
 *
 * Baggage is there only while the span starts, so the span path writes all of it
 * into the record, at the place where a processor's set_attribute would have put it:
 *
 *     attributes given at the start | TC_EXTRA_BAGGAGE: u32 limit, entries | attributes set later
 *
 * Which entries become attributes is decided here, off the calling thread. The result
 * is that of set_attribute at that moment: an entry takes the place of an attribute given at
 * the start, one set later takes the place of the entry, and beyond the limit the
 * oldest attributes go and are counted. What no pattern matches is left out.
 *
 * Where memory is short a span goes without its baggage, and is counted. One
 * thread at a time.
 */
#ifndef TC_BAGGAGE_H
#define TC_BAGGAGE_H

#include "tc_batch.h"
#include "tc_match.h"
#include "tc_record.h"

typedef struct tc_baggage {
    tc_match keys; /* bit 0 */
    tc_draft_pool pool;
    uint64_t n_spans; /* that had baggage */
    uint64_t n_failed;
} tc_baggage;

void tc_baggage_init(tc_baggage *baggage);
void tc_baggage_clear(tc_baggage *baggage);
void tc_baggage_batch(tc_baggage *baggage, tc_batch *batch, const tc_strings *strings);

#endif
