"""The waterfall as text, character by character."""

from __future__ import annotations

import io
import os
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecore.trace_tree import EventRow, SpanRow, Status, Trace
from tracecore.waterfall import draw, escaped, plain, rich_segments, write

MS = 1_000_000
START_NS = 1_704_067_200_000_000_000
TRACE_ID = "a7f3c2d18b9e4f1aa2b3c4d5e6f7a8b9"


def span(
    span_id: str,
    parent: str | None,
    start_ms: float,
    end_ms: float,
    name: str,
    service: str = "shop",
    status: Status = "unset",
    events: tuple[EventRow, ...] = (),
) -> SpanRow:
    """Make a span from times in milliseconds after the start of the trace."""
    return SpanRow(
        trace_id=TRACE_ID,
        span_id=span_id,
        parent_span_id=parent,
        name=name,
        service=service,
        start_ns=START_NS + round(start_ms * MS),
        end_ns=START_NS + round(end_ms * MS),
        status=status,
        events=events,
    )


def exception(kind: str, message: str) -> tuple[EventRow, ...]:
    """Make the event that recording an exception leaves."""
    attributes = {"exception.type": kind, "exception.message": message}
    return (EventRow(name="exception", time_ns=START_NS, attributes=attributes),)


def checkout() -> Trace:
    """Return the 30 second checkout: everything is quick but the call that payment tries ten times."""
    rows = [
        span("01", None, 0, 30200, "POST /checkout", "gateway"),
        span("02", "01", 50, 150, "POST /orders", "orders"),
        span("03", "02", 50, 80, "Validate cart", "orders"),
        span("04", "02", 80, 150, "Create order", "orders"),
        span("05", "04", 90, 145, "Database write", "orders"),
        span("06", "01", 150, 270, "POST /reservations", "inventory"),
        span("07", "06", 150, 200, "Check stock", "inventory"),
        span("08", "06", 200, 270, "Reserve items", "inventory"),
        span("09", "01", 270, 30200, "POST /payments", "payment", "error"),
        span("0a", "09", 270, 320, "Validate payment", "payment"),
        span("0b", "09", 320, 30200, "Charge card", "payment", "error", exception("Unavailable", "no answer")),
        span("0c", "0b", 500, 30200, "External API call", "payment", "error", exception("Unavailable", "no answer")),
    ]
    for attempt in range(10):
        start_ms, end_ms = 500 + 2970 * attempt, 500 + 2970 * (attempt + 1)
        timeout = exception("requests.ReadTimeout", "no answer in 3 s")
        rows.append(span(f"1{attempt}", "0c", start_ms, end_ms, "POST", "payment", "error", timeout))
    return Trace(rows)


CHECKOUT_AT_100 = """\
Trace ID: a7f3c2d18b9e4f1aa2b3c4d5e6f7a8b9

gateway: POST /checkout          ●  [0ms ─────────────────────────────────────────────── 30,200ms]
├─ orders: POST /orders          ●  ╎ 50–150ms
│  ├─ Validate cart              ●  ┃ 50–80ms
│  └─ Create order               ●  ╎ 80–150ms
│     └─ Database write          ●  ┃ 90–145ms
├─ inventory: POST /reservations ●  ╎ 150–270ms
│  ├─ Check stock                ●  ┃ 150–200ms
│  └─ Reserve items              ●  ┃ 200–270ms
└─ payment: POST /payments       ●✗ [270ms ───────────────────────────────────────────── 30,200ms]
   ├─ Validate payment           ●  ┃ 270–320ms
   └─ Charge card                ●✗ [320ms ───────────────────────────────────────────── 30,200ms]
      └─ External API call       ●✗  [500ms ──────────────────────────────────────────── 30,200ms] ⚠
         │  (retry loop: 10 attempts, 2,970ms each, all failed with ReadTimeout)
         │  Unavailable: no answer
         ├─ POST                 ●✗  [━━━━━] 500–3,470ms
         │     requests.ReadTimeout: no answer in 3 s
         ├─ POST                 ●✗        [━━━━━] 3,470–6,440ms
         │     requests.ReadTimeout: no answer in 3 s
         ├─ … 7 more, 7 failed   ●✗              [6,440ms ━━━━━━━━━━━━━━━━━━━━━━━━ 27,230ms]
         └─ POST                 ●✗                                        27,230–30,200ms [━━━━━]
               requests.ReadTimeout: no answer in 3 s

Total: 30,200ms
Culprit ⚠ payment: External API call (retry loop: 10 attempts, 2,970ms each, all failed with
ReadTimeout)
● on the critical path, ━ its own part of it, ✗ error
"""

