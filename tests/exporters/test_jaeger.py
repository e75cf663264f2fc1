"""The Jaeger exporters against sockets: an agent's UDP port and a collector over HTTP, read by Apache Thrift."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from batches import batch_of, recorded
from jaeger_reference import batch_in, batch_of_call, tags_of

import tracecore
from tracecore import errors
from tracecore.errors import ConfigurationError
from tracecore.exporters import Outcome, jaeger_agent
from tracecore.exporters.by_name import exporters_by_name
from tracecore.exporters.jaeger import JaegerAgentExporter, JaegerCollectorExporter
from tracecore.resource import Resource

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

PATIENCE_S = 20.0


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


class Agent:
    """A UDP port that keeps what arrives, as an agent has one."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind((host, port))
        self.port: int = self._socket.getsockname()[1]

    def datagrams(self) -> list[bytes]:
        """Everything that arrived since the last call.  On loopback a datagram is there when send returns."""
        found = []
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(1 << 16))
        return found

    def names(self, protocol: str = "compact") -> list[str]:
        return [span.operationName for each in self.datagrams() for span in batch_of_call(each, protocol).spans]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.close()


def names(n_spans: int) -> list[str]:
    return [f"span {number}" for number in range(n_spans)]


# --- an agent -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["compact", "binary"])
def test_a_batch_is_one_datagram_when_it_fits(agent: Agent, protocol: str) -> None:
    exporter = JaegerAgentExporter("127.0.0.1", agent.port, protocol=protocol)
    assert exporter.export(batch_of(5), deadline()) == Outcome(5, 0, "", "")
    (datagram,) = agent.datagrams()
    batch = batch_of_call(datagram, protocol)
    assert batch.process.serviceName == "shop"
    assert [span.operationName for span in batch.spans] == names(5)
    exporter.shutdown()


@pytest.mark.parametrize("protocol", ["compact", "binary"])
@pytest.mark.parametrize("max_packet_bytes", [2000, 9000, 65_000])
def test_datagrams_keep_to_the_limit_are_full_and_hold_every_span_once(
    agent: Agent, protocol: str, max_packet_bytes: int
) -> None:
    exporter = JaegerAgentExporter("127.0.0.1", agent.port, protocol=protocol, max_packet_bytes=max_packet_bytes)
    assert exporter.export(batch_of(600, padding=300), deadline()) == Outcome(600, 0, "", "")
    datagrams = agent.datagrams()
    batches = [batch_of_call(each, protocol) for each in datagrams]
    assert [span.operationName for batch in batches for span in batch.spans] == names(600)
    assert all(len(each) <= max_packet_bytes for each in datagrams)
    a_span = max(len(each) / len(batch.spans) for each, batch in zip(datagrams, batches))
    assert all(len(each) + a_span + 10 > max_packet_bytes for each in datagrams[:-1]), "another span would not have fitted"
    assert {batch.process.serviceName for batch in batches} == {"shop"}
    exporter.shutdown()


def test_a_span_too_large_for_a_datagram_is_cut_and_its_neighbours_stay_whole(agent: Agent) -> None:
    errors.reset_reports()
    exporter = JaegerAgentExporter("127.0.0.1", agent.port)
    outcome = exporter.export(batch_of(5, padding=10, large={2: 100_000}), deadline())
    assert outcome == Outcome(5, 0, "", "")
    spans = [span for each in agent.datagrams() for span in batch_of_call(each).spans]
    assert [span.operationName for span in spans] == names(5)
    assert ["padding" in tags_of(span.tags) for span in spans] == [True, True, False, True, True]
    assert tags_of(spans[2].tags)["otel.dropped_attributes_count"] == 1
    assert tags_of(spans[2].tags)["number"] == 2
    assert errors.reported() == {"span_cut": 1}


def test_a_span_that_cannot_be_cut_is_lost_alone_and_by_name(agent: Agent) -> None:
    def three(provider: Any) -> None:
        tracer = provider.get_tracer("lib")
        for name in ("before", "n" * 70_000, "after"):
            tracer.start_span(name).end()

    batch = recorded(three)
    assert batch is not None
    outcome = JaegerAgentExporter("127.0.0.1", agent.port).export(batch, deadline())
    assert outcome[:3] == (2, 1, "too_large")
    assert "nnn" in outcome.message and len(outcome.message) < 400
    assert agent.names() == ["before", "after"]


