"""What start_as_current_span returns, thrown away or entered twice."""

from measure import Value, measure, provider_with

provider = provider_with()
tracer = provider.get_tracer("a")


def once() -> None:
    tracer.start_as_current_span("a", attributes={"v": Value()}, links=[Value()], context=None)
    assert Value.live == 0
    scope = tracer.start_as_current_span("b", attributes={"v": Value()})
    with scope:
        try:
            scope.__enter__()
        except RuntimeError:
            pass
    with scope:
        pass
    try:
        scope(1, 2)
    except TypeError:
        pass


measure(once, provider)
