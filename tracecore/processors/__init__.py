"""Native processors: what is done to finished spans on the worker, without the GIL, before any exporter sees them.

    provider.add_span_processor(Redaction([drop("http.request.header.authorization")]))
    provider.add_span_processor(Dropping([asgi_send_receive()]))
    provider.add_span_processor(Folding(threshold=10))
    provider.add_span_processor(BaggageAttributes(["tenant.*"]))
    provider.add_span_processor(SpanMetrics())

They run in the order in which they were added, on records. Processors written in Python, and
SimpleSpanProcessor, see spans on the thread that ends them, before any of this.
"""
