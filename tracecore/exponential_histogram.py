"""ExponentialHistogram: counts of values in buckets whose bounds grow by a constant factor.

    scale s: bucket i holds the values in (b^i, b^(i+1)], b = 2^(2^-s);  counts[0] is bucket `offset`

Buckets of one scale lie inside those of the next coarser one, so two histograms are added or subtracted at the
coarser of their scales, exactly.

Source: specification, metrics/data-model.md "ExponentialHistogram".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

__all__ = ["MAX_BUCKETS", "ExponentialHistogram"]

MAX_BUCKETS: Final = 160
"""The specification's default; sums keep to it by coarsening."""


@dataclass(frozen=True)
class ExponentialHistogram:
    """Does not change. `min` and `max` mean nothing while `count` is 0."""

    count: int = 0
    zero_count: int = 0
    sum: float = 0.0
    min: float = 0.0
    max: float = 0.0
    scale: int = 20
    offset: int = 0
    counts: tuple[int, ...] = ()

    def at_scale(self, scale: int) -> ExponentialHistogram:
        """Return the same values at a coarser scale."""
        change = self.scale - scale
        if change <= 0 or not self.counts:
            return self if change == 0 else replace(self, scale=scale)
        offset = self.offset >> change
        counts = [0] * (((self.offset + len(self.counts) - 1) >> change) - offset + 1)
        for i, n in enumerate(self.counts):
            counts[((self.offset + i) >> change) - offset] += n
        return replace(self, scale=scale, offset=offset, counts=tuple(counts))

    def plus(self, other: ExponentialHistogram) -> ExponentialHistogram:
        """Return both together."""
        if not self.count or not other.count:
            return self if self.count else other
        scale = min((each.scale for each in (self, other) if each.counts), default=self.scale)
        while True:
            one, two = self.at_scale(scale), other.at_scale(scale)
            if not one.counts or not two.counts:
                offset, counts = (one.offset, one.counts) if one.counts else (two.offset, two.counts)
                break
            offset = min(one.offset, two.offset)
            end = max(one.offset + len(one.counts), two.offset + len(two.counts))
            if end - offset <= MAX_BUCKETS:
                together = [0] * (end - offset)
                for each in (one, two):
                    for i, n in enumerate(each.counts, each.offset - offset):
                        together[i] += n
                counts = tuple(together)
                break
            scale -= 1
        return ExponentialHistogram(
            count=self.count + other.count,
            zero_count=self.zero_count + other.zero_count,
            sum=self.sum + other.sum,
            min=min(self.min, other.min),
            max=max(self.max, other.max),
            scale=scale,
            offset=offset,
            counts=counts,
        )

    def minus(self, earlier: ExponentialHistogram) -> ExponentialHistogram:
        """Return what came after `earlier`, a former state of this histogram.

        `min` and `max` of that are known no better than by the buckets, whose bounds are given; within the whole's.
        """
        if not earlier.count:
            return self
        then = earlier.at_scale(self.scale)
        counts = list(self.counts)
        for i, n in enumerate(then.counts, then.offset - self.offset):
            counts[i] -= n
        hit = [i for i, n in enumerate(counts) if n]
        count = self.count - earlier.count
        zero_count = self.zero_count - earlier.zero_count
        if not hit:
            return ExponentialHistogram(count=count, zero_count=zero_count, scale=self.scale)
        offset = self.offset + hit[0]
        counts = counts[hit[0] : hit[-1] + 1]
        return ExponentialHistogram(
            count=count,
            zero_count=zero_count,
            sum=self.sum - earlier.sum,
            min=0.0 if zero_count else max(self.min, self._lower_bound(offset)),
            max=min(self.max, self._lower_bound(offset + len(counts))),
            scale=self.scale,
            offset=offset,
            counts=tuple(counts),
        )

    def _lower_bound(self, index: int) -> float:
        exponent = index / 2**self.scale if self.scale >= 0 else float(index * 2**-self.scale)
        return 0.0 if exponent < -1074 else float(2.0 ** min(exponent, 1023.999))

    def quantile(self, q: float) -> float:
        """Return an estimate of the q-quantile, 0 to 1: the geometric middle of the bucket it is in."""
        if not self.count:
            return 0.0
        rank = q * (self.count - 1) - self.zero_count
        if rank < 0:
            return 0.0
        for i, n in enumerate(self.counts, self.offset):
            if rank < n:
                middle = float((self._lower_bound(i) * self._lower_bound(i + 1)) ** 0.5)
                return min(max(middle, self.min), self.max)
            rank -= n
        return self.max
