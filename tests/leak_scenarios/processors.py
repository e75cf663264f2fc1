"""Processors of the user's own, which read the spans and raise, beside an exporter."""

from measure import Value, measure, provider_with
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

provider = provider_with()
exporter = InMemorySpanExporter()


class Processor:
    def on_start(self, span, parent_context=None):
        span.set_attribute("from the processor", Value())

    def on_end(self, span):
        assert span.attributes is not None
        _ = span.events, span.links, span.resource, span.parent, span.context, span.status, span.to_json()
        raise RuntimeError("on purpose")


provider.add_span_processor(SimpleSpanProcessor(exporter))
provider.add_span_processor(Processor())
tracer = provider.get_tracer("a")


def once() -> None:
    with tracer.start_as_current_span("a", attributes={"k": [1, 2]}) as span:
        span.add_event("e", {"f": 1})
        span.add_link(span.get_span_context(), {"l": 1})
    exporter.clear()


measure(once, provider, n=1000)
