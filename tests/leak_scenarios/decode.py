"""Batches decoded to ReadableSpans, kept for a while and let go."""

from measure import in_memory, measure

provider, exporter = in_memory()
tracer = provider.get_tracer("a", "1", "https://example.com/schema", {"scope": "attribute"})

n_passes = [0]


def once() -> None:
    with tracer.start_as_current_span("a", attributes={"k": [1, {"m": b"x"}], "big": 1 << 70}) as outer:
        outer.add_event("e", {"f": [1]})
        outer.add_link(outer.get_span_context(), {"l": "x"})
        with tracer.start_as_current_span("b"):
            pass
    n_passes[0] += 1
    if n_passes[0] % 50 == 0:
        provider.force_flush()
        for span in exporter.get_finished_spans():
            _ = span.to_json(), span.attributes, span.events, span.links, span.parent, span.instrumentation_scope
        exporter.clear()


def settle() -> bool:
    flushed = type(provider).force_flush(provider)
    exporter.clear()
    return flushed


class Settles:
    force_flush = staticmethod(settle)


measure(once, Settles())  # type: ignore[arg-type]
