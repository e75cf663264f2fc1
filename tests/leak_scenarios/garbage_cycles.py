"""Spans in reference cycles that only the garbage collector takes apart: ended, never ended, ended by a finalizer meanwhile."""

import gc

from measure import Value, measure, provider_with

provider = provider_with()
tracer = provider.get_tracer("a")


class Holder:
    def __init__(self, span) -> None:
        self.me = self
        self.span = span
        self.value = Value()


class Ends(Holder):
    def __del__(self) -> None:
        self.span.set_attribute("late", 1)
        self.span.end()


def in_a_frame(ends: bool) -> None:
    span = tracer.start_span("a", attributes={"k": [1]})
    held = Value()
    try:
        raise ValueError(held)
    except ValueError as error:
        keeps_the_frame = error  # noqa: F841
    if ends:
        span.end()


def once() -> None:
    in_a_frame(True)
    in_a_frame(False)
    Holder(tracer.start_span("b"))
    Ends(tracer.start_span("c"))
    Holder(tracer.start_as_current_span("d"))
    with tracer.start_as_current_span("e") as span:
        Holder(span)


gc.set_threshold(50, 5, 5)
measure(once, provider, n=500)
gc.disable()
for _ in range(1000):
    once()
gc.collect()
