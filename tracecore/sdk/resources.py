"""As opentelemetry.sdk.resources.

The constants are attribute names of the semantic conventions, as opentelemetry-sdk has them: some are outdated there,
and stay for programs that use them.
"""

import logging
from typing import Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.util.types import AnyValue

from tracecore.resource import (
    Attributes,
    HostResourceDetector,
    OsResourceDetector,
    OTELResourceDetector,
    ProcessResourceDetector,
    Resource,
    ResourceDetector,
    ServiceInstanceIdResourceDetector,
    get_aggregated_resources,
    telemetry_sdk,
)
from tracecore.resource import HostResourceDetector as _HostResourceDetector
from tracecore.resource import process_dependent as _get_process_dependent_resource
from tracecore.sdk.environment_variables import (
    OTEL_EXPERIMENTAL_RESOURCE_DETECTORS,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_SERVICE_NAME,
)
from tracecore.sdk.version import __version__ as _OPENTELEMETRY_SDK_VERSION

__all__ = [
    "AnyValue",
    "Attributes",
    "BoundedAttributes",
    "CLOUD_ACCOUNT_ID",
    "CLOUD_AVAILABILITY_ZONE",
    "CLOUD_PROVIDER",
    "CLOUD_REGION",
    "CONTAINER_ID",
    "CONTAINER_IMAGE_NAME",
    "CONTAINER_IMAGE_TAG",
    "CONTAINER_NAME",
    "DEPLOYMENT_ENVIRONMENT",
    "FAAS_ID",
    "FAAS_INSTANCE",
    "FAAS_NAME",
    "FAAS_VERSION",
    "HOST_ARCH",
    "HOST_ID",
    "HOST_IMAGE_ID",
    "HOST_IMAGE_NAME",
    "HOST_IMAGE_VERSION",
    "HOST_NAME",
    "HOST_TYPE",
    "HostResourceDetector",
    "KUBERNETES_CLUSTER_NAME",
    "KUBERNETES_CONTAINER_NAME",
    "KUBERNETES_CRON_JOB_NAME",
    "KUBERNETES_CRON_JOB_UID",
    "KUBERNETES_DAEMON_SET_NAME",
    "KUBERNETES_DAEMON_SET_UID",
    "KUBERNETES_DEPLOYMENT_NAME",
    "KUBERNETES_DEPLOYMENT_UID",
    "KUBERNETES_JOB_NAME",
    "KUBERNETES_JOB_UID",
    "KUBERNETES_NAMESPACE_NAME",
    "KUBERNETES_POD_NAME",
    "KUBERNETES_POD_UID",
    "KUBERNETES_REPLICA_SET_NAME",
    "KUBERNETES_REPLICA_SET_UID",
    "KUBERNETES_STATEFUL_SET_NAME",
    "KUBERNETES_STATEFUL_SET_UID",
    "LabelValue",
    "OS_DESCRIPTION",
    "OS_TYPE",
    "OS_VERSION",
    "OTELResourceDetector",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "OsResourceDetector",
    "PROCESS_COMMAND",
    "PROCESS_COMMAND_ARGS",
    "PROCESS_COMMAND_LINE",
    "PROCESS_EXECUTABLE_NAME",
    "PROCESS_EXECUTABLE_PATH",
    "PROCESS_OWNER",
    "PROCESS_PARENT_PID",
    "PROCESS_PID",
    "PROCESS_RUNTIME_DESCRIPTION",
    "PROCESS_RUNTIME_NAME",
    "PROCESS_RUNTIME_VERSION",
    "ProcessResourceDetector",
    "Resource",
    "ResourceDetector",
    "SERVICE_INSTANCE_ID",
    "SERVICE_NAME",
    "SERVICE_NAMESPACE",
    "SERVICE_VERSION",
    "ServiceInstanceIdResourceDetector",
    "TELEMETRY_AUTO_VERSION",
    "TELEMETRY_SDK_LANGUAGE",
    "TELEMETRY_SDK_NAME",
    "TELEMETRY_SDK_VERSION",
    "_DEFAULT_RESOURCE",
    "_EMPTY_RESOURCE",
    "_HostResourceDetector",
    "_OPENTELEMETRY_SDK_VERSION",
    "_get_process_dependent_resource",
    "get_aggregated_resources",
    "logger",
]

