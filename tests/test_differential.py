"""The same spans through opentelemetry-sdk and through tracecore: what is sent and what can be read must agree.

    program (hypothesis) ---> opentelemetry-sdk ---> ReadableSpans ---> its OTLP encoder ---.
                        `---> tracecore ---> processor: ReadableSpan                        | equal, but for
                                        `--> Batch.otlp(), OTLP/HTTP to a local server -----' docs/differences.md
                                        `--> exporter written for the SDK: ReadableSpans

Ids come from one counter on either side, so they are compared too; a time taken from the clock is compared as
"now". What deliberately differs has an entry in docs/differences.md and a test that carries its name:
`test_every_written_difference_has_its_test` compares the two lists.
"""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import itertools
import json
import logging
import re
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common._internal import (
    _encode_instrumentation_scope,
    _encode_key_value,
)
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import resources as sdk_resources
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import export as sdk_export
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

import tracecore
from tracecore import errors
from tracecore.exporters import Outcome
from tracecore.exporters.otlp_http import OTLPHTTPExporter
from tracecore.limits import SpanLimits
from tracecore.resource import Resource

DIFFERENCES = Path(__file__).parent.parent / "docs" / "differences.md"

MODEST = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
LONG = settings(MODEST, max_examples=5000, derandomize=False)

_covered: set[str] = set()


def difference(*names: str) -> Callable[[Any], Any]:
    """Mark a test as the one that pins entries of docs/differences.md."""
    _covered.update(names)
    return lambda test: test


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    # Both sides warn about most of what is played here, thousands of times.
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# ---- what is played: values ----------------------------------------------------------------------------


class Colour(enum.IntEnum):
    RED = 1


class Named(str, enum.Enum):
    ONE = "one"


class SubStr(str):
    def __str__(self) -> str:
        return "the subclass's own words"


class SubInt(int):
    pass


class SubFloat(float):
    pass


class SubBytes(bytes):
    pass


class Plain:
    """Nothing to say but its address: refused by the API's rules."""


class WithStr:
    def __str__(self) -> str:
        return "text of WithStr, a longer one"


class WithRepr:
    def __repr__(self) -> str:
        return "text of WithRepr"


# Subclasses of the plain types, apart from the others: hypothesis takes them for choices of its own and stumbles.
SUBCLASSES: list[Any] = [
    Colour.RED,
    Named.ONE,
    SubStr("a subclass of str"),
    SubStr("\ud800"),
    SubStr(""),
    SubInt(7),
    SubInt(1 << 80),
    SubFloat(0.5),
    SubBytes(b"sub"),
    TraceFlags(3),
]

ODD: list[Any] = [
    {1},
    frozenset(),
    Plain(),
    WithStr(),
    WithRepr(),
    bytearray(b"\x00ab"),
    range(3),
    range(0),
    memoryview(b"xy"),
    array.array("i", [1, 2]),
    collections.deque([1, "a"]),
    collections.UserDict({"a": 1}),
    collections.UserList([1, None]),
    collections.OrderedDict(a=1),
    collections.ChainMap({"a": 1}, {"b": 2}),
    collections.Counter("aab"),
    types.MappingProxyType({"k": [1]}),
    BoundedAttributes(1, {"a": 1, "b": 2}),
    StatusCode.OK,
    decimal.Decimal("1.50"),
    datetime.date(2024, 2, 29),
    complex(1, 2),
    int,
    len,
    ...,
    ValueError("v"),
    types.SimpleNamespace(a=1),
    re.compile("x"),
    Path("/a/b"),
    (i for i in ()),
    {"a": 1}.items(),
    {"a": 1}.keys(),
]



def one_of_these(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    """As sampled_from, which would also look for a way to make the values itself."""
    return st.integers(0, len(values) - 1).map(lambda i: values[i])


ANY_TEXT = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(), max_size=6),  # with lone surrogates
    st.sampled_from(["", "\0", "a\0b", "\ud800", "x\udfffy", "\U0001f600" * 5, "é" * 40, "z" * 300, "ü" * 1500]),
)
WIRE_TEXT = st.one_of(st.text(max_size=12), st.sampled_from(["", "\0", "GET /", "\U0001f600é", "n" * 300, "ü" * 1500]))
INTS = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, -(2**64), 10**30, -(10**400)]),
)
FLOATS = st.one_of(st.floats(), st.sampled_from([float("nan"), float("inf"), -0.0, 5e-324]))
LEAVES = st.one_of(
    st.none(), st.booleans(), INTS, FLOATS, ANY_TEXT, st.binary(max_size=10), one_of_these(ODD)
)
FEW_KEYS = st.sampled_from(["a", "b", "c", "d", "http.request.method"])
KEYS = st.one_of(FEW_KEYS, FEW_KEYS, ANY_TEXT)
INNER_KEYS = st.one_of(
    KEYS,
    one_of_these([1, 0, True, False, None, 1.5, b"", b"k", (), ("t",), Plain(), WithStr(), 10**30, StatusCode.OK]),
)


def _mappings(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.dictionaries(INNER_KEYS, values, max_size=4)
    return st.one_of(plain, plain.map(types.MappingProxyType), plain.map(collections.UserDict))


VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(collections.deque),
        _mappings(inner),
    ),
    max_leaves=8,
)
MAPPINGS = st.one_of(
    st.none(), st.just({}), st.dictionaries(FEW_KEYS, VALUES, max_size=4), _mappings(VALUES), one_of_these([types.MappingProxyType({"k": [1]}), BoundedAttributes(1, {"a": 1, "b": 2})])
)

