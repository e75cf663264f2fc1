"""Native processors: what is done to finished spans on the worker, without the GIL, before any exporter sees them."""
