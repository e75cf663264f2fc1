"""Attributes of every type, by every way in; user values are let go at once."""

from measure import Value, measure, provider_with

provider = provider_with()
tracer = provider.get_tracer("a")


def once() -> None:
    span = tracer.start_span("a", attributes={"start": Value(), "list": [1, "x", Value()]})
    assert Value.live == 0
    span.set_attribute("text", "x" * 100)
    span.set_attribute("wide", "\u20ac" * 400)
    span.set_attribute("surrogate", "\ud800")
    span.set_attribute("int", 1)
    span.set_attribute("big", 1 << 80)
    span.set_attribute("float", 1.5)
    span.set_attribute("bool", True)
    span.set_attribute("none", None)
    span.set_attribute("bytes", b"x" * 100)
    span.set_attribute("list", [1, 2.5, "x", [True, {"k": None}]])
    span.set_attribute("map", {"k": {"l": [1]}})
    span.set_attribute("set", {1, 2})
    span.set_attribute("value", Value())
    span.set_attribute(7, Value())
    span.set_attribute("", Value())
    assert Value.live == 0
    span.set_attributes({"a": Value(), "b": [Value()], 3: 4})
    assert Value.live == 0
    span.set_attribute("text", "again")
    _ = span.attributes
    span.end()
    span.set_attribute("late", Value())
    assert Value.live == 0


measure(once, provider)