# ---- what is played: spans -------------------------------------------------------------------------------

STATES = st.one_of(
    st.none(),
    st.just(TraceState()),
    st.just(TraceState([("a", "1"), ("b@c", "2 3")])),
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_*/-]{0,5}", fullmatch=True),
        st.from_regex(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,4}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", fullmatch=True),
        max_size=5,
    ).map(lambda d: TraceState(list(d.items()))),
)
CONTEXTS = st.builds(
    lambda trace_flags, **other: SpanContext(trace_flags=TraceFlags(trace_flags), **other),
    trace_id=st.one_of(st.just(0), st.integers(0, 2**128 - 1), st.just(2**128 - 1)),
    span_id=st.one_of(st.just(0), st.integers(0, 2**64 - 1)),
    is_remote=st.booleans(),
    trace_flags=st.integers(0, 255),
    trace_state=STATES,
)
# Far from now, so that the clock's times can be told from these; 2**64 - 1 is the last that the wire can hold.
TIMES = st.one_of(st.none(), st.integers(0, 10**18), st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1]))
KINDS = st.sampled_from(list(SpanKind))
DESCRIPTIONS = st.one_of(st.none(), WIRE_TEXT, st.just(5))
STATUSES = st.one_of(
    st.tuples(st.sampled_from(list(StatusCode)), DESCRIPTIONS),
    st.tuples(st.builds(Status, st.sampled_from(list(StatusCode)), DESCRIPTIONS), DESCRIPTIONS),
    st.tuples(st.sampled_from([None, "OK", 1]), st.none()),
)


class Own(Exception):
    class Inner(Exception):
        pass

    def __str__(self) -> str:
        return "words of its own"


def _caused() -> BaseException:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner
    except ValueError as error:
        return error


EXCEPTIONS = st.sampled_from(
    [ValueError("no"), ValueError(), Own(), Own.Inner("i"), KeyError("k"), KeyboardInterrupt(), _caused(), OSError(2, "gone")]
)
RAISED = st.sampled_from([None, None, ValueError("out"), Own(), KeyboardInterrupt("ctrl"), GeneratorExit(), StopIteration(1)])

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("set_attribute"), st.one_of(KEYS, INNER_KEYS), VALUES),
        st.tuples(st.just("set_attribute"), FEW_KEYS, LEAVES),
        st.tuples(st.just("set_attributes"), st.one_of(st.dictionaries(FEW_KEYS, VALUES, max_size=5), _mappings(VALUES))),
        st.tuples(st.just("many"), st.integers(120, 140)),
        st.tuples(st.just("add_event"), WIRE_TEXT, MAPPINGS, TIMES),
        st.tuples(st.just("add_link"), CONTEXTS, MAPPINGS),
        st.tuples(st.just("set_status"), STATUSES),
        st.tuples(st.just("update_name"), WIRE_TEXT),
        st.tuples(st.just("record_exception"), EXCEPTIONS, MAPPINGS, TIMES, st.booleans()),
        st.tuples(st.just("end"), TIMES),
        st.tuples(st.just("mutate")),
    ),
    max_size=8,
)


@dataclass
class OneSpan:
    """What becomes of one span."""

    name: str
    how: str  # "start", "with", "current"
    parent: Any  # None, a SpanContext, or the index of a span of the program
    kind: SpanKind
    attributes: Any
    links: list[Any]
    start_time: int | None
    record_exception: bool
    set_status_on_exception: bool
    end_on_exit: bool
    raised: BaseException | None
    operations: list[tuple[Any, ...]]
    scope: int


@dataclass
class Program:
    """What is played."""

    spans: list[OneSpan]
    limits: dict[str, int | None]
    resource: tuple[Any, str | None]
    scopes: list[tuple[Any, ...]]
    sampler: str
    is_random: bool
    observed: bool  # a processor written in Python listens, which takes another path
    mutable: list[Any] = field(default_factory=lambda: ["mutable"])


LINKS = st.lists(
    st.one_of(st.none(), st.tuples(CONTEXTS, st.one_of(MAPPINGS, st.just(BoundedAttributes(None, {"a": 1}))))), max_size=4
)
SPANS = st.builds(
    OneSpan,
    name=WIRE_TEXT,
    how=st.sampled_from(["start", "with", "current"]),
    parent=st.one_of(st.none(), st.integers(0, 3), CONTEXTS),
    kind=KINDS,
    attributes=MAPPINGS,
    links=LINKS,
    start_time=st.one_of(st.none(), st.none(), st.integers(0, 10**18)),
    record_exception=st.booleans(),
    set_status_on_exception=st.booleans(),
    end_on_exit=st.booleans(),
    raised=RAISED,
    operations=OPERATIONS,
    scope=st.integers(0, 2),
)
LIMIT = st.sampled_from([None, None, SpanLimits.UNSET, 0, 1, 2, 3, 10])
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        name: LIMIT
        for name in (
            "max_attributes",
            "max_events",
            "max_links",
            "max_span_attributes",
            "max_event_attributes",
            "max_link_attributes",
            "max_attribute_length",
            "max_span_attribute_length",
        )
    },
)
SCOPES = st.lists(
    st.tuples(
        st.sampled_from(["", "lib", "lib.é\U0001f600"]),
        st.sampled_from([None, "", "1.0"]),
        st.sampled_from([None, "", "https://schema/1"]),
        st.one_of(st.none(), MAPPINGS),
    ),
    min_size=3,
    max_size=3,
)


