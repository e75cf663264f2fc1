"""Several exporters on one drain, a stage before them."""

from measure import Decodes, Discards, measure, provider_with

from tracecore._core.batch import Batch


class Holds:
    """Holds a batch back until the next one, and replaces it by half of it."""

    reason = "halved"

    def __init__(self, origin) -> None:
        self.origin = origin
        self.held = Batch(origin)

    @property
    def n_held(self) -> int:
        return len(self.held)

    def process(self, batch) -> None:
        now = Batch(self.origin)
        now.add(batch)
        now.remove(range(0, len(now), 2))
        batch.remove(range(len(batch)))
        batch.add(self.held)
        self.held = now

    def finish(self, batch) -> None:
        batch.add(self.held)
        self.held = Batch(self.origin)


class Attaches:
    def attach_stage(self, origin, *, first):
        return Holds(origin)


class Packs(Discards):
    def export(self, batch, deadline):
        batch.packed(batch.otlp(), "some", bytes.upper)
        return super().export(batch, deadline)


class Refuses(Discards):
    def export(self, batch, deadline):
        raise RuntimeError("on purpose")


provider = provider_with(Packs())
for exporter in (Packs(), Decodes(), Refuses()):
    provider.add_exporter(exporter, ring_bytes=1 << 20, batch=256, delay=0.05)
provider.add_span_processor(Attaches())
tracer = provider.get_tracer("a")


def once() -> None:
    for _ in range(5):
        with tracer.start_as_current_span("a", attributes={"k": "v"}):
            pass
    provider.force_flush()


measure(once, provider, n=300)
