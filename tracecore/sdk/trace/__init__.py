"""As opentelemetry.sdk.trace.

With an underscore, as there: what the SDK has not declared stable, and _Span, which tests of exporters make by hand.
"""

import logging

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.trace import NoOpTracer, SpanContext
from opentelemetry.trace.status import Status, StatusCode

from tracecore import config
from tracecore.id_generator import IdGenerator, RandomIdGenerator
from tracecore.instrumentation_scope import InstrumentationInfo, InstrumentationScope
from tracecore.limits import SpanLimits
from tracecore.provider import TracerProvider
from tracecore.readable_span import Event, EventBase, ReadableSpan
from tracecore.resource import Resource
from tracecore.sdk.environment_variables import (
    OTEL_ATTRIBUTE_COUNT_LIMIT,
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT,
    OTEL_LINK_ATTRIBUTE_COUNT_LIMIT,
    OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED,
    OTEL_SDK_DISABLED,
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
    OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_SPAN_EVENT_COUNT_LIMIT,
    OTEL_SPAN_LINK_COUNT_LIMIT,
)
from tracecore.sdk.trace import sampling
from tracecore.sdk.trace._span import Span, _Span, _UnsetLimits
from tracecore.sdk.trace._tracer import Tracer
from tracecore.sdk.util import BoundedList
from tracecore.span_processor import (
    ConcurrentMultiSpanProcessor,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
)
from tracecore.tracer_config import RuleBasedTracerConfigurator as _RuleBasedTracerConfigurator
from tracecore.tracer_config import TracerConfig as _TracerConfig
from tracecore.tracer_config import TracerConfigurator as _TracerConfiguratorT
from tracecore.tracer_config import default_tracer_configurator as _default_tracer_configurator
from tracecore.tracer_config import disable_tracer_configurator as _disable_tracer_configurator

__all__ = [
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED",
    "OTEL_SDK_DISABLED",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "SPAN_ATTRIBUTE_COUNT_LIMIT",
    "BoundedAttributes",
    "BoundedList",
    "ConcurrentMultiSpanProcessor",
    "Event",
    "EventBase",
    "IdGenerator",
    "InstrumentationInfo",
    "InstrumentationScope",
    "NoOpTracer",
    "RandomIdGenerator",
    "ReadableSpan",
    "Resource",
    "Span",
    "SpanContext",
    "SpanLimits",
    "SpanProcessor",
    "Status",
    "StatusCode",
    "SynchronousMultiSpanProcessor",
    "Tracer",
    "TracerProvider",
    "_RuleBasedTracerConfigurator",
    "_Span",
    "_TracerConfig",
    "_TracerConfiguratorT",
    "_UnsetLimits",
    "_default_tracer_configurator",
    "_disable_tracer_configurator",
    "logger",
    "sampling",
]

SPAN_ATTRIBUTE_COUNT_LIMIT = config.limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 128)
"""As the environment had it when this was imported.  Older than SpanLimits, and kept for programs that read it."""

logger = logging.getLogger("tracecore")
"""Where everything of ours logs."""
