"""The model of an assembled trace, against brute force and against the definition of the critical path."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecore.trace_tree import (
    EventRow,
    Kind,
    SpanRow,
    Status,
    Trace,
    assemble,
    critical_path,
    culprit,
    milliseconds,
    missing,
    self_time_ns,
)

TRACE_ID = "a7f3c2d18b9e4f1aa2b3c4d5e6f7a8b9"
_KINDS: tuple[Kind, ...] = ("internal", "server", "client")
MS = 1_000_000


def span(
    span_id: str,
    parent: str | None,
    start_ns: int,
    end_ns: int,
    *,
    name: str = "",
    service: str = "shop",
    kind: Kind = "internal",
    status: Status = "unset",
    **attributes: Any,
) -> SpanRow:
    """Make a span; its name is its id unless given."""
    return SpanRow(
        trace_id=TRACE_ID,
        span_id=span_id,
        parent_span_id=parent,
        name=name or span_id,
        service=service,
        start_ns=start_ns,
        end_ns=end_ns,
        kind=kind,
        status=status,
        attributes=attributes,
    )


def path_of(*rows: SpanRow) -> list[tuple[str, int, int]]:
    """Return the segments of the critical path, short enough to compare."""
    return [(segment.span_id, segment.start_ns, segment.end_ns) for segment in critical_path(Trace(rows)).segments]


@st.composite
def any_rows(draw: st.DrawFn) -> list[SpanRow]:
    """Return spans with arbitrary parents (absent ones and circles among them), times and services, in any order."""
    n_spans = draw(st.integers(1, 12))
    ids = [f"s{number}" for number in range(n_spans)]
    rows = []
    for span_id in ids:
        parent = draw(st.one_of(st.none(), st.sampled_from([*ids, "absent"])))
        start_ns, end_ns = draw(st.integers(0, 30)), draw(st.integers(0, 30))
        service = draw(st.sampled_from("ab"))
        kind: Kind = draw(st.sampled_from(_KINDS))
        rows.append(span(span_id, parent, start_ns, end_ns, service=service, kind=kind))
    return rows


@st.composite
def synchronous_rows(draw: st.DrawFn) -> list[SpanRow]:
    """Return a tree in which siblings follow one another within their parent: what one thread without async makes."""
    rows = [span("s0", None, 0, draw(st.integers(0, 1000)))]
    for parent in rows:  # grows while it is iterated: children become parents in turn
        if len(rows) > 30:
            break
        cuts = sorted(draw(st.lists(st.integers(parent.start_ns, parent.end_ns), max_size=6)))
        for start_ns, end_ns in zip(cuts[::2], cuts[1::2], strict=False):
            rows.append(span(f"s{len(rows)}", parent.span_id, start_ns, end_ns))
    return rows


@given(any_rows())
def test_every_span_is_reached_once_whatever_the_parents_are(rows: list[SpanRow]) -> None:
    trace = Trace(rows)
    walked = [row.span_id for row, _ in trace.walk()]
    assert sorted(walked) == sorted(row.span_id for row in rows)
    for row, depth in trace.walk():
        parent = trace.parent(row)
        assert depth == trace.depth(row.span_id) == (0 if parent is None else trace.depth(parent.span_id) + 1)
        assert (parent is None) == (row in trace.tops)


@given(any_rows(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(rows: list[SpanRow], dice: random.Random) -> None:
    shuffled = list(rows)
    dice.shuffle(shuffled)
    one, other = Trace(rows), Trace(shuffled)
    assert list(one.walk()) == list(other.walk())
    assert critical_path(one) == critical_path(other)
    assert culprit(one) == culprit(other)


@given(any_rows())
def test_the_critical_path_follows_the_root_without_gap_from_start_to_end(rows: list[SpanRow]) -> None:
    trace = Trace(rows)
    path = critical_path(trace)
    at = trace.root.start_ns
    for segment in path.segments:
        assert segment.start_ns == at
        assert segment.end_ns > at
        at = segment.end_ns
        row = trace.span(segment.span_id)
        assert row.start_ns <= segment.start_ns
        assert segment.end_ns <= row.end_ns
    assert at == max(trace.root.start_ns, trace.root.end_ns)
    assert sum(path.own_ns().values()) == trace.root.duration_ns
    for span_id in path.span_ids[1:]:
        parent = trace.parent(trace.span(span_id))
        assert parent is not None
        assert path.span_ids.index(parent.span_id) < path.span_ids.index(span_id)


@given(any_rows())
def test_self_time_is_the_time_in_which_no_child_ran(rows: list[SpanRow]) -> None:
    trace = Trace(rows)
    for row in rows:
        children = trace.children(row.span_id)
        alone = [
            tick
            for tick in range(row.start_ns, row.end_ns)
            if not any(child.start_ns <= tick < child.end_ns for child in children)
        ]
        assert self_time_ns(trace, row) == len(alone)


@given(synchronous_rows())
def test_self_times_of_a_synchronous_trace_add_up_to_its_duration_and_all_lie_on_the_path(rows: list[SpanRow]) -> None:
    trace = Trace(rows)
    selves = {row.span_id: self_time_ns(trace, row) for row in rows}
    assert sum(selves.values()) == trace.root.duration_ns
    own = critical_path(trace).own_ns()
    assert {span_id: own.get(span_id, 0) for span_id in selves} == selves


@given(any_rows())
def test_the_culprit_has_its_share_of_the_path_and_no_single_span_has_more(rows: list[SpanRow]) -> None:
    trace = Trace(rows)
    found = culprit(trace)
    if trace.root.duration_ns == 0:
        assert found is None
    else:
        assert found is not None
        assert found.own_ns >= max(critical_path(trace).own_ns().values())
        assert found.share == pytest.approx(found.own_ns / trace.root.duration_ns)


def test_the_path_goes_through_the_child_that_finished_last() -> None:
    fan_out = (
        span("root", None, 0, 100),
        span("fast", "root", 10, 30),
        span("slow", "root", 10, 90),
        span("middling", "root", 10, 60),
    )
    assert path_of(*fan_out) == [("root", 0, 10), ("slow", 10, 90), ("root", 90, 100)]


def test_before_the_last_child_started_the_root_waited_for_one_that_had_finished_by_then() -> None:
    rows = (
        span("root", None, 0, 100),
        span("first", "root", 0, 40),
        span("overlaps", "root", 20, 55),
        span("second", "root", 50, 100),
    )
    assert path_of(*rows) == [("first", 0, 40), ("root", 40, 50), ("second", 50, 100)]


def test_work_that_starts_after_its_parent_has_ended_is_not_on_the_path() -> None:
    rows = (span("root", None, 0, 100), span("mail", "root", 150, 900, service="mailer", kind="consumer"))
    assert path_of(*rows) == [("root", 0, 100)]


def test_a_child_that_outlasts_its_parent_within_one_process_was_not_waited_for() -> None:
    rows = (span("root", None, 0, 100), span("background", "root", 10, 500), span("call", "root", 20, 95))
    assert path_of(*rows) == [("root", 0, 20), ("call", 20, 95), ("root", 95, 100)]


def test_a_server_that_outlasts_its_caller_counts_until_the_caller_gave_up() -> None:
    rows = (
        span("call", None, 0, 100, kind="client"),
        span("serve", "call", 10, 500, service="slow", kind="server"),
    )
    assert path_of(*rows) == [("call", 0, 10), ("serve", 10, 100)]


def test_a_server_whose_clock_is_behind_is_clipped_to_its_caller() -> None:
    rows = (
        span("call", None, 100, 200, kind="client"),
        span("serve", "call", 50, 180, service="behind", kind="server"),
        span("query", "serve", 60, 120, service="behind"),
    )
    assert path_of(*rows) == [("query", 100, 120), ("serve", 120, 180), ("call", 180, 200)]


def test_a_span_that_its_children_cover_is_on_the_path_without_a_part_of_its_own() -> None:
    trace = Trace((span("root", None, 0, 100), span("only", "root", 0, 100)))
    path = critical_path(trace)
    assert path.span_ids == ("root", "only")
    assert path.own_ns() == {"root": 0, "only": 100}


def test_a_chain_of_ten_thousand_spans_needs_no_recursion() -> None:
    n_spans = 10_000
    rows = [span(f"s{i}", f"s{i - 1}" if i else None, i, 3 * n_spans - i) for i in range(n_spans)]
    trace = Trace(reversed(rows))
    assert trace.depth(f"s{n_spans - 1}") == n_spans - 1
    path = critical_path(trace)
    assert len(path.span_ids) == n_spans
    found = culprit(trace, path)
    assert found is not None
    assert found.span.span_id == f"s{n_spans - 1}"
    assert missing(trace) == ()


def test_a_circle_of_ten_thousand_parents_is_cut_at_its_earliest_span() -> None:
    n_spans = 10_000
    rows = [span(f"s{i}", f"s{(i + 1) % n_spans}", i + 5, i + 6) for i in range(n_spans)]
    trace = Trace(rows)
    assert [row.span_id for row in trace.orphans] == ["s0"]
    assert len(list(trace.walk())) == n_spans


def test_fifty_thousand_siblings_are_an_ordinary_trace() -> None:
    rows = [span("root", None, 0, 100_000)]
    rows += [span(f"s{i}", "root", 2 * i, 2 * i + 1, name="step") for i in range(50_000)]
    trace = Trace(rows)
    assert self_time_ns(trace, trace.root) == 50_000
    found = culprit(trace)
    assert found is not None
    assert len(found.calls) == 50_000


def test_a_span_that_arrives_twice_counts_once() -> None:
    row = span("root", None, 0, 100)
    trace = Trace((row, replace(row, name="copy")))
    assert (len(trace), trace.duplicates, trace.root.name) == (1, 1, "root")


def test_rows_are_grouped_into_traces_by_id_and_ordered_by_start() -> None:
    late = span("a", None, 50, 60)
    early = replace(span("b", None, 10, 90), trace_id="0" * 32)
    assert [trace.trace_id for trace in assemble((late, early))] == ["0" * 32, TRACE_ID]
    assert assemble(()) == []


@pytest.mark.parametrize("rows", [(), (span("a", None, 0, 1), replace(span("b", None, 0, 1), trace_id="0" * 32))])
def test_a_trace_is_of_exactly_one_trace_id(rows: Sequence[SpanRow]) -> None:
    with pytest.raises(ValueError, match="one trace id"):
        Trace(rows)


def test_a_complete_trace_lacks_nothing() -> None:
    trace = Trace((span("root", None, 0, 9), span("call", "root", 1, 8, service="payment")))
    assert missing(trace, ("shop", "payment")) == ()


def test_what_is_missing_is_named() -> None:
    lost_parent = Trace((span("root", None, 0, 9), span("charge", "gone", 1, 8, service="payment")))
    assert missing(lost_parent, ("shop", "payment", "orders")) == (
        "the parent gone of payment: charge (charge) is missing",
        "no span of orders",
    )
    two_roots = Trace((span("one", None, 0, 9), span("two", None, 1, 8)))
    assert missing(two_roots) == ("2 roots instead of one (shop: one, shop: two)",)
    no_root = Trace((span("charge", "gone", 1, 8),))
    assert missing(no_root)[0] == "the root span is missing"
    assert no_root.root.span_id == "charge"


def attempts(n: int, n_failed: int, each_ns: int = 300 * MS, **attributes: Any) -> list[SpanRow]:
    """Return a root that calls one thing n times in a row."""
    rows = [span("root", None, 0, n * each_ns, name="External API call")]
    for i in range(n):
        row = span(
            f"try{i}",
            "root",
            i * each_ns,
            (i + 1) * each_ns,
            name="POST",
            kind="client",
            status="error" if i < n_failed else "unset",
            **(attributes or {"http.url": "http://provider/charges"}),
        )
        if i < n_failed:
            timeout = {"exception.type": "requests.exceptions.ReadTimeout"}
            row = replace(row, events=(EventRow(name="exception", time_ns=row.end_ns, attributes=timeout),))
        rows.append(row)
    return rows


def test_ten_failed_attempts_are_a_retry_loop_and_the_span_they_are_made_in_is_the_culprit() -> None:
    found = culprit(Trace(attempts(10, n_failed=10)))
    assert found is not None
    assert found.span.name == "External API call"
    assert found.reason == "retry loop: 10 attempts, 300ms each, all failed with ReadTimeout"
    assert found.calls == tuple(f"try{i}" for i in range(10))
    assert found.share == 1


def test_a_retry_loop_that_succeeds_in_the_end_is_one_all_the_same() -> None:
    found = culprit(Trace(attempts(10, n_failed=9)))
    assert found is not None
    assert found.reason == "retry loop: 10 attempts, 300ms each, all but one failed with ReadTimeout"


def test_calls_in_a_row_that_succeed_are_a_loop() -> None:
    found = culprit(Trace(attempts(7, n_failed=0)))
    assert found is not None
    assert found.reason == "loop: 7 calls, 300ms each, one after another"


def test_calls_to_different_peers_are_no_loop() -> None:
    rows = attempts(4, n_failed=0)
    rows = [
        replace(row, attributes={"http.url": f"http://{row.span_id}/"}) if row.parent_span_id else row for row in rows
    ]
    found = culprit(Trace(rows))
    assert found is not None
    assert found.calls == ()


def test_one_slow_call_among_equal_ones_is_the_culprit_itself() -> None:
    rows = (
        span("root", None, 0, 1000),
        span("a", "root", 0, 10, name="GET"),
        span("b", "root", 10, 20, name="GET"),
        span("c", "root", 20, 1000, name="GET"),
    )
    found = culprit(Trace(rows))
    assert found is not None
    assert (found.span.span_id, found.calls) == ("c", ())
    assert found.reason == "0.001ms of its own, 98% of the critical path"


def test_of_spans_with_equal_time_the_deeper_one_is_the_culprit() -> None:
    found = culprit(Trace((span("root", None, 0, 100), span("child", "root", 50, 100))))
    assert found is not None
    assert found.span.span_id == "child"


@pytest.mark.parametrize(
    ("attributes", "peer"),
    [
        ({}, ""),
        ({"url.full": "https://shop.example/items/42?page=1"}, "shop.example/items/*"),
        ({"http.url": "http://h:80/u/6f1d0b1e-94c8-4a29-8f0b-0123456789ab"}, "h:80/u/*"),
        ({"db.statement": "SELECT 1"}, "SELECT 1"),
        ({"server.address": "db", "server.port": 5432}, "db:5432"),
    ],
)
def test_the_peer_of_a_call_is_read_from_its_attributes(attributes: dict[str, Any], peer: str) -> None:
    assert span("call", None, 0, 1, **attributes).peer == peer


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0ms"), (1_500, "0.002ms"), (1_234_567, "1.23ms"), (12_345_678, "12.3ms"), (30_200 * MS, "30,200ms")],
)
def test_durations_read_with_three_digits(nanoseconds: int, text: str) -> None:
    assert milliseconds(nanoseconds) == text


def test_a_span_whose_clock_stepped_back_has_no_duration() -> None:
    trace = Trace((span("root", None, 100, 40),))
    assert trace.root.duration_ns == 0
    assert critical_path(trace).segments == ()
    assert culprit(trace) is None
