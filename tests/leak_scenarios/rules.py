"""Native processors: made, matched with new names, holding back, given up and made again."""

import re

from measure import measure, provider_with
from opentelemetry import baggage
from opentelemetry.context import attach, detach

from tracecore.processors.baggage import BaggageAttributes
from tracecore.processors.dropping import Dropping, asgi_send_receive, dropped
from tracecore.processors.folding import Folding
from tracecore.processors.redaction import Redaction, drop, hashed, renamed, replaced


def processors() -> list:
    return [
        BaggageAttributes(["tenant.*", re.compile("^k")]),
        Redaction([drop("*.password"), hashed("user"), renamed("a", to="b"), replaced(values=r"\d{4}")], resource=True),
        Dropping([asgi_send_receive(), dropped(names=re.compile("noise"), attributes={"b": "x*"})]),
        Folding(3, max_groups=4, max_parents=8, attributes="b"),
    ]


provider = provider_with()
for processor in processors():
    provider.add_span_processor(processor)
tracer = provider.get_tracer("a", attributes={"user": "u", "scope.password": "p"})
names = [f"name {i}" for i in range(40)]
n = 0


def once() -> None:
    global n
    n += 1
    token = attach(baggage.set_baggage("tenant.id", "t", baggage.set_baggage("other", "o")))
    with tracer.start_as_current_span(names[n % 40]) as span:
        span.set_attribute("x.password", "p")
        span.set_attribute("map", {"user": 1234, "list": ["1234", {"a": 1, "b": 2}]})
        span.add_event("event 1234", {"user": "u", "n": 12345})
        for i in range(6):
            with tracer.start_as_current_span(names[i % 2], attributes={"a": "same"}):
                pass
        tracer.start_span("noise", attributes={"a": "x1"}).end()
        tracer.start_span("left open", attributes={"a": "x1"})
    detach(token)
    for processor in processors():  # and stages that are never used, or thrown away
        processor.attach_stage(provider._origin)


measure(once, provider, n=300)
