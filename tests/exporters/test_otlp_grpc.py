"""OTLPGRPCExporter against real gRPC servers on loopback that decode with opentelemetry-proto.

Time: a deadline is asserted with a wide margin, a pause by its lower bound, and speed never.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from batches import batch_of
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

import tracecore
from tracecore import errors
from tracecore.errors import ConfigurationError
from tracecore.exporters import Outcome
from tracecore.exporters.by_name import exporters_by_name
from tracecore.exporters.otlp_grpc import OTLPGRPCExporter, from_environment
from tracecore.exporters.otlp_response import read_retry_delay_s
from tracecore.exporters.otlp_settings import grpc_arguments, parse_grpc_endpoint

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

PATIENCE_S = 30.0
BASE = "OTEL_EXPORTER_OTLP_"

Answer = Callable[[Any], bytes]


def empty(context: Any) -> bytes:
    return b""


def abort(code: str, words: str = "words", *details: Any) -> Answer:
    """An answer that is a status, with google.rpc details where there are some."""

    def answer(context: Any) -> bytes:
        if details:
            status = Status(code=grpc.StatusCode[code].value[0], message=words)
            for detail in details:
                packed = AnyMessage()
                packed.Pack(detail)
                status.details.append(packed)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode[code], words)
        raise AssertionError

    return answer


def retry_after(seconds: float) -> RetryInfo:
    delay = Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    return RetryInfo(retry_delay=delay)


class Receiver:
    """Keeps what it is sent and gives `answers` in turn, then success."""

    def __init__(self, address: str = "localhost:0", credentials: Any = None, max_bytes: int = 4 << 20) -> None:
        self.answers: list[Answer] = []
        self.requests: list[ExportTraceServiceRequest] = []
        self.metadata: list[dict[str, Any]] = []
        self.methods: list[str] = []
        self.at: list[float] = []
        receiver = self

        class Handler(grpc.GenericRpcHandler):
            def service(self, call: Any) -> Any:
                receiver.methods.append(call.method)
                receiver.metadata.append({key: value for key, value in call.invocation_metadata})
                return grpc.unary_unary_rpc_method_handler(receiver._answer)

        options = (("grpc.max_receive_message_length", max_bytes), ("grpc.so_reuseport", 0))
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=options)
        self._server.add_generic_rpc_handlers((Handler(),))
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        self._server.start()
        self.host = f"localhost:{self.port}"
        self.url = f"http://{self.host}"

    def _answer(self, body: bytes, context: Any) -> bytes:
        self.at.append(time.monotonic())
        answer = self.answers.pop(0) if self.answers else empty
        reply = answer(context)
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        return reply

    @property
    def names(self) -> list[str]:
        names = [
            span.name
            for request in self.requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]
        return sorted(names, key=lambda name: int(name.removeprefix("span ")))

    def close(self) -> None:
        self._server.stop(0).wait(PATIENCE_S)


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make(*answers: Answer, **arguments: Any) -> Receiver:
        made.append(Receiver(**arguments))
        made[-1].answers.extend(answers)
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


_made: list[OTLPGRPCExporter] = []


@pytest.fixture(autouse=True)
def shut_down() -> Iterator[None]:
    yield
    while _made:
        _made.pop().shutdown()


def exporter_to(endpoint: str, **arguments: Any) -> OTLPGRPCExporter:
    _made.append(OTLPGRPCExporter(endpoint, **arguments))
    return _made[-1]


def export(exporter: OTLPGRPCExporter, batch: Any = None, seconds: float = PATIENCE_S) -> Outcome:
    batch = batch_of() if batch is None else batch
    outcome = exporter.export(batch, time.monotonic() + seconds)
    assert outcome.accepted + outcome.rejected == len(batch)
    assert bool(outcome.reason) == bool(outcome.rejected)
    return outcome


# --- a batch --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_a_batch_arrives_as_it_was_encoded(receive: Any, compression: str) -> None:
    receiver, batch = receive(), batch_of(50, padding=100)
    exporter = exporter_to(receiver.url, compression=compression, headers={"X-Tenant": "a b"}, version="1.2")
    assert export(exporter, batch) == Outcome(50, 0, "", "")
    assert receiver.requests == [ExportTraceServiceRequest.FromString(batch.otlp())]
    assert receiver.methods == ["/opentelemetry.proto.collector.trace.v1.TraceService/Export"]
    assert receiver.metadata[0]["x-tenant"] == "a b"
    assert receiver.metadata[0]["user-agent"].startswith("OTel-OTLP-Exporter-Python-tracecore/1.2 grpc-python/")


def test_no_spans_are_no_call(receive: Any) -> None:
    receiver, batch = receive(), batch_of(1)
    assert export(exporter_to(receiver.url), batch.part(1, 1)) == Outcome(0, 0, "", "")
    assert receiver.methods == []


def test_the_sdks_exporter_sends_the_same_request(receive: Any) -> None:
    """For the same spans, but for the order in which protobuf writers put fields that repeat."""
    theirs, ours, batch = receive(), receive(), batch_of(5)
    sdk_exporter = OTLPSpanExporter(theirs.url, insecure=True, headers={"k": "v"}, timeout=PATIENCE_S)
    sdk_exporter.export(batch.spans())
    sdk_exporter.shutdown()
    export(exporter_to(ours.url, headers={"k": "v"}), batch)
    assert ours.requests[0].SerializeToString(deterministic=True) == theirs.requests[0].SerializeToString(deterministic=True)
    assert ours.methods == theirs.methods
    assert set(theirs.metadata[0]) == set(ours.metadata[0]) and theirs.metadata[0]["k"] == ours.metadata[0]["k"]


def test_spans_of_a_provider_arrive_through_its_pipeline(receive: Any) -> None:
    receiver = receive()
    provider = tracecore.TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(exporter_to(receiver.url))
    for number in range(10):
        provider.get_tracer("lib").start_span(f"span {number}").end()
    provider.shutdown()
    assert receiver.names == [f"span {number}" for number in range(10)]
    (counts,) = provider.stats()["exporters"]
    assert (counts["exported"], counts["lost"]) == (10, {})


# --- what answers mean ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("partial", "accepted", "reason", "words"),
    [
        (ExportTracePartialSuccess(rejected_spans=2, error_message="too old"), 1, "rejected_partial", ": too old"),
        (ExportTracePartialSuccess(rejected_spans=99), 0, "rejected_partial", "no reason given"),
        (ExportTracePartialSuccess(error_message="advice"), 3, "", ": advice"),
    ],
)
def test_a_partial_success_is_counted_and_not_tried_again(
    receive: Any, partial: Any, accepted: int, reason: str, words: str
) -> None:
    reply = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    receiver = receive(lambda context: reply)
    outcome = export(exporter_to(receiver.url))
    assert (outcome.accepted, outcome.reason) == (accepted, reason)
    assert outcome.message.startswith(receiver.url) and outcome.message.endswith(words)
    assert len(receiver.methods) == 1


@pytest.mark.parametrize("code", ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"])
def test_a_retryable_code_is_tried_again(receive: Any, code: str) -> None:
    receiver = receive(abort(code), abort(code))
    assert export(exporter_to(receiver.url, retry_pause=0.01)) == Outcome(3, 0, "", "")
    assert len(receiver.methods) == 3


@pytest.mark.parametrize(
    "code",
    ["INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "UNAUTHENTICATED", "FAILED_PRECONDITION",
     "UNIMPLEMENTED", "INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED"],
)  # fmt: skip
def test_any_other_code_is_final(receive: Any, code: str) -> None:
    receiver = receive(abort(code, "no\r\nthank you"))
    outcome = export(exporter_to(receiver.url, retry_pause=0.01))
    assert (outcome.reason, outcome.rejected) == ("rejected_status", 3)
    assert outcome.message == f"{receiver.url}: gRPC {code}: no  thank you"
    assert len(receiver.methods) == 1


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_a_delay_that_the_receiver_asks_for_is_kept(receive: Any, code: str) -> None:
    receiver = receive(abort(code, "later", QuotaFailure(), retry_after(0.7)))
    assert export(exporter_to(receiver.url, retry_pause=0.01)).accepted == 3
    assert receiver.at[1] - receiver.at[0] >= 0.7


def test_a_delay_beyond_the_deadline_ends_the_export_at_once(receive: Any) -> None:
    receiver = receive(abort("RESOURCE_EXHAUSTED", "much later", retry_after(3600)))
    outcome = export(exporter_to(receiver.url, timeout=3600))
    assert outcome.reason == "rejected_status"
    assert "RESOURCE_EXHAUSTED: much later; gave up after attempt 1" in outcome.message


def test_malformed_details_are_no_delay() -> None:
    for details in (b"", b"\xff", b"\x1a\x05", Status(message="x").SerializeToString(), b"\x1a\x02\x0a\x00"):
        assert read_retry_delay_s(details) is None
    packed = AnyMessage()
    packed.Pack(retry_after(1.5))
    assert read_retry_delay_s(Status(details=[packed]).SerializeToString()) == 1.5
    assert read_retry_delay_s(Status(details=[AnyMessage(type_url="x/google.rpc.RetryInfo")]).SerializeToString()) == 0
    negative = AnyMessage()
    negative.Pack(RetryInfo(retry_delay=Duration(seconds=-1)))
    assert read_retry_delay_s(Status(details=[negative]).SerializeToString()) == 0


# --- time -----------------------------------------------------------------------------------------------------


def test_the_deadline_ends_a_call_without_an_answer(receive: Any) -> None:
    over = threading.Event()
    receiver = receive(lambda context: over.wait(PATIENCE_S) and b"")
    started = time.monotonic()
    outcome = export(exporter_to(receiver.url), seconds=0.3)
    over.set()
    assert outcome.reason == "export_timeout" and time.monotonic() - started < PATIENCE_S / 2


def test_the_exporters_own_timeout_holds_where_it_is_nearer(receive: Any) -> None:
    over = threading.Event()
    receiver = receive(lambda context: over.wait(PATIENCE_S) and b"")
    outcome = export(exporter_to(receiver.url, timeout=0.3))
    over.set()
    assert outcome.reason == "export_timeout"


def test_an_interrupt_ends_the_pause_between_two_attempts(receive: Any) -> None:
    receiver = receive(*[abort("UNAVAILABLE")] * 5)
    exporter = exporter_to(receiver.url, retry_pause=60.0, timeout=600)
    threading.Timer(0.3, exporter.interrupt).start()
    outcome = export(exporter, seconds=600)
    assert outcome.reason == "connection" and "the exporter is stopping" in outcome.message
    assert len(receiver.methods) == 1


def test_after_shutdown_nothing_is_sent(receive: Any) -> None:
    receiver = receive()
    exporter = exporter_to(receiver.url)
    export(exporter)
    exporter.shutdown()
    exporter.shutdown()
    assert export(exporter).reason == "export_shutdown"
    assert len(receiver.methods) == 1


# --- connections ----------------------------------------------------------------------------------------------


def test_nobody_there_is_a_fault_of_the_connection(receive: Any) -> None:
    receiver = receive()
    receiver.close()
    outcome = export(exporter_to(receiver.url, retry_pause=0.05), seconds=1.0)
    assert (outcome.reason, outcome.rejected) == ("connection", 3)
    assert "UNAVAILABLE" in outcome.message and "gave up after attempt" in outcome.message


def test_a_receiver_that_starts_late_is_reached_by_the_next_attempt(receive: Any) -> None:
    first = receive()
    port = first.port
    first.close()
    exporter = exporter_to(f"http://localhost:{port}", retry_pause=0.2)
    late: list[Receiver] = []
    timer = threading.Timer(0.5, lambda: late.append(receive(address=f"localhost:{port}")))
    timer.start()
    assert export(exporter).accepted == 3
    timer.join()
    assert len(late[0].requests) == 1


def test_a_receiver_that_restarts_is_found_again(receive: Any) -> None:
    first = receive()
    exporter = exporter_to(first.url, retry_pause=0.05)
    assert export(exporter).accepted == 3
    first.close()
    second = receive(address=first.host)
    assert export(exporter).accepted == 3
    assert len(second.requests) == 1


def test_a_socket_of_this_machine_is_spoken_to_without_tls(receive: Any, tmp_path: Path) -> None:
    receiver = receive(address=f"unix:{tmp_path}/collector.sock")
    assert export(exporter_to(f"unix:{tmp_path}/collector.sock")).accepted == 3
    assert export(exporter_to(f"unix://{tmp_path}/collector.sock")).accepted == 3
    assert len(receiver.requests) == 2


def test_a_host_and_port_need_to_be_told_that_there_is_no_tls(receive: Any) -> None:
    receiver = receive()
    assert export(exporter_to(receiver.host, insecure=True)).accepted == 3
    assert export(exporter_to(f"dns:///{receiver.host}", insecure=True)).accepted == 3
    assert export(exporter_to(receiver.host), seconds=5).reason == "connection"


def test_the_scheme_of_a_url_says_whether_there_is_tls(receive: Any) -> None:
    receiver = receive()
    assert export(exporter_to(receiver.url, insecure=False)).accepted == 3
    assert export(exporter_to(f"https://{receiver.host}", insecure=True)).reason == "connection"


def test_userinfo_becomes_basic_authentication_and_is_never_shown(receive: Any) -> None:
    receiver = receive(abort("INTERNAL"))
    exporter = exporter_to(f"http://user:p%40ss@{receiver.host}")
    assert "p@ss" not in export(exporter).message + repr(exporter)
    assert receiver.metadata[0]["authorization"] == "Basic dXNlcjpwQHNz"


# --- TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_credentials(authority: trustme.CA, clients: trustme.CA | None = None) -> Any:
    certificate = authority.issue_cert("localhost")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    roots = clients.cert_pem.bytes() if clients else None
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=clients is not None)


def written(pem: Any, path: Path) -> str:
    pem.write_to_path(str(path))
    return str(path)


def test_a_receiver_is_trusted_by_the_given_authorities(receive: Any, authority: trustme.CA, tmp_path: Path) -> None:
    receiver = receive(credentials=server_credentials(authority))
    trusted = written(authority.cert_pem, tmp_path / "ca.pem")
    assert export(exporter_to(f"https://{receiver.host}", certificate_file=trusted)).accepted == 3
    assert export(exporter_to(receiver.host, certificate_file=trusted)).accepted == 3


def test_a_receiver_of_another_authority_is_refused_without_another_try(receive: Any, authority: trustme.CA) -> None:
    receiver = receive(credentials=server_credentials(authority))
    outcome = export(exporter_to(f"https://{receiver.host}"))
    assert outcome.reason == "connection"
    assert "handshake" in outcome.message and "gave up" not in outcome.message
    assert receiver.methods == []


@pytest.mark.parametrize("is_one_file", [False, True])
def test_a_client_shows_its_certificate(
    receive: Any, authority: trustme.CA, tmp_path: Path, is_one_file: bool
) -> None:
    clients = trustme.CA()
    receiver = receive(credentials=server_credentials(authority, clients))
    client = clients.issue_cert("client")
    arguments = {
        "certificate_file": written(authority.cert_pem, tmp_path / "ca.pem"),
        "client_certificate_file": written(
            client.private_key_and_cert_chain_pem if is_one_file else client.cert_chain_pems[0], tmp_path / "client.pem"
        ),
    }
    if not is_one_file:
        arguments["client_key_file"] = written(client.private_key_pem, tmp_path / "key.pem")
    assert export(exporter_to(f"https://{receiver.host}", **arguments)).accepted == 3


def test_certificates_that_are_replaced_on_disk_are_read_again(
    receive: Any, authority: trustme.CA, tmp_path: Path
) -> None:
    receiver = receive(credentials=server_credentials(authority))
    path = tmp_path / "ca.pem"
    exporter = exporter_to(f"https://{receiver.host}", certificate_file=written(trustme.CA().cert_pem, path))
    assert export(exporter).reason == "connection"
    written(authority.cert_pem, path)
    assert export(exporter).accepted == 3
    path.write_text("half writ")
    assert export(exporter).accepted == 3, "what does not load waits until it does"


# --- size -----------------------------------------------------------------------------------------------------


def test_a_batch_above_the_usual_limit_of_receivers_goes_out_in_parts(receive: Any) -> None:
    receiver, batch = receive(), batch_of(100, padding=90_000)
    assert len(batch.otlp()) > 8 << 20
    assert export(exporter_to(receiver.url), batch) == Outcome(100, 0, "", "")
    assert receiver.names == [f"span {number}" for number in range(100)]
    assert len(receiver.methods) == len(receiver.requests) == 3, "none was sent to be refused"
    assert all(len(request.SerializeToString()) <= 4 << 20 for request in receiver.requests)


def test_a_receiver_that_takes_less_is_heard_and_remembered(receive: Any) -> None:
    receiver = receive(max_bytes=20_000)
    exporter = exporter_to(receiver.url)
    assert export(exporter, batch_of(100, padding=1000)).accepted == 100
    assert receiver.names == [f"span {number}" for number in range(100)]
    n_refused = len(receiver.methods) - len(receiver.requests)
    assert n_refused >= 1
    assert export(exporter, batch_of(100, padding=1000)).accepted == 100
    assert len(receiver.methods) - len(receiver.requests) == n_refused


def test_a_span_that_is_too_large_is_lost_alone(receive: Any) -> None:
    receiver = receive()
    outcome = export(exporter_to(receiver.url), batch_of(9, large={4: 5 << 20}))
    assert (outcome.accepted, outcome.rejected, outcome.reason) == (8, 1, "rejected_status")
    assert "larger than max" in outcome.message
    assert len(receiver.names) == 8 and "span 4" not in receiver.names


def test_without_a_limit_everything_is_one_request(receive: Any) -> None:
    receiver = receive(max_bytes=64 << 20)
    assert export(exporter_to(receiver.url, max_request_bytes=0), batch_of(100, padding=90_000)).accepted == 100
    assert len(receiver.requests) == 1


# --- fork -----------------------------------------------------------------------------------------------------

FORKING = """
    import os, sys, threading, time
    import tracecore
    from tracecore.exporters.otlp_grpc import OTLPGRPCExporter

    provider = tracecore.TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(OTLPGRPCExporter(sys.argv[1], retry_pause=0.05), delay=0.01)
    tracer = provider.get_tracer("lib")
    tracer.start_span("span 0").end()
    assert provider.force_flush(20000)
    children = []
    for number in range(1, 9):
        tracer.start_span(f"span {100 + number}").end()  # the worker may be in the middle of its export
        time.sleep(0.003 * number)
        child = os.fork()
        if child == 0:
            tracer.start_span(f"span {number}").end()
            assert provider.force_flush(20000), provider.stats()
            provider.shutdown()
            os._exit(0)
        children.append(child)
    tracer.start_span("span 9").end()
    assert provider.force_flush(20000), provider.stats()
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    provider.shutdown()
"""


def test_a_parent_and_its_forked_children_all_send_their_spans_once(receive: Any) -> None:
    receiver = receive()
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKING), receiver.url],
        env={name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert receiver.names == [f"span {number}" for number in [*range(10), *range(101, 109)]]


# --- settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "name", "secure"),
    [
        ("http://collector:4317", "collector:4317", False),
        ("https://collector:4317/ignored?path", "collector:4317", True),
        ("https://api.example.com", "api.example.com:443", True),
        ("HTTPS://[::1]:4317", "[::1]:4317", True),
        ("collector:4317", "collector:4317", None),
        ("collector", "collector", None),
        ("[::1]:4317", "[::1]:4317", None),
        ("unix:/run/c.sock", "unix:/run/c.sock", False),
        ("unix-abstract:collector", "unix-abstract:collector", False),
        ("dns:///collector:4317", "dns:///collector:4317", None),
        ("ipv4:127.0.0.1:4317,127.0.0.2:4317", "ipv4:127.0.0.1:4317,127.0.0.2:4317", None),
    ],
)
def test_endpoints_have_the_forms_that_grpc_takes(endpoint: str, name: str, secure: bool | None) -> None:
    target = parse_grpc_endpoint("endpoint", endpoint)
    assert (target.name, target.secure) == (name, secure)


@pytest.mark.parametrize(
    "endpoint", ["", " ", "http://", "collector:port", "collector:0", "a b:1", "user:secret@host:1", "host/path", "unix:", 5]
)
def test_a_malformed_endpoint_is_an_error_in_code(endpoint: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OTLPGRPCExporter(endpoint)
    assert caught.value.variable == "endpoint" and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "arguments"),
    [
        ("insecure", {"endpoint": "c", "insecure": "yes"}),
        ("timeout", {"timeout": 0}),
        ("compression", {"compression": "zstd"}),
        ("max_request_bytes", {"max_request_bytes": -1}),
        ("headers", {"headers": {"grpc-timeout": "1"}}),
        ("headers", {"headers": {"key-bin": "1"}}),
        ("headers", {"headers": {"a!b": "1"}}),
        ("headers['k']", {"headers": {"k": "secret é"}}),
        ("certificate_file", {"certificate_file": "/ca"}),
        ("certificate_file", {"endpoint": "https://c", "certificate_file": "/no/such/file"}),
        ("client_key_file", {"endpoint": "https://c", "client_key_file": "/key"}),
    ],
)
def test_arguments_that_cannot_be_honoured_are_refused(variable: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OTLPGRPCExporter(**arguments)
    assert caught.value.variable == variable and "secret" not in str(caught.value)


def arguments_of(**settings: str) -> tuple[dict[str, Any], list[str]]:
    arguments, warnings = grpc_arguments({BASE + name: text for name, text in settings.items()})
    return dict(arguments), warnings


def test_an_empty_environment_gives_the_specifications_defaults() -> None:
    assert arguments_of() == (
        {
            "endpoint": "http://localhost:4317",
            "insecure": None,
            "headers": {},
            "timeout": 10.0,
            "compression": "none",
            "certificate_file": None,
            "client_certificate_file": None,
            "client_key_file": None,
        },
        [],
    )


@pytest.mark.parametrize(
    ("settings", "insecure"),
    [
        ({"ENDPOINT": "collector:4317"}, False),
        ({"ENDPOINT": "collector:4317", "INSECURE": "true"}, True),
        ({"ENDPOINT": "collector:4317", "INSECURE": "true", "TRACES_INSECURE": "False"}, False),
        ({"ENDPOINT": "http://collector:4317", "INSECURE": "false"}, None),
        ({"ENDPOINT": "http://collector:4317", "INSECURE": "true"}, None),
    ],
)
def test_insecure_counts_where_the_endpoint_does_not_say_it(settings: dict[str, str], insecure: bool | None) -> None:
    arguments, warnings = arguments_of(**settings)
    assert (arguments["insecure"], warnings) == (insecure, [])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ENDPOINT": "https://c:1", "INSECURE": "true"}, "INSECURE='true' is not used: the scheme of https://c:1 decides"),
        ({"INSECURE": "yes"}, "INSECURE='yes': expected true or false; using False instead"),
        ({"ENDPOINT": "nope nope"}, "using 'http://localhost:4317' instead"),
        ({"COMPRESSION": "zstd"}, "COMPRESSION='zstd': expected one of none, gzip, deflate; using 'none' instead"),
        ({"CERTIFICATE": "/ca"}, "CERTIFICATE='/ca' is not used"),
        ({"ENDPOINT": "c:1", "CLIENT_KEY": "/key"}, "CLIENT_KEY='/key' is not used: no client certificate is set"),
        ({"TIMEOUT": "5000"}, "TIMEOUT=5000 is read as seconds, not milliseconds"),
    ],
)
def test_a_wrong_setting_warns_and_says_what_is_used(settings: dict[str, str], words: str) -> None:
    _, (warning,) = arguments_of(**settings)
    assert words in warning and BASE in warning or "localhost" in warning


def test_the_protocol_of_the_environment_sends_grpc(receive: Any) -> None:
    receiver = receive()
    settings = {BASE + "ENDPOINT": receiver.url, BASE + "PROTOCOL": "grpc", BASE + "HEADERS": "K=v"}
    for name in ("otlp", "otlp_proto_grpc"):
        (exporter,) = exporters_by_name([name], settings)
        assert isinstance(exporter, OTLPGRPCExporter)
        assert export(exporter).accepted == 3
        exporter.shutdown()
    assert receiver.metadata[0]["k"] == "v"
    assert isinstance(exporters_by_name(["otlp_proto_grpc"], {})[0], OTLPGRPCExporter)


@pytest.mark.parametrize("by", ["environment", "argument"])
def test_a_program_that_names_the_protocol_sends_grpc(receive: Any, by: str) -> None:
    receiver = receive()
    arguments = "" if by == "environment" else f"endpoint={receiver.url!r}"
    code = f"""
        import sys, tracecore
        assert "grpc" not in sys.modules
        tracecore.init({arguments})
        with tracecore.span("span 0"):
            pass
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment[BASE + "PROTOCOL"] = "grpc"
    if by == "environment":
        environment[BASE + "ENDPOINT"] = receiver.url
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert receiver.names == ["span 0"]