CHECKOUT_AT_60_IN_ASCII = """\
Trace ID: a7f3c2d18b9e4f1aa2b3c4d5e6f7a8b9

gateway: POST /checkout  *  [0ms --------------- 30,200ms]
|- orders: POST /orders  *  : 50-150ms
|  |- Validate cart      *  # 50-80ms
|  `- Create order       *  : 80-150ms
|     `- Database write  *  # 90-145ms
|- inventory: POST /r... *  : 150-270ms
|  |- Check stock        *  # 150-200ms
|  `- Reserve items      *  # 200-270ms
`- payment: POST /pay... *x [270ms ------------- 30,200ms]
   |- Validate payment   *  # 270-320ms
   `- Charge card        *x [320ms ------------- 30,200ms]
      `- External API... *x [500ms ------------- 30,200ms] !
         |  (retry loop: 10 attempts, 2,970ms each, all f...
         |  Unavailable: no answer
         |- POST         *x [==] 500-3,470ms
         |     requests.ReadTimeout: no answer in 3 s
         |- POST         *x    [==] 3,470-6,440ms
         |     requests.ReadTimeout: no answer in 3 s
         |- ... 7 mor... *x       [6,440ms === 27,230ms]
         `- POST         *x            27,230-30,200ms [=]
               requests.ReadTimeout: no answer in 3 s

Total: 30,200ms
Culprit ! payment: External API call (retry loop: 10
attempts, 2,970ms each, all failed with ReadTimeout)
* on the critical path, = its own part of it, x error
"""


def test_the_thirty_second_checkout_shows_where_the_time_went() -> None:
    assert plain(draw(checkout(), width=100)) == CHECKOUT_AT_100


def test_a_stream_without_box_drawing_gets_the_same_in_ascii() -> None:
    assert plain(draw(checkout(), width=60, encoding="ascii")) == CHECKOUT_AT_60_IN_ASCII


