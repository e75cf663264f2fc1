"""Asking for the same tracer again and again."""

from measure import measure, provider_with
from opentelemetry import trace

import tracecore

provider = provider_with()
trace.set_tracer_provider(provider)


def once() -> None:
    for attributes in (None, {"k": "v", "l": [1, 2]}):
        provider.get_tracer("a", "1", "https://example.com", attributes).start_span("a").end()
    with tracecore.span("b", k=1):
        pass
    tracecore.stats()


measure(once, provider)
