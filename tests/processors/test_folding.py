"""Folding: what becomes of random programs of spans, beside a model; and on the way through a real provider."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from program import until

from tracecore import TracerProvider
from tracecore.errors import ConfigurationError
from tracecore.exporters import Outcome
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.processors.folding import Folding
from tracecore.processors.redaction import Redaction, drop
from tracecore.resource import Resource

NEVER_S = 600.0
COUNT, TOTAL, MIN, MAX = (f"tracecore.fold.{name}" for name in ("count", "total_ns", "min_ns", "max_ns"))


def provider_with(folding: Folding, **settings: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(exporter := InMemorySpanExporter(), **{"delay": NEVER_S, **settings})
    provider.add_span_processor(folding)
    return provider, exporter


def counts(provider: TracerProvider) -> dict[str, Any]:
    (known,) = provider.stats()["exporters"]
    ended = known["exported"] + sum(known["lost"].values()) + sum(known["removed"].values()) + known["held"] + known["abandoned"]
    assert known["written"] == known["waiting"] + known["exporting"] + ended, known
    return known  # type: ignore[no-any-return]


def test_a_loop_of_10000_equal_spans_over_many_batches_becomes_one() -> None:
    provider, exporter = provider_with(Folding(), batch=256)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("root"), tracer.start_as_current_span("loop") as loop:
        for i in range(10_000):
            with tracer.start_as_current_span("query", attributes={"i": i, "db.system": "x"}):
                pass
            if i % 250 == 0:
                until(lambda: counts(provider)["waiting"] < 512)
    assert provider.force_flush()
    root, parent, folded = sorted(exporter.get_finished_spans(), key=lambda span: ["root", "loop", "query"].index(span.name))
    assert folded.parent.span_id == loop.get_span_context().span_id
    attributes = dict(folded.attributes)
    assert (attributes.pop(COUNT), attributes["db.system"], "i" in attributes) == (10_000, "x", False)
    assert 0 < attributes[MIN] <= attributes[TOTAL] / 10_000 <= attributes[MAX] < attributes[TOTAL]
    assert parent.start_time <= folded.start_time < folded.end_time <= parent.end_time
    assert attributes[TOTAL] <= folded.end_time - folded.start_time
    known = counts(provider)
    assert (known["exported"], known["removed"], known["held"]) == (3, {"folded": 9_999}, 0)
    provider.shutdown(1000)


def test_the_folded_span_is_sound_otlp() -> None:
    requests: list[bytes] = []

    class Keeps:
        def export(self, batch: Any, deadline: float) -> Outcome:
            requests.append(batch.otlp())
            return Outcome(len(batch), 0, "", "")

        def interrupt(self) -> None: ...

        def shutdown(self) -> None: ...

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(Keeps())
    provider.add_span_processor(Folding(1))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("parent"):
        for ns in (30, 10, 20):
            tracer.start_span("q" * 300, start_time=1000 + ns, attributes={"same": True, "ns": ns}).end(1000 + 2 * ns)
    provider.force_flush()
    (request,) = [ExportTraceServiceRequest.FromString(request) for request in requests]
    spans = {span.name[:1]: span for span in request.resource_spans[0].scope_spans[0].spans}
    folded = spans["q"]
    assert {entry.key: entry.value.WhichOneof("value") for entry in folded.attributes} == {
        "same": "bool_value", COUNT: "int_value", TOTAL: "int_value", MIN: "int_value", MAX: "int_value",
    }  # fmt: skip
    assert {entry.key: entry.value.int_value for entry in folded.attributes if entry.key != "same"} == {
        COUNT: 3, TOTAL: 60, MIN: 10, MAX: 30,
    }  # fmt: skip
    assert (folded.start_time_unix_nano, folded.end_time_unix_nano, folded.name) == (1010, 1060, "q" * 300)
    provider.shutdown(1000)


# ---- a model ----------------------------------------------------------------------------------------------

LEAVES = st.tuples(
    st.sampled_from(["a", "b", "c" * 300]), st.sampled_from([SpanKind.INTERNAL, SpanKind.CLIENT]),
    st.sampled_from(["plain", "plain", "plain", "event", "error", "link", "parent"]), st.sampled_from([None, 1, 2]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(LEAVES, st.integers(0, 2), st.booleans()), max_size=40),
    st.integers(1, 4),
    st.sampled_from([(), "k", "all"]),
)
def test_groups_are_folded_as_the_model_folds_them(
    program: list[Any], threshold: int, attributes: Any
) -> None:
    """Spans below three parents, some of which end in the middle; batches are cut at random places."""
    provider, exporter = provider_with(Folding(threshold, attributes=attributes, hold=NEVER_S), batch=7)
    tracer = provider.get_tracer("test")
    parents = [tracer.start_span(f"parent {i}") for i in range(3)]
    groups: dict[Any, list[Any]] = defaultdict(list)
    alone = 3
    for number, ((name, kind, what, value), which, cut) in enumerate(program):
        context = set_span_in_context(parents[which])
        given_attributes = {"n": number, "same": "x"} if attributes != "all" else {"same": "x"}
        if value is not None:
            given_attributes["k"] = value
        span = tracer.start_span(name, context, kind=kind, attributes=given_attributes, start_time=1000 + number)
        if what == "event":
            span.add_event("e")
        elif what == "error":
            span.set_status(StatusCode.ERROR)
        elif what == "link":
            span.add_link(parents[0].get_span_context())
        elif what == "parent":
            tracer.start_span("child", set_span_in_context(span)).end()
            alone += 1
        span.end(1000 + 3 * number)
        if what == "plain":
            groups[which, name, kind, value if attributes else None].append((number, value))
        else:
            alone += 1
        if cut:
            until(lambda: counts(provider)["waiting"] < 7)
    for parent in parents:
        parent.end()
    assert provider.force_flush()
    spans = exporter.get_finished_spans()
    folded = {span.start_time: span for span in spans if COUNT in span.attributes}
    expected = [group for group in groups.values() if len(group) > threshold]
    assert len(folded) == len(expected)
    for group in expected:
        numbers = [number for number, _ in group]
        span = folded[1000 + numbers[0]]
        found = dict(span.attributes)
        assert found.pop(COUNT) == len(group)
        durations = [2 * number for number in numbers]
        assert (found.pop(TOTAL), found.pop(MIN), found.pop(MAX)) == (sum(durations), min(durations), max(durations))
        assert span.end_time == 1000 + 3 * numbers[-1]
        values = {value for _, value in group}
        assert found == {"same": "x", **({"k": values.pop()} if len(values) == 1 and None not in values else {})}
    n_alone = alone + sum(len(group) for group in groups.values() if len(group) <= threshold)
    assert len(spans) == n_alone + len(expected)
    known = counts(provider)
    assert known["removed"].get("folded", 0) == sum(len(group) - 1 for group in expected) and known["held"] == 0
    provider.shutdown(1000)


# ---- holding ----------------------------------------------------------------------------------------------


def test_what_is_held_leaves_after_its_time_without_a_flush() -> None:
    provider, exporter = provider_with(Folding(2, hold=0.3), batch=4, delay=0.1)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("parent"):
        for _ in range(8):
            tracer.start_span("q").end()
        until(lambda: counts(provider)["held"] == 1)
        until(lambda: len(exporter.get_finished_spans()) == 1)
        (folded,) = exporter.get_finished_spans()
        assert (folded.name, folded.attributes[COUNT], counts(provider)["held"]) == ("q", 8, 0)
    provider.shutdown(1000)


def test_delays_of_the_exporter_do_not_end_a_group() -> None:
    provider, exporter = provider_with(Folding(2), batch=4, delay=0.05)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("parent"):
        for _ in range(10):
            tracer.start_span("q").end()
            time.sleep(0.03)
        assert exporter.get_finished_spans() == () or list(exporter.get_finished_spans()) == []
    assert provider.force_flush()
    assert sorted(span.name for span in exporter.get_finished_spans()) == ["parent", "q"]
    counts(provider)
    provider.shutdown(1000)


def test_a_flush_and_a_shutdown_send_what_is_held() -> None:
    provider, exporter = provider_with(Folding(5))
    tracer = provider.get_tracer("test")
    parent = set_span_in_context(tracer.start_span("parent"))
    for _ in range(3):
        tracer.start_span("q", parent).end()
    assert provider.force_flush() and len(exporter.get_finished_spans()) == 3
    for _ in range(7):
        tracer.start_span("q", parent).end()
    provider.shutdown(2000)
    assert [span.attributes.get(COUNT) for span in exporter.get_finished_spans()] == [None, None, None, 7]
    assert counts(provider)["removed"] == {"folded": 6}


def test_what_is_held_goes_out_with_the_resource_that_was_redacted_before() -> None:
    provider = TracerProvider(shutdown_on_exit=False, resource=Resource.create({"secret": "s", "service.name": "x"}))
    provider.add_exporter(exporter := InMemorySpanExporter(), batch=2, delay=NEVER_S)
    provider.add_span_processor(Redaction([drop("secret")], resource=True))
    provider.add_span_processor(Folding(2))
    provider.get_tracer("other", attributes={"secret": 1}).start_span("first").end()
    tracer = provider.get_tracer("test", attributes={"secret": 1})
    parent = set_span_in_context(tracer.start_span("parent"))
    for _ in range(5):
        tracer.start_span("q", parent).end()
    until(lambda: counts(provider)["waiting"] == 0)
    assert provider.force_flush()
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["first", "q"]
    assert all("secret" not in span.resource.attributes for span in spans)
    assert [(span.instrumentation_scope.name, dict(span.instrumentation_scope.attributes or {})) for span in spans] == [
        ("other", {}), ("test", {}),
    ]  # fmt: skip
    provider.shutdown(1000)


def test_beyond_the_bounds_spans_are_sent_as_they_are() -> None:
    provider, exporter = provider_with(Folding(1, max_groups=2))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("parent"):
        for _ in range(3):
            for name in "abcd":
                tracer.start_span(name).end()
    assert provider.force_flush()
    names = sorted((span.name, span.attributes.get(COUNT)) for span in exporter.get_finished_spans() if span.name != "parent")
    assert names == [("a", 3), ("b", 3), *[("c", None)] * 3, *[("d", None)] * 3]
    provider.shutdown(1000)


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        ({"threshold": 0}, "threshold"),
        ({"threshold": True}, "threshold"),
        ({"threshold": 1.5}, "threshold"),
        ({"hold": 0}, "hold"),
        ({"hold": "1"}, "hold"),
        ({"attributes": "a["}, "attributes"),
        ({"attributes": 3}, "attributes"),
        ({"max_groups": 0}, "max_groups"),
        ({"max_parents": 1 << 30}, "max_parents"),
        ({"max_bytes": -1}, "max_bytes"),
    ],
)
def test_what_cannot_be_done_is_refused_where_it_is_written(arguments: dict[str, Any], variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable}="):
        Folding(**arguments)
