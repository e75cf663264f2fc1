"""Swap-in without touching code: what opentelemetry-instrument finds by entry point."""
