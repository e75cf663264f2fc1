"""What every exporter to a receiver shares, whatever the transport: attempts, pauses, one deadline, stop and fork.

    export(batch, deadline)
      _encode --> _pack --> _attempt --> Outcome -------------------------------> Outcome
                     ^         ^  |----> Fault, not retryable, or deadline -----> Outcome
                     |         |  v
                     |       pause <---- Fault, retryable
                     |       (doubling, jittered, at least what the receiver asked for; ends the export if the
                     |        deadline is nearer)
                     `---- parts <------ Fault, too large: the batch in two, and later ones before they are refused

A transport is a subclass: it says what one attempt is, and what the answers mean.  A format is a subclass of that.

Size: a receiver that refuses a request for its size refuses it again, so the batch goes out in parts then, and later
batches are divided beforehand.  A single span that is too large is lost, under the receiver's own refusal.

Fork: a child never touches the connection of its parent; what that means is the transport's `_leave_parent`.

What is lost: a batch whose outcome is not acceptance is not kept.  The pipeline counts it by `Outcome.reason`; where
parts of a batch met different fates, all that was lost counts under the reason that took the most of it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from math import ceil
from typing import NamedTuple

from tracecore.exporters import Outcome, SpanBatch
from tracecore.exporters.http_connection import words
from tracecore.exporters.otlp_settings import check_timeout

__all__ = ["RETRY_PAUSE_S", "Fault", "RemoteExporter", "installed_version", "summed"]

_DISTRIBUTION = "tracecore-native"

RETRY_PAUSE_S = 1.0
"""First pause.  Doubles to _MAX_RETRY_PAUSE_S, so the default timeout of 10 s has room for about five attempts."""
_MAX_RETRY_PAUSE_S = 5.0

_JITTER = 0.5
"""A pause is drawn from 1 - _JITTER to 1 + _JITTER of its nominal length: a fleet does not come back in step."""
_RETRY_AFTER_JITTER = 0.1
"""A wish of the receiver is stretched by up to this much, for the same reason, and never shortened."""

_uniform = random.SystemRandom().uniform
"""Not the module's own generator: a program that seeded it counts on its sequence, and forked children share it."""


class Fault(NamedTuple):
    """An attempt that delivered nothing."""

    reason: str
    message: str
    retryable: bool = False
    retry_after_s: float | None = None
    """The receiver's wish for the time until the next attempt."""
    too_large: bool = False
    """Refused for its size: less of it may be taken."""


