"""A view that makes SpanMetrics' durations the exponential histogram that they are, in opentelemetry-sdk's metrics.

    from tracecore.otel.span_durations import view

    meter_provider = MeterProvider(metric_readers=[...], views=[view()])
    provider.add_span_processor(SpanMetrics(meter_provider))

The metrics API passes single numbers on. The numbers of SpanMetrics know which histogram they are the sum of; the
aggregation below takes it from them, adds up those that a view's attribute filter puts together, and for readers that
want deltas takes off what it told before. Imports opentelemetry-sdk, from whose private class it derives: that is how
its exporters know a point to be of a histogram.

Source: specification, metrics/sdk.md "View"; opentelemetry-sdk 1.45, metrics/_internal/aggregation.py.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics._internal.aggregation import _ExponentialBucketHistogramAggregation
from opentelemetry.sdk.metrics.export import AggregationTemporality, Buckets, ExponentialHistogramDataPoint
from opentelemetry.sdk.metrics.view import Aggregation, View

from tracecore.exponential_histogram import ExponentialHistogram

__all__ = ["SpanDurations", "view"]


def view(namespace: str = "traces.span.metrics") -> View:
    """Return the view for a MeterProvider; `namespace` as given to SpanMetrics."""
    return View(instrument_name=f"{namespace}.duration", aggregation=SpanDurations())


class SpanDurations(Aggregation):
    """What the view aggregates by."""

    def _create_aggregation(
        self, instrument: Any, attributes: Any, reservoir_factory: Any, start_time_unix_nano: int
    ) -> _Histograms:
        return _Histograms(
            attributes,
            reservoir_builder=reservoir_factory(_ExponentialBucketHistogramAggregation),
            instrument_aggregation_temporality=AggregationTemporality.CUMULATIVE,
            start_time_unix_nano=start_time_unix_nano,
        )


class _Histograms(_ExponentialBucketHistogramAggregation):
    """One set of attributes."""

    def __init__(self, attributes: Any, *, start_time_unix_nano: int, **kwargs: Any) -> None:
        super().__init__(attributes, start_time_unix_nano=start_time_unix_nano, **kwargs)
        self._start_ns = start_time_unix_nano
        self._observed: ExponentialHistogram | None = None
        self._told = ExponentialHistogram()

    def aggregate(self, measurement: Any, should_sample_exemplar: bool = True) -> None:
        """Take the histogram behind an observation; a number without one has none to give."""
        histogram = getattr(measurement.value, "seconds", None)
        if isinstance(histogram, ExponentialHistogram):
            with self._lock:
                self._observed = histogram if self._observed is None else self._observed.plus(histogram)

    def collect(self, collection_aggregation_temporality: Any, collection_start_nano: int) -> Any:
        with self._lock:
            observed, self._observed = self._observed, None
            start_ns = self._start_ns
            if observed is None:
                return None
            if collection_aggregation_temporality is AggregationTemporality.DELTA:
                observed, self._told = observed.minus(self._told), observed
                self._start_ns = collection_start_nano
                if not observed.count:
                    return None
        return ExponentialHistogramDataPoint(
            attributes=self._attributes,
            start_time_unix_nano=start_ns,
            time_unix_nano=collection_start_nano,
            count=observed.count,
            sum=observed.sum,
            scale=observed.scale,
            zero_count=observed.zero_count,
            positive=Buckets(offset=observed.offset, bucket_counts=list(observed.counts)),
            negative=Buckets(offset=0, bucket_counts=[]),
            flags=0,
            min=observed.min,
            max=observed.max,
            exemplars=[],
        )
