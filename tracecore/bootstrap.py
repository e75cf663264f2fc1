"""init and from_environment: a provider with its exporters, from arguments or OTEL_* variables."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace

from tracecore import config
from tracecore.errors import report
from tracecore.exporters.by_name import exporter_by_name
from tracecore.exporters.foreign import as_exporter
from tracecore.limits import SpanLimits
from tracecore.provider import TracerProvider
from tracecore.resource import Resource
from tracecore.sampling import DEFAULT_ON, ParentBasedTraceIdRatio

__all__ = ["from_environment", "init"]


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
    environment = config.environment()
    if endpoint is not None:
        from tracecore.exporters import otlp_http

        return [otlp_http.from_environment(environment, endpoint)]
    names = config.traces_exporters()
    exporters = (exporter_by_name(name, environment) for name in (["otlp"] if names is None else names))
    return [exporter for exporter in exporters if exporter is not None]
