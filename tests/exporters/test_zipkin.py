"""ZipkinExporter: against the rules of Zipkin's API, opentelemetry-exporter-zipkin-json on the same spans, and a server."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any

import msgspec
import pytest
from batches import batch_of, recorded
from hypothesis import given, settings
from opentelemetry.exporter.zipkin.json import ZipkinExporter as ReferenceExporter
from opentelemetry.exporter.zipkin.json.v2 import JsonV2Encoder
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode
from test_differential import MODEST, PROGRAMS, Counting, Program, _sampler, play

from tracecore import errors
from tracecore.errors import ConfigurationError
from tracecore.exporters import Outcome
from tracecore.exporters.by_name import exporters_by_name
from tracecore.exporters.zipkin import ZipkinExporter, zipkin_span
from tracecore.limits import SpanLimits
from tracecore.resource import Resource

# --- the rules of zipkin2-api.yaml, as types --------------------------------------------------------------------


class Endpoint(msgspec.Struct, forbid_unknown_fields=True):
    serviceName: str | msgspec.UnsetType = msgspec.UNSET
    ipv4: Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+\.\d+\.\d+$")] | msgspec.UnsetType = msgspec.UNSET
    ipv6: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f:.]+$")] | msgspec.UnsetType = msgspec.UNSET
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | msgspec.UnsetType = msgspec.UNSET


class Annotation(msgspec.Struct, forbid_unknown_fields=True):
    timestamp: int
    value: str


class ZipkinSpan(msgspec.Struct, forbid_unknown_fields=True):
    traceId: Annotated[str, msgspec.Meta(pattern="^[a-f0-9]{32}$")]
    id: Annotated[str, msgspec.Meta(pattern="^[a-f0-9]{16}$")]
    localEndpoint: Endpoint
    duration: Annotated[int, msgspec.Meta(ge=1)]
    name: str
    parentId: Annotated[str, msgspec.Meta(pattern="^[a-f0-9]{16}$")] | msgspec.UnsetType = msgspec.UNSET
    kind: Annotated[str, msgspec.Meta(pattern="^(CLIENT|SERVER|PRODUCER|CONSUMER)$")] | msgspec.UnsetType = msgspec.UNSET
    timestamp: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET
    remoteEndpoint: Endpoint | msgspec.UnsetType = msgspec.UNSET
    annotations: list[Annotation] | msgspec.UnsetType = msgspec.UNSET
    tags: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


def checked(body: bytes) -> list[ZipkinSpan]:
    return msgspec.json.decode(body, type=list[ZipkinSpan])


# --- a receiver -------------------------------------------------------------------------------------------------


class Server:
    """Takes POSTs as Zipkin does, answering 202, and refuses what its API would not take."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.limit = 1 << 30
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if server.statuses:
                    status = server.statuses.pop(0)
                elif len(body) > server.limit:
                    status = 413
                else:
                    checked(body)
                    status = 202
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/v2/spans"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def deadline() -> float:
    return time.monotonic() + 20


# --- the mapping ------------------------------------------------------------------------------------------------


def mapped(**arguments: Any) -> dict[str, Any]:
    """One span as Zipkin has it."""
    event = arguments.pop("event", None)
    status = arguments.pop("status", None)
    resource = arguments.pop("resource", {"service.name": "shop"})
    scope = arguments.pop("scope", ("lib", "1.0"))
    limits = arguments.pop("limits", None)

    def one(provider: Any) -> None:
        span = provider.get_tracer(*scope).start_span("name", start_time=1_000_001_499, **arguments)
        if event is not None:
            span.add_event(*event)
        if status is not None:
            span.set_status(*status)
        span.end(2_000_003_999)

    batch = recorded(one, resource=Resource(resource), span_limits=limits)
    assert batch is not None
    (span,) = batch.spans()
    body = msgspec.json.encode([zipkin_span(span)])
    checked(body)
    decoded: dict[str, Any] = msgspec.json.decode(body)[0]
    return decoded


