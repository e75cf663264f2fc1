"""opentelemetry-exporter-otlp-proto-http behind the SDK's batch processor, the simple one, and ours."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from played import MODE, Receiver, make_of, otlp, play, provider, tell

arrived = {}
processors = {"simple": SimpleSpanProcessor, "batch": BatchSpanProcessor, "native": BatchSpanProcessor}
if MODE == "tracecore":
    from tracecore.sdk.trace.export import BatchSpanProcessor as Native

    processors["native"] = Native
for name, processor in processors.items():
    receiver, made = Receiver(), provider()
    made.add_span_processor(processor(OTLPSpanExporter(receiver.url + "/v1/traces")))
    play(made)
    assert made.force_flush()
    made.shutdown()
    assert {path for path, *_ in receiver.requests} == {"/v1/traces"}
    arrived[name] = otlp(*(body for *_, body in receiver.requests))
tell(make=make_of(provider()), arrived=arrived)
