"""azure-monitor-opentelemetry: its exporter on our provider, and configure_azure_monitor, against an HTTP server."""

import json
import os
import re
import sys
from typing import Any

os.environ.update({
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel",
    "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=1",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_TRACES_SAMPLER": "always_on",
})
from played import MODE, RESOURCE, Receiver, SdkResource, make_of, play, provider, tell

receiver = Receiver(json.dumps({"itemsReceived": 1, "itemsAccepted": 1, "errors": []}).encode())
connection = f"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint={receiver.url}/"

if "configure" in sys.argv:
    from azure.monitor.opentelemetry import configure_azure_monitor
    from opentelemetry import trace

    configure_azure_monitor(
        connection_string=connection,
        resource=SdkResource(RESOURCE),
        disable_offline_storage=True,
        enable_live_metrics=False,
        enable_performance_counters=False,
        instrumentation_options={name: {"enabled": False} for name in (
            "azure_sdk", "django", "fastapi", "flask", "psycopg2", "requests", "urllib", "urllib3")},
    )
    made: Any = trace.get_tracer_provider()
else:
    from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    made = provider()
    made.add_span_processor(
        BatchSpanProcessor(AzureMonitorTraceExporter(connection_string=connection, disable_offline_storage=True))
    )
play(made)
assert made.force_flush()
make = make_of(made)
made.shutdown()
arrived = []
for path, _, body in receiver.requests:
    assert path.endswith("/track"), path
    items = json.loads(body)
    arrived += items if isinstance(items, list) else [items]
arrived.sort(key=lambda item: (item["time"], item["name"], item["data"]["baseData"].get("name", "")))
for item in arrived:
    if item["data"]["baseType"] == "MetricData":
        del item["time"]  # the resource, sent as it is now
    for tag in ("ai.internal.sdkVersion", "ai.internal.nodeName", "ai.cloud.roleInstance"):
        item["tags"].pop(tag, None)
# The distribution takes no id generator: ids become numbers, by where they come first.
numbers: dict[str, str] = {}
text = re.sub(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b", lambda found: numbers.setdefault(found[0], f"id{len(numbers)}"),
              json.dumps(arrived, sort_keys=True))
tell(make=make, arrived=json.loads(text))
