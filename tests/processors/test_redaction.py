"""Redaction: what rules make of a span, beside a model of them in Python, and on every way out of the process."""

from __future__ import annotations

import fnmatch
import hmac
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import Link, SpanContext, StatusCode, TraceFlags

from tracecore import TracerProvider
from tracecore.errors import ConfigurationError, reported, reset_reports
from tracecore.exporters import Outcome
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.processors.redaction import Redaction, Rule, drop, hashed, kept, renamed, replaced, truncated
from tracecore.resource import Resource
from tracecore.simple_span_processor import SimpleSpanProcessor

KEY = b"a key of sixteen"


@pytest.fixture(autouse=True)
def _after() -> Iterator[None]:
    reset_reports()
    yield


class Requests:
    """An exporter that keeps the requests, decoded by opentelemetry-proto."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def export(self, batch: Any, deadline: float) -> Outcome:
        self.requests.append(ExportTraceServiceRequest.FromString(batch.otlp()))
        return Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None: ...

    def shutdown(self) -> None: ...


def plain(value: Any) -> Any:
    """An AnyValue of opentelemetry-proto as a Python value; arrays as tuples."""
    which = value.WhichOneof("value")
    if which == "array_value":
        return tuple(plain(inner) for inner in value.array_value.values)
    if which == "kvlist_value":
        return {entry.key: plain(entry.value) for entry in value.kvlist_value.values}
    return getattr(value, which) if which else None


def as_dict(attributes: Any) -> dict[str, Any]:
    keys = [entry.key for entry in attributes]
    assert len(keys) == len(set(keys)), keys
    return {entry.key: plain(entry.value) for entry in attributes}


class Rig:
    """A provider with rules, an exporter of ours and one that takes ReadableSpans."""

    def __init__(self, *rules: Rule, resource: Any = None, **arguments: Any) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False, resource=resource)
        self.requests, self.memory = Requests(), InMemorySpanExporter()
        self.provider.add_exporter(self.requests)
        self.provider.add_span_processor(Redaction(rules, hash_key=KEY, **arguments))
        self.provider.add_exporter(self.memory)

    def sent(self, attributes: Any = None, name: str = "name", fill: Any = None) -> tuple[Any, Any]:
        """End one span; return it as OTLP and as a ReadableSpan."""
        span = self.provider.get_tracer("test").start_span(name, attributes=attributes)
        if fill is not None:
            fill(span)
        span.end()
        assert self.provider.force_flush()
        self.request = self.requests.requests.pop()
        (readable,) = self.memory.get_finished_spans()
        self.memory.clear()
        return self.request.resource_spans[0].scope_spans[0].spans[0], readable


def redacted(attributes: Any, *rules: Rule, **arguments: Any) -> dict[str, Any]:
    rig = Rig(*rules, **arguments)
    otlp, readable = rig.sent(attributes)
    result = as_dict(otlp.attributes)
    assert list(result.items()) == list(dict(readable.attributes).items())
    assert otlp.dropped_attributes_count == readable.dropped_attributes == 0
    rig.provider.shutdown(1000)
    return result


def hash_of(text: str | bytes) -> str:
    return hmac.new(KEY, text.encode() if isinstance(text, str) else text, "sha256").hexdigest()[:32]


def test_attributes_are_dropped_hashed_replaced_renamed_and_cut() -> None:
    assert redacted(
        {"password": "p", "user.id": 42, "user.name": "Ann", "token": "t", "a": 1, "long": "éèêë", "other": True},
        drop("password"),
        hashed("user.*"),
        replaced("token", text="***"),
        renamed("a", to="b"),
        truncated("long", to=2),
    ) == {"user.id": hash_of("42"), "user.name": hash_of("Ann"), "token": "***", "b": 1, "long": "éè", "other": True}


def test_the_first_rule_comes_first_and_keep_and_drop_end_it() -> None:
    attributes = {"public.id": "x", "secret.id": "y", "id": "z"}
    assert redacted(attributes, kept("public.*"), drop("*.id"), replaced("id")) == {"public.id": "x", "id": "[redacted]"}
    assert redacted(attributes, drop("*.id"), kept("public.*")) == {"id": "z"}
    assert redacted(attributes, kept("id"), drop("*")) == {"id": "z"}
    assert redacted({"a": 1}, renamed("a", to="b"), renamed("b", to="c")) == {"c": 1}
    assert redacted({"a": 1}, renamed("b", to="c"), renamed("a", to="b")) == {"b": 1}


def test_what_an_expression_finds_is_replaced_hashed_or_drops_the_value() -> None:
    attributes = {
        "text": "cards 4111111111111111 and 5500000000000004.",
        "number": 4111111111111111,
        "list": ["4111111111111111", "x"],
        "map": {"inner": "4111111111111111", "n": 1},
        "bytes": b"4111111111111111",
        "float": 4.1,
        "short": "411",
    }
    card = r"\b\d{13,16}\b"
    assert redacted(attributes, replaced(values=card, text="[card]")) == {
        "text": "cards [card] and [card].",
        "number": "[card]",
        "list": ("[card]", "x"),
        "map": {"inner": "[card]", "n": 1},
        "bytes": b"[card]",
        "float": 4.1,
        "short": "411",
    }
    h = hash_of("4111111111111111")
    assert redacted(attributes, hashed("text", "number", values=card)) == {
        **attributes,
        "list": ("4111111111111111", "x"),
        "text": f"cards {h} and {hash_of('5500000000000004')}.",
        "number": h,
    }
    assert redacted(attributes, drop(values=card)) == {"list": ("x",), "map": {"n": 1}, "float": 4.1, "short": "411"}


def test_keys_inside_maps_are_keys_and_a_rule_for_the_map_is_for_all_in_it() -> None:
    attributes = {"outer": {"password": 1, "deep": [{"password": 2, "kept": 3}]}, "hashed": {"a": 1, "b": [True, None]}}
    assert redacted(attributes, drop("password"), hashed("hashed")) == {
        "outer": {"deep": ({"kept": 3},)},
        "hashed": {"a": hash_of("1"), "b": (hash_of("true"), None)},
    }
    assert redacted(attributes, kept("outer"), drop("password"), replaced("hashed")) == {
        "outer": {"password": 1, "deep": ({"password": 2, "kept": 3},)},
        "hashed": "[redacted]",
    }


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_two_attributes_with_one_key_after_renaming_the_later_one_stays(order: str) -> None:
    rig = Rig(renamed("a", "c", to="b"))
    otlp, readable = rig.sent({key: key for key in [*order, "c"]})
    assert as_dict(otlp.attributes) == dict(readable.attributes) == {"b": "c"}
    assert redacted({key: key for key in order}, renamed("a", to="b")) == {"b": order[-1]}
    assert redacted({"m": {key: key for key in order}}, renamed("a", to="b")) == {"m": {"b": order[-1]}}


def test_events_links_names_and_descriptions_are_redacted_too() -> None:
    def fill(span: Any) -> None:
        span.add_event("event 1234", {"password": "p", "n": "1234"})
        span.add_event("other", {"kept": 1})
        span.add_link(SpanContext(1, 2, False, TraceFlags(1)), {"password": "p", "n": 1})
        span.set_status(StatusCode.ERROR, "failed for 1234")

    rules = drop("password"), replaced(values=r"\d{4}", text="#")
    otlp, readable = Rig(*rules).sent(name="GET /1234", fill=fill)
    assert (otlp.name, otlp.status.message) == (readable.name, readable.status.description) == ("GET /#", "failed for #")
    assert [(event.name, as_dict(event.attributes)) for event in otlp.events] == [("event #", {"n": "#"}), ("other", {"kept": 1})]
    assert [as_dict(link.attributes) for link in otlp.links] == [{"n": 1}]
    assert otlp.links[0].span_id == (2).to_bytes(8, "big")
    assert [event.name for event in readable.events] == ["event #", "other"]

    otlp, _ = Rig(*rules, names=False).sent(name="GET /1234", fill=fill)
    assert (otlp.name, otlp.status.message, otlp.events[0].name) == ("GET /1234", "failed for 1234", "event 1234")
    assert as_dict(otlp.events[0].attributes) == {"n": "#"}
    long = "x" * 300 + "1234"
    assert Rig(*rules).sent(name=long)[0].name == "x" * 300 + "#"


def test_a_stack_trace_is_an_attribute_like_any_other() -> None:
    rig = Rig(drop("exception.stacktrace"), replaced("exception.message", values="s3cret"))
    tracer = rig.provider.get_tracer("test")
    with pytest.raises(ValueError), tracer.start_as_current_span("fails"):
        raise ValueError("the s3cret word")
    rig.provider.force_flush()
    text = rig.requests.requests[0].SerializeToString()
    span = rig.requests.requests[0].resource_spans[0].scope_spans[0].spans[0]
    assert as_dict(span.events[0].attributes) == {
        "exception.type": "ValueError", "exception.message": "the [redacted] word", "exception.escaped": "False",
    }  # fmt: skip
    assert b"s3cret" in text  # the status description: the rule is for one key
    rig = Rig(replaced(values="s3cret"))
    with pytest.raises(ValueError), rig.provider.get_tracer("test").start_as_current_span("fails"):
        raise ValueError("the s3cret word")
    rig.provider.force_flush()
    assert b"s3cret" not in rig.requests.requests[0].SerializeToString()


def test_the_resource_is_left_alone_unless_it_is_asked_for() -> None:
    rig = Rig(hashed("host.name"), resource=Resource.create({"service.name": "s", "host.name": "known"}))
    rig.sent()
    assert as_dict(rig.request.resource_spans[0].resource.attributes)["host.name"] == "known"


def test_a_redacted_resource_goes_out_with_the_spans_of_every_scope() -> None:
    provider = TracerProvider(shutdown_on_exit=False, resource=Resource.create({"service.name": "s", "host.name": "secret"}))
    requests, memory = Requests(), InMemorySpanExporter()
    provider.add_exporter(requests)
    provider.add_exporter(memory)
    provider.add_span_processor(Redaction([hashed("host.name"), drop("scope.secret")], resource=True, hash_key=KEY))
    for name, attributes in (("one", {"scope.secret": 1, "x": 2}), ("two", None), ("three", {"scope.secret": 3})):
        provider.get_tracer(name, "1.0", "https://schema", attributes).start_span(name).end()
    provider.force_flush()
    (sent,) = requests.requests[0].resource_spans
    assert as_dict(sent.resource.attributes)["host.name"] == hash_of("secret")
    assert as_dict(sent.resource.attributes)["service.name"] == "s"
    assert [(s.scope.name, as_dict(s.scope.attributes), s.spans[0].name) for s in sent.scope_spans] == [
        ("one", {"x": 2}, "one"), ("two", {}, "two"), ("three", {}, "three"),
    ]  # fmt: skip
    assert {span.resource.attributes["host.name"] for span in memory.get_finished_spans()} == {hash_of("secret")}
    assert [span.instrumentation_scope.name for span in memory.get_finished_spans()] == ["one", "two", "three"]
    assert b"secret" not in requests.requests[0].SerializeToString().replace(b"scope.secret", b"")
    assert provider.resource.attributes["host.name"] == "secret"
    provider.shutdown(1000)


def test_without_a_key_of_its_own_a_process_has_a_random_one() -> None:
    def one() -> Any:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_exporter(memory := InMemorySpanExporter())
        provider.add_span_processor(Redaction([hashed("a")]))
        provider.get_tracer("t").start_span("s", attributes={"a": "x"}).end()
        provider.force_flush()
        return memory.get_finished_spans()[0].attributes["a"]

    first, second = one(), one()
    assert len(first) == len(second) == 32 and first != second
    assert redacted({"a": "x"}, hashed("a", hash_key=KEY)) == {"a": hash_of("x")}


def test_a_processor_that_sees_what_is_redacted_is_told_of_once() -> None:
    for rules_first in (True, False):
        reset_reports()
        provider = TracerProvider(shutdown_on_exit=False)
        processors: list[Any] = [Redaction([drop("a")]), SimpleSpanProcessor(memory := InMemorySpanExporter())]
        for processor in processors if rules_first else reversed(processors):
            provider.add_span_processor(processor)
        provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
        assert reported() == {"redaction_bypassed": 1}
        provider.get_tracer("t").start_span("s", attributes={"a": "x"}).end()
        assert memory.get_finished_spans()[0].attributes == {"a": "x"}
        provider.shutdown(1000)


@pytest.mark.parametrize(
    ("make", "variable"),
    [
        (lambda: drop(), "keys"),
        (lambda: drop(3), "keys"),
        (lambda: drop("a["), "keys"),
        (lambda: drop(values="a*"), "values"),
        (lambda: hashed("a", hash_key=b"short"), "hash_key"),
        (lambda: replaced("a", text=3), "text"),
        (lambda: replaced("a", text="x" * 5000), "text"),
        (lambda: renamed("a", to=""), "to"),
        (lambda: truncated("a", to=-1), "to"),
        (lambda: truncated("a", to=True), "to"),
        (lambda: Redaction([]), "rules"),
        (lambda: Redaction(["a"]), "rules"),
        (lambda: Redaction([drop("a")] * 64), "rules"),
        (lambda: Redaction([hashed("a")], hash_key="text" * 8), "hash_key"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_where_it_is_written(make: Any, variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable}="):
        make()


def test_a_key_is_not_shown_when_it_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Redaction([hashed("a")], hash_key=b"tooshort")
    assert "tooshort" not in str(refused.value)


# ---- a model ----------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c", "user.id", "x" * 300, "é"])
FLAT = st.one_of(
    st.sampled_from(["", "a", "12", "x1234y", "é1", "12 34"]), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(),
    st.sampled_from([1.5, -0.0]), st.sampled_from([b"", b"12", b"ab"]),
)  # fmt: skip
VALUES = st.recursive(FLAT, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)), max_leaves=5)
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["drop", "hash", "replace", "keep", "cut"]), st.lists(st.sampled_from(["a", "b", "?", "user.*", "x*", "é"]), min_size=1, max_size=2), st.none(), st.just("")),
    st.tuples(st.just("rename"), st.lists(st.sampled_from(["a", "c", "x*"]), min_size=1, max_size=2), st.none(), st.sampled_from(["b", "new", "y" * 300])),
    st.tuples(st.sampled_from(["drop", "hash", "replace"]), st.lists(st.sampled_from(["a", "?"]), max_size=1), st.sampled_from([r"\d+", "[a-c]", r"\b1"]), st.just("")),
)  # fmt: skip
MAKERS: dict[str, Any] = {
    "drop": lambda keys, values, to: drop(*keys, values=values),
    "hash": lambda keys, values, to: hashed(*keys, values=values),
    "replace": lambda keys, values, to: replaced(*keys, values=values, text="#"),
    "keep": lambda keys, values, to: kept(*keys),
    "cut": lambda keys, values, to: truncated(*keys, to=1),
    "rename": lambda keys, values, to: renamed(*keys, to=to),
}


class Gone(Exception):
    pass


def leaf_text(value: Any) -> str | bytes | None:
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return None
    return str(value) if isinstance(value, int) else value


def hashable(value: Any) -> str | bytes:
    import struct

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return struct.pack("<d", value)
    return str(value) if isinstance(value, int) else value


def model_leaf(rule: Any, value: Any, is_ours: bool) -> tuple[Any, bool]:
    action, _, values, _ = rule
    if values is None:
        if action == "drop":
            raise Gone
        if action == "hash" and value is not None:
            return hash_of(hashable(value)), True
        if action == "cut" and isinstance(value, (str, bytes)):
            return value[:1], is_ours
        return value, is_ours or action == "hash"
    text = leaf_text(value)
    if is_ours or text is None:
        return value, is_ours
    is_bytes = isinstance(text, bytes)
    found = re.compile(values.encode() if is_bytes else values, 0 if is_bytes else re.ASCII)
    if not found.search(text):
        return value, is_ours
    if action == "drop":
        raise Gone
    put = (lambda m: hash_of(m[0])) if action == "hash" else (lambda m: "#")
    return found.sub((lambda m: put(m).encode()) if is_bytes else put, text), is_ours


def model_item(rules: list[Any], key: str | None, value: Any, inherited: set[int], limit: int) -> tuple[str | None, Any]:
    def bits(name: str | None) -> set[int]:
        own = set() if name is None else {
            i for i, rule in enumerate(rules) if not rule[1] or any(fnmatch.fnmatchcase(name, glob) for glob in rule[1])
        }  # fmt: skip
        return {i for i in own | inherited if i < limit}

    inside: set[int] = set()
    is_ours, done = False, -1
    while later := sorted(i for i in bits(key) if i > done):
        done = later[0]
        action, _, values, to = rules[done]
        if is_ours and values is not None:
            continue
        if action == "keep":
            limit = done
            break
        if action == "rename":
            key = to
        elif action == "replace" and values is None:
            value, is_ours = "#", True
        elif isinstance(value, (list, tuple, dict)) and not (action == "drop" and values is None):
            inside.add(done)
        else:
            value, is_ours = model_leaf(rules[done], value, is_ours)
    if isinstance(value, dict):
        value = model(rules, value, inside, limit)
    elif isinstance(value, (list, tuple)):
        elements = []
        for element in value:
            try:
                elements.append(model_item(rules, None, element, inside, limit)[1])
            except Gone:
                continue
        value = tuple(elements)
    return key, value


def model(rules: list[Any], attributes: dict[str, Any], inherited: set[int] = frozenset(), limit: int = 63) -> dict[str, Any]:  # type: ignore[assignment]
    left: dict[str, Any] = {}
    for key, value in attributes.items():
        try:
            new, changed = model_item(rules, key, value, inherited, limit)
        except Gone:
            continue
        left.pop(new, None)  # type: ignore[arg-type]
        left[new] = changed  # type: ignore[index]
    return left


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, min_size=1, max_size=4), st.dictionaries(KEYS, VALUES, max_size=5))
def test_rules_do_what_the_model_does(rules: list[Any], attributes: dict[str, Any]) -> None:
    rig = Rig(*(MAKERS[action](keys, values, to) for action, keys, values, to in rules))
    span = rig.provider.get_tracer("test").start_span("s", attributes=attributes)
    given_attributes = dict(span.attributes)  # type: ignore[attr-defined]  # what the API made of the values
    span.end()
    rig.provider.force_flush()
    (readable,) = rig.memory.get_finished_spans()
    expected = model(rules, given_attributes)
    found = dict(readable.attributes)
    assert list(found.items()) == list(expected.items())
    otlp = rig.requests.requests[-1].resource_spans[0].scope_spans[0].spans[0]
    assert list(as_dict(otlp.attributes)) == list(expected)
    rig.provider.shutdown(1000)
