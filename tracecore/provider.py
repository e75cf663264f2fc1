"""TracerProvider: the composition root, and the only file that knows both the core and the exporters.

    TracerProvider
      Recorder        sampler, limits, ids, counts; shared by all its tracers
      Origin          resource and scopes, encoded once
      Drain ...       one for all exporters with the same batch settings
        Pipeline ...  one for each exporter of ours or behind our batch processor
      processors      anything else with on_start and on_end

Source: specification, trace/sdk.md "Tracer Provider".
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.trace import NoOpTracer
from opentelemetry.trace import Tracer as ApiTracer
from opentelemetry.trace import TracerProvider as ApiTracerProvider
from opentelemetry.util.types import Attributes

from tracecore import config, resource, sampling
from tracecore._core import decode
from tracecore._core.ids import fork_generation
from tracecore._core.origin import Origin
from tracecore._core.queue import SpanQueue
from tracecore._core.recorder import Recorder
from tracecore._core.tracer import Tracer
from tracecore.drain import Drain
from tracecore.errors import ConfigurationError, report, reported
from tracecore.exporters import Exporter
from tracecore.exporters.foreign import as_exporter
from tracecore.exporters.nowhere import EndOfTheLine, Nowhere
from tracecore.id_generator import RandomIdGenerator
from tracecore.instrumentation_scope import InstrumentationScope
from tracecore.limits import SpanLimits
from tracecore.pipeline import Pipeline
from tracecore.readable_span import Event, Kept, ReadableSpan, attributes_kept
from tracecore.sdk_classes import StandIn, stands_for
from tracecore.self_metrics import self_metrics
from tracecore.span_feed import SpanFeed
from tracecore.span_processor import SpanProcessor, SynchronousMultiSpanProcessor
from tracecore.tracer_config import TracerConfig, TracerConfigurator, default_tracer_configurator

__all__ = ["BatchSpanProcessor", "TracerProvider", "providers"]

_logger = logging.getLogger("tracecore")

decode.bind(ReadableSpan, Event, Kept, attributes_kept)

_providers: list[TracerProvider] = []
"""Those that were not shut down: for the fork hook and for `tracecore.stats`."""


def providers() -> tuple[TracerProvider, ...]:
    """Return the providers that have not been shut down, oldest first."""
    return tuple(_providers)


@stands_for("opentelemetry.sdk.trace.export", "BatchSpanProcessor")
class BatchSpanProcessor(SpanProcessor):
    """Exports in batches, through the core: added to a TracerProvider of ours it costs the span path one copy.

    `span_exporter` may be one of tracecore's exporters or any object with the SDK's `export(spans)`. Spans that
    somebody hands to `on_end` (a subclass that filters, a processor in front of this one, another provider) are
    queued in the same way, at the cost of reading them.

    Times are milliseconds; what is None comes from OTEL_BSP_*, else from tracecore's defaults. The queue is
    bounded by bytes (`ring_bytes`); `max_queue_size`, in spans, is taken as 512 bytes each.
    """

    def __init__(
        self,
        span_exporter: Any,
        max_queue_size: int | None = None,
        schedule_delay_millis: float | None = None,
        max_export_batch_size: int | None = None,
        export_timeout_millis: float | None = None,
        *,
        ring_bytes: int | None = None,
        meter_provider: Any = None,
    ) -> None:
        if max_export_batch_size is not None and max_queue_size is not None and max_export_batch_size > max_queue_size:
            raise ConfigurationError("max_export_batch_size", max_export_batch_size, "at most max_queue_size")
        if max_queue_size is not None:
            if isinstance(max_queue_size, bool) or not isinstance(max_queue_size, int) or max_queue_size < 1:
                raise ConfigurationError("max_queue_size", max_queue_size, "an integer above 0")
            if ring_bytes is None:
                ring_bytes = config.ring_bytes_for(max_queue_size)
        self.span_exporter = span_exporter
        self._settings = config.settings(
            ring_bytes=ring_bytes,
            batch=max_export_batch_size,
            delay=_seconds("schedule_delay_millis", schedule_delay_millis),
            export_timeout=_seconds("export_timeout_millis", export_timeout_millis),
        )
        self._capacity = max_queue_size or config.spans_for(self._settings.ring_bytes)
        self._meter_provider = meter_provider
        self._pipeline: Pipeline | None = None
        self._feed = SpanFeed(None, self._open_queue, self._reset_in_child, self.force_flush)
        self._is_shut_down = False

    def attach(self, origin: Origin, add: Callable[[Exporter, config.Settings], Pipeline]) -> Pipeline:
        """Join the provider that calls this, by its way of adding exporters. Raises: RuntimeError at the second provider."""
        if self._pipeline is not None:
            raise RuntimeError("this BatchSpanProcessor belongs to a provider already")
        self._feed = SpanFeed(origin, self._open_queue, self._reset_in_child, self.force_flush)
        return self._joined(add(as_exporter(self.span_exporter), self._settings))

    def _open(self, origin: Origin) -> Pipeline:
        settings = self._settings
        drain = Drain(origin, ring_bytes=settings.ring_bytes, batch=settings.batch, delay=settings.delay)
        pipeline = drain.add(as_exporter(self.span_exporter), export_timeout=settings.export_timeout)
        assert pipeline is not None  # nobody has shut it down yet
        return self._joined(pipeline)

    def _joined(self, pipeline: Pipeline) -> Pipeline:
        self._pipeline = pipeline
        if (metrics := self_metrics(self._meter_provider)) is not None:
            metrics.add_pipeline(pipeline, self._capacity)
        return pipeline

    @property
    def pipeline(self) -> Pipeline | None:
        """What serves the spans; None before a provider or a first span has come."""
        return self._pipeline

    def _open_queue(self, origin: Origin) -> SpanQueue:
        pipeline = self._pipeline or self._open(origin)
        if not pipeline.drain.keep_to_itself():
            raise RuntimeError("its provider hands it records, together with other exporters of the same batch settings")
        return pipeline.drain.queue

    def _reset_in_child(self) -> None:
        # One that is attached is reset by its provider.
        if self._pipeline is not None and self._feed.is_alone:
            self._pipeline.drain.reset_in_child()

    @property
    def takes_records(self) -> bool:
        """Whether nobody has put code of his own in the way of the spans: then they need not be made for it."""
        return all(
            getattr(getattr(self, name), "__func__", None) is getattr(BatchSpanProcessor, name)
            for name in ("on_start", "_on_ending", "on_end", "shutdown", "force_flush")
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span that is handed over; one that is not sampled is left out."""
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        if self._is_shut_down and self._pipeline is None:
            report("processor_shut_down", "a span ended after its BatchSpanProcessor was shut down")
            return
        try:
            self._feed.put(span)
        except Exception as fault:  # a span of somebody's own class, as good as any
            report("span_refused", "a span was not queued: %s: %s", type(fault).__name__, fault)

    def shutdown(self, timeout_millis: float = 30000) -> None:
        self._feed.after_fork_in_child()
        if self._pipeline is not None:
            self._pipeline.shutdown(timeout_millis / 1000)
        elif not self._is_shut_down:
            as_exporter(self.span_exporter).shutdown()
        self._is_shut_down = True

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        self._feed.after_fork_in_child()
        if self._pipeline is None:
            return True
        return self._pipeline.force_flush(30.0 if timeout_millis is None else timeout_millis / 1000)


