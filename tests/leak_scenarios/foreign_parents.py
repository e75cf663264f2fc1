"""Parents of another make, remote ones with tracestate, and contexts of another class."""

from measure import Value, measure, provider_with
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

provider = provider_with()
tracer = provider.get_tracer("a")
propagator = TraceContextTextMapPropagator()
header = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b,c=d"}


class Broken(trace.NonRecordingSpan):
    def get_span_context(self):
        raise RuntimeError("on purpose")


def once() -> None:
    context = propagator.extract(header)
    with tracer.start_as_current_span("a", context=context) as span:
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        _ = span.parent
        tracer.start_span("b").end()
    broken = Broken(trace.INVALID_SPAN_CONTEXT)
    broken.holds = Value()
    tracer.start_span("c", context=trace.set_span_in_context(broken)).end()
    tracer.start_span("d", context={"not": "a context"}).end()


measure(once, provider)
