"""The names of opentelemetry.sdk's tracing, where its users look for them."""
