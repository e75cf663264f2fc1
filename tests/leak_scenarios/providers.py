"""Providers made, used and shut down: ring, worker, scopes and tracers go."""

import gc
import os
import weakref

from measure import Discards, Value, measure

from tracecore import TracerProvider
from tracecore.provider import providers
from tracecore.resource import Resource


def once() -> None:
    provider = TracerProvider(resource=Resource({"service.name": "a"}))
    for _ in range(2):
        provider.add_exporter(Discards(), ring_bytes=1 << 20)
    tracer = provider.get_tracer("a", "1", None, {"k": "v"})
    with tracer.start_as_current_span("a", attributes={"v": Value()}):
        pass
    provider.force_flush()
    provider.shutdown()


def once_unused() -> None:
    provider = TracerProvider(resource=Resource({"service.name": "a"}))
    provider.add_exporter(Discards(), ring_bytes=1 << 20)
    provider.shutdown()


measure(once, None, n=200)
measure(once_unused, None, n=200)
assert providers() == ()
assert len(os.listdir("/proc/self/task")) == 1

provider = TracerProvider()
exporter = Discards()
provider.add_exporter(exporter)
tracer = provider.get_tracer("a")
span = tracer.start_span("held over the provider's end")
provider.shutdown()
gone = weakref.ref(exporter)
del provider, exporter, tracer
gc.collect()
assert gone() is not None  # the span still needs its recorder
span.end()
del span
gc.collect()
assert gone() is None
