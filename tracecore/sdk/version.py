"""As opentelemetry.sdk.version: the version of what makes the spans, which is tracecore's."""

from typing import Final

from tracecore.resource import TELEMETRY_SDK_VERSION, telemetry_sdk

__all__ = ["__version__"]

__version__: Final = str(telemetry_sdk().attributes[TELEMETRY_SDK_VERSION])
