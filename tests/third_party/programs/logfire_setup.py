"""logfire: configure() beside our provider, with its processors and exporters on ours, and with ours in the SDK's place."""

import os
from typing import Any

os.environ.update({"LOGFIRE_SEND_TO_LOGFIRE": "false", "LOGFIRE_CONSOLE": "false", "PYDANTIC_DISABLE_PLUGINS": "1"})
from played import MODE, Numbered, Receiver, make_of, otlp, play, provider, tell

import logfire
from logfire._internal.exporters.processor_wrapper import CheckSuppressInstrumentationProcessorWrapper, MainSpanProcessorWrapper
from logfire._internal.scrubbing import Scrubber
from logfire.testing import TestExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

arrived: dict[str, Any] = {}

# Its processors, which read and rewrite what they get, on a provider.
receiver, made, memory = Receiver(), provider(), TestExporter()
for exporter in (OTLPSpanExporter(receiver.url + "/v1/traces"), memory):
    made.add_span_processor(
        CheckSuppressInstrumentationProcessorWrapper(
            MainSpanProcessorWrapper(SimpleSpanProcessor(exporter), Scrubber([]))
        )
    )
play(made)
with made.get_tracer("lib").start_as_current_span("secrets", attributes={"password": "x", "fine": "y"}):
    pass
assert made.force_flush()
arrived["processors"] = memory.exported_spans_as_dict(include_resources=True, fixed_line_number=1)
found = otlp(*(body for *_, body in receiver.requests))
for each in found:
    if each["span"]["name"] == "secrets":
        del each["span"]["startTimeUnixNano"], each["span"]["endTimeUnixNano"]
arrived["otlp"] = found
for span in arrived["processors"]:
    if span["name"] == "secrets":
        del span["start_time"], span["end_time"]
made.shutdown()


class Ticks:
    now = 0

    def __call__(self) -> int:
        self.now += 1_000_000_000
        return self.now


make = make_of(provider())
if MODE != "tracecore":
    memory = TestExporter()
    logfire.configure(
        send_to_logfire=False, console=False, metrics=False, inspect_arguments=False, service_name="shop",
        additional_span_processors=[SimpleSpanProcessor(memory)],
        advanced=logfire.AdvancedOptions(id_generator=Numbered(), ns_timestamp_generator=Ticks()),
    )
    with logfire.span("outer {name}", name="ada", password="hidden") as span:
        span.set_attribute("later", [1, {"x": 2}])
        logfire.info("hello {n}", n=3)
        try:
            with logfire.span("failing"):
                raise ValueError("words")
        except ValueError:
            pass
        logfire.warn("careful", tags=["a"]) if False else logfire.warn("careful")

        @logfire.instrument("called {x=}", extract_args=True)
        def called(x: int) -> int:
            return x + 1

        called(1)
    logfire.force_flush()
    arrived["configure"] = memory.exported_spans_as_dict(fixed_line_number=1, include_instrumentation_scope=True)
    for span in arrived["configure"]:
        for event in span.get("events", ()):
            event["attributes"].pop("exception.stacktrace", None)
        for key in ("code.lineno",):
            span["attributes"].pop(key, None)
    inner = logfire.DEFAULT_LOGFIRE_INSTANCE.config.get_tracer_provider().provider
    make = make_of(inner)
    logfire.shutdown()
else:
    # Beside ours: what logfire made goes its way, our global provider stays.
    from opentelemetry import trace

    ours, memory, mine = provider(), TestExporter(), TestExporter()
    ours.add_span_processor(SimpleSpanProcessor(mine))
    trace.set_tracer_provider(ours)
    logfire.configure(send_to_logfire=False, console=False, metrics=False, service_name="shop", inspect_arguments=False,
                      additional_span_processors=[SimpleSpanProcessor(memory)])
    with trace.get_tracer("lib").start_as_current_span("ours"), logfire.span("theirs"):
        pass
    logfire.force_flush()
    theirs = {span["name"]: span for span in memory.exported_spans_as_dict()}
    (own,) = mine.exported_spans_as_dict()
    assert trace.get_tracer_provider() is ours
    assert own["name"] == "ours" and theirs["theirs"]["parent"]["span_id"] == own["context"]["span_id"]
    logfire.shutdown()
tell(make=make, arrived=arrived)