def test_a_resource_larger_than_a_datagram_leaves_room_for_the_spans(agent: Agent) -> None:
    def one(provider: Any) -> None:
        provider.get_tracer("lib").start_span("span").end()

    batch = recorded(one, resource=Resource({"service.name": "shop", "large": "l" * 100_000, "small": 1}))
    assert batch is not None
    errors.reset_reports()
    assert JaegerAgentExporter("127.0.0.1", agent.port).export(batch, deadline()).accepted == 1
    (datagram,) = agent.datagrams()
    assert tags_of(batch_of_call(datagram).process.tags) == {"small": 1}
    assert errors.reported() == {"resource_cut": 1}


def test_the_counters_name_what_was_lost_and_their_sum_holds(agent: Agent) -> None:
    provider = tracecore.TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(JaegerAgentExporter("127.0.0.1", agent.port), batch=50, delay=3600)
    tracer = provider.get_tracer("lib")
    for number in range(200):
        tracer.start_span(f"span {number}" if number % 20 else "n" * 70_000).end()
    provider.shutdown()
    (counts,) = provider.stats()["exporters"]
    assert counts["lost"] == {"too_large": 10}
    assert counts["exported"] == 190 == len(agent.names())
    assert counts["written"] == 200


def test_an_agent_that_is_not_there_is_noticed_and_tried_again_until_the_deadline() -> None:
    agent = Agent()
    port = agent.port
    agent.close()
    exporter = JaegerAgentExporter("127.0.0.1", port, retry_pause=0.05)
    begin = time.monotonic()
    outcome = exporter.export(batch_of(3), time.monotonic() + 0.5)
    assert outcome[:3] == (0, 3, "connection")
    assert "refused" in outcome.message and f"udp://127.0.0.1:{port}" in outcome.message
    assert time.monotonic() - begin < PATIENCE_S / 2

    made: list[Agent] = []

    def start_later() -> None:
        time.sleep(0.2)
        made.append(Agent(port=port))

    starter = threading.Thread(target=start_later)
    starter.start()
    assert exporter.export(batch_of(3), deadline()) == Outcome(3, 0, "", "")
    starter.join()
    assert made[0].names() == names(3), "once, though the attempts before were refused"
    made[0].close()


def test_an_agent_that_comes_back_gets_the_next_batch(agent: Agent) -> None:
    exporter = JaegerAgentExporter("127.0.0.1", agent.port, retry_pause=0.01)
    assert exporter.export(batch_of(1), deadline()).accepted == 1
    agent.close()
    assert exporter.export(batch_of(2), time.monotonic() + 0.1)[:3] == (0, 2, "connection")
    again = Agent(port=agent.port)
    assert exporter.export(batch_of(3), deadline()).accepted == 3
    assert again.names() == names(3)
    again.close()


def test_of_a_hosts_addresses_the_one_that_does_not_refuse_is_used(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Agent()
    closed = silent.port
    silent.close()
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **kw: real("127.0.0.1", closed, **kw) + real("127.0.0.1", agent.port, **kw),
    )
    assert JaegerAgentExporter("agent.example").export(batch_of(2), deadline()).accepted == 2
    assert agent.names() == names(2)


def test_ipv6_is_reached() -> None:
    try:
        agent = Agent("::1")
    except OSError:
        pytest.skip("no IPv6 here")
    exporter = JaegerAgentExporter("::1", agent.port)
    assert exporter.export(batch_of(1), deadline()).accepted == 1
    assert (agent.names(), repr(exporter)) == (names(1), f"<JaegerAgentExporter udp://[::1]:{agent.port}>")
    agent.close()


