"""ExponentialHistogram: sums and differences hold the same values as one histogram of all of them."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.exponent_mapping import ExponentMapping
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping import LogarithmMapping

from tracecore.exponential_histogram import MAX_BUCKETS, ExponentialHistogram

values = st.lists(st.floats(1e-9, 1e6) | st.just(0.0), max_size=60)


def histogram(of: list[float], scale: int = 20) -> ExponentialHistogram:
    """By the definition: every value in the bucket that opentelemetry-sdk's mapping names, at the finest scale that fits."""
    positive = [value for value in of if value > 0]
    while True:
        mapping = LogarithmMapping(scale) if scale > 0 else ExponentMapping(scale)
        indexes = [mapping.map_to_index(value) for value in positive]
        if not indexes or max(indexes) - min(indexes) < MAX_BUCKETS:
            break
        scale -= 1
    offset = min(indexes, default=0)
    counts = [0] * (max(indexes, default=-1) - offset + 1)
    for index in indexes:
        counts[index - offset] += 1
    return ExponentialHistogram(
        len(of), len(of) - len(positive), math.fsum(of), min(of, default=0.0), max(of, default=0.0), scale, offset, tuple(counts)
    )


def check_same(one: ExponentialHistogram, two: ExponentialHistogram) -> None:
    assert (one.count, one.zero_count) == (two.count, two.zero_count)
    assert math.isclose(one.sum, two.sum, rel_tol=1e-9, abs_tol=1e-9)
    if two.counts:
        assert (one.scale, one.offset, one.counts) == (two.scale, two.offset, two.counts)


@given(values, values)
def test_a_sum_is_the_histogram_of_both(one: list[float], two: list[float]) -> None:
    together = histogram(one).plus(histogram(two))
    check_same(together, histogram(one + two))
    if one + two:
        assert (together.min, together.max) == (min(one + two), max(one + two))


@given(values, values)
def test_a_difference_is_the_histogram_of_what_came_after(one: list[float], two: list[float]) -> None:
    whole = histogram(one + two)
    after = whole.minus(histogram(one))
    check_same(after.at_scale(whole.scale), histogram(two, whole.scale))
    if two:
        assert after.min <= min(two) * (1 + 1e-9)
        assert after.max >= max(two) * (1 - 1e-9)


@given(values.filter(bool), st.integers(-5, 20))
def test_a_coarser_scale_loses_no_value(of: list[float], scale: int) -> None:
    fine = histogram(of)
    coarse = fine.at_scale(min(scale, fine.scale))
    check_same(coarse, histogram(of, min(scale, fine.scale)))


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=100), st.floats(0, 1))
def test_a_quantile_is_as_near_as_a_bucket_is_wide(of: list[float], q: float) -> None:
    found = histogram(of)
    true = sorted(of)[int(q * (len(of) - 1))]
    width = 2.0 ** (2.0**-found.scale)
    assert true / width * (1 - 1e-9) <= found.quantile(q) <= true * width * (1 + 1e-9)


def test_nothing_has_no_quantile() -> None:
    assert ExponentialHistogram().quantile(0.5) == 0.0
    assert histogram([0.0, 0.0]).quantile(0.9) == 0.0