def _without_twin_scopes(program: Program) -> Program:
    """Of scopes that differ only in what OTLP cannot hold, keep the first: see "scope-identity"."""
    firsts: dict[bytes, tuple[Any, ...]] = {}
    for i, scope in enumerate(program.scopes):
        made = InstrumentationScope(scope[0], scope[1] or "", *scope[2:])
        wire = _encode_instrumentation_scope(made).SerializeToString() + (made.schema_url or "").encode()
        program.scopes[i] = firsts.setdefault(wire, scope)
    return program


PROGRAMS = st.builds(
    Program,
    spans=st.lists(SPANS, min_size=1, max_size=4),
    limits=LIMITS,
    resource=st.tuples(MAPPINGS, st.sampled_from([None, "", "https://schema/2"])),
    scopes=SCOPES,
    sampler=st.sampled_from(["on", "on", "own"]),
    is_random=st.booleans(),
    observed=st.booleans(),
).map(_without_twin_scopes)

# ---- the two sides -----------------------------------------------------------------------------------------


class Counting(IdGenerator):
    """The same ids on both sides."""

    def __init__(self, is_random: bool) -> None:
        self._next = itertools.count(1)
        self._is_random = is_random

    def generate_span_id(self) -> int:
        return next(self._next) * 0x0102030405060701 & (1 << 64) - 1 or 1

    def generate_trace_id(self) -> int:
        return next(self._next) << 100 | 5

    def is_trace_id_random(self) -> bool:
        return self._is_random


class OwnSampler(sampling.Sampler):
    """Every verdict there is, by the length of the name; adds attributes and replaces the tracestate."""

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> sampling.SamplingResult:
        decision = list(sampling.Decision)[len(name) % 3]
        state = [None, TraceState(), TraceState([("sampler", "s")])][len(name) % 5 % 3]
        return sampling.SamplingResult(decision, {**(attributes or {}), "sampler.links": len(links or ())}, state)

    def get_description(self) -> str:
        return "OwnSampler"


class Kept(sdk_export.SpanExporter):
    """An exporter as people write them for opentelemetry-sdk."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def export(self, spans: Sequence[Any]) -> sdk_export.SpanExportResult:
        self.spans.extend(spans)
        return sdk_export.SpanExportResult.SUCCESS


class Bytes:
    """The smallest exporter of tracecore's own kind."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.spans: list[Any] = []

    def export(self, batch: Any, deadline: float) -> Outcome:
        self.bodies.append(batch.otlp())
        self.spans.extend(batch.spans())
        return Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None:
        pass

    def shutdown(self) -> None:
        pass


class Receiver:
    """A local OTLP/HTTP receiver."""

    def __init__(self) -> None:
        bodies: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.bodies = bodies
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def _sampler(program: Program) -> sampling.Sampler:
    return OwnSampler() if program.sampler == "own" else sampling.ParentBased(sampling.ALWAYS_ON)


def play(program: Program, provider: Any) -> list[Any]:
    """Run the program; return what could be read of every span after every step."""
    tracers = [provider.get_tracer(*scope) for scope in program.scopes]
    spans: list[Any] = []
    seen: list[Any] = []
    for one in program.spans:
        program.mutable[:] = ["mutable"]
        arguments = {
            "context": _parent_context(one.parent, spans),
            "kind": one.kind,
            "attributes": one.attributes,
            "links": [None if link is None else Link(*link) for link in one.links],
            "start_time": one.start_time,
            "record_exception": one.record_exception,
            "set_status_on_exception": one.set_status_on_exception,
        }
        tracer = tracers[one.scope]
        if one.how == "start":
            span = tracer.start_span(one.name, **arguments)
            _operate(program, one, span, seen)
        else:
            if one.how == "with":
                manager = tracer.start_span(one.name, **arguments)
            else:
                manager = tracer.start_as_current_span(one.name, end_on_exit=one.end_on_exit, **arguments)
            try:
                with manager as span:
                    _operate(program, one, span, seen)
                    if one.raised is not None:
                        raise one.raised
            except BaseException as error:
                assert error is one.raised, error
                error.__traceback__ = None
                error.__context__ = None
        seen.append(snapshot(span))
        span.end()
        seen.append(snapshot(span))
        span.set_attribute("after end", 1)
        span.set_attributes({"after end": 1})
        span.add_event("after end")
        span.add_link(SpanContext(1, 1, False))
        span.set_status(StatusCode.OK)
        span.update_name("after end")
        span.record_exception(ValueError("after end"))
        span.end(5)
        spans.append(span)
    return seen + [snapshot(span) for span in spans]


def _parent_context(parent: Any, spans: list[Any]) -> Any:
    if parent is None:
        return None
    if isinstance(parent, SpanContext):
        return trace.set_span_in_context(NonRecordingSpan(parent))
    return trace.set_span_in_context(spans[parent]) if parent < len(spans) else {}


def _operate(program: Program, one: OneSpan, span: Any, seen: list[Any]) -> None:
    for method, *arguments in one.operations:
        if method == "many":
            for i in range(arguments[0]):
                span.set_attribute(f"k{i % 131}", i)
        elif method == "mutate":
            span.set_attribute("mutable", program.mutable)
            span.add_event("mutable", {"mutable": program.mutable})
            program.mutable.append(len(program.mutable))
        elif method == "set_status":
            span.set_status(*arguments[0])
        else:
            getattr(span, method)(*arguments)
        seen.append((method, snapshot(span)))