def test_ids_times_name_and_service() -> None:
    span = mapped()
    assert len(span["traceId"]) == 32 and len(span["id"]) == 16
    assert (span["name"], span["localEndpoint"]) == ("name", {"serviceName": "shop"})
    assert (span["timestamp"], span["duration"]) == (1_000_001, 1_000_003), "rounded to whole microseconds"
    assert not {"parentId", "kind", "annotations", "remoteEndpoint", "debug", "shared"} & set(span)


@pytest.mark.parametrize("kind", SpanKind)
def test_kinds_have_their_names_and_internal_has_none(kind: SpanKind) -> None:
    assert mapped(kind=kind).get("kind") == (None if kind is SpanKind.INTERNAL else kind.name)


def test_without_a_service_name_the_default_is_sent() -> None:
    assert mapped(resource={"other": 1})["localEndpoint"] == {"serviceName": "unknown_service"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"), (True, "true"), (False, "false"), (42, "42"), (-(2**70), str(-(2**70))), (1.5, "1.5"),
        (1.23e10, "12300000000.0"), (math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"),
        (b"hello world", "aGVsbG8gd29ybGQ="), (None, ""), ([], "[]"), (["a", 'quo"te'], '["a","quo\\"te"]'),
        ([1, 2], "[1,2]"), ([True, None], "[true,null]"), ([-math.inf, math.nan], '["-Infinity","NaN"]'),
        ({"a": "-Infinity", "b": 2, "c": [3, None]}, '{"a":"-Infinity","b":2,"c":[3,null]}'),
        ([1, {"nested": b"hello world"}], '[1,{"nested":"aGVsbG8gd29ybGQ="}]'), ("é\U0001f600", "é\U0001f600"),
    ],
)  # fmt: skip
def test_values_become_text_by_the_specifications_rules(value: Any, text: str) -> None:
    assert mapped(attributes={"key": value})["tags"]["key"] == text


def test_an_integer_that_python_writes_no_decimal_of_is_hexadecimal_and_costs_no_batch() -> None:
    large = 10**5000
    tags = mapped(attributes={"large": large, "list": [-large, 10**700]})["tags"]
    assert tags["large"] == hex(large)
    assert json.loads(tags["list"]) == [hex(-large), 10**700]


def test_a_lone_surrogate_costs_its_character_and_not_the_batch() -> None:
    def two(provider: Any) -> None:
        tracer = provider.get_tracer("lib")
        tracer.start_span("a\ud800b", attributes={"key": "c\udfffd\ufffd\ufffd\ufffd"}).end()
        tracer.start_span("sound").end()

    batch = recorded(two)
    first, second = checked(ZipkinExporter()._encode(batch))
    assert isinstance(first.tags, dict)
    assert (first.name, first.tags["key"], second.name) == ("a\ufffdb", "c\ufffdd\ufffd\ufffd\ufffd", "sound")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, {}),
        ((StatusCode.OK,), {"otel.status_code": "OK"}),
        ((StatusCode.ERROR,), {"otel.status_code": "ERROR", "error": ""}),
        ((StatusCode.ERROR, "broken"), {"otel.status_code": "ERROR", "error": "broken"}),
    ],
)
def test_the_status_is_two_tags(status: Any, expected: dict[str, str]) -> None:
    tags = mapped(status=status)["tags"]
    assert {key: tags[key] for key in tags if key in ("otel.status_code", "error")} == expected


@pytest.mark.parametrize(("value", "expected"), [(False, None), ("false", None), (True, "true"), ("words", "words")])
def test_an_error_tag_that_says_false_is_removed(value: Any, expected: str | None) -> None:
    assert mapped(attributes={"error": value})["tags"].get("error") == expected


def test_scope_and_resource_are_tags() -> None:
    scope = ("lib", "1.0", "https://schema", {"short": True, "name": "hidden"})
    tags = mapped(scope=scope, resource={"service.name": "s", "n": 1})["tags"]
    assert tags == {
        "service.name": "s", "n": "1", "otel.scope.name": "lib", "otel.scope.version": "1.0", "otel.scope.short": "true",
        "otel.library.name": "lib", "otel.library.version": "1.0",
    }  # fmt: skip
    assert not {"otel.scope.version", "otel.library.version"} & set(mapped(scope=("lib",))["tags"])


