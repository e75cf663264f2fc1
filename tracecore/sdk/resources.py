"""As opentelemetry.sdk.resources."""

from typing import Final

from tracecore.resource import (
    HostResourceDetector,
    OsResourceDetector,
    OTELResourceDetector,
    ProcessResourceDetector,
    Resource,
    ResourceDetector,
    ServiceInstanceIdResourceDetector,
    get_aggregated_resources,
)

__all__ = [
    "DEPLOYMENT_ENVIRONMENT",
    "HOST_NAME",
    "PROCESS_PID",
    "SERVICE_INSTANCE_ID",
    "SERVICE_NAME",
    "SERVICE_NAMESPACE",
    "SERVICE_VERSION",
    "TELEMETRY_SDK_LANGUAGE",
    "TELEMETRY_SDK_NAME",
    "TELEMETRY_SDK_VERSION",
    "HostResourceDetector",
    "OTELResourceDetector",
    "OsResourceDetector",
    "ProcessResourceDetector",
    "Resource",
    "ResourceDetector",
    "ServiceInstanceIdResourceDetector",
    "get_aggregated_resources",
]

DEPLOYMENT_ENVIRONMENT: Final = "deployment.environment"
HOST_NAME: Final = "host.name"
PROCESS_PID: Final = "process.pid"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_VERSION: Final = "service.version"
TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
TELEMETRY_SDK_NAME: Final = "telemetry.sdk.name"
TELEMETRY_SDK_VERSION: Final = "telemetry.sdk.version"
