"""TracerProvider: the composition root, and the only file that knows both the core and the exporters.

    TracerProvider
      Recorder        sampler, limits, ids, counts; shared by all its tracers
      Origin          resource and scopes, encoded once
      Pipeline ...    one for each exporter of ours or behind our batch processor
      processors      anything else with on_start and on_end

Source: specification, trace/sdk.md "Tracer Provider".
"""

from __future__ import annotations

import atexit
import logging
import os
import time
from typing import Any

from opentelemetry.trace import NoOpTracer
from opentelemetry.trace import Tracer as ApiTracer
from opentelemetry.trace import TracerProvider as ApiTracerProvider
from opentelemetry.util.types import Attributes

from tracecore import config, resource, sampling
from tracecore._core import decode
from tracecore._core.ids import fork_generation
from tracecore._core.origin import Origin
from tracecore._core.recorder import Recorder
from tracecore._core.tracer import Tracer
from tracecore.errors import ConfigurationError, report, reported
from tracecore.exporters.foreign import as_exporter
from tracecore.id_generator import RandomIdGenerator
from tracecore.instrumentation_scope import InstrumentationScope
from tracecore.limits import SpanLimits
from tracecore.pipeline import Pipeline
from tracecore.readable_span import Event, Kept, ReadableSpan, attributes_kept
from tracecore.span_processor import SpanProcessor, SynchronousMultiSpanProcessor

__all__ = ["BatchSpanProcessor", "TracerProvider", "providers"]

_logger = logging.getLogger("tracecore")

decode.bind(ReadableSpan, Event, Kept, attributes_kept)

_providers: list[TracerProvider] = []
"""Those that were not shut down: for the fork hook and for `tracecore.stats`."""


def providers() -> tuple[TracerProvider, ...]:
    """Return the providers that have not been shut down, oldest first."""
    return tuple(_providers)


class BatchSpanProcessor(SpanProcessor):
    """Exports in batches, through the core: added to a TracerProvider of ours it costs the span path one copy.

    `span_exporter` may be one of tracecore's exporters or any object with the SDK's `export(spans)`.
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
        self._pipeline: Pipeline | None = None

    def attach(self, origin: Origin) -> Pipeline:
        """Return the pipeline that serves a provider's spans. Raises: RuntimeError at the second provider."""
        if self._pipeline is not None:
            raise RuntimeError("this BatchSpanProcessor belongs to a provider already")
        settings = self._settings
        self._pipeline = Pipeline(
            origin,
            as_exporter(self.span_exporter),
            ring_bytes=settings.ring_bytes,
            batch=settings.batch,
            delay=settings.delay,
            export_timeout=settings.export_timeout,
        )
        return self._pipeline

    def on_end(self, span: ReadableSpan) -> None:
        """Count the span as lost: only a provider of another make calls this."""
        report("processor_unattached", "tracecore's BatchSpanProcessor works in tracecore's TracerProvider only")

    def shutdown(self, timeout_millis: float = 30000) -> None:
        if self._pipeline is not None:
            self._pipeline.shutdown(timeout_millis / 1000)

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        if self._pipeline is None:
            return True
        return self._pipeline.force_flush(30.0 if timeout_millis is None else timeout_millis / 1000)


def _seconds(name: str, millis: float | None) -> float | None:
    """Milliseconds as seconds, refused under their own name."""
    if millis is None:
        return None
    if isinstance(millis, bool) or not isinstance(millis, (int, float)) or not 0 < millis <= config.MAX_SECONDS * 1000:
        raise ConfigurationError(name, millis, f"milliseconds, above 0 and at most {config.MAX_SECONDS * 1000:.0f}")
    return millis / 1000