def test_an_event_is_an_annotation_with_its_attributes() -> None:
    at = 1_500_000_500
    assert mapped(event=("named", None, at))["annotations"] == [{"timestamp": 1_500_001, "value": "named"}]
    (annotation,) = mapped(event=('my "event"', {"key1": "value1", "n": [1, None]}, at))["annotations"]
    assert annotation["value"] == '"my \\"event\\"": {"key1":"value1","n":[1,null]}'
    assert json.loads("{" + annotation["value"] + "}") == {'my "event"': {"key1": "value1", "n": [1, None]}}


def test_what_limits_took_is_counted_in_tags() -> None:
    limits = SpanLimits(max_span_attributes=1, max_events=0, max_links=1, max_event_attributes=1)
    links = [Link(SpanContext(1, number, False)) for number in (1, 2, 3)]
    tags = mapped(limits=limits, attributes={"a": 1, "b": 2, "c": 3}, links=links, event=("lost",))["tags"]
    assert {key: tags[key] for key in tags if "dropped" in key} == {
        "otel.dropped_attributes_count": "2", "otel.dropped_events_count": "1", "otel.dropped_links_count": "2",
    }  # fmt: skip
    limits = SpanLimits(max_event_attributes=1)
    (annotation,) = mapped(limits=limits, event=("event", {"a": 1, "b": 2}))["annotations"]
    assert annotation["value"] == '"event": {"b":2,"otel.dropped_attributes_count":1}'


RANKED = [
    ({"peer.service": "billing"}, {"serviceName": "billing"}),
    ({"server.address": "db.example"}, {"serviceName": "db.example"}),
    ({"net.peer.name": "old.example"}, {"serviceName": "old.example"}),
    ({"network.peer.address": "10.1.2.3", "network.peer.port": 5432}, {"ipv4": "10.1.2.3", "port": 5432}),
    ({"server.socket.domain": "sock.example"}, {"serviceName": "sock.example"}),
    ({"server.socket.address": "2001:DB8::1", "server.socket.port": "80"}, {"ipv6": "2001:db8::1", "port": 80}),
    ({"net.sock.peer.name": "older.example"}, {"serviceName": "older.example"}),
    ({"net.sock.peer.addr": "/var/run/db.sock", "net.sock.peer.port": 99999}, {"serviceName": "/var/run/db.sock"}),
    ({"peer.hostname": "opentracing.example"}, {"serviceName": "opentracing.example"}),
    ({"peer.address": "1.2.3.4:80"}, {"serviceName": "1.2.3.4:80"}),
    ({"db.name": "orders"}, {"serviceName": "orders"}),
]


@pytest.mark.parametrize("rank", range(len(RANKED)))
def test_the_remote_endpoint_is_the_best_ranked_attribute(rank: int) -> None:
    attributes: dict[str, Any] = {}
    for ranked, _ in reversed(RANKED[rank:]):
        attributes.update(ranked)
    assert mapped(kind=SpanKind.CLIENT, attributes=attributes)["remoteEndpoint"] == RANKED[rank][1]
    assert mapped(kind=SpanKind.PRODUCER, attributes=attributes)["remoteEndpoint"] == RANKED[rank][1]
    assert "remoteEndpoint" not in mapped(kind=SpanKind.SERVER, attributes=attributes)


def test_an_empty_attribute_is_no_remote_endpoint() -> None:
    attributes = {"peer.service": "", "db.name": "orders"}
    assert mapped(kind=SpanKind.CLIENT, attributes=attributes)["remoteEndpoint"] == {"serviceName": "orders"}
    assert "remoteEndpoint" not in mapped(kind=SpanKind.CLIENT, attributes={"other": 1})


# --- the same spans through opentelemetry-exporter-zipkin-json -------------------------------------------------------


