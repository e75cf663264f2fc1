"""opentelemetry-processor-baggage."""

from opentelemetry import baggage
from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from played import make_of, provider, tell

arrived = []
for predicate in (ALLOW_ALL_BAGGAGE_KEYS, lambda key: key.startswith("user")):
    made, memory = provider(), InMemorySpanExporter()
    made.add_span_processor(BaggageSpanProcessor(predicate))
    made.add_span_processor(SimpleSpanProcessor(memory))
    context = baggage.set_baggage("user.id", "ada", baggage.set_baggage("cart", "7"))
    with made.get_tracer("lib").start_as_current_span("outer", context, attributes={"own": 1}):
        made.get_tracer("lib").start_span("inner", context).end()
    arrived.append([(span.name, dict(span.attributes)) for span in memory.get_finished_spans()])
tell(make=make_of(provider()), arrived=arrived)
