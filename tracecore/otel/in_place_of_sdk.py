"""Imported first, it puts our TracerProvider in the place of opentelemetry-sdk's.

    import tracecore.otel.in_place_of_sdk      # before logfire, phoenix.otel, azure.monitor.opentelemetry, ...

For packages whose set-up function makes the provider itself: they import `opentelemetry.sdk.trace.TracerProvider`, or derive
from it, and get tracecore's. Everything else of opentelemetry-sdk stays, and works in it. What was imported from there before
keeps the SDK's class.
"""

from __future__ import annotations

import opentelemetry.sdk.trace

from tracecore.provider import TracerProvider

__all__ = ["TracerProvider"]

opentelemetry.sdk.trace.TracerProvider = TracerProvider  # type: ignore[assignment, misc, unused-ignore]
