"""As opentelemetry.sdk.version: the version of what makes the spans, which is tracecore's."""

from tracecore import __version__

__all__ = ["__version__"]