def _seconds(name: str, millis: float | None) -> float | None:
    """Milliseconds as seconds, refused under their own name; more than an hour, which means "never", is an hour."""
    if millis is None:
        return None
    if isinstance(millis, bool) or not isinstance(millis, (int, float)) or not millis > 0:
        raise ConfigurationError(name, millis, "milliseconds, above 0")
    return min(millis / 1000, config.MAX_SECONDS)


@stands_for("opentelemetry.sdk.trace", "TracerProvider")
class TracerProvider(StandIn, ApiTracerProvider):
    """Makes tracers whose spans the core records. Arguments are those of opentelemetry-sdk's TracerProvider.

    Arguments:
        sampler: any object with should_sample; None: OTEL_TRACES_SAMPLER, else parent based, always on.
        resource: any object with attributes and schema_url; None: Resource.create().
        shutdown_on_exit: drain and shut down at interpreter exit.
        active_span_processor: what processors are added to; None: one after another.
        id_generator: any object with generate_trace_id and generate_span_id; None: the core's own.
        span_limits: None: OTEL_SPAN_*_LIMIT and their like.
        meter_provider: where metrics about the spans themselves go; None: the global one.
        _tracer_configurator: scope -> TracerConfig, says which tracers are on; None: all.
    Raises: ConfigurationError.
    Threads: any.
    """

    def __init__(
        self,
        sampler: Any = None,
        resource: Any = None,
        shutdown_on_exit: bool = True,
        active_span_processor: Any = None,
        id_generator: Any = None,
        span_limits: SpanLimits | None = None,
        *,
        meter_provider: Any = None,
        _tracer_configurator: TracerConfigurator | None = None,
        _disabled: bool | None = None,
        _process_dependent: Callable[[], Any] = resource.process_dependent,
    ) -> None:
        _check("sampler", sampler, "an object with should_sample", "should_sample")
        _check("resource", resource, "a Resource", "attributes")
        _check("span_limits", span_limits, "a SpanLimits", "max_span_attributes")
        self.sampler = sampler or sampling.from_environment()
        self.id_generator = RandomIdGenerator() if id_generator is None else id_generator
        self._span_limits = span_limits or SpanLimits()
        self._origin = Origin(_resource_or_default(resource))
        self._recorder = Recorder(
            self._origin,
            self.sampler,
            sampling.plan(self.sampler),
            self._span_limits,
            None if _is_our_kind_of_random(self.id_generator) else self.id_generator,
            self._after_fork_in_child,
        )
        self._recorder.shown_id_generator = self.id_generator
        self._self_metrics = self_metrics(meter_provider)
        if self._self_metrics is not None:
            self._self_metrics.add_recorder(self._recorder)
        self._tracer_configurator = _tracer_configurator or default_tracer_configurator
        self._generation = fork_generation()
        self._tracers: dict[InstrumentationScope, Tracer] = {}
        self._drains: list[Drain] = []
        self._pipelines: list[Pipeline] = []  # in the order in which their exporters were added
        self._measuring_drain: Drain | None = None  # the one that ends nowhere, if it came to that
        self._staged: tuple[Any, ...] = ()  # processors with attach_stage
        self._sees_unredacted: str | None = None  # the first processor that runs before every stage
        self._told_of_bypass = False
        self._fed: tuple[BatchSpanProcessor, ...] = ()  # with on_end of somebody's own in front
        self._composing = threading.RLock()  # one change of drains and stages at a time: no drain may miss a stage
        # A configuration file decides this without the variable.
        self._is_disabled = config.sdk_disabled() if _disabled is None else _disabled
        self._process_dependent = _process_dependent
        self._is_shut_down = False
        self._active_span_processor = active_span_processor or SynchronousMultiSpanProcessor()
        self._recorder.shown_processor = self._active_span_processor
        if active_span_processor is not None:
            self._recorder.set_processor(active_span_processor)
        _providers.append(self)
        self._atexit_handler = atexit.register(self.shutdown) if shutdown_on_exit else None

    @property
    def resource(self) -> Any:
        return self._origin.resource

    @property
    def _resource(self) -> Any:
        return self._origin.resource

    def _update_resource(self, resource: Any) -> None:
        """Merge `resource` into the provider's: for spans that are sent from now on."""
        self._origin.set_resource(self._origin.resource.merge(resource))

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> ApiTracer:
        """Return the tracer of an instrumentation scope: the same one for the same scope."""
        if self._is_disabled:
            return NoOpTracer()
        if not instrumenting_module_name:
            instrumenting_module_name = ""
            _logger.error("get_tracer called with missing module name.")
        scope = InstrumentationScope(
            instrumenting_module_name, instrumenting_library_version or "", schema_url, attributes
        )
        return self.tracer_of(scope)  # type: ignore[return-value]

    def tracer_of(self, scope: InstrumentationScope) -> Tracer:
        """Return the tracer of a scope: always the same one, and real also while OTEL_SDK_DISABLED is set."""
        tracer = self._tracers.get(scope)
        if tracer is None:
            tracer = Tracer(self._recorder, self._origin.add_scope(scope), scope)
            tracer._set_tracer_config(self._config_of(scope))
            # Two threads may get here with the same scope; both make a tracer, setdefault keeps one.
            tracer = self._tracers.setdefault(scope, tracer)
        return tracer

    def _config_of(self, scope: InstrumentationScope) -> TracerConfig:
        try:
            return self._tracer_configurator(scope)
        except Exception as fault:  # the program's own function; a tracer there must be
            report("tracer_configurator", "no config for %r, which stays on: %s: %s", scope, type(fault).__name__, fault)
            return TracerConfig.default()

    def _set_tracer_configurator(self, *, tracer_configurator: TracerConfigurator) -> None:
        """Ask this function for the config of every tracer from now on, those that exist included."""
        self._tracer_configurator = tracer_configurator
        for scope, tracer in list(self._tracers.items()):
            tracer._set_tracer_config(self._config_of(scope))

    def add_span_processor(self, span_processor: Any) -> None:
        """Tell `span_processor` of every span from now on.

        tracecore's BatchSpanProcessor takes the native path; any other object with the SDK's methods gets
        the span when it starts and a ReadableSpan when it ends, on the caller's thread.
        """
        _check(
            "span_processor", span_processor, "an object with on_start, on_end or attach_stage",
            "on_start", "on_end", "attach_stage",
        )
        with self._composing:
            self._compose(span_processor)

    def _compose(self, span_processor: Any) -> None:
        if callable(getattr(type(span_processor), "attach_stage", None)):  # the class: a Mock has everything
            self._add_stage(span_processor)
            if not (hasattr(span_processor, "on_start") or hasattr(span_processor, "on_end")):
                return
        if isinstance(span_processor, BatchSpanProcessor) and span_processor.takes_records:
            span_processor.attach(self._origin, self._add_exporter)
            return
        if isinstance(span_processor, BatchSpanProcessor):
            self._fed += (span_processor,)
        self._active_span_processor.add_span_processor(_with_every_hook(span_processor))
        self._recorder.set_processor(self._active_span_processor)
        self._sees_unredacted = self._sees_unredacted or type(span_processor).__name__
        self._tell_of_bypass()

    def add_exporter(
        self,
        exporter: Any,
        *,
        ring_bytes: int | None = None,
        batch: int | None = None,
        delay: float | None = None,
        export_timeout: float | None = None,
    ) -> None:
        """Send sampled spans to `exporter` in batches. Units and ranges: tracecore.config.settings."""
        settings = config.settings(ring_bytes=ring_bytes, batch=batch, delay=delay, export_timeout=export_timeout)
        pipeline = self._add_exporter(as_exporter(exporter), settings)
        if self._self_metrics is not None:
            self._self_metrics.add_pipeline(pipeline, config.spans_for(settings.ring_bytes))

    def _add_exporter(self, exporter: Exporter, settings: config.Settings) -> Pipeline:
        """Have the exporter share the drain of others with the same settings, or give it one of its own."""
        wanted = (settings.ring_bytes, settings.batch, settings.delay)
        pipeline = None
        with self._composing:
            for drain in self._drains:
                if drain.settings == wanted and drain is not self._measuring_drain:
                    pipeline = pipeline or drain.add(exporter, export_timeout=settings.export_timeout)
            if pipeline is None:
                pipeline = self._add_drain(settings, exporter)
            self._pipelines.append(pipeline)
        return pipeline

    def _add_drain(self, settings: config.Settings, exporter: Exporter) -> Pipeline:
        drain = Drain(self._origin, ring_bytes=settings.ring_bytes, batch=settings.batch, delay=settings.delay)
        for processor in self._staged:
            self._attach_stage(processor, drain, first=not self._drains)
        pipeline = drain.add(exporter, export_timeout=settings.export_timeout)
        assert pipeline is not None  # nobody has shut it down yet
        self._recorder.add_queue(drain.queue)
        self._drains.append(drain)
        return pipeline

    def _add_stage(self, processor: Any) -> None:
        for number, drain in enumerate(self._drains):
            self._attach_stage(processor, drain, first=number == 0)
        if getattr(processor, "hides_names", False) and self._sees_unredacted is None:
            names = [type(each).__name__ for each in self._staged if getattr(each, "measures_every_span", False)]
            self._sees_unredacted = names[0] if names else None  # its metrics tell the names
        self._staged += (processor,)
        if (key := getattr(processor, "baggage_key", None)) is not None:
            self._recorder.take_baggage(key)
        if getattr(processor, "measures_every_span", False):
            if not self._drains:  # stages run on a worker, and there is none yet
                self._pipelines.append(self._add_drain(config.settings(), Nowhere()))
                self._measuring_drain = self._drains[0]
                self._measuring_drain.add_stage(EndOfTheLine)
            self._recorder.measure_with(self._drains[0].queue)
        self._tell_of_bypass()

    def _tell_of_bypass(self) -> None:
        """Say once that a processor sees what a stage hides from the exporters."""
        hides = any(getattr(processor, "hides_values", False) for processor in self._staged)
        if hides and self._sees_unredacted is not None and not self._told_of_bypass:
            self._told_of_bypass = True
            report("redaction_bypassed", "%s gets spans before they are redacted", self._sees_unredacted)

    def _attach_stage(self, processor: Any, drain: Drain, *, first: bool) -> None:
        drain.add_stage(lambda: processor.attach_stage(self._origin, first=first))

    def force_flush(self, timeout_millis: float = 30000) -> bool:
        """Export everything that ended before this call; False if not all was delivered in time."""
        self._after_fork_in_child()
        deadline = _Deadline(timeout_millis)
        flushed = True
        for pipeline in list(self._pipelines):
            pipeline.begin_flush()  # all at once: a slow one takes none of the others' time
        for pipeline in list(self._pipelines):
            flushed = pipeline.force_flush(deadline.left_s()) and flushed
        if self._active_span_processor.force_flush(int(deadline.left_s() * 1000)) is False:
            flushed = False
        return flushed

    def shutdown(self, timeout_millis: float = 30000) -> None:
        """Export what is queued and stop; spans that end later are counted. Later calls do nothing."""
        if self._is_shut_down:
            return
        self._after_fork_in_child()
        self._is_shut_down = True
        deadline = _Deadline(timeout_millis)
        try:
            for pipeline in list(self._pipelines):
                pipeline.begin_shutdown(deadline.left_s())
            for pipeline in list(self._pipelines):
                pipeline.shutdown(deadline.left_s())
            self._active_span_processor.shutdown()
        finally:
            if self in _providers:
                _providers.remove(self)
            if self._atexit_handler is not None:
                atexit.unregister(self._atexit_handler)
                self._atexit_handler = None

    def _after_fork_in_child(self) -> None:
        """Start clean: once a child, whether Python's fork hook, the first span or a call comes first."""
        if self._generation == fork_generation():
            return
        self._composing = threading.RLock()  # a thread that the child does not have may hold it
        for drain in self._drains:
            drain.reset_in_child()
        if not self._is_shut_down:
            self._update_resource(self._process_dependent())
        # Last: an interrupt before this point leaves the rest to whoever asks next.
        self._recorder.reset_in_child()
        self._generation = fork_generation()

    def stats(self) -> dict[str, Any]:
        """Return every counter of this provider; docs/counters.md says how they add up."""
        self._after_fork_in_child()
        return {
            "spans": self._recorder.counts(),
            "exporters": [
                {"exporter": type(_innermost(pipeline.exporter)).__name__, **pipeline.counts()}
                for pipeline in (*self._pipelines, *(fed.pipeline for fed in self._fed if fed.pipeline is not None))
            ],
            "reports": reported(),
        }