def test_a_network_that_takes_less_gets_smaller_datagrams(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    real = jaeger_agent._send

    def narrow(sock: socket.socket, body: bytes, deadline: float) -> None:
        if len(body) > 9000:
            raise OSError(errno.EMSGSIZE, "Message too long")
        real(sock, body, deadline)

    monkeypatch.setattr(jaeger_agent, "_send", narrow)
    exporter = JaegerAgentExporter("127.0.0.1", agent.port)
    assert exporter.export(batch_of(200, padding=500), deadline()) == Outcome(200, 0, "", "")
    datagrams = agent.datagrams()
    assert sorted(span.operationName for each in datagrams for span in batch_of_call(each).spans) == sorted(names(200))
    assert max(map(len, datagrams)) <= 9000
    assert exporter.export(batch_of(50, padding=500), deadline()).accepted == 50
    assert exporter._max_packet_bytes <= 9000, "learnt"


def test_a_network_that_takes_nothing_ends_in_an_outcome(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: Any) -> None:
        raise OSError(errno.EMSGSIZE, "Message too long")

    monkeypatch.setattr(jaeger_agent, "_send", closed)
    outcome = JaegerAgentExporter("127.0.0.1", agent.port).export(batch_of(20, padding=500), deadline())
    assert outcome[:3] == (0, 20, "too_large")


def test_a_child_has_a_socket_of_its_own_and_the_parents_goes_on(agent: Agent) -> None:
    exporter = JaegerAgentExporter("127.0.0.1", agent.port)
    batch = batch_of(1)
    assert exporter.export(batch, deadline()).accepted == 1
    inherited = exporter._socket
    pid = os.fork()
    if pid == 0:
        done = exporter.export(batch, deadline()).accepted == 1 and exporter._socket is not inherited
        os._exit(0 if done else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert exporter.export(batch, deadline()).accepted == 1
    assert agent.names() == ["span 0"] * 3
    exporter.shutdown()
    assert exporter._socket is None
    assert exporter.export(batch, deadline())[:3] == (0, 1, "export_shutdown")


def test_after_interrupt_one_attempt_is_made() -> None:
    agent = Agent()
    agent.close()
    exporter = JaegerAgentExporter("127.0.0.1", agent.port, retry_pause=60)
    exporter.interrupt()
    begin = time.monotonic()
    assert exporter.export(batch_of(1), deadline())[:3] == (0, 1, "connection")
    assert time.monotonic() - begin < PATIENCE_S / 2


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("host", ""), ("host", "a b"), ("port", 0), ("port", 65536), ("port", "6831"), ("protocol", "json"), ("timeout", 0),
        ("max_packet_bytes", 511), ("max_packet_bytes", 65508), ("max_packet_bytes", 1.5),
    ],
)  # fmt: skip
def test_arguments_of_the_agent_exporter_are_checked(argument: str, value: Any) -> None:
    arguments: dict[str, Any] = {argument: value}
    with pytest.raises(ConfigurationError) as caught:
        JaegerAgentExporter(**arguments)
    assert caught.value.variable == argument


# --- a collector ------------------------------------------------------------------------------------------------------


