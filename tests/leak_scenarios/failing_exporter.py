"""Exporters that raise, refuse and answer nonsense."""

from measure import Discards, Value, measure, provider_with


class Fails(Discards):
    n = 0

    def export(self, batch, deadline):
        self.n += 1
        if self.n % 3 == 0:
            raise RuntimeError("on purpose", Value())
        return None if self.n % 3 == 1 else super().export(batch, deadline)


provider = provider_with(Fails())
tracer = provider.get_tracer("a")


def once() -> None:
    for _ in range(5):
        with tracer.start_as_current_span("a", attributes={"k": "v"}):
            pass
    provider.force_flush()


measure(once, provider, n=300)
