"""Events and links, valid and not, up to and over their limits."""

from measure import Value, measure, provider_with
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link

from tracecore.limits import SpanLimits

provider = provider_with(span_limits=SpanLimits(max_events=3, max_links=3, max_span_attributes=4))
tracer = provider.get_tracer("a")


def once() -> None:
    other = tracer.start_span("other")
    link = Link(other.get_span_context(), {"k": [1, "x"]})
    span = tracer.start_span("a", links=[link, link, None, object()])
    for i in range(5):
        span.add_event("e", {"f": "x" * 50, "v": Value(), "i": i})
        span.add_link(other.get_span_context(), {"v": Value()})
        span.set_attribute(f"k{i}", "x" * 50)
    span.add_link(INVALID_SPAN_CONTEXT)
    span.add_link(None)
    span.add_event(3, {"f": 1}, 5)
    span.add_event("e", {"f": 1}, "not a time")
    _ = span.events, span.links
    assert Value.live == 0
    other.end()
    span.end()


measure(once, provider)
