"""opentelemetry-exporter-zipkin-json and -proto-http against an HTTP server that decodes."""

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.zipkin.json import ZipkinExporter as Json
from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter as Proto
from opentelemetry.exporter.zipkin.proto.http.v2.gen import zipkin_pb2
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from played import Receiver, make_of, play, provider, tell

arrived: dict[str, Any] = {}
for name, exporter in (("json", Json), ("proto", Proto)):
    receiver, made = Receiver(status=202), provider()
    made.add_span_processor(BatchSpanProcessor(exporter(endpoint=receiver.url + "/api/v2/spans")))
    play(made)
    assert made.force_flush()
    made.shutdown()
    arrived[name] = []
    for _, kind, body in receiver.requests:
        if name == "json":
            assert kind == "application/json"
            arrived[name] += json.loads(body)
        else:
            arrived[name] += MessageToDict(zipkin_pb2.ListOfSpans.FromString(body))["spans"]
tell(make=make_of(provider()), arrived=arrived)
