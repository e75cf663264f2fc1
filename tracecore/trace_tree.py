"""The assembled trace: one tree of spans, and what it says about a slow request.

    rows, in any order, of any number of traces
        --assemble-->  Trace        roots, children, orphans
        --missing-->   words        what a complete trace would have had
        --self_time--> ns           what a span did itself
        --critical_path--> segments who the root was waiting for, at every instant
        --culprit-->   one span     where most of the wait was, and why

Nothing here knows where the rows came from: a receiver, a file, a console exporter and a test build the same `SpanRow`.
All of it is plain computation over immutable input, so it may be called from any thread.  Everything is O(n log n) in the
spans of a trace, and no function recurses on the depth of a tree: traces of 50,000 spans and chains of 10,000 are ordinary.

Times are nanoseconds since the Unix epoch, as in OTLP.  Ids are lower-case hex: 32 digits for a trace, 16 for a span.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Status = Literal["unset", "ok", "error"]

#: Fewer equal calls in a row than this are a coincidence of names, not a loop.
LOOP_CALLS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that happened at one instant within a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """A span elsewhere that caused this one without being its parent."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRow:
    """One finished span, as it arrived.  `parent_span_id` is None for a root."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    service: str
    start_ns: int
    end_ns: int
    kind: Kind = "internal"
    status: Status = "unset"
    status_message: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[EventRow, ...] = ()
    links: tuple[LinkRow, ...] = ()
    scope: str = ""

    @property
    def duration_ns(self) -> int:
        """Nanoseconds from start to end; 0 where the clock stepped back in between."""
        return max(0, self.end_ns - self.start_ns)

    @property
    def peer(self) -> str:
        """What the span called: host and path of a URL, a statement, a peer service; "" when it does not say.

        Parts of a path that differ from call to call (numbers, UUIDs, long hex) read `*`, so that a loop over
        `/items/1`, `/items/2`, ... is seen to call one thing.
        """
        for key in ("url.full", "http.url"):
            url = self.attributes.get(key)
            if isinstance(url, str):
                parts = urlsplit(url)
                path = "/".join("*" if _VARIABLE.fullmatch(part) else part for part in parts.path.split("/"))
                return parts.netloc + path
        for keys in _PEER_ATTRIBUTES:
            found = [str(self.attributes[key]) for key in keys if key in self.attributes]
            if found:
                return ":".join(found)
        return ""


_VARIABLE = re.compile(r"\d+|[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# The stable name of each attribute first, then the one it replaced, which instrumentations still send.
_PEER_ATTRIBUTES = (
    ("db.query.text",),
    ("db.statement",),
    ("rpc.service", "rpc.method"),
    ("messaging.destination.name",),
    ("server.address", "server.port"),
    ("net.peer.name", "net.peer.port"),
    ("peer.service",),
)


class Trace:
    """The spans of one trace id, linked into trees.

    A sound trace is one tree under one root.  What arrives may be less: a parent that never came (its children are
    *orphans*), several roots (a hop that lost its context), the same span twice (an export retried after a lost answer:
    the first copy stays), even parents in a circle (cut at the earliest span of the circle, which becomes an orphan).
    Every span is reachable from `tops` in each case, so that what did arrive is shown.

    Raises ValueError when `rows` is empty or holds more than one trace id.
    """

    __slots__ = ("_by_id", "_children", "_depths", "duplicates", "orphans", "roots", "spans", "tops", "trace_id")

    def __init__(self, rows: Iterable[SpanRow]) -> None:
        by_id: dict[str, SpanRow] = {}
        n_rows = 0
        for row in rows:
            n_rows += 1
            by_id.setdefault(row.span_id, row)
        trace_ids = {row.trace_id for row in by_id.values()}
        if len(trace_ids) != 1:
            raise ValueError(f"a trace is built from the spans of one trace id, these have {len(trace_ids)}")

        #: Trace id, 32 hex digits.
        self.trace_id: str = trace_ids.pop()
        #: Every span once, by start time.
        self.spans: tuple[SpanRow, ...] = tuple(sorted(by_id.values(), key=_by_start))
        #: Rows that repeated a span id.
        self.duplicates: int = n_rows - len(by_id)
        self._by_id = by_id

        cut = _one_span_of_each_circle(self.spans, by_id)
        children: dict[str, list[SpanRow]] = {}
        roots: list[SpanRow] = []
        orphans: list[SpanRow] = []
        # In start order, so each list of children comes out in start order as well.
        for row in self.spans:
            parent = row.parent_span_id
            if parent is None:
                roots.append(row)
            elif parent not in by_id or row.span_id in cut:
                orphans.append(row)
            else:
                children.setdefault(parent, []).append(row)
        #: Spans without a parent.
        self.roots: tuple[SpanRow, ...] = tuple(roots)
        #: Spans whose parent is not among the spans.
        self.orphans: tuple[SpanRow, ...] = tuple(orphans)
        #: Where the trees begin: roots and orphans, by start time.
        self.tops: tuple[SpanRow, ...] = tuple(sorted((*roots, *orphans), key=_by_start))
        self._children = {parent: tuple(rows) for parent, rows in children.items()}
        self._depths: dict[str, int] = {row.span_id: depth for row, depth in self.walk()}

    def __len__(self) -> int:
        return len(self.spans)

    def __repr__(self) -> str:
        return f"<Trace {self.trace_id}: {len(self.spans)} spans, {len(self.roots)} roots, {len(self.orphans)} orphans>"

    @property
    def root(self) -> SpanRow:
        """The earliest root; in a trace that has none, the earliest orphan."""
        return self.roots[0] if self.roots else self.tops[0]

    @property
    def start_ns(self) -> int:
        """When the earliest span started."""
        return self.spans[0].start_ns

    @property
    def end_ns(self) -> int:
        """When the last span ended: after the root's end, where work outlived the request."""
        return max(max(row.start_ns, row.end_ns) for row in self.spans)

    @property
    def services(self) -> frozenset[str]:
        """The services that sent a span."""
        return frozenset(row.service for row in self.spans)

    def span(self, span_id: str) -> SpanRow:
        """Return the span of that id; KeyError when there is none."""
        return self._by_id[span_id]

    def children(self, span_id: str) -> tuple[SpanRow, ...]:
        """Return the children of a span by start time."""
        return self._children.get(span_id, ())

    def parent(self, row: SpanRow) -> SpanRow | None:
        """Return the parent a span hangs under; None for a root and for an orphan."""
        if self._depths[row.span_id] == 0 or row.parent_span_id is None:
            return None
        return self._by_id[row.parent_span_id]

    def depth(self, span_id: str) -> int:
        """Return how many ancestors a span has in this trace."""
        return self._depths[span_id]

    def walk(self) -> Iterator[tuple[SpanRow, int]]:
        """Yield every span with its depth, parents before children and siblings by start time."""
        stack = [(row, 0) for row in reversed(self.tops)]
        while stack:
            row, depth = stack.pop()
            yield row, depth
            stack.extend((child, depth + 1) for child in reversed(self.children(row.span_id)))