@pytest.mark.parametrize("width", [40, 60, 79, 80, 100, 132, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for line in plain(draw(checkout(), width=width)).splitlines():
        assert len(line) <= width
        assert line == line.rstrip()


def test_the_heavy_parts_of_the_bars_are_the_critical_path() -> None:
    trace = Trace(
        (
            span("root", None, 0, 100, "root"),
            span("fast", "root", 10, 30, "fast"),
            span("slow", "root", 10, 80, "slow"),
        )
    )
    assert plain(draw(trace, width=60)).splitlines()[2:6] == [
        "shop: root ●  [0ms ──────────────────────────────━━ 100ms]",
        "├─ slow    ●      [10ms ━━━━━━━━━━━━━━━━━━━━ 80ms]         ⚠",
        "│     (70.0ms of its own, 70% of the critical path)",
        "└─ fast           [────────] 10–30ms",
    ]


def test_a_trace_of_microseconds_has_decimals() -> None:
    trace = Trace((span("root", None, 0, 0.25, "root"), span("child", "root", 0.05, 0.2, "child")))
    rows = plain(draw(trace, width=60)).splitlines()[2:4]
    assert rows[0].endswith(" 0.250ms]")
    assert rows[1].rstrip(" ⚠").endswith(" 0.200ms]")


def test_a_span_without_its_parent_is_shown_and_says_so() -> None:
    trace = Trace((span("root", None, 0, 100, "root"), span("lost", "ffff", 20, 60, "charge", "payment")))
    text = plain(draw(trace, width=80))
    assert "payment: charge" in text
    assert "(parent ffff is missing)" in text


def test_an_exception_is_told_where_it_was_raised_and_not_at_every_span_it_passed() -> None:
    error = exception("ValueError", "no such cart")
    trace = Trace((span("a", None, 0, 9, "outer", "shop", "error", error), span("b", "a", 1, 8, "inner", "shop", "error", error)))
    lines = plain(draw(trace, width=80)).splitlines()
    told = [index for index, line in enumerate(lines) if "ValueError: no such cart" in line]
    assert len(told) == 1
    assert "inner" in "".join(lines[told[0] - 2 : told[0]])


def test_a_status_message_is_told_when_there_is_no_exception() -> None:
    row = replace(span("a", None, 0, 9, "outer", "shop", "error"), status_message="stock is empty")
    assert "stock is empty" in plain(draw(Trace((row,)), width=80))


def test_a_few_equal_siblings_are_shown_and_many_are_folded() -> None:
    def steps(n: int) -> str:
        rows = [span("root", None, 0, n, "root")]
        rows += [span(f"s{i}", "root", i, i + 1, "step") for i in range(n)]
        return plain(draw(Trace(rows), width=80))

    assert steps(5).count(" step") == 5
    assert steps(50).count(" step") == 3
    assert "… 47 more" in steps(50)


def test_a_chain_deeper_than_the_screen_is_wide_keeps_the_names_in_sight() -> None:
    n_spans = 3000
    rows = [span(f"s{i}", f"s{i - 1}" if i else None, i, 2 * n_spans - i, f"level {i}") for i in range(n_spans)]
    lines = plain(draw(Trace(rows), width=80)).splitlines()
    assert any(f"level {n_spans - 1} " in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_name_cannot_move_the_cursor_colour_the_screen_or_reverse_the_line() -> None:
    evil = "\x1b[31mred\x07\r\nnext\x9b2J\u202egnp.exe\u2028\x00\ud800"
    attack = exception("Evil\x1b[2J", "bell\x07")
    row = span("a", None, 0, 9, evil, "svc\x1b]0;title\x07", "error", attack)
    for encoding in ("utf-8", "ascii", "latin-1"):
        text = plain(draw(Trace((row,)), width=200, encoding=encoding))
        assert not [char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
        assert "\\x1b[31mred\\x07\\r\\nnext\\x9b2J\\u202egnp.exe" in text
        text.encode(encoding)


@given(st.text())
def test_escaped_text_is_harmless_and_printable_text_is_left_alone(text: str) -> None:
    safe = escaped(text)
    assert all(unicodedata.category(char)[0] != "C" and char not in "\u2028\u2029" for char in safe)
    if text.isprintable():
        assert safe == text


@given(st.text(max_size=40), st.sampled_from(["utf-8", "ascii", "latin-1", "cp437", "no-such-encoding"]), st.integers(0, 250))
def test_any_name_can_be_drawn_in_any_encoding_at_any_width(name: str, encoding: str, width: int) -> None:
    text = plain(draw(Trace((span("a", None, 0, 9, name),)), width=width, encoding=encoding))
    text.encode("ascii" if encoding == "no-such-encoding" else encoding)


def test_wide_characters_take_two_columns_each() -> None:
    trace = Trace((span("a", None, 0, 9, "検索する"), span("b", "a", 1, 8, "abcdefgh")))
    rows = plain(draw(trace, width=60)).splitlines()[2:4]
    assert rows == [
        "shop: 検索する ●  [0ms ─────────────────────────── 9.00ms]",
        "└─ abcdefgh    ●      [1.00ms ━━━━━━━━━━━━━━━━ 8.00ms]     ⚠",
    ]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_gets_colours_and_the_same_text(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()
    write(checkout(), terminal)
    from rich.text import Text

    assert "\x1b[" in terminal.getvalue()
    assert Text.from_ansi(terminal.getvalue()).plain.rstrip() == CHECKOUT_AT_100.rstrip()


def test_no_color_a_pipe_and_a_missing_rich_each_mean_plain_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    write(checkout(), terminal, width=100)
    assert terminal.getvalue() == CHECKOUT_AT_100

    monkeypatch.delenv("NO_COLOR")
    pipe = io.StringIO()
    write(checkout(), pipe)
    assert pipe.getvalue() == CHECKOUT_AT_100

    monkeypatch.setattr("tracecore.waterfall.find_spec", lambda name: None)
    terminal = Terminal()
    write(checkout(), terminal, width=100)
    assert terminal.getvalue() == CHECKOUT_AT_100

    with (tmp_path / "ascii.txt").open("w", encoding="ascii") as file:
        write(checkout(), file, width=60)
    assert (tmp_path / "ascii.txt").read_text() == CHECKOUT_AT_60_IN_ASCII.replace("\n", os.linesep)


def test_every_style_is_known_to_rich() -> None:
    rich_style = pytest.importorskip("rich.style")
    for line in draw(checkout()):
        for _, style in rich_segments(line):
            rich_style.Style.parse(style)
