"""SelfMetrics: the otel.sdk.* metrics about ourselves, read from the counters by OpenTelemetry's metrics API.

    Recorder.tally       otel.sdk.span.started, .live                                          asynchronous
    Pipeline.counts      otel.sdk.processor.span.queue.size, .queue.capacity, .processed       asynchronous
                         otel.sdk.exporter.span.inflight, .exported                            asynchronous
    SimpleSpanProcessor  otel.sdk.processor.span.processed                                     asynchronous
    Pipeline's worker    otel.sdk.exporter.operation.duration                                  recorded once a batch

Nothing here runs on the span path: counters are read when the metrics' reader asks. As in opentelemetry-sdk
1.45 all of it is off unless OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED is "true", asked when a provider or processor is
made; the meter provider is its `meter_provider` argument, else the global one, set before or later.

One set of instruments a meter provider, whatever reports to it: a second one of the same name would be ignored by
opentelemetry-sdk. The scope is "opentelemetry-sdk", where dashboards look for these metrics, with the attribute
telemetry.sdk.name=tracecore, which keeps them apart from what that package's own processors report beside us.

Exporters with the SDK's interface report for themselves, if at all. Exporters of ours may say `component_type` (a
value of otel.component.type; else the name of the class) and `endpoint` (for server.address and server.port).

What is let go: a provider's spans stay in the sums when it is gone; processors and exporters are reported for as long as
they exist. A forked child goes on from its parent's numbers, as the SDK's counters do.

Source: semantic conventions, "SDK metrics" (docs/otel/sdk-metrics.md).
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tracecore import config
from tracecore.errors import report

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

    from tracecore._core.recorder import Recorder, SpanTally

__all__ = ["SelfMetrics", "self_metrics"]

_SCOPE: Final = "opentelemetry-sdk"
_SCOPE_ATTRIBUTES: Final = {"telemetry.sdk.name": "tracecore"}

_ERRORS: Final = {
    # Where the conventions fix a word for what docs/counters.md calls otherwise.
    "rejected_partial": "rejected",
}

_BEFORE_EXPORT: Final = "stage_error"
"""The reason for which a pipeline loses spans that no exporter has seen."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Attributes = dict[str, Any]


def self_metrics(meter_provider: Any) -> SelfMetrics | None:
    """Return what reports to `meter_provider` (None: the global one); None where such metrics are off."""
    if not config.internal_metrics_enabled():
        return None
    try:
        if meter_provider is None:
            from opentelemetry.metrics import get_meter_provider

            meter_provider = get_meter_provider()
        with _lock:
            known = _by_meter_provider.get(meter_provider)
            metrics = known() if known is not None else None
            if metrics is None:
                metrics = SelfMetrics(meter_provider.get_meter(_SCOPE, attributes=_SCOPE_ATTRIBUTES))
                _by_meter_provider[meter_provider] = weakref.ref(metrics)
            return metrics
    except Exception as fault:  # code of another package: tracing does not depend on it
        report("self_metrics", "metrics about spans are off: %s: %s", type(fault).__name__, fault)
        return None


