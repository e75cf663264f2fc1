"""Tracer: the SDK's class of tracers, for isinstance(), and for tracers made without a provider.

    tracecore._core.tracer.Tracer    what TracerProvider.get_tracer returns; an instance of this class by registration
    Tracer(sampler, resource, ...)   one made by hand: has a recorder of its own and starts the core's spans with it,
                                     for its processor; `meter_provider` is not used, and `tracecore.stats` knows nothing of it

Threads: any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import Tracer as ApiTracer
from opentelemetry.util.types import Attributes

from tracecore._core import tracer as core
from tracecore._core.origin import Origin
from tracecore._core.recorder import Recorder
from tracecore.id_generator import IdGenerator
from tracecore.instrumentation_scope import InstrumentationInfo, InstrumentationScope
from tracecore.limits import SpanLimits
from tracecore.resource import Resource
from tracecore.sampling import Sampler, plan
from tracecore.span_processor import ConcurrentMultiSpanProcessor, SynchronousMultiSpanProcessor
from tracecore.tracer_config import TracerConfig

__all__ = ["Tracer"]


class Tracer(ApiTracer):
    """Starts spans of one instrumentation scope.  Programs get theirs from a TracerProvider."""

    def __init__(
        self,
        sampler: Sampler,
        resource: Resource,
        span_processor: SynchronousMultiSpanProcessor | ConcurrentMultiSpanProcessor,
        id_generator: IdGenerator,
        instrumentation_info: InstrumentationInfo,
        span_limits: SpanLimits,
        instrumentation_scope: InstrumentationScope,
        *,
        meter_provider: Any = None,
        _tracer_config: TracerConfig | None = None,
    ) -> None:
        origin = Origin(resource)
        recorder = Recorder(origin, sampler, plan(sampler), span_limits, id_generator, lambda: None)
        recorder.set_processor(span_processor)
        recorder.shown_processor = span_processor
        self._tracer = core.Tracer(recorder, origin.add_scope(instrumentation_scope), instrumentation_scope)
        self._tracer._set_tracer_config(_tracer_config or TracerConfig.default())
        self.instrumentation_info = instrumentation_info

    def __getattr__(self, name: str) -> Any:
        # sampler, resource, span_processor and the rest, as the core's tracer has them.
        if name == "_tracer":  # not made yet, while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self._tracer, name)

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> ApiSpan:
        return self._tracer.start_span(  # type: ignore[return-value]
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )

    def start_as_current_span(  # type: ignore[override]
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> core.SpanScope:
        return self._tracer.start_as_current_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception, end_on_exit
        )


Tracer.register(core.Tracer)
