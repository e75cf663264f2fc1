"""SpanMetrics: rate, errors and duration of every operation, from all spans, sampled or not.

    span path     a span the sampler decided against keeps a name, a kind, a status and two times
    worker        records -> (name, kind, status) -> exponential histogram of seconds, in C, without the GIL
    collection    a callback of opentelemetry's metrics API reads the histograms

Two instruments, named and attributed as by the collector's span metrics connector, so that its dashboards fit:

    traces.span.metrics.calls      observable counter, {call}: errors are those with status.code=STATUS_CODE_ERROR
    traces.span.metrics.duration   observable counter, s: all durations added up

The API has no instrument that takes a histogram as a whole, and one `record` for each span is what this is there to
avoid. With opentelemetry-sdk's metrics, `tracecore.otel.span_durations.view()` makes the second one the exponential
histogram itself.

What is lost: spans in the ring when the process is killed; series beyond `max_series` are counted together, under
otel.metric.overflow; spans dropped because the ring was full are not measured; nor is anything once every exporter that
shares the first one's ring was shut down, as shutting down the provider does.  A stage that was added earlier and takes
spans out keeps them from being measured: add this one before it. A Redaction belongs in front of both: names become
attributes of the metrics as this stage finds them.

Source: specification, metrics/sdk.md; opentelemetry-collector-contrib, spanmetricsconnector, for the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from opentelemetry.metrics import CallbackOptions, Observation, get_meter_provider

from tracecore._core.batch import Batch
from tracecore._core.origin import Origin
from tracecore._core.span_metrics import MAX_SERIES, SpanMetricsTable
from tracecore.errors import ConfigurationError
from tracecore.exponential_histogram import ExponentialHistogram

__all__ = ["SpanMetrics", "SpanSeries", "TotalSeconds"]

_KINDS = ("INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")


class SpanSeries(NamedTuple):
    """One combination of name, kind and status."""

    name: str | None
    """The span's name; None for the spans beyond `max_series`, whose kind and status are not told apart either."""
    kind: str
    """"INTERNAL", "SERVER", ..."""
    status: str
    """"UNSET", "OK" or "ERROR"."""
    seconds: ExponentialHistogram


class TotalSeconds(float):
    """A sum that knows what it is the sum of: how a view finds the histogram behind an observation."""

    seconds: ExponentialHistogram


class SpanMetrics:
    """Measures every span of one provider: `provider.add_span_processor(SpanMetrics())`.

    Arguments:
        meter_provider: where the instruments are made; None: opentelemetry's global one.
        max_series: combinations of name, kind and status that are told apart, 1 to 1,048,576; each takes 1.4 KB.
        namespace: what the instruments' names begin with.
    Raises: ConfigurationError.
    Threads: any.
    """

    measures_every_span = True
    """The provider has spans recorded for this that its sampler decides against."""

    def __init__(
        self, meter_provider: Any = None, max_series: int = MAX_SERIES, namespace: str = "traces.span.metrics"
    ) -> None:
        if isinstance(max_series, bool) or not isinstance(max_series, int) or not 1 <= max_series <= 1 << 20:
            raise ConfigurationError("max_series", max_series, f"an integer from 1 to {1 << 20}")
        self._table = SpanMetricsTable(max_series)
        self._origin: Origin | None = None
        # The instruments' names are checked by the API, which only logs: here a wrong one is an error.
        if not namespace or not namespace[0].isalpha() or not all(c.isalnum() or c in "_.-/" for c in namespace):
            raise ConfigurationError("namespace", namespace, "letters, digits, '_', '.', '-', '/', a letter first")
        meter = (meter_provider or get_meter_provider()).get_meter("tracecore.span_metrics")
        self._instruments = (
            meter.create_observable_counter(
                f"{namespace}.calls", [self._calls], unit="{call}", description="Spans that ended"
            ),
            meter.create_observable_counter(
                f"{namespace}.duration", [self._durations], unit="s", description="Durations of spans"
            ),
        )

    def attach_stage(self, origin: Origin, *, first: bool) -> Any:
        """Return the stage of one drain.  Raises: RuntimeError for a second provider."""
        if self._origin is not None and self._origin is not origin:
            raise RuntimeError("this SpanMetrics belongs to a provider already")
        self._origin = origin
        return _Measuring(self._table) if first else _Passing()

    def series(self) -> Sequence[SpanSeries]:
        """Return every series as it stands now, in the order in which they appeared."""
        found = []
        for name, kind, status, count, zero_count, total, low, high, scale, offset, counts in self._table.read():
            seconds = ExponentialHistogram(count, zero_count, total, low, high, scale, offset, tuple(counts))
            found.append(SpanSeries(name, _KINDS[kind], _STATUSES[status], seconds))
        return found

    @property
    def unmeasured(self) -> int:
        """Spans that were not measured for want of memory."""
        return self._table.unmeasured

    # ---- the metrics API ----------------------------------------------------------------------

    def _calls(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(each.seconds.count, self._attributes(each)) for each in self.series()]

    def _durations(self, _: CallbackOptions) -> Iterable[Observation]:
        observations = []
        for each in self.series():
            total = TotalSeconds(each.seconds.sum)
            total.seconds = each.seconds
            observations.append(Observation(total, self._attributes(each)))
        return observations

    def _attributes(self, series: SpanSeries) -> dict[str, Any]:
        if series.name is None:
            return {"otel.metric.overflow": True}
        attributes = {
            "span.name": series.name,
            "span.kind": f"SPAN_KIND_{series.kind}",
            "status.code": f"STATUS_CODE_{series.status}",
        }
        service = None if self._origin is None else self._origin.resource.attributes.get("service.name")
        return attributes if service is None else {"service.name": service, **attributes}


class _Measuring:
    """The stage that sees each span once."""

    reason = "measured"
    required = True  # it takes out what must not be sent

    def __init__(self, table: SpanMetricsTable) -> None:
        self._table = table

    def process(self, batch: Batch) -> None:
        self._table.observe(batch)


class _Passing:
    """A further drain's: its spans have been measured."""

    reason = "measured"

    def process(self, batch: Batch) -> None:
        """Nothing: spans that exist to be measured are written for the first drain only."""
