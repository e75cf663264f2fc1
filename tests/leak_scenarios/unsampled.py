"""Spans the sampler decided against."""

from measure import Value, measure, provider_with
from opentelemetry.trace import Link

from tracecore.sampling import ALWAYS_OFF

provider = provider_with(sampler=ALWAYS_OFF)
tracer = provider.get_tracer("a")


def once() -> None:
    with tracer.start_as_current_span("a", attributes={"v": Value()}) as span:
        span.set_attribute("k", Value())
        span.add_event("e", {"v": Value()})
        tracer.start_span("b", links=[Link(span.get_span_context())]).end()
    assert Value.live == 0


measure(once, provider)