# ---- what is compared ----------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value with its type, so that True, 1 and 1.0 differ and nan equals itself; subclasses as their base."""
    for base in (bool, int, float, str, bytes):
        if isinstance(value, base):
            return base.__name__, base.__repr__(value)
    if isinstance(value, Mapping):
        return "map", [(str.__str__(key), plain(inner)) for key, inner in value.items()]
    if isinstance(value, Sequence):
        return "sequence", [plain(inner) for inner in value]
    assert value is None, value
    return None


def moment(at: int | None) -> Any:
    return "now" if at is not None and abs(at - time.time_ns()) < 3600 * 10**9 else at


_STACK_LINE = re.compile(r'^ +(File "|\||\^|~)|^    ')


def attributes_of(attributes: Any) -> Any:
    """Attributes, the stack traces without the frames: those of the tracing library's own files differ."""
    shown = plain(attributes or {})[1]
    return [
        (key, ("str", [line for line in value[1].split("\\n") if not _STACK_LINE.match(line)]))
        if key == "exception.stacktrace" and value is not None and value[0] == "str"
        else (key, value)
        for key, value in shown
    ]


def context_of(context: Any) -> Any:
    if context is None:
        return None
    return (
        context.trace_id,
        context.span_id,
        context.is_remote,
        int(context.trace_flags),
        context.trace_state.to_header(),
        context.is_valid,
    )


def snapshot(span: Any) -> dict[str, Any]:
    """Everything that can be read of a span, live or ended."""
    seen: dict[str, Any] = {
        "recording": span.is_recording() if isinstance(span, trace.Span) else None,
        "context": context_of(span.get_span_context()),
    }
    if not hasattr(span, "attributes"):
        return seen | {"recorded": False}
    return seen | {
        "name": span.name,
        "parent": context_of(span.parent),
        "kind": span.kind,
        "attributes": attributes_of(span.attributes),
        "events": [
            (event.name, moment(event.timestamp), attributes_of(event.attributes), event.dropped_attributes)
            for event in span.events
        ],
        "links": [
            (context_of(link.context), attributes_of(link.attributes), link.dropped_attributes) for link in span.links
        ],
        "status": (span.status.status_code, span.status.description, span.status.is_ok),
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "times": (moment(span.start_time), moment(span.end_time)),
        "resource": (attributes_of(span.resource.attributes), span.resource.schema_url),
        "scope": (
            span.instrumentation_scope.name,
            span.instrumentation_scope.version,
            span.instrumentation_scope.schema_url,
            attributes_of(span.instrumentation_scope.attributes),
        ),
        "json": json_of(span),
    }


_TIME = re.compile(r'"\d{4}-\d\d-\d\dT[\d:.]+Z"')


def json_of(span: Any) -> Any:
    """to_json() without its clock times and stack traces; None where opentelemetry-sdk cannot make it.

    The SDK's raises for bytes, and for times the calendar has no date for.
    """
    try:
        text = span.to_json(indent=None)
    except (TypeError, ValueError, OverflowError):
        return None
    year = f'"{datetime.datetime.now(datetime.timezone.utc):%Y}'
    text = _TIME.sub(lambda match: '"now"' if match[0].startswith(year) else match[0], text)
    return re.sub(r'"exception.stacktrace": "(\\.|[^"\\])*"', '"exception.stacktrace": ""', text)


def sent(request: ExportTraceServiceRequest) -> Any:
    """A request as plain values."""

    def value(v: Any) -> Any:
        kind = v.WhichOneof("value")
        if kind is None:
            return None
        if kind == "array_value":
            return kind, [value(inner) for inner in v.array_value.values]
        if kind == "kvlist_value":
            return kind, pairs(v.kvlist_value.values)
        return kind, repr(getattr(v, kind))

    def pairs(attributes: Any) -> Any:
        return [
            (a.key, value(a.value))
            if a.key != "exception.stacktrace"
            else (a.key, [line for line in str(value(a.value)).split("\\n") if not _STACK_LINE.match(line)])
            for a in attributes
        ]

    return [
        (
            pairs(r.resource.attributes),
            r.resource.dropped_attributes_count,
            r.schema_url,
            [
                (
                    (s.scope.name, s.scope.version, pairs(s.scope.attributes), s.schema_url),
                    [
                        {
                            "ids": (span.trace_id, span.span_id, span.parent_span_id),
                            "trace_state": span.trace_state,
                            "flags": span.flags,
                            "name": span.name,
                            "kind": span.kind,
                            "times": (moment(span.start_time_unix_nano), moment(span.end_time_unix_nano)),
                            "attributes": pairs(span.attributes),
                            "events": [
                                (e.name, moment(e.time_unix_nano), pairs(e.attributes), e.dropped_attributes_count)
                                for e in span.events
                            ],
                            "links": [
                                (k.trace_id, k.span_id, k.flags, pairs(k.attributes), k.dropped_attributes_count)
                                for k in span.links
                            ],
                            "status": (span.status.code, span.status.message),
                            "dropped": (
                                span.dropped_attributes_count,
                                span.dropped_events_count,
                                span.dropped_links_count,
                            ),
                        }
                        for span in s.spans
                    ],
                )
                for s in r.scope_spans
            ],
        )
        for r in request.resource_spans
    ]


def link_states(request: ExportTraceServiceRequest) -> list[str]:
    return [
        link.trace_state
        for r in request.resource_spans
        for s in r.scope_spans
        for span in s.spans
        for link in span.links
    ]


def decoded(bodies: list[bytes]) -> ExportTraceServiceRequest:
    """What a receiver has after all requests of one provider: at most one resource."""
    request = ExportTraceServiceRequest()
    for body in bodies:
        request.MergeFromString(body)
    return request