def test_wrong_settings_are_one_line_and_a_missing_certificate_stops(caplog: pytest.LogCaptureFixture) -> None:
    errors.reset_reports()
    from_environment({BASE + "COMPRESSION": "zstd", BASE + "TIMEOUT": "never"})
    (line,) = [record.getMessage() for record in caplog.records if record.name == "tracecore"]
    assert "COMPRESSION='zstd'" in line and "TIMEOUT='never'" in line
    with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_CERTIFICATE='/no/such'"):
        from_environment({BASE + "ENDPOINT": "https://c", BASE + "CERTIFICATE": "/no/such"})


def test_an_endpoint_in_code_wins_over_the_environments() -> None:
    exporter = from_environment({BASE + "TRACES_ENDPOINT": "nope nope"}, "http://collector:4317")
    assert repr(exporter) == "<OTLPGRPCExporter http://collector:4317 compression=none>"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ConfigurationError, match=r"install the extra tracecore-native\[grpc\]"):
        OTLPGRPCExporter()
    with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_PROTOCOL='grpc': expected the package grpcio"):
        from_environment({BASE + "PROTOCOL": "grpc"})
    errors.reset_reports()
    assert exporters_by_name(["otlp"], {BASE + "PROTOCOL": "grpc"}) == []
    assert errors.reported()["invalid_otel_exporter_otlp_protocol"] == 1