@settings(MODEST, max_examples=80)
@given(PROGRAMS)
def test_the_reference_exporter_says_the_same_but_for_what_is_meant_to_differ(program: Program) -> None:
    logging.disable(logging.CRITICAL)  # both sides warn of much of what is played
    try:
        batch = recorded(
            lambda provider: play(program, provider),
            sampler=_sampler(program),
            resource=Resource(*program.resource),
            id_generator=Counting(program.is_random),
            span_limits=SpanLimits(**program.limits),
        )
        if batch is None:
            return
        body = ZipkinExporter()._encode(batch)
        spans = batch.spans()
        assert len(checked(body)) == len(spans)
        for ours, span in zip(map(zipkin_span, spans), spans):
            _compare(ours, span)
    finally:
        logging.disable(logging.NOTSET)


def _compare(ours: dict[str, Any], span: Any) -> None:
    reference = JsonV2Encoder(None)  # type: ignore[arg-type]
    if any(not _is_json(event.attributes) for event in span.events):
        span._events = ()  # there the reference raises, and loses the batch
        ours = zipkin_span(span)
    theirs = reference._encode_span(span, ours["localEndpoint"])
    for field in ("traceId", "id", "parentId", "name", "localEndpoint", "kind"):
        assert ours.get(field) == theirs.get(field), field
    assert theirs["timestamp"] == ours.get("timestamp", 0)
    assert max(theirs["duration"], 1) == ours["duration"], "Zipkin's least duration is 1"
    assert theirs.get("debug") == (span.context.trace_flags.sampled or None), "which ours never sets"

    annotations, reference_annotations = ours.get("annotations", []), theirs.get("annotations", [])
    assert [each["timestamp"] for each in annotations] == [each["timestamp"] for each in reference_annotations]
    for event, mine, other in zip(span.events, annotations, reference_annotations):
        if event.attributes and not event.dropped_attributes:
            assert _finite(json.loads("{" + mine["value"] + "}")) == _finite(json.loads(other["value"]))
        elif not event.attributes and not event.dropped_attributes:
            assert (mine["value"], json.loads(other["value"])) == (event.name, {event.name: {}})

    tags, reference_tags = ours.get("tags", {}), theirs.get("tags", {})
    written = {**span.attributes, **span.resource.attributes}
    for key in {*tags, *reference_tags}:
        if key in ("otel.scope.version", "otel.library.version", "otel.scope.name", "otel.library.name"):
            assert (tags.get(key) or None) == (reference_tags[key] or None), "absent, where theirs is null or empty"
        elif key.startswith("otel.scope.") and key not in written:
            assert key not in reference_tags, "attributes of the scope, which the reference leaves out"
        elif key == "error" and key not in tags:
            assert reference_tags[key] == "false"
        elif key not in written or key in ("error", "otel.status_code"):
            assert tags[key] == reference_tags[key]
        elif isinstance(value := written[key], (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
            assert tags[key] == reference_tags[key]
        elif isinstance(value, float):
            assert {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[reference_tags[key]] == tags[key]
        elif isinstance(value, (list, tuple)):
            assert isinstance(json.loads(tags[key]), list), "elements of their types; in the reference they are text"
        else:
            assert key in tags, "bytes, maps and nothing are sent; the reference drops them or sends lists of numbers"


def _is_json(attributes: Any) -> bool:
    try:
        json.dumps(dict(attributes or {}), sort_keys=True)
    except (TypeError, ValueError):
        return False
    return True


def _finite(value: Any) -> Any:
    """What is compared of JSON: the reference writes NaN as no JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(value)]
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value


def test_a_server_takes_what_both_exporters_send(server: Server) -> None:
    batch = batch_of(3)
    assert ZipkinExporter(server.url).export(batch, deadline()) == Outcome(3, 0, "", "")
    ours = json.loads(server.requests[-1][2])
    spans = batch.spans()
    server.statuses = [202]
    assert ReferenceExporter(endpoint=server.url).export(spans) is SpanExportResult.SUCCESS
    theirs = json.loads(server.requests[-1][2])
    same = ("traceId", "id", "name", "kind", "timestamp", "localEndpoint", "tags")
    assert [{key: span[key] for key in same} for span in ours] == [{key: span[key] for key in same} for span in theirs]


# --- delivery -------------------------------------------------------------------------------------------------------


def test_a_batch_is_one_post_of_json(server: Server) -> None:
    exporter = ZipkinExporter(server.url, version="1.2", local_node_ipv4="10.0.0.1", local_node_ipv6="::1", local_node_port=80)
    assert exporter.export(batch_of(5), deadline()) == Outcome(5, 0, "", "")
    ((path, headers, body),) = server.requests
    assert (path, headers["content-type"]) == ("/api/v2/spans", "application/json")
    assert headers["user-agent"] == "OTel-Zipkin-Exporter-Python-tracecore/1.2"
    assert [span.name for span in checked(body)] == [f"span {number}" for number in range(5)]
    local = {"serviceName": "shop", "ipv4": "10.0.0.1", "ipv6": "::1", "port": 80}
    assert json.loads(body)[0]["localEndpoint"] == local


def test_failures_are_outcomes_as_over_otlp(server: Server) -> None:
    exporter = ZipkinExporter(server.url, retry_pause=0.01)
    server.statuses = [503, 429, 202]
    assert exporter.export(batch_of(2), deadline()) == Outcome(2, 0, "", "")
    assert len(server.requests) == 3
    server.statuses = [400]
    assert exporter.export(batch_of(2), deadline())[:3] == (0, 2, "rejected_status")
    server.close()
    exporter.shutdown()
    assert exporter.export(batch_of(2), deadline())[:3] == (0, 2, "export_shutdown")
    assert ZipkinExporter(server.url).export(batch_of(2), time.monotonic() + 0.3)[:3] == (0, 2, "connection")


def test_a_batch_too_large_for_the_server_goes_out_in_parts(server: Server) -> None:
    server.limit = 20_000
    outcome = ZipkinExporter(server.url).export(batch_of(40, padding=2000), deadline())
    assert outcome == Outcome(40, 0, "", "")
    taken = [span.name for _, _, body in server.requests if len(body) <= server.limit for span in checked(body)]
    assert sorted(taken) == sorted(f"span {number}" for number in range(40))


def test_the_environment_decides_and_wrong_values_are_told() -> None:
    errors.reset_reports()
    (exporter,) = exporters_by_name(["zipkin"], {})
    assert repr(exporter) == "<ZipkinExporter http://localhost:9411/api/v2/spans compression=none>"
    assert exporter._timeout_s == 10
    environment = {"OTEL_EXPORTER_ZIPKIN_ENDPOINT": "https://zipkin.example/x", "OTEL_EXPORTER_ZIPKIN_TIMEOUT": "2.5"}
    (exporter,) = exporters_by_name(["zipkin_json"], environment)
    assert (exporter._endpoint.shown, exporter._timeout_s) == ("https://zipkin.example/x", 2.5)
    assert errors.reported() == {}
    (exporter,) = exporters_by_name(["zipkin"], {"OTEL_EXPORTER_ZIPKIN_ENDPOINT": "zipkin", "OTEL_EXPORTER_ZIPKIN_TIMEOUT": "-1"})
    assert (exporter._endpoint.shown, exporter._timeout_s) == ("http://localhost:9411/api/v2/spans", 10)
    assert errors.reported() == {"zipkin_settings": 1}


@pytest.mark.parametrize(
    ("argument", "value"),
    [("endpoint", "ftp://x"), ("local_node_ipv4", "::1"), ("local_node_ipv6", "x"), ("local_node_port", 0), ("timeout", 0)],
)
def test_arguments_that_cannot_be_honoured_are_refused_by_name(argument: str, value: Any) -> None:
    arguments: dict[str, Any] = {argument: value}
    with pytest.raises(ConfigurationError) as caught:
        ZipkinExporter(**arguments)
    assert caught.value.variable == argument