class RemoteExporter:
    """Send batches to one receiver.  The base of the transports; on its own it has none.

    timeout: seconds one export may take with everything in it; a nearer deadline given to `export` wins.
    retry_pause: seconds of the first pause between two attempts.
    max_request_bytes: encoded bytes, before compression, above which a batch is divided; 0: only when the receiver
        refuses one for its size.

    Threads: `export` and `shutdown` are for one worker thread, `interrupt` for any.  A `shutdown` from another
        thread is safe too: the connection is closed when the running export returns.
    Fork: may be used on both sides.
    """

    _shown: str
    """The receiver, for a log line: without credentials."""

    def __init__(self, timeout: float, retry_pause: float, max_request_bytes: int = 0) -> None:
        self._timeout_s = check_timeout("timeout", timeout)
        self._retry_pause_s = check_timeout("retry_pause", retry_pause)
        self._max_request_bytes = max_request_bytes or float("inf")
        self._pid = os.getpid()
        # The two flags are what counts; the event only ends a pause early.  Its lock may be held by a thread that
        # a fork leaves behind, which a flag cannot suffer from.
        self._interrupted = False
        self._shut_down = False
        self._wake = threading.Event()
        self._exporting = False

    def export(self, batch: SpanBatch, deadline: float) -> Outcome:
        """Send `batch` until the receiver took it, refused it, or `deadline` (``time.monotonic()``) passed."""
        n_spans = len(batch)
        self._leave_parent()
        # Raised before _shut_down is read, as shutdown() raises its flag before it reads this one: whatever the
        # order of two threads, one of them sees the other and closes the connection.
        self._exporting = True
        try:
            if self._shut_down:
                return self._lost(n_spans, "export_shutdown", "the exporter has been shut down")
            if n_spans == 0:
                return Outcome(0, 0, "", "")
            return self._export(batch, n_spans, min(deadline, time.monotonic() + self._timeout_s))
        except Exception as error:  # noqa: BLE001 - the worker thread must survive what nobody thought of
            self._disconnect()
            return self._lost(n_spans, "exporter_error", words(error))
        finally:
            self._exporting = False
            if self._shut_down:
                self._disconnect()

    def interrupt(self) -> None:
        """End a running pause and make every export from now on give up after one attempt.

        An attempt under way is not cut off: it may yet deliver, and its deadline holds.
        """
        self._leave_parent()
        self._interrupted = True
        self._wake.set()

    def shutdown(self) -> None:
        """Refuse later exports and close the connection."""
        self._leave_parent()
        self._shut_down = True
        self._interrupted = True
        self._wake.set()
        if not self._exporting:
            self._disconnect()

    # --- the transport's and the format's ---------------------------------------------------------------------

    def _encode(self, batch: SpanBatch) -> bytes:
        """Return the request's body.  May raise: the batch is lost then, under "encode"."""
        raise NotImplementedError

    def _pack(self, batch: SpanBatch, body: bytes) -> bytes:
        """Return the body of this batch as it is sent.  May raise: the batch is lost then, under "encode"."""
        return body

    def _attempt(self, body: bytes, n_spans: int, deadline: float) -> Outcome | Fault:
        """Send the request once and say what came of it."""
        raise NotImplementedError

    def _disconnect(self) -> None:
        """Let go of the connection, if there is one; the next attempt makes another."""
        raise NotImplementedError

    # --- one export -------------------------------------------------------------------------------------------

    def _export(self, batch: SpanBatch, n_spans: int, deadline: float) -> Outcome:
        try:
            encoded = self._encode(batch)
            if len(encoded) > self._max_request_bytes and n_spans > 1:
                return self._export_parts(batch, n_spans, ceil(len(encoded) / self._max_request_bytes), deadline)
            body = self._pack(batch, encoded)
        except Exception as error:  # noqa: BLE001 - out of memory, or a codec's own exception types
            return self._lost(n_spans, "encode", words(error))
        answer = self._deliver(body, n_spans, deadline)
        if isinstance(answer, Outcome):
            return answer
        if answer.too_large and n_spans > 1:
            # Its half is more than half of what the receiver takes.
            self._max_request_bytes = min(self._max_request_bytes, max(len(encoded) // 2, 1))
            return self._export_parts(batch, n_spans, 2, deadline)
        return self._lost(n_spans, answer.reason, answer.message)

    def _export_parts(self, batch: SpanBatch, n_spans: int, n_parts: int, deadline: float) -> Outcome:
        size = ceil(n_spans / n_parts)
        outcomes = []
        for first in range(0, n_spans, size):
            n_part = min(size, n_spans - first)
            try:
                part = batch.part(first, n_part)
            except MemoryError as error:
                outcomes.append(self._lost(n_part, "encode", words(error)))
                continue
            outcomes.append(self._export(part, n_part, deadline))
        return summed(outcomes)

    def _deliver(self, body: bytes, n_spans: int, deadline: float) -> Outcome | Fault:
        """Attempt until something is final."""
        pause_s = self._retry_pause_s
        n_attempts = 0
        while True:
            n_attempts += 1
            answer = self._attempt(body, n_spans, deadline)
            if isinstance(answer, Outcome) or not answer.retryable:
                return answer
            # The receiver's wish is a lower bound, and so is our own pause: "Retry-After: 0" is no licence to spin.
            wait_s = pause_s * _uniform(1 - _JITTER, 1 + _JITTER)
            if answer.retry_after_s is not None:
                wait_s = max(wait_s, answer.retry_after_s * _uniform(1.0, 1 + _RETRY_AFTER_JITTER))
            pause_s = min(pause_s * 2, max(_MAX_RETRY_PAUSE_S, self._retry_pause_s))
            if stop := self._pause(wait_s, deadline):
                return answer._replace(message=f"{answer.message}; gave up after attempt {n_attempts}: {stop}")

    def _pause(self, wait_s: float, deadline: float) -> str:
        """Wait before the next attempt; return why there is none, or "" if there is."""
        left_s = deadline - time.monotonic()
        if wait_s >= left_s and not self._interrupted:
            # Sleeping up to the deadline would only take time from the batches that wait behind this one.
            return f"the next one was due in {wait_s:.1f} s, the deadline in {max(left_s, 0.0):.1f} s"
        if not self._interrupted:
            self._wake.wait(wait_s)
        return "the exporter is stopping" if self._interrupted else ""

    def _lost(self, n_spans: int, reason: str, message: str) -> Outcome:
        if not message.startswith(self._shown):
            message = f"{self._shown}: {message}"
        return Outcome(0, n_spans, reason, message)

    def _leave_parent(self) -> None:
        """In a forked child, let go of everything that belongs to the parent; elsewhere do nothing."""
        pid = os.getpid()
        if pid == self._pid:
            return
        self._wake = threading.Event()
        if self._interrupted:
            self._wake.set()
        self._disconnect()
        self._pid = pid


def summed(outcomes: list[Outcome]) -> Outcome:
    """Return the outcome of a batch from those of its parts."""
    worst = max(outcomes, key=lambda outcome: outcome.rejected)
    message = worst.message or next((outcome.message for outcome in outcomes if outcome.message), "")
    return Outcome(
        sum(outcome.accepted for outcome in outcomes),
        sum(outcome.rejected for outcome in outcomes),
        worst.reason,
        message,
    )


def installed_version() -> str:
    """Return the version that a user agent names."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
