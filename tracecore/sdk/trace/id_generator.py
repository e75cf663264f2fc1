"""As opentelemetry.sdk.trace.id_generator."""

from tracecore.id_generator import IdGenerator, RandomIdGenerator

__all__ = ["IdGenerator", "RandomIdGenerator"]
