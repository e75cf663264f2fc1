"""Batches encoded as JSON, whole and in parts."""

from measure import Discards, measure, provider_with


class Encodes(Discards):
    def export(self, batch, deadline):
        batch.otlp_json()
        for first in range(0, len(batch), 2):
            part = batch.part(first, 2)
            part.otlp(), part.otlp_json(), part.otlp_json()
        return super().export(batch, deadline)


provider = provider_with(Encodes())
tracer = provider.get_tracer("a", "1", attributes={"scope": [1.5, None]})


def once() -> None:
    for _ in range(5):
        with tracer.start_as_current_span("a", attributes={"k": 0.1 + 0.2, "m": {"b": b"x"}, "big": 1 << 70}) as span:
            span.add_event("e", {"f": ["\n"]})
    provider.force_flush()


measure(once, provider, n=300)
