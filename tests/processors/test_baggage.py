"""BaggageAttributes, beside opentelemetry-processor-baggage on opentelemetry-sdk, on the same programs."""

from __future__ import annotations

import re
from typing import Any

import opentelemetry.sdk.trace as sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import Context, attach, detach
from opentelemetry.processor.baggage import BaggageSpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter as SdkMemory

from tracecore import TracerProvider
from tracecore.errors import ConfigurationError, reported, reset_reports
from tracecore.exporters import Outcome
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.limits import SpanLimits
from tracecore.processors.baggage import BaggageAttributes
from tracecore.processors.redaction import Redaction, drop, hashed

KEYS = st.sampled_from(["a", "b", "tenant.id", "tenant.name", "é", "k" * 300])
ENTRIES = st.lists(st.tuples(KEYS, st.sampled_from(["", "x", "é", "y" * 20])), max_size=6)


def ours(patterns: Any, limits: dict[str, Any], *more: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    provider = TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(**limits))
    provider.add_exporter(exporter := InMemorySpanExporter())
    provider.add_span_processor(BaggageAttributes(patterns))
    for processor in more:
        provider.add_span_processor(processor)
    return provider, exporter


def theirs(predicate: Any, limits: dict[str, Any]) -> tuple[sdk.TracerProvider, SdkMemory]:
    provider = sdk.TracerProvider(shutdown_on_exit=False, span_limits=sdk.SpanLimits(**limits))
    provider.add_span_processor(BaggageSpanProcessor(predicate))
    provider.add_span_processor(SimpleSpanProcessor(exporter := SdkMemory()))
    return provider, exporter


@settings(max_examples=200, deadline=None)
@given(ENTRIES, ENTRIES, ENTRIES, st.sampled_from([None, 0, 1, 2, 4]), st.sampled_from([None, 3]), st.booleans())
def test_spans_are_those_of_the_baggage_span_processor(
    entries: list[Any], at_start: list[Any], later: list[Any], limit: Any, length: Any, explicit: bool
) -> None:
    limits = {"max_span_attributes": limit, "max_span_attribute_length": length} if limit is not None else {}
    pairs = [
        ours(["tenant.*", "a", re.compile("^(é|k)")], limits),
        theirs(lambda key: key.startswith("tenant.") or key == "a" or key[0] in "ék", limits),
    ]
    found = []
    for provider, exporter in pairs:
        context = Context()
        for key, value in entries:
            context = baggage.set_baggage(key, value, context)
        token = attach(Context() if explicit else context)
        try:
            span = provider.get_tracer("t").start_span("s", context if explicit else None, attributes=dict(at_start))
            for key, value in later:
                span.set_attribute(key, value)
            span.end()
        finally:
            detach(token)
        provider.force_flush()
        (readable,) = exporter.get_finished_spans()
        found.append((list(dict(readable.attributes).items()), readable.dropped_attributes))
        provider.shutdown()
    (attributes, dropped), (expected, expected_dropped) = found
    assert attributes == expected
    keys = [*dict(entries), *dict(at_start), *(key for key, _ in later)]
    if len(keys) == len(set(keys)):  # else who evicted whom is not told any more: see the module
        assert dropped == expected_dropped


def test_children_take_the_baggage_of_their_own_context() -> None:
    provider, exporter = ours("*", {})
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("outer"):
        token = attach(baggage.set_baggage("k", "v"))
        with tracer.start_as_current_span("inner"):
            pass
        detach(token)
        with tracer.start_as_current_span("after"):
            pass
    provider.force_flush()
    assert {span.name: dict(span.attributes) for span in exporter.get_finished_spans()} == {
        "outer": {}, "inner": {"k": "v"}, "after": {},
    }  # fmt: skip
    provider.shutdown(1000)


@pytest.mark.parametrize("redaction_first", [False, True])
def test_redaction_acts_on_baggage_wherever_it_stands(redaction_first: bool) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(exporter := InMemorySpanExporter())
    processors: list[Any] = [BaggageAttributes("*"), Redaction([drop("secret"), hashed("user")], hash_key=b"k" * 16)]
    for processor in reversed(processors) if redaction_first else processors:
        provider.add_span_processor(processor)
    context = baggage.set_baggage("secret", "s", baggage.set_baggage("user", "u", baggage.set_baggage("n", "1", Context())))
    provider.get_tracer("t").start_span("s", context).end()
    provider.force_flush()
    (span,) = exporter.get_finished_spans()
    assert set(span.attributes) == {"user", "n"} and len(span.attributes["user"]) == 32 and span.attributes["n"] == "1"
    provider.shutdown(1000)


def test_baggage_that_cannot_be_read_is_reported_and_the_span_goes_on() -> None:
    class Raises(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            raise ValueError("no")

    reset_reports()
    provider, exporter = ours("*", {})
    provider.get_tracer("t").start_span("s", Context({baggage._BAGGAGE_KEY: Raises(a=1)})).end()
    provider.get_tracer("t").start_span("s", Context({baggage._BAGGAGE_KEY: 3})).end()
    provider.force_flush()
    assert [dict(span.attributes) for span in exporter.get_finished_spans()] == [{}, {}]
    assert reported()["baggage_refused"] == 2
    provider.shutdown(1000)


def test_without_the_processor_no_span_takes_baggage_along() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    sizes = []

    class Sizes:
        def export(self, batch: Any, deadline: float) -> Outcome:
            sizes.append(batch.record_bytes)
            return Outcome(len(batch), 0, "", "")

        def interrupt(self) -> None: ...

        def shutdown(self) -> None: ...

    provider.add_exporter(Sizes())
    context = baggage.set_baggage("k", "v" * 1000, Context())
    provider.get_tracer("t").start_span("s", context).end()
    provider.force_flush()
    assert len(sizes) == 1 and sizes[0] < 200
    provider.shutdown(1000)


@pytest.mark.parametrize("keys", [(), 3, "a[", [re.compile("(?=a)")]])
def test_what_cannot_be_done_is_refused_where_it_is_written(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="^keys="):
        BaggageAttributes(keys)