def assemble(rows: Iterable[SpanRow]) -> list[Trace]:
    """Group spans by trace id and return the traces by start time."""
    by_trace: dict[str, list[SpanRow]] = {}
    for row in rows:
        by_trace.setdefault(row.trace_id, []).append(row)
    return sorted((Trace(rows) for rows in by_trace.values()), key=lambda trace: (trace.start_ns, trace.trace_id))


def missing(trace: Trace, services: Iterable[str] = ()) -> tuple[str, ...]:
    """Say in words what keeps a trace from being complete; nothing when it is.

    Complete is: exactly one root, no orphan, and at least one span of each service named in `services`.
    """
    found: list[str] = []
    if not trace.roots:
        found.append("the root span is missing")
    elif len(trace.roots) > 1:
        names = ", ".join(f"{row.service}: {row.name}" for row in trace.roots)
        found.append(f"{len(trace.roots)} roots instead of one ({names})")
    found.extend(
        f"the parent {row.parent_span_id} of {row.service}: {row.name} ({row.span_id}) is missing"
        for row in trace.orphans
    )
    found.extend(f"no span of {service}" for service in services if service not in trace.services)
    return tuple(found)


def self_time_ns(trace: Trace, row: SpanRow) -> int:
    """Return the nanoseconds of a span in which none of its children ran.

    That is its duration less the union of its children's intervals, each clipped to the span: children that overlap count
    once, and what a child did outside its parent does not count at all.
    """
    covered = 0
    covered_until = row.start_ns
    for child in trace.children(row.span_id):  # by start time, so one pass finds the union
        start = max(child.start_ns, covered_until)
        end = min(child.end_ns, row.end_ns)
        if end > start:
            covered += end - start
            covered_until = end
    return row.duration_ns - covered


