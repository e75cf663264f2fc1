/* tc_histogram: durations as an exponential histogram.
 *
 *     scale s: bucket i holds the values in (b^i, b^(i+1)], b = 2^(2^-s)
 *
 *     counts   [ . . 3 9 4 . . . 1 . ]     TC_HISTOGRAM_BUCKETS at most
 *                ^ offset        ^ offset + n - 1
 *
 * Starts at the finest scale and halves its resolution whenever a value would
 * need more buckets than there are, so any two values 2^1000 apart still fit
 * and the relative error is the smallest that the number of buckets allows.
 * Holds non-negative finite values only; a caller has no others.
 *
 * No allocation, no locks: memory and threads are the caller's matter.
 *
 * Source: specification, metrics/data-model.md "ExponentialHistogram" and
 * metrics/sdk.md "Base2 Exponential Bucket Histogram Aggregation".
 */
#ifndef TC_HISTOGRAM_H
#define TC_HISTOGRAM_H

#include "tc_base.h"

#define TC_HISTOGRAM_BUCKETS 160  /* the specification's default MaxSize */
#define TC_HISTOGRAM_MAX_SCALE 20 /* its default MaxScale; starting there costs nothing */
#define TC_HISTOGRAM_MIN_SCALE (-10) /* one bucket on either side of 1 */

typedef struct tc_histogram {
    uint64_t count;
    uint64_t zero_count;
    double sum, min, max; /* min and max are meaningless while count is 0 */
    int32_t scale;
    int32_t offset; /* index of counts[0] */
    uint32_t n;     /* counts in use: from the lowest bucket ever hit to the highest */
    uint64_t counts[TC_HISTOGRAM_BUCKETS];
} tc_histogram;

void tc_histogram_init(tc_histogram *histogram);

/* Counts one value: finite, not negative (others are counted as zero). */
void tc_histogram_record(tc_histogram *histogram, double value);

/* The bucket of a positive value at a scale. */
int32_t tc_histogram_index(double value, int32_t scale);

#endif
