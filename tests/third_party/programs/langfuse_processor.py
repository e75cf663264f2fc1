"""langfuse: its span processor on our provider, its client with our provider as its own, and its way to print a span."""

import json
import os
from typing import Any

os.environ.update({"LANGFUSE_TRACING_ENVIRONMENT": "test", "LANGFUSE_FLUSH_AT": "100"})
from langfuse import Langfuse
from langfuse._client.span_processor import LangfuseSpanProcessor
from langfuse._client.utils import span_formatter
from opentelemetry.sdk.trace import SpanProcessor
from played import Receiver, make_of, otlp, play, provider, tell

arrived: dict[str, Any] = {}
keys: dict[str, Any] = {"public_key": "pk", "secret_key": "sk"}

printed: list[str] = []


class Printed(SpanProcessor):
    def on_end(self, span: Any) -> None:
        printed.append(span_formatter(span))


receiver, made = Receiver(), provider()
made.add_span_processor(
    LangfuseSpanProcessor(**keys, base_url=receiver.url, should_export_span=lambda span: True)
)
made.add_span_processor(Printed())
play(made)
assert made.force_flush()
arrived["processor"] = otlp(*(body for path, _, body in receiver.requests if "otel" in path))
arrived["printed"] = [json.loads(text) for text in printed]
made.shutdown()

receiver, made = Receiver(b"{}"), provider()
client = Langfuse(**keys, base_url=receiver.url, tracer_provider=made)
with client.start_as_current_observation(as_type="span", name="outer", input={"a": 1}) as outer:
    with client.start_as_current_observation(as_type="generation", name="inner", model="m") as inner:
        inner.update(output="text", usage_details={"input": 1, "output": 2})
    outer.update(metadata={"b": 2})
client.flush()
found = otlp(*(body for path, _, body in receiver.requests if "otel" in path))
for each in found:
    for key in ("startTimeUnixNano", "endTimeUnixNano"):
        assert int(each["span"].pop(key)) > 0
arrived["client"] = found
client.shutdown()
tell(make=make_of(provider()), arrived=arrived)
