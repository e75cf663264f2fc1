"""Decorated functions and coroutines, and the decorating itself."""

import asyncio

from measure import Value, measure, provider_with
from opentelemetry import trace

import tracecore

provider = provider_with()
trace.set_tracer_provider(provider)
tracer = provider.get_tracer("a")
loop = asyncio.new_event_loop()


def once() -> None:
    @tracer.start_as_current_span("a", attributes={"v": 1})
    def function(value):
        return value

    @tracecore.traced
    async def coroutine(value):
        with tracecore.span("inner", k=1):
            return value

    @tracecore.traced("named", k=[1, 2])
    def fails(value):
        raise ValueError("on purpose")

    function(Value())
    loop.run_until_complete(coroutine(Value()))
    try:
        fails(Value())
    except ValueError:
        pass


measure(once, provider, n=500)