@dataclass(frozen=True, slots=True)
class PathSegment:
    """A stretch of time in which the root was waiting for this span's own work."""

    span_id: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """Who the root was waiting for, at every instant of its duration.

    `segments` follow one another without gap or overlap from the start of the root to its end.  `span_ids` are the spans on
    the path, a parent before its children; a span whose children cover it entirely is on the path without a segment.
    """

    segments: tuple[PathSegment, ...]
    span_ids: tuple[str, ...]

    def own_ns(self) -> dict[str, int]:
        """Return the nanoseconds that each span on the path contributed itself."""
        own = dict.fromkeys(self.span_ids, 0)
        for segment in self.segments:
            own[segment.span_id] += segment.end_ns - segment.start_ns
        return own


def critical_path(trace: Trace) -> CriticalPath:
    """Find the spans that decided how long the root took.

    Walk backwards from the end of the root.  Of its children, the one that finished last before the point reached is what the
    root was waiting for; the time between is the root's own; go on from the start of that child, and within the child in the
    same way.  A sibling that was still running when the chosen one started cannot have been waited for before that start, so
    it is not on the path.  (This is the definition of Zhang et al., "CRISP: Critical Path Analysis of Large-Scale Microservice
    Architectures", USENIX ATC 2022, section 4.)

    Children that do not lie within their parent:

    - started after the parent's end: asynchronous, never on the path;
    - outlasts the parent within one process: both ends were read from one clock, so the parent did not wait. Not on the path;
    - outlasts the parent across processes: either the clocks differ, or the caller gave up waiting. In both cases the parent
      was waiting until its own end: the child counts as far as its parent reaches;
    - started before the parent: clipped to the parent's start.

    In a trace of several trees the path is that of `trace.root`.
    """
    root = trace.root
    # A frame is a span being walked: its interval clipped to its parent's, the point reached, its children by end, last first.
    frames = [_Frame(trace, root, root.start_ns, max(root.start_ns, root.end_ns))]
    backwards: list[PathSegment] = []
    on_path = [root.span_id]
    while frames:
        frame = frames[-1]
        child = next(frame.children, None)
        if child is None:
            if frame.reached > frame.start:
                backwards.append(PathSegment(frame.row.span_id, frame.start, frame.reached))
            frames.pop()
            continue
        start = max(child.start_ns, frame.start)
        end = min(child.end_ns, frame.end)
        if end <= start or end > frame.reached:
            continue
        if child.end_ns > frame.row.end_ns and not _crosses_processes(frame.row, child):
            continue
        if frame.reached > end:
            backwards.append(PathSegment(frame.row.span_id, end, frame.reached))
        frame.reached = start
        frames.append(_Frame(trace, child, start, end))
        on_path.append(child.span_id)
    on_path_set = frozenset(on_path)
    return CriticalPath(
        segments=tuple(reversed(backwards)),
        span_ids=tuple(row.span_id for row, _ in trace.walk() if row.span_id in on_path_set),
    )


@dataclass(frozen=True, slots=True)
class Culprit:
    """The span to look at first.

    `own_ns` of the root's duration went into this span's own work, or, where it made `calls` in a loop, into those calls.
    """

    span: SpanRow
    own_ns: int
    share: float
    reason: str
    calls: tuple[str, ...] = ()


def culprit(trace: Trace, path: CriticalPath | None = None) -> Culprit | None:
    """Name the span that most of the critical path was spent in, and say why in words.

    Candidates are every span on the path with its own part of it, and every loop: at least `LOOP_CALLS` calls on the path
    that have one parent, one name and one peer, of which none took half of the time (that would be one slow call, not a
    loop).  For a loop the parent is named, since the loop is in it and the single call is not what is wrong.  Between equals
    the deepest is the more telling one.

    None when the root took no time at all.
    """
    if path is None:
        path = critical_path(trace)
    own = path.own_ns()
    total_ns = sum(own.values())
    if total_ns == 0:
        return None

    # Time of the whole subtree of each span on the path.  Children come after their parents in span_ids.
    subtree = dict(own)
    for span_id in reversed(path.span_ids):
        parent = trace.parent(trace.span(span_id))
        if parent is not None and parent.span_id in subtree:
            subtree[parent.span_id] += subtree[span_id]

    loops: dict[tuple[str, str, str, str, str], list[SpanRow]] = {}
    for span_id in path.span_ids:
        row = trace.span(span_id)
        parent = trace.parent(row)
        if parent is not None:
            loops.setdefault((parent.span_id, *likeness(row)), []).append(row)

    deepest = max(path.span_ids, key=lambda span_id: (own[span_id], trace.depth(span_id)))
    best = (own[deepest], trace.depth(deepest))
    best_loop: list[SpanRow] | None = None
    for calls in loops.values():
        times = [subtree[row.span_id] for row in calls]
        rank = (sum(times), trace.depth(calls[0].span_id))
        if len(calls) >= LOOP_CALLS and 2 * max(times) < sum(times) and rank > best:
            best, best_loop = rank, calls

    share = best[0] / total_ns
    if best_loop is None:
        row = trace.span(deepest)
        return Culprit(row, best[0], share, _words_for_one(row, best[0], share))
    parent = trace.parent(best_loop[0])
    assert parent is not None  # only spans with a parent are counted as calls
    calls = sorted(best_loop, key=_by_start)
    reason = _words_for_loop(calls, [subtree[row.span_id] for row in calls])
    return Culprit(parent, best[0], share, reason, tuple(row.span_id for row in calls))


