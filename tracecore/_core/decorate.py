"""start_as_current_span as a decorator.

Plain Python on purpose: frameworks ask inspect.iscoroutinefunction and its like about what they are
given, and those know only functions with a code object.

One span a call. A generator's span covers its iteration, from the first step to its end, and is the
current span only while the generator's own code runs: between the steps the consumer's span is
current, as it should be. (opentelemetry-sdk ends such a span when the generator is created.)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from opentelemetry.trace import Span, use_span


def decorate(scope: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with a span like `scope` around each call."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def in_coroutine(*args: Any, **kwargs: Any) -> Any:
            with scope.again():
                return await function(*args, **kwargs)

        return in_coroutine

    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def in_generator(*args: Any, **kwargs: Any) -> Any:
            return (yield from _steps(scope, function(*args, **kwargs)))

        return in_generator

    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def in_async_generator(*args: Any, **kwargs: Any) -> Any:
            steps = _async_steps(scope, function(*args, **kwargs))
            try:
                value = await steps.__anext__()
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        await steps.aclose()
                        raise
                    except BaseException as error:
                        value = await steps.athrow(error)
                    else:
                        value = await steps.asend(sent)
            except StopAsyncIteration:
                return

        return in_async_generator

    @functools.wraps(function)
    def in_function(*args: Any, **kwargs: Any) -> Any:
        with scope.again():
            return function(*args, **kwargs)

    return in_function


def _started(scope: Any) -> tuple[Span, Callable[[], Any]]:
    """A span like `scope`, not current, and what makes it current for one step of a generator."""
    span, record_exception, set_status_on_exception = scope.start()

    def step() -> Any:
        return use_span(
            span, record_exception=record_exception, set_status_on_exception=set_status_on_exception
        )

    return span, step


def _steps(scope: Any, generator: Any) -> Generator[Any, Any, Any]:
    span, step = _started(scope)
    try:
        resume, given = generator.send, None
        while True:
            with step():
                try:
                    value = resume(given)
                except StopIteration as stop:
                    return stop.value
            try:
                given = yield value
                resume = generator.send
            except GeneratorExit:
                with step():
                    generator.close()
                raise
            except BaseException as error:
                given = error
                resume = generator.throw
    finally:
        span.end()


async def _async_steps(scope: Any, generator: Any) -> AsyncGenerator[Any, Any]:
    span, step = _started(scope)
    try:
        resume, given = generator.asend, None
        while True:
            with step():
                try:
                    value = await resume(given)
                except StopAsyncIteration:
                    return
            try:
                given = yield value
                resume = generator.asend
            except GeneratorExit:
                with step():
                    await generator.aclose()
                raise
            except BaseException as error:
                given = error
                resume = generator.athrow
    finally:
        span.end()