class _Deadline:
    """What is left of a number of milliseconds."""

    def __init__(self, timeout_millis: float) -> None:
        self._at = time.monotonic() + timeout_millis / 1000

    def left_s(self) -> float:
        return max(0.0, self._at - time.monotonic())


class _EveryHook(SpanProcessor):
    """A processor written before `_on_ending` existed, or against a slimmer interface."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        for name in ("on_start", "on_end", "shutdown", "force_flush"):
            if callable(method := getattr(processor, name, None)):
                setattr(self, name, method)


def _with_every_hook(processor: Any) -> Any:
    hooks = ("on_start", "_on_ending", "on_end", "shutdown", "force_flush")
    return processor if all(hasattr(processor, name) for name in hooks) else _EveryHook(processor)


def _check(name: str, value: Any, expected: str, *any_of: str) -> None:
    """Refuse an argument that has none of the attributes it is used for; None is no argument."""
    if value is not None and not any(hasattr(value, attribute) for attribute in any_of):
        raise ConfigurationError(name, value, expected)


def _innermost(exporter: Any) -> Any:
    return getattr(exporter, "wrapped", exporter)


def _resource_or_default(given: Any) -> Any:
    return resource.Resource.create() if given is None else given


def _is_our_kind_of_random(id_generator: Any) -> bool:
    """Whether the core's own generator stands in: this class or the SDK's, exactly and unpatched."""
    cls = type(id_generator)
    return cls is RandomIdGenerator or (
        cls.__module__ == "opentelemetry.sdk.trace.id_generator" and cls.__name__ == "RandomIdGenerator"
    )


def _after_fork_in_child() -> None:
    for provider in list(_providers):
        try:
            provider._after_fork_in_child()
        except Exception as fault:  # a child must come up, traced or not
            report("fork", "starting clean after a fork failed: %s: %s", type(fault).__name__, fault)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
