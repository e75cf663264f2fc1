"""init and from_environment: a provider with its exporters, from arguments or OTEL_* variables."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace

from tracecore import config
from tracecore.errors import ConfigurationError, report
from tracecore.exporters.foreign import as_exporter
from tracecore.limits import SpanLimits
from tracecore.provider import TracerProvider
from tracecore.resource import Resource
from tracecore.sampling import DEFAULT_ON, ParentBasedTraceIdRatio

__all__ = ["exporter_by_name", "from_environment", "init"]


def init(
    service: str | None = None,
    endpoint: str | None = None,
    sample: Any = None,
    ring_bytes: int | None = None,
    batch: int | None = None,
    delay: float | None = None,
    *,
    resource: Any = None,
    exporter: Any = None,
    span_limits: SpanLimits | None = None,
    export_timeout: float | None = None,
) -> TracerProvider:
    """Make a provider that exports by OTLP, set it as OpenTelemetry's, and return it.

    Arguments:
        service: service.name; None: OTEL_SERVICE_NAME and the resource detectors.
        endpoint: base URL of an OTLP/HTTP receiver ("http://collector:4318"; v1/traces is appended unless it is
            there), which is then used whatever OTEL_TRACES_EXPORTER says; None: OTEL_TRACES_EXPORTER and
            OTEL_EXPORTER_OTLP_*.
        sample: share of traces, 0 to 1, that start here and are recorded (what a parent decided holds), or any
            sampler; None: OTEL_TRACES_SAMPLER.
        ring_bytes: memory for finished spans, a power of two from 64 KiB to 1 GiB.
        batch: spans a request, 1 to 65536.
        delay: seconds between exports while no batch is full.
        resource: a Resource to use as it is, instead of detecting one.
        exporter: an exporter to use instead of those OTEL_TRACES_EXPORTER names.
        export_timeout: seconds one export may take, retries included.
    Raises: ConfigurationError, naming argument, value and range; RuntimeError when the application has set a
        provider of another make before. Called again it returns the provider of the first call.
    """
    settings = config.settings(
        service=service,
        endpoint=endpoint,
        sample=sample,
        ring_bytes=ring_bytes,
        batch=batch,
        delay=delay,
        export_timeout=export_timeout,
    )
    current = trace._TRACER_PROVIDER
    if isinstance(current, TracerProvider):
        report(
            "already_initialised",
            "tracecore.init: a tracecore provider is set already (by opentelemetry-instrument or an earlier init) "
            "and stays; the arguments of this call are not applied",
        )
        return current
    if current is not None:
        raise RuntimeError(
            f"a TracerProvider is set already ({type(current).__module__}.{type(current).__qualname__}): "
            "call tracecore.init before anything else sets one"
        )
    # What may be refused comes before the provider, which is known to the process once it is made.
    exporters = [as_exporter(exporter)] if exporter is not None else _exporters(settings.endpoint)
    provider = _provider(settings, resource, span_limits)
    for each in exporters:
        provider.add_exporter(
            each,
            ring_bytes=settings.ring_bytes,
            batch=settings.batch,
            delay=settings.delay,
            export_timeout=settings.export_timeout,
        )
    trace.set_tracer_provider(provider)
    return provider


def from_environment(resource_attributes: dict[str, Any] | None = None) -> TracerProvider:
    """Return a provider configured by OTEL_* alone, not set as OpenTelemetry's."""
    settings = config.settings()
    exporters = _exporters(None)
    provider = _provider(settings, Resource.create(resource_attributes or {}), None)
    for exporter in exporters:
        provider.add_exporter(exporter)
    return provider


def _provider(settings: config.Settings, resource: Any, span_limits: SpanLimits | None) -> TracerProvider:
    if resource is None:
        resource = Resource.create({"service.name": settings.service} if settings.service else {})
    sampler = settings.sample
    if isinstance(sampler, float):
        sampler = DEFAULT_ON if sampler == 1.0 else ParentBasedTraceIdRatio(sampler)
    return TracerProvider(sampler=sampler, resource=resource, span_limits=span_limits)


def _exporters(endpoint: str | None) -> list[Any]:
    if endpoint is not None:
        return [_otlp(endpoint)]
    names = config.traces_exporters()
    exporters = (exporter_by_name(name) for name in (["otlp"] if names is None else names))
    return [exporter for exporter in exporters if exporter is not None]


def exporter_by_name(name: str) -> Any:
    """Return the exporter that OTEL_TRACES_EXPORTER calls `name`; None, with a warning, if there is none.

    "otlp" and "console" are ours; any other name is looked up among the installed opentelemetry_traces_exporter
    entry points, and what it makes gets ReadableSpans.
    """
    if name.lower() in ("otlp", "otlp_proto_http"):
        return _otlp(None)
    if name.lower() == "console":
        from tracecore.exporters.console import ConsoleSpanExporter

        return ConsoleSpanExporter()
    from importlib.metadata import entry_points

    try:
        found = next(iter(entry_points(group="opentelemetry_traces_exporter", name=name)), None)
        if found is None:
            raise LookupError("no exporter of that name is built in or installed")
        return found.load()()
    except Exception as fault:  # code of another package; the program must start without it
        report("invalid_otel_traces_exporter", "OTEL_TRACES_EXPORTER=%r: %s; it is left out", name, fault)
        return None


def _otlp(endpoint: str | None) -> Any:
    from tracecore.exporters.otlp_http import OTLPHTTPExporter
    from tracecore.exporters.otlp_settings import exporter_arguments, parse_endpoint, traces_url

    environment = config.environment()
    if endpoint is not None:  # nobody needs to hear of what it replaces
        environment = {name: value for name, value in environment.items() if not name.endswith("_ENDPOINT")}
    arguments, warnings = exporter_arguments(environment)
    if endpoint is not None:
        path = parse_endpoint("endpoint", endpoint).target.partition("?")[0]
        arguments["endpoint"] = endpoint if path.rstrip("/").endswith("/v1/traces") else traces_url(endpoint)
    try:
        exporter = OTLPHTTPExporter(**arguments)
    except ConfigurationError as error:
        variable = _VARIABLES.get(error.variable)
        if variable is None:
            raise
        if error.variable != "compression":
            raise ConfigurationError(variable, error.value, error.expected) from None
        warnings.append(f"{variable}={error.value!r}: expected {error.expected}; requests are sent uncompressed")
        arguments["compression"] = "none"
        exporter = OTLPHTTPExporter(**arguments)
    if warnings:
        report("otlp_settings", "%s", "; ".join(warnings))  # one line: a second would be held back
    return exporter


_VARIABLES = {
    "compression": "OTEL_EXPORTER_OTLP_COMPRESSION",
    "certificate_file": "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "client_certificate_file": "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "client_key_file": "OTEL_EXPORTER_OTLP_CLIENT_KEY",
}
"""Arguments of the exporter that only the environment gives here: what it refuses is named as it was given."""
