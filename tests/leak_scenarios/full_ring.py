"""Spans that find no room, small ones and such as travel by address."""

import threading

from measure import Discards, Value, measure

from tracecore import TracerProvider


class Holds(Discards):
    entered = threading.Event()
    go = threading.Event()

    def export(self, batch, deadline):
        self.entered.set()
        self.go.wait()
        return super().export(batch, deadline)


exporter = Holds()
provider = TracerProvider(shutdown_on_exit=False)
provider.add_exporter(exporter, ring_bytes=65536, batch=1)
tracer = provider.get_tracer("a")
tracer.start_span("the one that is held").end()
assert exporter.entered.wait(20)


def once() -> None:
    for size in (10, 5000, 50000):
        span = tracer.start_span("a", attributes={"v": Value(), "text": "x" * size})
        span.end()
    assert Value.live == 0


for _ in range(500):
    once()
assert provider.stats()["exporters"][0]["dropped_full"] > 0
measure(once, None)
exporter.go.set()
assert provider.force_flush()
known = provider.stats()["exporters"][0]
assert known["exported"] == known["written"], known
provider.shutdown()
