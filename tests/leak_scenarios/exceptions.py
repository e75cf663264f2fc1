"""Exceptions that leave a span, recorded with their tracebacks, which hold frames, which hold the span."""

from measure import Value, measure, provider_with

provider = provider_with()
tracer = provider.get_tracer("a")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("on purpose")


def fail(error: type[BaseException], depth: int) -> None:
    held = Value()
    if depth:
        fail(error, depth - 1)
    raise error("on purpose", held)


def once() -> None:
    for error in (ValueError, Unprintable, KeyboardInterrupt, GeneratorExit):
        try:
            with tracer.start_as_current_span("a"):
                fail(error, 3)
        except BaseException:  # noqa: BLE001, S110 - KeyboardInterrupt is one of them
            pass
    span = tracer.start_span("b")
    try:
        with span:
            fail(ValueError, 0)
    except ValueError as caught:
        span.record_exception(caught)
    other = tracer.start_span("c")
    other.record_exception(ValueError(Value()), {"k": Value()})
    other.record_exception(None)
    other.end()


measure(once, provider, n=500)
