"""opentelemetry-exporter-gcp-trace with Google's own client against a gRPC server."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud.trace_v2 import BatchWriteSpansRequest, TraceServiceClient
from google.cloud.trace_v2.services.trace_service.transports import TraceServiceGrpcTransport
from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from played import make_of, play, provider, tell

bodies: list[bytes] = []


class Service(grpc.GenericRpcHandler):
    def service(self, call: Any) -> Any:
        assert call.method == "/google.devtools.cloudtrace.v2.TraceService/BatchWriteSpans", call.method

        def answer(request: bytes, context: Any) -> bytes:
            bodies.append(request)
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


server = grpc.server(ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Service(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
client = TraceServiceClient(transport=TraceServiceGrpcTransport(channel=channel, credentials=AnonymousCredentials()))
made = provider()
made.add_span_processor(BatchSpanProcessor(CloudTraceSpanExporter(project_id="project", client=client,
                                                                  resource_regex=".*")))
play(made)
assert made.force_flush()
made.shutdown()
server.stop(None)
arrived = []
for body in bodies:
    request = BatchWriteSpansRequest.to_dict(BatchWriteSpansRequest.deserialize(body))
    assert request["name"] == "projects/project"
    arrived += request["spans"]
tell(make=make_of(provider()), arrived=sorted(arrived, key=lambda span: span["name"]))
