"""A provider without shutdown_on_exit that is dropped while its worker runs stays, and says so in providers()."""

import gc

from measure import Discards, measure

from tracecore import TracerProvider
from tracecore.provider import providers

provider = TracerProvider(shutdown_on_exit=False)
provider.add_exporter(Discards())
del provider
gc.collect()
(kept,) = providers()
measure(lambda: kept.get_tracer("a").start_span("a").end(), kept)
kept.shutdown()
assert providers() == ()
