"""openinference-instrumentation: its TracerProvider where ours stands in the SDK's place, and its tracer on our provider."""

from typing import Any

from played import MODE, RESOURCE, Numbered, SdkResource, make_of, provider, tell  # first: it may replace a class

from openinference.instrumentation import OITracer, TraceConfig, using_attributes
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def use(made: Any, memory: InMemorySpanExporter, tracer: Any) -> Any:
    made.add_span_processor(SimpleSpanProcessor(memory))
    with using_attributes(session_id="s", user_id="u", tags=["t"], metadata={"k": "v"}):
        with tracer.start_as_current_span("llm", openinference_span_kind="llm") as span:
            span.set_input("hello")
            span.set_output("world")
            with tracer.start_as_current_span("tool", attributes={"llm.input_messages.0.message.content": "secret"}):
                pass

            @tracer.chain(name="decorated")
            def chain(text: str) -> str:
                return text.upper()

            chain("x")
    return [(s.name, dict(s.attributes), s.status.status_code.name) for s in memory.get_finished_spans()]


arrived = {}
made = provider()
tracer: Any = OITracer(made.get_tracer("lib"), config=TraceConfig(hide_input_messages=True))
arrived["tracer"] = use(made, InMemorySpanExporter(), tracer)
make = make_of(made)
if MODE != "tracecore":
    from openinference.instrumentation import TracerProvider

    made = TracerProvider(resource=SdkResource(RESOURCE), id_generator=Numbered(), config=TraceConfig(hide_inputs=True))
    arrived["provider"] = use(made, InMemorySpanExporter(), made.get_tracer("lib"))
    make = make_of(made)
tell(make=make, arrived=arrived)
