"""Generators with a span, run to the end, dropped half way, closed, thrown into."""

import asyncio

from measure import Value, measure, provider_with

provider = provider_with()
tracer = provider.get_tracer("a")
loop = asyncio.new_event_loop()


@tracer.start_as_current_span("decorated")
def decorated(value):
    yield 1
    yield value


def inside(value):
    with tracer.start_as_current_span("inside"):
        yield 1
        yield value


@tracer.start_as_current_span("async")
async def asynchronous(value):
    yield 1
    yield value


async def consume():
    async for _ in asynchronous(Value()):
        pass
    dropped = asynchronous(Value())
    await dropped.__anext__()
    await dropped.aclose()


def once() -> None:
    for make in (decorated, inside):
        list(make(Value()))
        dropped = make(Value())
        next(dropped)
        del dropped
        closed = make(Value())
        next(closed)
        closed.close()
        thrown = make(Value())
        next(thrown)
        try:
            thrown.throw(ValueError("on purpose"))
        except ValueError:
            pass
        del thrown
        make(Value())  # never started
    loop.run_until_complete(consume())


measure(once, provider, n=500)
