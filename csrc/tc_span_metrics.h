/* tc_span_metrics: how many spans, how many failed, how long they took.
 *
 *     records of a batch  ->  (name, kind, status) -> tc_histogram
 *
 * One series for each combination; past TC_SPAN_METRICS_MAX of them, spans of new ones are counted in one
 * series without a name, as the specification's cardinality limit has it. The table only grows.
 *
 * Records that carry TC_UNSAMPLED were written to be measured and for nothing else: `observe` takes them out
 * of the batch.
 *
 * Threads: observe by the worker, without the GIL; read by any. A lock orders the two: it is held for one batch
 * or for the copying of one series, and never while anything else is waited for.
 *
 * Source: specification, metrics/sdk.md "Cardinality limits"; the collector's span metrics connector for what
 * the series are.
 */
#ifndef TC_SPAN_METRICS_H
#define TC_SPAN_METRICS_H

#include "tc_batch.h"
#include "tc_histogram.h"
#include "tc_strings.h"

#include <pthread.h>
#include <stdbool.h>

#define TC_SPAN_METRICS_MAX 2000u /* the specification's default limit, the overflow series included */

typedef struct tc_series {
    uint8_t *name; /* malloc'd, owned by the table; NULL for the overflow series */
    uint32_t name_length;
    uint32_t hash;
    uint8_t kind;
    uint8_t status;
    tc_histogram seconds;
} tc_series;

typedef struct tc_span_metrics {
    pthread_mutex_t lock;
    tc_series **series; /* in the order in which they appeared; never moves or frees one */
    uint32_t n;
    uint32_t max;
    uint32_t *slots; /* open addressing: index into series + 1, or 0 */
    uint32_t n_slots;
    uint64_t n_no_memory; /* spans that were not measured */
} tc_span_metrics;

/* `max`: series at most, from 1. */
tc_status tc_span_metrics_init(tc_span_metrics *metrics, uint32_t max);
void tc_span_metrics_destroy(tc_span_metrics *metrics);

/* In a forked child: begin anew. What the parent had measured is not freed: its worker, which is not here, may
 * have been changing it. */
tc_status tc_span_metrics_reset_in_child(tc_span_metrics *metrics);

/* Measures every span of the batch, and removes those that are there for this only. */
void tc_span_metrics_observe(tc_span_metrics *metrics, tc_batch *batch, const tc_strings *strings);

/* Copies series i (its name stays the table's); false beyond the last. */
bool tc_span_metrics_read(tc_span_metrics *metrics, uint32_t i, tc_series *out);

#endif