def likeness(row: SpanRow) -> tuple[str, str, str, str]:
    """Return what makes two siblings the same call repeated: service, name, kind and peer."""
    return (row.service, row.name, row.kind, row.peer)


def milliseconds(duration_ns: float) -> str:
    """Write a duration in milliseconds as a person reads it: three significant digits, thousands separated."""
    ms = duration_ns / 1e6
    decimals = 0 if ms >= 99.95 or ms == 0 else 1 if ms >= 9.995 else 2 if ms >= 0.9995 else 3
    return f"{ms:,.{decimals}f}ms"


def exception_of(row: SpanRow) -> EventRow | None:
    """Return the last exception recorded on a span."""
    return next((event for event in reversed(row.events) if event.name == "exception"), None)


class _Frame:
    __slots__ = ("children", "end", "reached", "row", "start")

    def __init__(self, trace: Trace, row: SpanRow, start: int, end: int) -> None:
        self.row = row
        self.start = start
        self.end = end
        self.reached = end
        self.children = iter(sorted(trace.children(row.span_id), key=lambda child: child.end_ns, reverse=True))


def _by_start(row: SpanRow) -> tuple[int, int, str]:
    # Of two spans that start together the longer is drawn first; the id makes the order the same in every run.
    return (row.start_ns, -row.end_ns, row.span_id)


def _crosses_processes(parent: SpanRow, child: SpanRow) -> bool:
    # A service may call itself, so the kinds have a say where the names are equal.
    return parent.service != child.service or child.kind in ("server", "consumer")


def _one_span_of_each_circle(spans: Sequence[SpanRow], by_id: Mapping[str, SpanRow]) -> frozenset[str]:
    """Return the earliest span of every circle of parents.  Each span is visited once, whatever the input."""
    cut: set[str] = set()
    seen_in: dict[str, int] = {}  # span id -> the walk that first came by
    for walk, first in enumerate(spans):
        row: SpanRow | None = first
        while row is not None and row.span_id not in seen_in:
            seen_in[row.span_id] = walk
            row = by_id.get(row.parent_span_id) if row.parent_span_id is not None else None
        if row is None or seen_in[row.span_id] != walk:
            continue
        # This walk met its own trail at `row`: go round once more.
        circle = [row]
        step = by_id[row.parent_span_id or ""]
        while step is not row:
            circle.append(step)
            step = by_id[step.parent_span_id or ""]
        cut.add(min(circle, key=_by_start).span_id)
    return frozenset(cut)


def _words_for_one(row: SpanRow, own_ns: int, share: float) -> str:
    words = f"{milliseconds(own_ns)} of its own, {share:.0%} of the critical path"
    exception = exception_of(row)
    if exception is not None:
        return f"{words}; ended in {_exception_type(exception)}"
    return f"{words}; ended in an error" if row.status == "error" else words


def _words_for_loop(calls: Sequence[SpanRow], times: Sequence[int]) -> str:
    failed = [row for row in calls if row.status == "error"]
    each = f"{milliseconds(sorted(times)[len(times) // 2])} each"
    # The last attempt of a retry loop may be the one that succeeded.
    if len(failed) < len(calls) - 1:
        return f"loop: {len(calls)} calls, {each}, one after another"
    kinds = {_exception_type(event) for event in map(exception_of, failed) if event is not None}
    kind = f" with {kinds.pop()}" if len(kinds) == 1 else ""
    outcome = f"all failed{kind}" if len(failed) == len(calls) else f"all but one failed{kind}"
    return f"retry loop: {len(calls)} attempts, {each}, {outcome}"


def _exception_type(event: EventRow) -> str:
    return str(event.attributes.get("exception.type", "an exception")).rpartition(".")[2]
