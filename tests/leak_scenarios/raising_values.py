"""Values whose own code raises, half way through a nested one."""

from measure import Value, measure, provider_with

provider = provider_with()
tracer = provider.get_tracer("a")


class Raises(Value):
    def __str__(self) -> str:
        raise RuntimeError("on purpose")


class Mapping(dict):
    def items(self):
        raise RuntimeError("on purpose")


def once() -> None:
    span = tracer.start_span("a")
    span.set_attribute("a", Raises())
    span.set_attribute("b", [1, Raises(), 2])
    span.set_attribute("c", {"k": [Raises()]})
    span.set_attributes({"d": Raises(), "e": 1})
    span.set_attributes(Mapping(a=1))
    span.add_event("e", {"f": Raises(), "g": 1})
    span.add_event("e", Mapping(a=1))
    span.add_link(span.get_span_context(), {"h": Raises()})
    assert Value.live == 0
    span.end()


measure(once, provider)
