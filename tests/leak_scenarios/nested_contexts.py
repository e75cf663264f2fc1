"""Spans in spans, in contexts with values of the application's own, left in the wrong order or context."""

import asyncio
import contextvars

from measure import Value, measure, provider_with
from opentelemetry import baggage, context, trace

provider = provider_with()
tracer = provider.get_tracer("a")
loop = asyncio.new_event_loop()


async def work(depth: int) -> None:
    with tracer.start_as_current_span("async"):
        if depth:
            await asyncio.gather(work(depth - 1), work(depth - 1))


def once() -> None:
    token = context.attach(baggage.set_baggage("k", Value()))
    with (
        tracer.start_as_current_span("a") as outer,
        tracer.start_as_current_span("b"),
        tracer.start_as_current_span("c", context=context.Context()),
    ):
        inner = context.attach(context.set_value("holds the span", outer))
        with tracer.start_as_current_span("d"):
            trace.get_current_span()
        context.detach(inner)
    first, second = tracer.start_as_current_span("e"), tracer.start_as_current_span("f")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    elsewhere = tracer.start_as_current_span("g")
    contextvars.copy_context().run(elsewhere.__enter__)
    elsewhere.__exit__(None, None, None)
    context.detach(token)
    loop.run_until_complete(work(2))


# Each pass begins with the context of the first one: what is left in the wrong order stays current.
measure(lambda: contextvars.Context().run(once), provider, n=500)
