#include "tc_histogram.h"

#include <math.h>

#define MIN_NORMAL_EXPONENT (-1022)
#define MAX_NORMAL_EXPONENT 1023
#define MANTISSA_BITS 52

void tc_histogram_init(tc_histogram *h) {
    memset(h, 0, sizeof *h);
    h->scale = TC_HISTOGRAM_MAX_SCALE;
}

int32_t tc_histogram_index(double value, int32_t scale) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t mantissa = bits & ((1ull << MANTISSA_BITS) - 1);
    int32_t exponent = (int32_t)(bits >> MANTISSA_BITS & 0x7ff) - 1023;
    if (exponent < MIN_NORMAL_EXPONENT) { /* subnormal: as the smallest normal number */
        exponent = MIN_NORMAL_EXPONENT;
        mantissa = 0;
    }
    /* Upper bounds belong to their bucket, so a power of two is the last value of the bucket below it:
     * exact here, where a logarithm would fall on either side. */
    if (scale <= 0) return (mantissa == 0 ? exponent - 1 : exponent) >> -scale;
    if (mantissa == 0) return exponent * (1 << scale) - 1;
    int32_t index = (int32_t)floor(log(value) * ldexp(M_LOG2E, scale));
    /* A logarithm rounds; what it may not do is leave the octave that the exponent tells. */
    int32_t lowest = exponent * (1 << scale), highest = lowest + (1 << scale) - 1;
    return index < lowest ? lowest : index > highest ? highest : index;
}

/* Merges 2^change neighbouring buckets into one. */
static void downscale(tc_histogram *h, int32_t change) {
    if (h->n != 0) {
        int32_t offset = h->offset >> change;
        uint64_t counts[TC_HISTOGRAM_BUCKETS] = {0};
        uint32_t n = 0;
        for (uint32_t i = 0; i < h->n; i++) {
            n = (uint32_t)(((h->offset + (int32_t)i) >> change) - offset);
            counts[n] += h->counts[i];
        }
        memcpy(h->counts, counts, sizeof counts);
        h->offset = offset;
        h->n = n + 1;
    }
    h->scale -= change;
}

/* By how much the scale must fall so that both indices fit. */
static int32_t needed_change(int32_t low, int32_t high) {
    int32_t change = 0;
    while (high - low >= TC_HISTOGRAM_BUCKETS) {
        low >>= 1;
        high >>= 1;
        change++;
    }
    return change;
}

void tc_histogram_record(tc_histogram *h, double value) {
    if (!(value > 0)) value = 0;
    if (h->count == 0 || value < h->min) h->min = value;
    if (h->count == 0 || value > h->max) h->max = value;
    h->count++;
    h->sum += value;
    if (value == 0) {
        h->zero_count++;
        return;
    }
    int32_t index = tc_histogram_index(value, h->scale);
    if (h->n == 0) {
        h->offset = index;
        h->n = 1;
        h->counts[0] = 1;
        return;
    }
    int32_t last = h->offset + (int32_t)h->n - 1;
    int32_t low = index < h->offset ? index : h->offset, high = index > last ? index : last;
    int32_t change = needed_change(low, high);
    if (TC_UNLIKELY(change != 0)) {
        downscale(h, change);
        index >>= change; /* what the index is at the coarser scale: buckets nest */
    }
    if (index < h->offset) {
        uint32_t by = (uint32_t)(h->offset - index);
        memmove(h->counts + by, h->counts, h->n * sizeof *h->counts);
        memset(h->counts, 0, by * sizeof *h->counts);
        h->offset = index;
        h->n += by;
    } else if (index >= h->offset + (int32_t)h->n) {
        h->n = (uint32_t)(index - h->offset) + 1; /* the new ones are zero: nothing beyond n ever was counted */
    }
    h->counts[index - h->offset]++;
}
