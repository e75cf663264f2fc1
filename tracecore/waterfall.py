r"""The waterfall: a trace drawn as lines of text.

    gateway: POST /checkout      ●✗ [0ms ━───────────────────────── 3,020ms]
    ├─ POST                      ●  [━] 5–15ms
    │  └─ orders: POST /orders   ●  [━] 6–14ms
    └─ POST                      ●✗ [27ms ━──────────────────────── 3,020ms]
       └─ payment: POST /charges ●✗ [28ms ─━━━━━━━━━━━━━━━━━━━━━━━━ 3,019ms] ⚠
          └ label                │└ bar: where in the trace, from when to when; heavy where the request waited for this span
                                 └ ● on the critical path, ✗ ended in an error, ⚠ (at the end) the culprit

`draw` is a pure function from a trace to lines of (text, style) segments.  It prints nothing and knows no terminal, so the same
lines serve plain text, `rich`, and a comparison in a test; `write` is the one function that looks at a stream.

Names and attributes come from whoever sent the spans.  Every character that could move the cursor, change colours or reverse
the reading direction is written as an escape (`\x1b`, `\u202e`) before it gets near a terminal.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from os import environ
from typing import IO, Literal, NamedTuple

from tracecore.trace_tree import (
    CriticalPath,
    Culprit,
    SpanRow,
    Trace,
    critical_path,
    culprit,
    exception_of,
    likeness,
    milliseconds,
)

Style = Literal["", "dim", "title", "service", "bar", "critical", "error", "culprit"]


class Segment(NamedTuple):
    """A piece of a line that has one style."""

    text: str
    style: Style = ""


Line = tuple[Segment, ...]

#: Columns used where the output is no terminal and says no width.
DEFAULT_WIDTH = 100
#: Below this there is no room for a label, a bar and its times; narrower terminals will wrap.
MIN_WIDTH = 40
#: A run of more equal siblings than this is folded: two, "… n more", and the last.
FOLD_AFTER = 5

# Rich's names for the styles; see https://rich.readthedocs.io/en/stable/style.html
_RICH_STYLES: dict[Style, str] = {
    "": "",
    "dim": "bright_black",
    "title": "bold",
    "service": "bold cyan",
    "bar": "blue",
    "critical": "bold yellow",
    "error": "red",
    "culprit": "bold red",
}


class _Glyphs(NamedTuple):
    branch: str
    last: str
    pipe: str
    light: str
    heavy: str
    tick: str
    heavy_tick: str
    critical: str
    failed: str
    culprit: str
    ellipsis: str
    dash: str


_UNICODE = _Glyphs("├─ ", "└─ ", "│  ", "─", "━", "╎", "┃", "●", "✗", "⚠", "…", "–")
_ASCII = _Glyphs("|- ", "`- ", "|  ", "-", "=", ":", "#", "*", "x", "!", "...", "-")


def draw(
    trace: Trace,
    *,
    width: int = DEFAULT_WIDTH,
    encoding: str = "utf-8",
    fold_after: int = FOLD_AFTER,
    path: CriticalPath | None = None,
    suspect: Culprit | None = None,
) -> Iterator[Line]:
    """Yield the lines of a waterfall: title, one row a span with notes under it, total, culprit, legend.

    `width` is in terminal columns; no line is wider, save where `width` is below `MIN_WIDTH`.  `encoding` is that of the
    stream: where it has no box drawing characters the waterfall is drawn in ASCII, and names are escaped as far as needed.
    `path` and `suspect` are computed when they are not passed.
    """
    width = max(width, MIN_WIDTH)
    pen = _Pen(encoding)
    path = critical_path(trace) if path is None else path
    suspect = culprit(trace, path) if suspect is None else suspect

    shown = list(_rows(trace, fold_after, suspect))
    widest = max(_columns(pen.label_text(row)) for row in shown)
    # Two fifths for the names, unless they need less; the rest is time, which is what one came to see.
    label_width = min(widest, max(20, width * 2 // 5))
    # label, space, two marks, space | bar | space, culprit mark
    scale = _Scale(trace, width - label_width - 6)
    on_path = frozenset(path.span_ids)
    own: dict[str, list[tuple[int, int]]] = {}
    for segment in path.segments:
        own.setdefault(segment.span_id, []).append((segment.start_ns, segment.end_ns))

    yield from pen.wrapped("title", f"Trace ID: {trace.trace_id}", width)
    yield ()
    for row in shown:
        span = row.span
        line = [*pen.label(row, label_width), Segment(" ")]
        critical = any(member.span_id in on_path for member in row.members)
        failed = any(member.status == "error" for member in row.members)
        line.append(Segment(pen.glyphs.critical if critical else " ", "critical"))
        line.append(Segment(pen.glyphs.failed if failed else " ", "error"))
        line.append(Segment(" "))
        parts = [part for member in row.members for part in own.get(member.span_id, ())]
        start_ns = min(member.start_ns for member in row.members)
        end_ns = max(max(member.start_ns, member.end_ns) for member in row.members)
        bar = scale.bar(start_ns, end_ns, parts, pen.glyphs)
        is_culprit = suspect is not None and span.span_id == suspect.span.span_id and not row.folded
        if is_culprit:
            bar_columns = sum(_columns(segment.text) for segment in bar)
            bar.append(Segment(" " * (scale.columns - bar_columns) + " "))
            bar.append(Segment(pen.glyphs.culprit, "culprit"))
        yield _stripped([*line, *bar])
        if not row.folded:
            for style, note in _notes(trace, span, suspect if is_culprit else None):
                yield pen.note(row, style, note, width)
    yield ()
    yield from pen.wrapped("title", f"Total: {milliseconds(trace.end_ns - trace.start_ns)}", width)
    if suspect is not None:
        span = suspect.span
        words = f"Culprit {pen.glyphs.culprit} {span.service}: {span.name} ({suspect.reason})"
        yield from pen.wrapped("culprit", words, width)
    glyphs = pen.glyphs
    legend = f"{glyphs.critical} on the critical path, {glyphs.heavy} its own part of it, {glyphs.failed} error"
    yield from pen.wrapped("dim", legend, width)


def plain(lines: Iterable[Line]) -> str:
    """Return lines as text without styles, each ended by a newline."""
    return "".join("".join(segment.text for segment in line) + "\n" for line in lines)


def write(trace: Trace, stream: IO[str], *, width: int | None = None) -> None:
    """Draw a trace to a stream as well as the stream can show it.

    In colour when it is a terminal, `rich` is installed and the environment does not set NO_COLOR (https://no-color.org);
    as plain text otherwise.  `width` is the terminal's when not given, or `DEFAULT_WIDTH` where there is none.
    """
    is_terminal = stream.isatty()
    if width is None:
        width = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns if is_terminal else DEFAULT_WIDTH
    lines = draw(trace, width=width, encoding=getattr(stream, "encoding", None) or "utf-8")
    if is_terminal and not environ.get("NO_COLOR") and find_spec("rich") is not None:
        from rich.console import Console
        from rich.text import Text

        console = Console(file=stream, width=max(width, MIN_WIDTH), highlight=False)
        for line in lines:
            console.print(Text.assemble(*rich_segments(line)), no_wrap=True, overflow="crop")
    else:
        stream.write(plain(lines))


def rich_segments(line: Line) -> list[tuple[str, str]]:
    """Return a line as the (text, style) pairs that `rich.text.Text.assemble` takes.  No markup is interpreted there."""
    return [(segment.text, _RICH_STYLES[segment.style]) for segment in line]


def escaped(text: str, encoding: str = "utf-8") -> str:
    """Return text with everything escaped that is not to be shown as it stands.

    These are control characters, format characters such as those that reverse the reading direction, line and paragraph
    separators, lone surrogates, and what `encoding` has no code for.
    """
    if text.isascii() and text.isprintable():
        return text
    safe = "".join(_escape(char) if unicodedata.category(char) in _UNSAFE else char for char in text)
    return safe.encode(encoding, "backslashreplace").decode(encoding)


# Unicode general categories: control, format, surrogate, private use, unassigned, line separator, paragraph separator.
_UNSAFE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def _escape(char: str) -> str:
    return repr(char)[1:-1] if char != "'" else char


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the drawing: a span, or several equal siblings folded into one."""

    members: Sequence[SpanRow]
    # For each level above, whether more siblings follow there; the last entry is the row's own level.
    branches: tuple[bool, ...]
    shows_service: bool
    folded: bool
    has_children: bool
    # Whether levels were left out at the left, because no screen is as wide as the tree is deep.
    is_cut: bool

    @property
    def span(self) -> SpanRow:
        return self.members[0]


# Deeper levels than these are not drawn as lines of the tree, else a chain of 10,000 spans were 10,000 columns wide.
_MAX_BRANCHES = 24


def _rows(trace: Trace, fold_after: int, suspect: Culprit | None) -> Iterator[_Row]:
    """Yield the rows in the order they are drawn.  A stack instead of recursion: traces may be deeper than Python's."""
    stack: list[tuple[Sequence[SpanRow], tuple[bool, ...], bool, str | None]] = []

    def push(siblings: Sequence[SpanRow], branches: tuple[bool, ...], is_cut: bool, service: str | None) -> None:
        groups = list(_folded(siblings, fold_after, suspect))
        if len(branches) >= _MAX_BRANCHES:
            branches, is_cut = branches[1:], True
        for index in range(len(groups) - 1, -1, -1):
            more = index < len(groups) - 1
            stack.append((groups[index], (*branches, more), is_cut, service))

    stack.extend(((top,), (), False, None) for top in reversed(trace.tops))
    while stack:
        members, branches, is_cut, service = stack.pop()
        span = members[0]
        children = trace.children(span.span_id) if len(members) == 1 else ()
        yield _Row(members, branches, span.service != service, len(members) > 1, bool(children), is_cut)
        if children:
            push(children, branches, is_cut, span.service)


def _folded(siblings: Sequence[SpanRow], fold_after: int, suspect: Culprit | None) -> Iterator[Sequence[SpanRow]]:
    """Split siblings into what is drawn as one row each: single spans, and the middle of a long run of equal ones."""
    start = 0
    while start < len(siblings):
        end = start + 1
        like = likeness(siblings[start])
        while end < len(siblings) and likeness(siblings[end]) == like:
            end += 1
        run = siblings[start:end]
        # A culprit within the run must be seen: it is the one that is unlike the others after all.
        hides_culprit = suspect is not None and any(row.span_id == suspect.span.span_id for row in run[2:-1])
        if len(run) > max(fold_after, 3) and not hides_culprit:
            yield (run[0],)
            yield (run[1],)
            yield run[2:-1]
            yield (run[-1],)
        else:
            for row in run:
                yield (row,)
        start = end


def _notes(trace: Trace, span: SpanRow, suspect: Culprit | None) -> Iterator[tuple[Style, str]]:
    """Yield what is said under a span: why it is the culprit, what it raised, or else its status message."""
    if suspect is not None:
        yield "culprit", f"({suspect.reason})"
    parent = trace.parent(span)
    if span.parent_span_id is not None and parent is None:
        yield "error", f"(parent {span.parent_span_id} is missing)"
    exception = exception_of(span)
    if exception is None:
        if span.status == "error" and span.status_message:
            yield "error", span.status_message
        return
    words = _exception_words(span)
    # An exception passes through every span above the one that raised it; it is told once, where it came from.
    if not any(_exception_words(child) == words for child in trace.children(span.span_id)):
        yield "error", words


def _exception_words(span: SpanRow) -> str:
    exception = exception_of(span)
    if exception is None:
        return ""
    kind = str(exception.attributes.get("exception.type", "exception"))
    message = str(exception.attributes.get("exception.message", ""))
    return f"{kind}: {message}" if message else kind


class _Pen:
    """Writes labels in the glyphs that the encoding has."""

    __slots__ = ("encoding", "glyphs")

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding if _can_encode(encoding, "") else "ascii"
        self.glyphs = _UNICODE if _can_encode(self.encoding, "".join(_UNICODE)) else _ASCII

    def _tree(self, row: _Row) -> str:
        glyphs = self.glyphs
        if not row.branches:
            return ""
        above = "".join(glyphs.pipe if more else "   " for more in row.branches[:-1])
        cut = glyphs.ellipsis if row.is_cut else ""
        return cut + above + (glyphs.branch if row.branches[-1] else glyphs.last)

    def _words(self, row: _Row) -> tuple[str, str]:
        service = f"{escaped(row.span.service, self.encoding)}: " if row.shows_service else ""
        name = escaped(row.span.name, self.encoding)
        if row.folded:
            n_failed = sum(member.status == "error" for member in row.members)
            failed = f", {n_failed} failed" if n_failed else ""
            name = f"{self.glyphs.ellipsis} {len(row.members)} more{failed}"
        return service, name

    def label_text(self, row: _Row) -> str:
        return self._tree(row) + "".join(self._words(row))

    def label(self, row: _Row, columns: int) -> list[Segment]:
        """Return the label in exactly so many columns; a name keeps at least half of them, however deep it is."""
        service, name = self._words(row)
        tree = self._tree(row)
        room = max(columns - _columns(service + name), columns // 2)
        if _columns(tree) > room:
            kept = tree[len(tree) - (room - _columns(self.glyphs.ellipsis)) :]
            tree = self.glyphs.ellipsis + kept
        service = _cropped(service, columns - _columns(tree), self.glyphs.ellipsis)
        name = _cropped(name, columns - _columns(tree + service), self.glyphs.ellipsis)
        padding = " " * (columns - _columns(tree + service + name))
        return [Segment(tree, "dim"), Segment(service, "service"), Segment(name + padding, "dim" if row.folded else "")]

    def note(self, row: _Row, style: Style, words: str, width: int) -> Line:
        """Return a line under a row, indented to where the row's children would branch off."""
        glyphs = self.glyphs
        above = "".join(glyphs.pipe if more else "   " for more in row.branches)
        tree = above + (glyphs.pipe if row.has_children else "   ")
        tree = tree[max(0, len(tree) - width // 2) :]
        text = _cropped(escaped(words, self.encoding), width - _columns(tree), glyphs.ellipsis)
        return (Segment(tree, "dim"), Segment(text, style))

    def wrapped(self, style: Style, words: str, width: int) -> Iterator[Line]:
        """Yield a sentence in as many lines as it takes."""
        line = ""
        for word in escaped(words, self.encoding).split(" "):
            if line and _columns(line) + 1 + _columns(word) > width:
                yield (Segment(line, style),)
                line = ""
            line = f"{line} {word}" if line else _cropped(word, width, self.glyphs.ellipsis)
        yield (Segment(line, style),)


class _Scale:
    """Maps the trace's time to columns and draws bars in them."""

    __slots__ = ("columns", "decimals", "start_ns", "total_ns")

    def __init__(self, trace: Trace, columns: int) -> None:
        self.columns = columns
        self.start_ns = trace.start_ns
        self.total_ns = max(1, trace.end_ns - trace.start_ns)
        # As many decimals as give the whole three digits: a column of times is read down, so all have the same.
        total_ms = self.total_ns / 1e6
        self.decimals = 0 if total_ms >= 100 else 1 if total_ms >= 10 else 2 if total_ms >= 1 else 3

    def _time(self, at_ns: int) -> str:
        ms = (at_ns - self.start_ns) / 1e6
        return f"{ms:,.{self.decimals}f}" if at_ns != self.start_ns else "0"

    def _cells(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Return the first column of an interval and the one after its last: every column it touches, at least one."""
        first = (start_ns - self.start_ns) * self.columns // self.total_ns
        after = -((self.start_ns - end_ns) * self.columns // self.total_ns)
        first = min(first, self.columns - 1)
        return first, min(max(after, first + 1), self.columns)

    def _heavy(
        self, first: int, after: int, start_ns: int, end_ns: int, own: Iterable[tuple[int, int]]
    ) -> list[bool]:
        """Return for each column of a bar whether the span's own part is half or more of its time there.

        A column that own time merely touches stays light: a loop would look like work where it only goes from call to call.
        """
        own_ns = [0] * (after - first)
        for own_start, own_end in own:
            own_first, own_after = self._cells(own_start, own_end)
            for cell in range(max(own_first, first), min(own_after, after)):
                own_ns[cell - first] += self._within(cell, own_start, own_end)
        return [
            part > 0 and 2 * part >= self._within(cell, start_ns, end_ns) for cell, part in enumerate(own_ns, start=first)
        ]

    def _within(self, cell: int, start_ns: int, end_ns: int) -> int:
        """Return how much of an interval lies in a column, in nanoseconds times `columns` to stay exact."""
        left, right = cell * self.total_ns, (cell + 1) * self.total_ns
        start, end = (start_ns - self.start_ns) * self.columns, (end_ns - self.start_ns) * self.columns
        return max(0, min(right, end) - max(left, start))

    def bar(self, start_ns: int, end_ns: int, own: Iterable[tuple[int, int]], glyphs: _Glyphs) -> list[Segment]:
        """Draw an interval with its times inside if they fit, else beside it; heavy where `own` lies."""
        first, after = self._cells(start_ns, end_ns)
        heavy = self._heavy(first, after, start_ns, end_ns, own)
        from_text, to_text = self._time(start_ns), f"{self._time(end_ns)}ms"
        inside_left, inside_right = f"[{from_text}ms ", f" {to_text}]"
        segments = [Segment(" " * first)]
        if len(inside_left) + len(inside_right) < len(heavy):
            segments.append(Segment(inside_left, "bar"))
            segments.extend(_line(heavy[len(inside_left) : len(heavy) - len(inside_right)], glyphs))
            segments.append(Segment(inside_right, "bar"))
            return segments
        if len(heavy) <= 2:  # no room between brackets
            bar = [Segment(glyphs.heavy_tick, "critical") if cell else Segment(glyphs.tick, "bar") for cell in heavy]
        else:
            bar = [Segment("[", "bar"), *_line(heavy[1:-1], glyphs), Segment("]", "bar")]
        beside = f"{from_text}{glyphs.dash}{to_text}"
        if after + 1 + len(beside) <= self.columns:
            return [*segments, *bar, Segment(" " + beside)]
        if first > len(beside):
            return [Segment(" " * (first - 1 - len(beside)) + beside + " "), *bar]
        return [*segments, *bar]  # so narrow that the bar has to speak for itself


def _line(heavy: Sequence[bool], glyphs: _Glyphs) -> Iterator[Segment]:
    start = 0
    for index in range(1, len(heavy) + 1):
        if index == len(heavy) or heavy[index] != heavy[start]:
            glyph = glyphs.heavy if heavy[start] else glyphs.light
            yield Segment(glyph * (index - start), "critical" if heavy[start] else "bar")
            start = index


def _stripped(line: Sequence[Segment]) -> Line:
    """Drop what is blank at the end, so that a copied waterfall has no trailing spaces."""
    kept = [segment for segment in line if segment.text]
    while kept and not kept[-1].text.strip():
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].style)
    return tuple(kept)


def _columns(text: str) -> int:
    """Return how many terminal columns a text takes: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(map(_char_columns, text))


@lru_cache(maxsize=4096)
def _char_columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _cropped(text: str, columns: int, ellipsis: str) -> str:
    """Return text in at most so many columns, with an ellipsis where something was cut."""
    if _columns(text) <= columns:
        return text
    room = columns - _columns(ellipsis)
    if room < 0:
        return ellipsis[: max(columns, 0)]
    kept = []
    for char in text:
        room -= _char_columns(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + ellipsis


def _can_encode(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