LabelValue = AnyValue
logger = logging.getLogger("tracecore")
"""Where everything of ours logs."""

_EMPTY_RESOURCE = Resource.get_empty()
_DEFAULT_RESOURCE = telemetry_sdk()

CLOUD_ACCOUNT_ID: Final = "cloud.account.id"
CLOUD_AVAILABILITY_ZONE: Final = "cloud.availability_zone"
CLOUD_PROVIDER: Final = "cloud.provider"
CLOUD_REGION: Final = "cloud.region"
CONTAINER_ID: Final = "container.id"
CONTAINER_IMAGE_NAME: Final = "container.image.name"
CONTAINER_IMAGE_TAG: Final = "container.image.tag"
CONTAINER_NAME: Final = "container.name"
DEPLOYMENT_ENVIRONMENT: Final = "deployment.environment"
FAAS_ID: Final = "faas.id"
FAAS_INSTANCE: Final = "faas.instance"
FAAS_NAME: Final = "faas.name"
FAAS_VERSION: Final = "faas.version"
HOST_ARCH: Final = "host.arch"
HOST_ID: Final = "host.id"
HOST_IMAGE_ID: Final = "host.image.id"
HOST_IMAGE_NAME: Final = "host.image.name"
HOST_IMAGE_VERSION: Final = "host.image.version"
HOST_NAME: Final = "host.name"
HOST_TYPE: Final = "host.type"
KUBERNETES_CLUSTER_NAME: Final = "k8s.cluster.name"
KUBERNETES_CONTAINER_NAME: Final = "k8s.container.name"
KUBERNETES_CRON_JOB_NAME: Final = "k8s.cronjob.name"
KUBERNETES_CRON_JOB_UID: Final = "k8s.cronjob.uid"
KUBERNETES_DAEMON_SET_NAME: Final = "k8s.daemonset.name"
KUBERNETES_DAEMON_SET_UID: Final = "k8s.daemonset.uid"
KUBERNETES_DEPLOYMENT_NAME: Final = "k8s.deployment.name"
KUBERNETES_DEPLOYMENT_UID: Final = "k8s.deployment.uid"
KUBERNETES_JOB_NAME: Final = "k8s.job.name"
KUBERNETES_JOB_UID: Final = "k8s.job.uid"
KUBERNETES_NAMESPACE_NAME: Final = "k8s.namespace.name"
KUBERNETES_POD_NAME: Final = "k8s.pod.name"
KUBERNETES_POD_UID: Final = "k8s.pod.uid"
KUBERNETES_REPLICA_SET_NAME: Final = "k8s.replicaset.name"
KUBERNETES_REPLICA_SET_UID: Final = "k8s.replicaset.uid"
KUBERNETES_STATEFUL_SET_NAME: Final = "k8s.statefulset.name"
KUBERNETES_STATEFUL_SET_UID: Final = "k8s.statefulset.uid"
OS_DESCRIPTION: Final = "os.description"
OS_TYPE: Final = "os.type"
OS_VERSION: Final = "os.version"
PROCESS_COMMAND: Final = "process.command"
PROCESS_COMMAND_ARGS: Final = "process.command_args"
PROCESS_COMMAND_LINE: Final = "process.command_line"
PROCESS_EXECUTABLE_NAME: Final = "process.executable.name"
PROCESS_EXECUTABLE_PATH: Final = "process.executable.path"
PROCESS_OWNER: Final = "process.owner"
PROCESS_PARENT_PID: Final = "process.parent_pid"
PROCESS_PID: Final = "process.pid"
PROCESS_RUNTIME_DESCRIPTION: Final = "process.runtime.description"
PROCESS_RUNTIME_NAME: Final = "process.runtime.name"
PROCESS_RUNTIME_VERSION: Final = "process.runtime.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_VERSION: Final = "service.version"
TELEMETRY_AUTO_VERSION: Final = "telemetry.auto.version"
TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
TELEMETRY_SDK_NAME: Final = "telemetry.sdk.name"
TELEMETRY_SDK_VERSION: Final = "telemetry.sdk.version"
