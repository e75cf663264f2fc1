"""The contract between the pipeline and whatever takes finished spans away: bytes and a deadline in, an outcome out.

    pipeline (one thread each)                         exporter
      batch, deadline  --------- export() ---------->  encode, send, retry until the deadline
      counters, log    <-------- Outcome ------------  never an exception
      stopping         --------- interrupt() ------->  no further pause between retries
      stopped          --------- shutdown() -------->  connection closed

Who calls: `export` and `shutdown` are one worker thread's; `interrupt` may come from any thread, but not from a
signal handler.  An exporter keeps no span after `export` has returned: what it could not deliver is told in
the outcome and is lost, and the caller counts it under `Outcome.reason`.

This file is all that importing the package costs: each exporter is a module of its own, imported by whoever
composes it, so a program that exports nowhere never loads an HTTP or TLS stack.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from tracecore.readable_span import ReadableSpan

T = TypeVar("T")

__all__ = ["Exporter", "Outcome", "SpanBatch"]


class Outcome(NamedTuple):
    """What became of one batch.  A value, never an exception: ``accepted + rejected == len(batch)``.

    Reasons are names of counters and therefore stable:

    ==================  =====================================================================
    ``""``              everything was accepted (`message` may still carry the receiver's advice)
    rejected_partial    the receiver answered with success but refused some of the spans
    rejected_status     the receiver answered with a status that is not success
    export_timeout      the deadline passed first
    connection          no connection, a broken one, or a peer that does not speak the protocol
    file                the file system refused (full, no rights, a broken disk)
    too_large           more than the transport takes in one piece (a datagram)
    export_shutdown     the exporter had been shut down
    encode              the batch could not be encoded or compressed
    exporter_error      a fault in the exporter itself
    ==================  =====================================================================
    """

    accepted: int
    """Spans the receiver took."""
    rejected: int
    """Spans it did not take."""
    reason: str
    """The counter the rejected spans belong to; empty when there are none."""
    message: str
    """Words for the log: which endpoint, and what happened there.  Never a credential."""


class SpanBatch(Protocol):
    """Finished spans as the native core hands them over: to several exporters at once, so nobody changes them."""

    def __len__(self) -> int:
        """Return the number of spans."""
        ...

    def otlp(self) -> bytes:
        """Return the batch as one serialized ExportTraceServiceRequest; made without the GIL."""
        ...

    def form(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make()` returns, made once a batch and key, for whichever exporters ask for it."""
        ...

    def packed(self, plain: bytes, coding: str, compress: Callable[[bytes], bytes]) -> bytes:
        """Return `plain`, one of the batch's forms, packed by `compress`: once for all who name the same coding."""
        ...

    def otlp_json(self) -> bytes:
        """Return the same as OTLP's JSON, in one line without its end; made without the GIL."""
        ...

    def part(self, first: int, n: int) -> SpanBatch:
        """Return up to `n` spans from number `first` on as a batch of their own."""
        ...

    def spans(self) -> Sequence[ReadableSpan]:
        """Return the spans as Python objects, for exporters with a format of their own."""
        ...


class Exporter(Protocol):
    """Something that delivers batches."""

    def export(self, batch: SpanBatch, deadline: float) -> Outcome:
        """Deliver `batch`, or give up by `deadline` (seconds of ``time.monotonic()``).

        Raises: nothing.  Threads: one at a time.
        """
        ...

    def interrupt(self) -> None:
        """Stop pausing between retries and give up soon; every later export makes one attempt only.

        Threads: any.
        """
        ...

    def shutdown(self) -> None:
        """Let go of connections and refuse every later export.  May be called more than once."""
        ...