class SelfMetrics:
    """The instruments of one meter provider, and those who report through them.  Threads: any."""

    def __init__(self, meter: Meter) -> None:
        self._tallies: list[tuple[weakref.ref[Recorder], SpanTally]] = []
        self._started_before: Counter[tuple[str, str]] = Counter()
        self._live_before: Counter[str] = Counter()
        self._queues: list[tuple[weakref.ref[Any], int, Attributes]] = []
        self._simple: list[tuple[weakref.ref[Any], Attributes]] = []
        self._exporters: list[tuple[weakref.ref[Any], Attributes]] = []
        # The first instrument of each kind is made by the first who reports through it: what nobody has is not shown.
        self._meter = meter
        self._made: dict[str, Any] = {}

    # ---- who reports ---------------------------------------------------------------------------------------

    def add_recorder(self, recorder: Recorder) -> None:
        """Report the spans of a provider."""
        self._tallies.append((weakref.ref(recorder), recorder.tally))
        self._observe(
            "create_observable_counter", "otel.sdk.span.started", "The number of created spans.", self._started
        )
        self._observe(
            "create_observable_up_down_counter",
            "otel.sdk.span.live",
            "The number of created spans with `recording=true` for which the end operation has not been called yet.",
            self._live,
        )

    def add_pipeline(self, pipeline: Any, capacity: int) -> None:
        """Report a batch processor, a Pipeline whose queue is to hold `capacity` spans, and its exporter if it is ours."""
        self._queues.append((weakref.ref(pipeline), capacity, _component("batching_span_processor")))
        self._observe(
            "create_observable_up_down_counter",
            "otel.sdk.processor.span.queue.size",
            "The number of spans in the queue of a given instance of an SDK span processor.",
            self._queue_size,
        )
        self._observe(
            "create_observable_up_down_counter",
            "otel.sdk.processor.span.queue.capacity",
            "The maximum number of spans the queue of a given instance of an SDK span processor can hold.",
            self._queue_capacity,
        )
        self._observe("create_observable_counter", *_PROCESSED, self._processed)
        if hasattr(pipeline.exporter, "wrapped"):
            return
        attributes = _exporter_attributes(pipeline.exporter)
        self._exporters.append((weakref.ref(pipeline), attributes))
        self._observe(
            "create_observable_up_down_counter",
            "otel.sdk.exporter.span.inflight",
            "The number of spans which were passed to the exporter, but that have not been exported yet "
            "(neither successful, nor failed).",
            self._inflight,
        )
        self._observe(
            "create_observable_counter",
            "otel.sdk.exporter.span.exported",
            "The number of spans for which the export has finished, either successful or failed.",
            self._exported,
        )
        pipeline.on_exported = self._duration(attributes)

    def add_simple_processor(self, processor: Any) -> None:
        """Report a SimpleSpanProcessor by its `n_processed` and `n_after_shutdown`."""
        self._simple.append((weakref.ref(processor), _component("simple_span_processor")))
        self._observe("create_observable_counter", *_PROCESSED, self._processed)

    def _duration(self, attributes: Attributes) -> Callable[[float, str], None]:
        histogram = self._instrument(
            "create_histogram",
            "otel.sdk.exporter.operation.duration",
            "The duration of exporting a batch of telemetry records.",
            unit="s",
        )

        def exported(seconds: float, reason: str) -> None:
            histogram.record(seconds, {**attributes, "error.type": _error(reason)} if reason else attributes)

        return exported

    # ---- instruments ---------------------------------------------------------------------------------------

    def _observe(
        self, create: str, name: str, description: str, read: Callable[[], Iterable[tuple[int, Attributes]]]
    ) -> None:
        from opentelemetry.metrics import Observation

        def callback(options: CallbackOptions) -> list[Observation]:
            return [Observation(value, attributes) for value, attributes in read()]

        self._instrument(create, name, description, callbacks=[callback])

    def _instrument(self, create: str, name: str, description: str, **arguments: Any) -> Any:
        arguments.setdefault("unit", "{span}")
        made = self._made.get(create + name)
        if made is None:
            made = getattr(self._meter, create)(name, description=description, **arguments)
            self._made[create + name] = made
        return made

    # ---- what the callbacks say ----------------------------------------------------------------------------

    def _started(self) -> list[tuple[int, Attributes]]:
        self._let_go()
        counts = Counter(self._started_before)
        for _, tally in list(self._tallies):
            for origin, result, n in tally.started_by():
                counts[origin, result] += n
        return [
            (n, {"otel.span.parent.origin": origin, "otel.span.sampling_result": result})
            for (origin, result), n in counts.items()
        ]

    def _live(self) -> list[tuple[int, Attributes]]:
        self._let_go()
        counts = Counter(self._live_before)
        for _, tally in list(self._tallies):
            for result, n in tally.live_by():
                counts[result] += n
        return [(n, {"otel.span.sampling_result": result}) for result, n in counts.items()]

    def _let_go(self) -> None:
        """Take the last word of recorders that are gone into the sums, so that these never go back."""
        with _lock:
            gone = [tally for recorder, tally in self._tallies if recorder() is None]
            if not gone:
                return
            self._tallies = [kept for kept in self._tallies if kept[1] not in gone]
            for tally in gone:
                for origin, result, n in tally.started_by():
                    self._started_before[origin, result] += n
                for result, n in tally.live_by():
                    self._live_before[result] += n

    def _queue_size(self) -> Iterator[tuple[int, Attributes]]:
        for pipeline, _, attributes in _alive(self._queues):
            yield pipeline.counts()["waiting"], attributes

    def _queue_capacity(self) -> Iterator[tuple[int, Attributes]]:
        for _, capacity, attributes in _alive(self._queues):
            yield capacity, attributes

    def _processed(self) -> Iterator[tuple[int, Attributes]]:
        for pipeline, _, attributes in _alive(self._queues):
            counts = pipeline.counts()
            not_passed_on = counts["lost"].get(_BEFORE_EXPORT, 0)
            passed_on = counts["exporting"] + counts["exported"] + sum(counts["lost"].values()) - not_passed_on
            if passed_on:
                yield passed_on, attributes
            if not_passed_on:
                yield not_passed_on, {**attributes, "error.type": _BEFORE_EXPORT}
            for name, error in (
                ("dropped_full", "queue_full"),
                ("dropped_after_shutdown", "already_shutdown"),
                ("abandoned", "shutdown_timeout"),
            ):
                if counts[name]:
                    yield counts[name], {**attributes, "error.type": error}
        for processor, attributes in _alive(self._simple):
            if processor.n_processed:
                yield processor.n_processed, attributes
            if processor.n_after_shutdown:
                yield processor.n_after_shutdown, {**attributes, "error.type": "already_shutdown"}

    def _inflight(self) -> Iterator[tuple[int, Attributes]]:
        for pipeline, attributes in _alive(self._exporters):
            counts = pipeline.counts()
            if counts["exporting"] or counts["exported"] or counts["lost"]:
                yield counts["exporting"], attributes

    def _exported(self) -> Iterator[tuple[int, Attributes]]:
        for pipeline, attributes in _alive(self._exporters):
            counts = pipeline.counts()
            if counts["exported"]:
                yield counts["exported"], attributes
            for reason, n in counts["lost"].items():
                if reason != _BEFORE_EXPORT:
                    yield n, {**attributes, "error.type": _error(reason)}