def same(ours: Any, theirs: Any, where: str = "") -> None:
    """Assert equality, and say where it ends: pytest's own diff of these takes minutes."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), where
        for key in ours:
            same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)) and len(ours) == len(theirs):
        for i, (our, their) in enumerate(zip(ours, theirs)):
            same(our, their, f"{where}[{i}]")
    elif ours != theirs:
        pytest.fail(f"{where}: tracecore {ours!r}, opentelemetry-sdk {theirs!r}", pytrace=False)


def without_impossible_json(ours: Any, theirs: Any) -> None:
    """Where opentelemetry-sdk's to_json raises, ours need not."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if theirs.get("json", "") is None:
            ours["json"] = None
    elif isinstance(theirs, (list, tuple)) and isinstance(ours, (list, tuple)):
        for our, their in zip(ours, theirs):
            without_impossible_json(our, their)


@dataclass
class Played:
    """What came out on one side."""

    seen: list[Any]
    exported: list[Any]
    request: ExportTraceServiceRequest


def through_sdk(program: Program, *, simple: bool = False) -> Played:
    kept = Kept()
    provider = sdk.TracerProvider(
        sampler=_sampler(program),
        resource=sdk_resources.Resource(*program.resource),
        shutdown_on_exit=False,
        id_generator=Counting(program.is_random),
        span_limits=sdk.SpanLimits(**program.limits),
    )
    processor = sdk_export.SimpleSpanProcessor(kept) if simple else sdk_export.BatchSpanProcessor(kept)
    provider.add_span_processor(processor)
    try:
        seen = play(program, provider)
        assert provider.force_flush()
        return Played(seen, [snapshot(span) for span in kept.spans], encode_spans(kept.spans))
    finally:
        provider.shutdown()