class Collector:
    """Takes Thrift over HTTP on /api/traces as a collector does, answering 202."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.batches: list[Any] = []
        self.limit = 1 << 30
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status = 413 if len(body) > collector.limit else collector.statuses.pop(0) if collector.statuses else 202
                if status == 202:
                    collector.batches.append(batch_in(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/traces?format=jaeger.thrift"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def names(self) -> list[str]:
        return [span.operationName for batch in self.batches for span in batch.spans]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def test_a_batch_is_one_post_of_thrift(collector: Collector) -> None:
    exporter = JaegerCollectorExporter(collector.url, username="user", password="pass:word", version="1.2")
    assert exporter.export(batch_of(5), deadline()) == Outcome(5, 0, "", "")
    ((path, headers, _),) = collector.requests
    assert path == "/api/traces?format=jaeger.thrift"
    assert headers["content-type"] == "application/x-thrift"
    assert headers["user-agent"] == "OTel-Jaeger-Exporter-Python-tracecore/1.2"
    assert headers["authorization"] == "Basic " + b64encode(b"user:pass:word").decode()
    assert collector.batches[0].process.serviceName == "shop"
    assert collector.names() == names(5)


def test_failures_of_a_collector_are_outcomes_as_over_otlp(collector: Collector) -> None:
    exporter = JaegerCollectorExporter(collector.url, retry_pause=0.01)
    collector.statuses = [503, 429]
    assert exporter.export(batch_of(2), deadline()) == Outcome(2, 0, "", "")
    collector.statuses = [400]
    assert exporter.export(batch_of(2), deadline())[:3] == (0, 2, "rejected_status")
    collector.limit = 20_000
    assert exporter.export(batch_of(40, padding=2000), deadline()) == Outcome(40, 0, "", "")
    assert sorted(collector.names()) == sorted(names(2) + names(40))
    collector.close()
    exporter.shutdown()
    assert exporter.export(batch_of(1), deadline())[:3] == (0, 1, "export_shutdown")
    assert JaegerCollectorExporter(collector.url).export(batch_of(1), time.monotonic() + 0.3)[:3] == (0, 1, "connection")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"username": "u"}, "username"),
        ({"password": "p"}, "password"),
        ({"username": "a:b", "password": "p"}, "username"),
        ({"endpoint": "x"}, "endpoint"),
    ],
)
def test_arguments_of_the_collector_exporter_are_checked(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        JaegerCollectorExporter(**arguments)
    assert caught.value.variable == named


# --- the environment -------------------------------------------------------------------------------------------------


def from_environment(**variables: str) -> Any:
    environment = {f"OTEL_EXPORTER_JAEGER_{name}": value for name, value in variables.items()}
    (exporter,) = exporters_by_name(["jaeger"], environment)
    return exporter


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({}, "<JaegerAgentExporter udp://localhost:6831>"),
        ({"AGENT_HOST": "agent", "AGENT_PORT": "1234"}, "<JaegerAgentExporter udp://agent:1234>"),
        ({"PROTOCOL": "udp/thrift.binary"}, "<JaegerAgentExporter udp://localhost:6832>"),
        ({"PROTOCOL": "udp/thrift.compact", "ENDPOINT": "http://c/x"}, "<JaegerAgentExporter udp://localhost:6831>"),
        ({"ENDPOINT": "http://c:14268/x"}, "<JaegerCollectorExporter http://c:14268/x compression=none>"),
        ({"PROTOCOL": "http/thrift.binary"}, "<JaegerCollectorExporter http://localhost:14268/api/traces compression=none>"),
    ],
)
def test_the_environment_chooses_agent_or_collector(variables: dict[str, str], shown: str) -> None:
    errors.reset_reports()
    assert repr(from_environment(**variables)) == shown
    assert errors.reported() == {}


def test_user_password_and_timeout_come_from_the_environment() -> None:
    exporter = from_environment(ENDPOINT="http://c/x", USER="u", PASSWORD="p", TIMEOUT="2.5")
    assert dict(exporter._request_headers())["Authorization"] == b"Basic " + b64encode(b"u:p")
    assert exporter._timeout_s == 2.5
    assert repr(exporters_by_name(["jaeger_thrift"], {})[0]) == "<JaegerAgentExporter udp://localhost:6831>"


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({"PROTOCOL": "grpc"}, "<JaegerAgentExporter udp://localhost:6831>"),
        ({"AGENT_PORT": "0"}, "<JaegerAgentExporter udp://localhost:6831>"),
        ({"AGENT_PORT": "99999999999"}, "<JaegerAgentExporter udp://localhost:6831>"),
        ({"AGENT_HOST": "http://agent"}, "<JaegerAgentExporter udp://localhost:6831>"),
        ({"TIMEOUT": "soon"}, "<JaegerAgentExporter udp://localhost:6831>"),
        ({"TIMEOUT": "10000"}, "<JaegerAgentExporter udp://localhost:6831>"),
        ({"ENDPOINT": "collector:14268"}, "<JaegerCollectorExporter http://localhost:14268/api/traces compression=none>"),
        ({"ENDPOINT": "http://c/x", "USER": "u"}, "<JaegerCollectorExporter http://c/x compression=none>"),
        ({"ENDPOINT": "http://c/x", "USER": "u:v", "PASSWORD": "p"}, "<JaegerCollectorExporter http://c/x compression=none>"),
    ],
)
def test_a_wrong_value_is_told_and_the_default_used(variables: dict[str, str], shown: str) -> None:
    errors.reset_reports()
    exporter = from_environment(**variables)
    assert repr(exporter) == shown
    assert errors.reported() == {"jaeger_settings": 1}
    if isinstance(exporter, JaegerCollectorExporter):
        assert "Authorization" not in dict(exporter._request_headers())
