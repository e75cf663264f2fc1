"""Faults, in the two forms the project knows: raised while configuring, counted while running.

    bad configuration   ->  ConfigurationError, at construction, naming variable, value and range
    everything after    ->  report(reason, ...): one more on the counter `reason`, and at most one
                            warning a minute for that reason on the logger "tracecore"

A traced program must not fail, block or flood its log because of its tracing.  So `report` may be
called from any thread, from a finalizer the garbage collector runs in the middle of another `report`,
and from a signal handler: no lock is ever held, a count is a plain dict entry under the GIL, and a fault
while logging is dropped.  What a race can cost is one unit of a count or one extra line, never a deadlock.

Reason names are stable counters: tests, dashboards and the documentation refer to them, so a reason
is a fixed snake_case word ("export_failed", "queue_full"), never text built from data, and renaming
one is a breaking change.  That also bounds the memory held here: one entry a reason.
"""

from __future__ import annotations

import logging
from time import monotonic

__all__ = ["ConfigurationError", "report", "reported", "reset_reports", "words"]

_LOG_INTERVAL_S = 60.0
"""Seconds between two lines of one reason: often enough to be seen, too rare to fill a disk."""

_logger = logging.getLogger("tracecore")


class ConfigurationError(ValueError):
    """A setting that cannot be honoured, refused where it was given.

    `variable` is the argument or environment variable, `value` what it held, `expected` the range in
    words: ``batch=0: expected an integer from 1 to 65536``.
    """

    def __init__(self, variable: str, value: object, expected: str) -> None:
        # All three go to BaseException.args, so that pickling and copying rebuild the same error.
        super().__init__(variable, value, expected)
        self.variable = variable
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.variable}={self.value!r}: expected {self.expected}"


class _Reason:
    """What is known of one reason: how often it came, how often it was told, when it may be told again."""

    __slots__ = ("count", "next_line_at", "told")

    def __init__(self) -> None:
        self.count = 0
        self.told = 0
        self.next_line_at = float("-inf")


_reasons: dict[str, _Reason] = {}


def report(reason: str, message: str, *args: object, level: int = logging.WARNING) -> None:
    """Count one fault under `reason`, and log ``message % args`` unless this minute had its line.

    The first fault of a reason is logged at once; the line after a quiet minute tells how many were held
    back since the previous one.  `args` are formatted only if the line is written.

    Raises: nothing that the arguments or the logging handlers cause.  KeyboardInterrupt and SystemExit
    pass, and so does what an event loop throws into a handler that waits: those are not ours to keep.
    Threads: any, also from finalizers and signal handlers; holds no lock.  (What the application's own
    handlers lock while they write is the application's choice.)
    """
    try:
        entry = _reasons.get(reason)
        if entry is None:
            # setdefault is one step under the GIL: two threads that meet here share the one entry.
            entry = _reasons.setdefault(reason, _Reason())
        entry.count += 1
        now = monotonic()
        if now < entry.next_line_at:
            return
        # Closed before logging: a handler that itself reports under this reason is only counted, and
        # so the recursion ends.
        entry.next_line_at = now + _LOG_INTERVAL_S
        held_back = entry.count - entry.told - 1
        entry.told = entry.count
        line = _format(message, args)
        if held_back > 0:
            line = f"{line} ({held_back} more like this held back since the last line)"
        # The finished line goes in as an argument: a "%" it contains is text, not a directive.
        _logger.log(level, "%s: %s", reason, line)
    except Exception:  # a fault in telling of a fault has nobody left to be told to
        return


def reported() -> dict[str, int]:
    """Return how often each reason was reported since the start of the process (or the last reset)."""
    # list() copies in one step under the GIL; a comprehension over the live dict could see it grow.
    return {reason: entry.count for reason, entry in list(_reasons.items())}


def reset_reports() -> None:
    """Forget all counts and open every reason for logging again.  For tests."""
    _reasons.clear()


def _format(message: str, args: tuple[object, ...]) -> str:
    """Return ``message % args``, or the bare message when an argument cannot be shown."""
    if not args:
        return message
    try:
        return message % args
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # __str__ and __repr__ of a user's object may raise anything
        return f"{message} (arguments could not be shown)"


def words(fault: BaseException) -> str:
    """Return the fault in one line; an exception's own text may raise as well."""
    try:
        return f"{type(fault).__name__}: {fault}"
    except Exception:
        return type(fault).__name__
