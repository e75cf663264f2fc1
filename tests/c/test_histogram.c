/* tc_histogram: buckets that hold what they say, at the finest scale that fits. */
#include "check.h"
#include "tc_histogram.h"

#include <math.h>

static void check_sums(const tc_histogram *h) {
    uint64_t n = h->zero_count;
    for (uint32_t i = 0; i < h->n; i++) n += h->counts[i];
    for (uint32_t i = h->n; i < TC_HISTOGRAM_BUCKETS; i++) CHECK(h->counts[i] == 0);
    CHECK(n == h->count);
    CHECK(h->n <= TC_HISTOGRAM_BUCKETS);
    CHECK(h->scale <= TC_HISTOGRAM_MAX_SCALE && h->scale >= TC_HISTOGRAM_MIN_SCALE);
    if (h->n != 0) CHECK(h->counts[0] != 0 && h->counts[h->n - 1] != 0); /* no bucket more than needed */
}

static void one_value_has_the_finest_scale(void) {
    tc_histogram h;
    tc_histogram_init(&h);
    CHECK(h.count == 0 && h.scale == 20 && h.n == 0);
    tc_histogram_record(&h, 0.25);
    CHECK(h.count == 1 && h.sum == 0.25 && h.min == 0.25 && h.max == 0.25);
    CHECK(h.scale == 20 && h.n == 1 && h.offset == (-2) * (1 << 20) - 1);
    check_sums(&h);
}

static void a_power_of_two_is_the_last_value_of_its_bucket(void) {
    for (int32_t scale = TC_HISTOGRAM_MIN_SCALE; scale <= TC_HISTOGRAM_MAX_SCALE; scale++) {
        for (int exponent = -300; exponent <= 300; exponent++) {
            double power = ldexp(1, exponent);
            int32_t index = tc_histogram_index(power, scale);
            CHECK(tc_histogram_index(nextafter(power, INFINITY), scale) >= index);
            CHECK(tc_histogram_index(nextafter(power, 0), scale) <= index);
            if (scale >= 0) {
                CHECK(index == exponent * (1 << scale) - 1);
                CHECK(tc_histogram_index(nextafter(power, INFINITY), scale) == index + 1);
            }
        }
    }
}

static void buckets_of_one_scale_lie_inside_those_of_the_next(void) {
    uint64_t random = 7;
    for (int i = 0; i < 100000; i++) {
        double value = ldexp(1 + (double)(check_random(&random) >> 12) / (double)(1ull << 52),
                             (int)(check_random(&random) % 200) - 100);
        int32_t fine = tc_histogram_index(value, 20);
        for (int32_t scale = 19; scale >= TC_HISTOGRAM_MIN_SCALE; scale--)
            CHECK(tc_histogram_index(value, scale) == fine >> (20 - scale));
    }
}

static void values_stand_between_the_bounds_of_their_bucket(void) {
    uint64_t random = 3;
    for (int i = 0; i < 100000; i++) {
        double value = ldexp(1 + (double)(check_random(&random) >> 12) / (double)(1ull << 52),
                             (int)(check_random(&random) % 40) - 35);
        int32_t scale = (int32_t)(check_random(&random) % 9);
        double index = tc_histogram_index(value, scale);
        double lower = exp2(ldexp(index, -scale)), upper = exp2(ldexp(index + 1, -scale));
        CHECK(value > lower * (1 - 1e-12) && value <= upper * (1 + 1e-12));
    }
}

static void the_scale_falls_no_further_than_it_must(void) {
    uint64_t random = 11;
    for (int round = 0; round < 300; round++) {
        tc_histogram h;
        tc_histogram_init(&h);
        int32_t low = INT32_MAX, high = INT32_MIN;
        double sum = 0;
        int n = 1 + (int)(check_random(&random) % 400), spread = 1 + (int)(check_random(&random) % 60);
        for (int i = 0; i < n; i++) {
            double value = ldexp(1 + (double)(check_random(&random) >> 12) / (double)(1ull << 52),
                                 (int)(check_random(&random) % (uint64_t)spread) - 40);
            int32_t index = tc_histogram_index(value, 20);
            low = index < low ? index : low;
            high = index > high ? index : high;
            sum += value;
            tc_histogram_record(&h, value);
            check_sums(&h);
        }
        int change = 0;
        while ((high >> change) - (low >> change) >= TC_HISTOGRAM_BUCKETS) change++;
        CHECK(h.scale == 20 - change);
        CHECK(h.offset == low >> change && h.offset + (int32_t)h.n - 1 == high >> change);
        CHECK(h.count == (uint64_t)n && h.sum == sum);
    }
}

static void extremes_fit_together(void) {
    tc_histogram h;
    tc_histogram_init(&h);
    tc_histogram_record(&h, 5e-324);
    tc_histogram_record(&h, 1.7976931348623157e308);
    tc_histogram_record(&h, 1);
    check_sums(&h);
    CHECK(h.count == 3 && h.zero_count == 0);
}

static void zero_and_what_no_duration_is_count_as_zero(void) {
    tc_histogram h;
    tc_histogram_init(&h);
    tc_histogram_record(&h, 0);
    tc_histogram_record(&h, -1);
    tc_histogram_record(&h, NAN);
    CHECK(h.count == 3 && h.zero_count == 3 && h.n == 0 && h.sum == 0 && h.min == 0 && h.max == 0);
    tc_histogram_record(&h, 2);
    CHECK(h.min == 0 && h.max == 2 && h.scale == 20);
    check_sums(&h);
}

int main(void) {
    one_value_has_the_finest_scale();
    a_power_of_two_is_the_last_value_of_its_bucket();
    buckets_of_one_scale_lie_inside_those_of_the_next();
    values_stand_between_the_bounds_of_their_bucket();
    the_scale_falls_no_further_than_it_must();
    extremes_fit_together();
    zero_and_what_no_duration_is_count_as_zero();
    return 0;
}
