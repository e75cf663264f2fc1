"""opentelemetry-exporter-otlp-proto-grpc against a gRPC server."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from played import make_of, otlp, play, provider, tell


class Service(trace_service_pb2_grpc.TraceServiceServicer):
    bodies: list[bytes] = []

    def Export(self, request: Any, context: Any) -> Any:
        self.bodies.append(request.SerializeToString())
        return trace_service_pb2.ExportTraceServiceResponse()


server = grpc.server(ThreadPoolExecutor(2))
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
made = provider()
made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"127.0.0.1:{port}", insecure=True)))
play(made)
assert made.force_flush()
made.shutdown()
server.stop(None)
tell(make=make_of(provider()), arrived=otlp(*Service.bodies))
