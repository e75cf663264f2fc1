"""Spans of a megabyte: drafts beyond their inline bytes, records that travel by address."""

from measure import measure, provider_with

provider = provider_with()
tracer = provider.get_tracer("a")
text = "x" * (1 << 20)


def once() -> None:
    tracer.start_span("a", attributes={"text": text}).end()
    provider.force_flush()


measure(once, provider, n=50)
