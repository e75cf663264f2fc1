"""IdGenerator: where trace and span ids come from when Python makes them.

A tracer whose generator is exactly a RandomIdGenerator never calls it: the native path makes ids of the same
kind itself.  Any other generator, a subclass included, is asked for every id.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from tracecore.sdk_classes import StandIn, stands_for

__all__ = ["IdGenerator", "RandomIdGenerator"]


@stands_for("opentelemetry.sdk.trace.id_generator", "IdGenerator")
class IdGenerator(StandIn, ABC):
    """A source of ids.  Threads: called from every thread that starts a span, so it must bear that."""

    @abstractmethod
    def generate_span_id(self) -> int:
        """Return a new span id: 64 bits, not zero."""

    @abstractmethod
    def generate_trace_id(self) -> int:
        """Return a new trace id: 128 bits, not zero, and at least the low 56 uniformly random.

        A ratio sampler compares the low 64 bits with its bound, so an id that is not random there
        is sampled at another rate than was asked for.

        Source: specification, trace/sdk.md "TraceIdRatioBased".
        """

    def is_trace_id_random(self) -> bool:
        """Return whether the low 56 bits are random, which sets the random flag in ``traceparent``.

        False unless a generator says otherwise: a promise is not made for code that predates the flag.

        Source: W3C Trace Context Level 2, "random-trace-id flag".
        """
        return False


@stands_for("opentelemetry.sdk.trace.id_generator", "RandomIdGenerator")
class RandomIdGenerator(IdGenerator):
    """Ids of which every bit is random, from the operating system.

    Not from the `random` module: a program that seeds that one, in tests or for a simulation, would repeat its
    trace ids in every process.  For the same reason nothing needs to be done after a fork.
    """

    def generate_span_id(self) -> int:
        return _random_id(8)

    def generate_trace_id(self) -> int:
        return _random_id(16)

    def is_trace_id_random(self) -> bool:
        return True


def _random_id(n_bytes: int) -> int:
    """Return a random integer of `n_bytes` bytes that is not zero, the id the specification reserves for "none"."""
    while not (number := int.from_bytes(os.urandom(n_bytes), "little")):
        pass
    return number
