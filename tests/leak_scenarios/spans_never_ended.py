"""Spans let go without end(): their drafts go back, and they are counted."""

from measure import Value, measure, provider_with

provider = provider_with()
tracer = provider.get_tracer("a")


def once() -> None:
    span = tracer.start_span("a", attributes={"v": Value(), "big": "x" * 5000})
    span.add_event("e", {"v": Value()})
    span.get_span_context()
    del span
    scope = tracer.start_as_current_span("b", end_on_exit=False)
    with scope:
        pass


measure(once, provider)
known = provider.stats()["spans"]
assert known["unended"] == known["started"], known
