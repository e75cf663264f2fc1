"""An exporter that reads every span on the worker."""

from measure import Decodes, measure, provider_with

provider = provider_with(Decodes())
tracer = provider.get_tracer("a")


def once() -> None:
    with tracer.start_as_current_span("a", attributes={"k": [1, "x"]}) as span:
        span.add_event("e", {"f": [1]})


measure(once, provider)