class TracerProvider(ApiTracerProvider):
    """Makes tracers whose spans the core records. Arguments are those of opentelemetry-sdk's TracerProvider.

    Arguments:
        sampler: any object with should_sample; None: OTEL_TRACES_SAMPLER, else parent based, always on.
        resource: any object with attributes and schema_url; None: Resource.create().
        shutdown_on_exit: drain and shut down at interpreter exit.
        active_span_processor: what processors are added to; None: one after another.
        id_generator: any object with generate_trace_id and generate_span_id; None: the core's own.
        span_limits: None: OTEL_SPAN_*_LIMIT and their like.
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
        self._generation = fork_generation()
        self._tracers: dict[InstrumentationScope, Tracer] = {}
        self._pipelines: tuple[Pipeline, ...] = ()
        self._staged: tuple[Any, ...] = ()  # processors with attach_stage
        self._sees_unredacted: str | None = None  # the first processor that runs before every stage
        self._told_of_bypass = False
        self._is_disabled = config.sdk_disabled()
        self._is_shut_down = False
        self._active_span_processor = active_span_processor or SynchronousMultiSpanProcessor()
        if active_span_processor is not None:
            self._recorder.set_processor(active_span_processor)
        _providers.append(self)
        self._shuts_down_at_exit = shutdown_on_exit
        if shutdown_on_exit:
            atexit.register(self.shutdown)

    @property
    def resource(self) -> Any:
        return self._origin.resource

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
        tracer = self._tracers.get(scope)
        if tracer is None:
            # Two threads may get here with the same scope; both make a tracer, setdefault keeps one.
            tracer = self._tracers.setdefault(scope, Tracer(self._recorder, self._origin.add_scope(scope), scope))
        return tracer  # type: ignore[return-value]

    def add_span_processor(self, span_processor: Any) -> None:
        """Tell `span_processor` of every span from now on.

        tracecore's BatchSpanProcessor takes the native path; any other object with the SDK's methods gets
        the span when it starts and a ReadableSpan when it ends, on the caller's thread.
        """
        _check(
            "span_processor", span_processor, "an object with on_start, on_end or attach_stage",
            "on_start", "on_end", "attach_stage",
        )
        if callable(getattr(span_processor, "attach_stage", None)):
            self._add_stage(span_processor)
            if not (hasattr(span_processor, "on_start") or hasattr(span_processor, "on_end")):
                return
        if isinstance(span_processor, BatchSpanProcessor):
            self._add_pipeline(span_processor.attach(self._origin))
            return
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
        self._add_pipeline(
            Pipeline(
                self._origin,
                as_exporter(exporter),
                ring_bytes=settings.ring_bytes,
                batch=settings.batch,
                delay=settings.delay,
                export_timeout=settings.export_timeout,
            )
        )

    def _add_stage(self, processor: Any) -> None:
        self._staged += (processor,)
        for number, pipeline in enumerate(self._pipelines):
            pipeline.add_stage(processor.attach_stage(self._origin, first=number == 0))
        self._tell_of_bypass()

    def _tell_of_bypass(self) -> None:
        """Say once that a processor on the calling thread sees what a stage hides from the exporters."""
        hides = any(getattr(processor, "hides_values", False) for processor in self._staged)
        if hides and self._sees_unredacted is not None and not self._told_of_bypass:
            self._told_of_bypass = True
            report("redaction_bypassed", "%s gets spans when they end, before they are redacted", self._sees_unredacted)

    def _add_pipeline(self, pipeline: Pipeline) -> None:
        for processor in self._staged:
            pipeline.add_stage(processor.attach_stage(self._origin, first=not self._pipelines))
        self._recorder.add_queue(pipeline.queue)
        self._pipelines += (pipeline,)

    def force_flush(self, timeout_millis: float = 30000) -> bool:
        """Export everything that ended before this call; False if not all was delivered in time."""
        self._after_fork_in_child()
        deadline = _Deadline(timeout_millis)
        flushed = True
        for pipeline in self._pipelines:
            pipeline.begin_flush()  # all at once: a slow one takes none of the others' time
        for pipeline in self._pipelines:
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
            for pipeline in self._pipelines:
                pipeline.begin_shutdown(deadline.left_s())
            for pipeline in self._pipelines:
                pipeline.shutdown(deadline.left_s())
            self._active_span_processor.shutdown()
        finally:
            if self in _providers:
                _providers.remove(self)
            if self._shuts_down_at_exit:
                atexit.unregister(self.shutdown)

    def _after_fork_in_child(self) -> None:
        """Start clean: once a child, whether Python's fork hook, the first span or a call comes first."""
        if self._generation == fork_generation():
            return
        for pipeline in self._pipelines:
            pipeline.reset_in_child()
        if not self._is_shut_down:
            self._origin.set_resource(self._origin.resource.merge(resource.process_dependent()))
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
                for pipeline in self._pipelines
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