class Heard:
    """A processor written in Python: on_end's spans, sampled or not."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.seen.append(snapshot(span))

    def _on_ending(self, span: Any) -> None:
        self.seen.append(snapshot(span))

    def on_end(self, span: Any) -> None:
        self.seen.append(snapshot(span))

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def through_tracecore(program: Program, receiver: Receiver) -> tuple[Played, Bytes, list[bytes], Kept]:
    bytes_, kept = Bytes(), Kept()
    receiver.bodies.clear()
    provider = tracecore.TracerProvider(
        sampler=_sampler(program),
        resource=Resource(*program.resource),
        shutdown_on_exit=False,
        id_generator=Counting(program.is_random),
        span_limits=SpanLimits(**program.limits),
    )
    provider.add_exporter(bytes_)
    provider.add_exporter(OTLPHTTPExporter(receiver.endpoint))
    provider.add_exporter(kept)
    if program.observed:
        provider.add_span_processor(Heard())
    try:
        seen = play(program, provider)
        assert provider.force_flush()
    finally:
        provider.shutdown()
    request = decoded(bytes_.bodies)
    played = Played(seen, [snapshot(span) for span in bytes_.spans], request)
    return played, bytes_, list(receiver.bodies), kept


def compare(program: Program, receiver: Receiver) -> None:
    theirs = through_sdk(program)
    ours, _, posted, kept = through_tracecore(program, receiver)
    without_impossible_json(ours.seen, theirs.seen)
    same(ours.seen, theirs.seen, "read live")
    without_impossible_json(ours.exported, theirs.exported)
    same(ours.exported, theirs.exported, "read by an exporter")
    received = [snapshot(span) for span in kept.spans]
    without_impossible_json(received, theirs.exported)
    same(received, theirs.exported, "read by an exporter of the SDK's kind")
    same(sent(ours.request), sent(theirs.request), "sent")
    same(sent(decoded(posted)), sent(ours.request), "posted")
    # The one field that is on our wire and not on theirs.
    states = [link[0][4] for span in ours.exported for link in span["links"]]
    assert sorted(link_states(ours.request)) == sorted(states)


# ---- the comparison ---------------------------------------------------------------------------------------------


@MODEST
@given(PROGRAMS)
def test_the_same_program_is_read_and_sent_alike(receiver: Receiver, program: Program) -> None:
    compare(program, receiver)


@pytest.mark.soak
@LONG
@given(PROGRAMS)
def test_the_same_program_is_read_and_sent_alike_for_long(receiver: Receiver, program: Program) -> None:
    compare(program, receiver)


# ---- what deliberately differs ------------------------------------------------------------------------------------


def one_span(**changes: Any) -> OneSpan:
    """A span of a program in which nothing happens but `changes`."""
    given: dict[str, Any] = {
        "name": "span",
        "how": "start",
        "parent": None,
        "kind": SpanKind.INTERNAL,
        "attributes": None,
        "links": [],
        "start_time": None,
        "record_exception": True,
        "set_status_on_exception": True,
        "end_on_exit": True,
        "raised": None,
        "operations": [],
        "scope": 0,
    }
    return OneSpan(**given | changes)


def program_of(*spans: OneSpan, **changes: Any) -> Program:
    given: dict[str, Any] = {
        "limits": {},
        "resource": ({}, None),
        "scopes": [("lib", None, None, None)],
        "sampler": "on",
        "is_random": True,
        "observed": False,
    }
    return Program(list(spans), **given | changes)


@pytest.fixture
def exporter() -> Bytes:
    return Bytes()


@pytest.fixture
def provider(exporter: Bytes) -> Iterator[tracecore.TracerProvider]:
    errors.reset_reports()
    provider = tracecore.TracerProvider(shutdown_on_exit=False, resource=Resource({}))
    provider.add_exporter(exporter)
    yield provider
    provider.shutdown()


@pytest.fixture
def tracer(provider: tracecore.TracerProvider) -> Any:
    return provider.get_tracer("lib")


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def sdk_provider(kept: Kept) -> sdk.TracerProvider:
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(sdk_export.SimpleSpanProcessor(kept))
    return provider


@pytest.fixture
def sdk_tracer(sdk_provider: sdk.TracerProvider) -> Any:
    return sdk_provider.get_tracer("lib")


def only_span(provider: Any, exporter: Bytes) -> Any:
    """The one span that was sent."""
    provider.force_flush()
    (resource,) = decoded(exporter.bodies).resource_spans
    (scope,) = resource.scope_spans
    (span,) = scope.spans
    return span


def test_every_written_difference_has_its_test() -> None:
    # Those of the current span are test_context.py's.
    sections = DIFFERENCES.read_text().partition("## The current span")[0]
    written = re.findall(r"^- `([a-z0-9-]+)`:", sections, re.MULTILINE)
    assert len(written) == len(set(written))
    assert set(written) == _covered


@difference("resource-sdk-name")
def test_the_default_resource_says_whose_spans_these_are() -> None:
    ours, theirs = dict(Resource.create().attributes), dict(sdk_resources.Resource.create().attributes)
    assert ours.pop("telemetry.sdk.name") == "tracecore"
    assert theirs.pop("telemetry.sdk.name") == "opentelemetry"
    assert ours.pop("telemetry.sdk.version") == tracecore.__version__
    assert theirs.pop("telemetry.sdk.version")
    ours.pop("service.instance.id", None)
    theirs.pop("service.instance.id", None)
    assert ours == theirs


@difference("text-surrogates")
@settings(MODEST, max_examples=60)
@given(
    st.tuples(st.text(st.characters(), max_size=5), st.sampled_from(["\ud800", "\udfff", "\ud800\udc80"]), st.text(max_size=5)).map(
        "".join
    ),
    st.sampled_from(["name", "event", "description"]),
)
def test_a_lone_surrogate_costs_its_character_and_not_the_batch(receiver: Receiver, text: str, where: str) -> None:
    def spans(text: str) -> Program:
        return program_of(
            one_span(name=text if where == "name" else "span"),
            one_span(operations=[("add_event", text, None, None)] if where == "event" else []),
            one_span(operations=[("set_status", (StatusCode.ERROR, text))] if where == "description" else []),
        )

    with pytest.raises(UnicodeEncodeError):
        through_sdk(spans(text))
    replaced = re.sub("[\ud800-\udfff]", "\ufffd", text)
    same(
        sent(through_tracecore(spans(text), receiver)[0].request), sent(through_sdk(spans(replaced)).request), "sent"
    )


@difference("scope-identity")
def test_scopes_that_look_alike_on_the_wire_are_one(provider: Any, exporter: Bytes) -> None:
    provider.get_tracer("lib", attributes={"a": 1 << 63}).start_span("1").end()
    provider.get_tracer("lib").start_span("2").end()
    provider.force_flush()
    (resource,) = decoded(exporter.bodies).resource_spans
    assert [len(scope.spans) for scope in resource.scope_spans] == [2]


@pytest.mark.parametrize("value", SUBCLASSES, ids=repr)
def test_a_subclass_of_a_plain_type_is_sent_as_that_type(receiver: Receiver, value: Any) -> None:
    operations: list[tuple[Any, ...]] = [
        ("set_attribute", "k", value),
        ("set_attribute", "nested", [value, {"k": (value,)}]),
        ("set_attributes", {"m": value, "n": {"a": value}}),
        ("add_event", "event", {"k": value, "l": [value]}, None),
    ]
    if isinstance(value, str):
        operations += [("set_attribute", value, 1), ("set_attributes", {value: 2})]
    for limit in (None, 3):
        compare(program_of(one_span(operations=operations), limits={"max_attribute_length": limit}), receiver)


@difference("nesting")
@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"k": inner}])
def test_nesting_that_no_receiver_reads_is_refused_and_never_raises(
    provider: Any, tracer: Any, exporter: Bytes, sdk_tracer: Any, kept: Kept, wrap: Any
) -> None:
    def nested(depth: int) -> Any:
        value: Any = 1
        for _ in range(depth):
            value = wrap(value)
        return value

    endless: list[Any] = []
    endless.append(endless)
    most = 45 if nested(1) == [1] else 30
    span = tracer.start_span("span")
    span.set_attribute("deep", nested(most))
    span.set_attribute("too deep", nested(most + 1))
    span.set_attribute("endless", endless)
    span.add_event("event", {"endless": endless, "deep": nested(most - 1)})
    span.add_link(SpanContext(1, 2, False), {"deep": nested(most - 1)})
    span.end()
    assert list(span.attributes) == ["deep"]
    assert list(span.events[0].attributes) == list(span.links[0].attributes) == ["deep"]
    assert [a.key for a in only_span(provider, exporter).attributes] == ["deep"]
    assert errors.reported()["attribute_refused"] == 3
    theirs = sdk_tracer.start_span("span")
    theirs.set_attribute("deep", nested(50))
    with pytest.raises(RecursionError):
        theirs.set_attribute("endless", endless)
    theirs.end()
    if most == 45:
        with pytest.raises(DecodeError):  # the receiver's, for the whole request
            decoded([encode_spans(kept.spans).SerializeToString()])


class Hostile:
    def __str__(self) -> str:
        raise ValueError("no text today")

    def __repr__(self) -> str:
        raise ValueError("no text today")


@difference("faults-in-values")
def test_a_value_whose_code_raises_is_refused_and_never_raises(tracer: Any, sdk_tracer: Any) -> None:
    span = tracer.start_span("span", attributes={"hostile": Hostile(), "kept": 1})
    span.set_attribute("hostile", Hostile())
    span.set_attribute("hostile", ["a", {"b": Hostile()}])
    span.set_attributes({"hostile": Hostile(), "kept too": 2})
    span.set_attributes(5)
    span.add_event("event", {"hostile": Hostile(), "kept": 1})
    span.add_event("event", 5)
    span.record_exception(ValueError(Hostile()))
    assert dict(span.attributes) == {"kept": 1, "kept too": 2}
    assert [dict(event.attributes) for event in span.events] == [{"kept": 1}]
    assert span.dropped_attributes == 0
    theirs = sdk_tracer.start_span("span")
    with pytest.raises(ValueError):
        theirs.set_attribute("hostile", Hostile())
    with pytest.raises((TypeError, AttributeError)):
        theirs.set_attributes(5)


WRONG: list[Any] = [
    ("start_time", -1),
    ("start_time", 2**64),
    ("start_time", "now"),
    ("end_time", -1),
    ("end_time", 2**64),
    ("end_time", "now"),
    ("event_time", -1),
    ("event_time", 2**64),
    ("event_time", "now"),
    ("name", 5),
    ("event_name", 5),
    ("kind", 1),
    ("kind", "SERVER"),
    ("link", SpanContext(1 << 128, 1, False)),
    ("link", SpanContext(1, 1 << 64, False)),
]


@difference("wrong-types")
@pytest.mark.parametrize(("what", "value"), WRONG, ids=repr)
def test_a_wrong_argument_costs_that_and_not_the_batch(
    provider: Any, tracer: Any, exporter: Bytes, sdk_tracer: Any, kept: Kept, what: str, value: Any
) -> None:
    def play_wrong(tracer: Any) -> None:
        arguments = {what: value} if what in ("start_time", "kind", "name") else {}
        span = tracer.start_span(**{"name": "span", **arguments})
        if what == "event_time":
            span.add_event("event", None, value)
        if what == "event_name":
            span.add_event(value)
        if what == "link":
            span.add_link(value, {"kept": True})
        span.end(value if what == "end_time" else None)

    play_wrong(tracer)
    assert only_span(provider, exporter).span_id
    play_wrong(sdk_tracer)
    with pytest.raises(Exception):  # noqa: B017 - TypeError, ValueError, KeyError, OverflowError, by field
        encode_spans(kept.spans)


@difference("end-before-start")
def test_an_end_by_the_clock_is_never_before_an_explicit_start(tracer: Any, sdk_tracer: Any) -> None:
    future = time.time_ns() + 10**15
    ours, theirs = tracer.start_span("span", start_time=future), sdk_tracer.start_span("span", start_time=future)
    ours.end()
    theirs.end()
    assert ours.end_time == future
    assert theirs.end_time < future


@difference("processor-faults")
def test_what_a_processor_raises_does_not_reach_the_program(provider: Any, sdk_provider: Any) -> None:
    class Broken(sdk.SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            raise ValueError("on_start")

        def on_end(self, span: Any) -> None:
            raise ValueError("on_end")

    provider.add_span_processor(Broken())
    provider.get_tracer("lib").start_span("span").end()
    assert errors.reported()["processor_error"] == 2
    sdk_provider.add_span_processor(Broken())
    with pytest.raises(ValueError):
        sdk_provider.get_tracer("lib").start_span("span")


@difference("sampler-faults")
def test_a_sampler_that_raises_samples_nothing(sdk_provider: Any) -> None:
    class Broken(sampling.Sampler):
        def should_sample(self, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("no verdict")

        def get_description(self) -> str:
            return "Broken"

    provider = tracecore.TracerProvider(sampler=Broken(), shutdown_on_exit=False)
    assert not provider.get_tracer("lib").start_span("span").is_recording()
    provider.shutdown()
    with pytest.raises(ValueError):
        sdk.TracerProvider(sampler=Broken(), shutdown_on_exit=False).get_tracer("lib").start_span("span")


@difference("log-rate")
def test_a_warning_comes_once_a_minute_and_the_rest_is_counted(
    tracer: Any, sdk_tracer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    logging.disable(logging.NOTSET)
    errors.reset_reports()
    with caplog.at_level(logging.WARNING):
        for each in (tracer, sdk_tracer):
            span = each.start_span("span")
            span.end()
            for _ in range(3):
                span.set_attribute("after end", 1)
    assert len([r for r in caplog.records if r.name == "tracecore"]) == 1
    assert len([r for r in caplog.records if r.name != "tracecore"]) == 3
    assert errors.reported()["after_end"] == 3


@difference("fresh-reads")
def test_events_and_links_are_made_anew_at_each_read(tracer: Any, sdk_tracer: Any) -> None:
    link = Link(SpanContext(1, 2, False), {"a": 1})
    ours, theirs = tracer.start_span("span", links=[link]), sdk_tracer.start_span("span", links=[link])
    for span in (ours, theirs):
        span.add_event("event")
    assert ours.events[0] is not ours.events[0]
    assert ours.links[0] is not link
    assert theirs.events[0] is theirs.events[0]
    assert theirs.links[0] is link


@difference("fresh-reads")
def test_the_parent_of_an_observed_span_is_the_parents_own_context(provider: Any, sdk_provider: Any) -> None:
    provider.add_span_processor(Heard())
    for each in (provider, sdk_provider):
        tracer = each.get_tracer("lib")
        with tracer.start_as_current_span("parent") as parent:
            assert tracer.start_span("child").parent is parent.get_span_context()


@difference("status-type")
def test_a_status_of_another_type_is_reported(tracer: Any, sdk_tracer: Any) -> None:
    ours, theirs = tracer.start_span("span"), sdk_tracer.start_span("span")
    errors.reset_reports()
    for span in (ours, theirs):
        span.set_status("ERROR")
        assert span.status.status_code is StatusCode.UNSET
    assert errors.reported()["status_type"] == 1


@difference("lock-free-copy")
def test_a_finished_span_in_a_processor_is_a_copy(provider: Any, sdk_provider: Any) -> None:
    class Last:
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            self.live = span

        def on_end(self, span: Any) -> None:
            self.ended = span

        def shutdown(self) -> None:
            pass

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return True

        def _on_ending(self, span: Any) -> None:
            pass

    for each, is_copy in ((provider, True), (sdk_provider, False)):
        last = Last()
        each.add_span_processor(last)
        each.get_tracer("lib").start_span("span", attributes={"a": 1}).end()
        last.ended._attributes._dict["a"] = 2
        assert last.ended.attributes["a"] == 2
        assert last.live.attributes["a"] == (1 if is_copy else 2)


@difference("json-bytes")
def test_bytes_have_a_form_in_json(tracer: Any, sdk_tracer: Any) -> None:
    span = tracer.start_span("span", attributes={"b": b"\x00\xff"})
    assert json.loads(span.to_json())["attributes"] == {"b": "00ff"}
    with pytest.raises(TypeError):
        sdk_tracer.start_span("span", attributes={"b": b""}).to_json()


@difference("plain-types")
def test_a_subclass_reads_back_as_the_plain_type(tracer: Any, sdk_tracer: Any) -> None:
    ours, theirs = (each.start_span("span", attributes={"c": Colour.RED}) for each in (tracer, sdk_tracer))
    assert type(ours.attributes["c"]) is int
    assert type(theirs.attributes["c"]) is Colour
    assert ours.attributes["c"] == theirs.attributes["c"]


@difference("link-trace-state")
def test_the_tracestate_of_a_link_is_sent(provider: Any, tracer: Any, exporter: Bytes) -> None:
    tracer.start_span("span", links=[Link(SpanContext(1, 2, False, trace_state=TraceState([("a", "1")])))]).end()
    assert only_span(provider, exporter).links[0].trace_state == "a=1"


@difference("subclass-keys")
def test_a_key_of_a_subclass_of_str_is_sent_as_it_reads(provider: Any, tracer: Any, exporter: Bytes) -> None:
    span = tracer.start_span("span", attributes={"map": {Named.ONE: 1}})
    span.end()
    assert dict(span.attributes["map"]) == {"one": 1}
    assert only_span(provider, exporter).attributes[0].value.kvlist_value.values[0].key == "one"
    theirs = _encode_key_value("map", {Named.ONE: 1})
    assert theirs.value.kvlist_value.values[0].key == str(Named.ONE) == "Named.ONE"


@difference("sdk-classes")
def test_a_span_is_an_instance_of_the_sdks_classes_and_type_says_what_it_is(tracer: Any) -> None:
    span = tracer.start_span("span")
    assert isinstance(span, (sdk.Span, sdk.ReadableSpan)) and isinstance(tracer, sdk.Tracer)
    assert issubclass(span.__class__, sdk._Span)
    assert type(span) is not sdk._Span and not issubclass(type(span), sdk.ReadableSpan)
    ours = tracecore.sampling.Decision.DROP
    assert ours == sampling.Decision.DROP and ours is not sampling.Decision.DROP
    resources = [make({"a": 1}) for make in (tracecore.resource.Resource, sdk_resources.Resource)]
    assert resources[0] == resources[1] and hash(resources[0]) != hash(resources[1])


@difference("self-metrics")
def test_our_metrics_are_told_from_the_sdks_and_name_the_reason_of_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        def export(self, batch: Any, deadline: float) -> Outcome:
            return Outcome(0, len(batch), "rejected_status", "")

        def interrupt(self) -> None:
            pass

        shutdown = interrupt

    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = InMemoryMetricReader()
    meter_provider = MeterProvider([reader])
    provider = tracecore.TracerProvider(shutdown_on_exit=False, meter_provider=meter_provider)
    provider.add_exporter(Refused())
    provider.get_tracer("lib").start_span("span").end()
    provider.force_flush()
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    assert scope.scope.name == "opentelemetry-sdk"
    assert dict(scope.scope.attributes) == {"telemetry.sdk.name": "tracecore"}
    (point,) = {metric.name: metric for metric in scope.metrics}["otel.sdk.exporter.span.exported"].data.data_points
    assert point.attributes["error.type"] == "rejected_status"
    provider.shutdown()


@difference("stack-frames")
def test_a_stack_trace_shows_the_programs_frames_only(tracer: Any, sdk_tracer: Any) -> None:
    stacks = []
    for each in (tracer, sdk_tracer):
        with pytest.raises(ValueError), each.start_as_current_span("span") as span:
            raise ValueError("words")
        stacks.append(re.findall('File "([^"]*)"', span.events[0].attributes["exception.stacktrace"]))
    assert stacks[0] == [__file__]
    assert len(stacks[1]) > 1 and stacks[1][-1] == __file__