_PROCESSED: Final = (
    "otel.sdk.processor.span.processed",
    "The number of spans for which the processing has finished, either successful or failed.",
)

_lock = threading.RLock()
"""Held while instruments are made or a table is replaced; reentrant, as the garbage collector may run inside."""

_by_meter_provider: weakref.WeakKeyDictionary[Any, weakref.ref[SelfMetrics]] = weakref.WeakKeyDictionary()
"""Weak on both sides: the instruments of a meter provider hold what they call, and it refers to the meter provider."""

_n_components: Counter[str] = Counter()
"""Components of each type in this process so far: what makes their names differ."""


def _component(kind: str) -> Attributes:
    with _lock:
        number = _n_components[kind]
        _n_components[kind] += 1
    return {"otel.component.type": kind, "otel.component.name": f"{kind}/{number}"}


def _exporter_attributes(exporter: Any) -> Attributes:
    kind = getattr(exporter, "component_type", None)
    if not isinstance(kind, str):
        kind = f"{type(exporter).__module__}.{type(exporter).__qualname__}"
    attributes = _component(kind)
    try:
        endpoint = str(getattr(exporter, "endpoint", ""))
        # gRPC also takes host:port, and names like unix:/path, which is no server's address.
        parts = urlsplit(f"//{endpoint}" if re.fullmatch(r"[^/]+:\d+", endpoint) else endpoint)
        if parts.hostname:
            attributes["server.address"] = parts.hostname
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
            if port is not None:
                attributes["server.port"] = port
    except ValueError:  # an address that is no URL
        pass
    return attributes


def _error(reason: str) -> str:
    return _ERRORS.get(reason, reason)


def _alive(entries: list[Any]) -> Iterator[Any]:
    """Yield the entries with their pipeline, and forget those whose pipeline is gone."""
    for entry in list(entries):
        pipeline = entry[0]()
        if pipeline is not None:
            yield (pipeline, *entry[1:])
        elif entry in entries:
            entries.remove(entry)


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()  # the thread that held the old one, if any did, was not forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
