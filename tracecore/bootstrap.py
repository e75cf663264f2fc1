"""init and from_environment: a provider with its exporters, from arguments, OTEL_* variables or a configuration file.

    init               sets it as OpenTelemetry's, for programs that say so in their code
    from_environment   only returns it, for OTEL_PYTHON_TRACER_PROVIDER
    configure          what opentelemetry-instrument starts

Where OTEL_CONFIG_FILE is set, the file says everything and the other variables count for nothing, as the specification
has it. A file that cannot be honoured is reported with all its faults and nothing is traced: the program starts.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from opentelemetry import trace

from tracecore import config, instrumentations, other_signals, propagators
from tracecore.entry_point import load_entry_point
from tracecore.errors import ConfigurationError, report
from tracecore.exporters.by_name import exporters_by_name
from tracecore.exporters.foreign import as_exporter
from tracecore.limits import SpanLimits
from tracecore.provider import TracerProvider
from tracecore.resource import Resource
from tracecore.sampling import ALWAYS_OFF, DEFAULT_ON, ParentBasedTraceIdRatio

__all__ = ["configure", "from_environment", "init"]


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
    config_file: str | os.PathLike[str] | None = None,
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
        config_file: a YAML or JSON file in OpenTelemetry's declarative configuration, which takes the place of
            every other argument and variable; None: OTEL_CONFIG_FILE.  It also sets the propagators, and the metrics
            and logs of opentelemetry-sdk where it has sections for them.
    Raises: ConfigurationError, naming argument, value and range (of a file every fault, with its path);
        RuntimeError when the application has set a provider of another make before.  Called again it returns the
        provider of the first call.
    """
    arguments = {
        "service": service,
        "endpoint": endpoint,
        "sample": sample,
        "ring_bytes": ring_bytes,
        "batch": batch,
        "delay": delay,
        "export_timeout": export_timeout,
    }
    beside = {"resource": resource, "exporter": exporter, "span_limits": span_limits}
    given = [name for name, value in {**arguments, **beside}.items() if value is not None]
    if config_file is not None and given:
        raise ConfigurationError("config_file", config_file, f"no other argument beside it, but got {', '.join(given)}")
    file = os.fspath(config_file) if config_file is not None else config.config_file()
    settings = config.settings(**arguments) if file is None else None
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
    if file is not None:
        if given:
            report(
                "arguments_ignored",
                "tracecore.init: OTEL_CONFIG_FILE=%r is set and says everything; not applied: %s",
                file,
                ", ".join(given),
            )
        return _init_from_file(file, is_argument=config_file is not None)
    assert settings is not None
    _apply_environment()
    # What may be refused comes before the provider, which is known to the process once it is made.
    exporters = [as_exporter(exporter)] if exporter is not None else _exporters(settings.endpoint)
    provider = _provider(settings, resource, span_limits)
    _add_exporters(provider, exporters, settings)
    trace.set_tracer_provider(provider)
    return provider


def from_environment(
    resource_attributes: dict[str, Any] | None = None,
    *,
    sampler: Any = None,
    id_generator: Any = None,
    tracer_configurator: Any = None,
    exporter_names: list[str] | None = None,
    span_processors: Any = (),
) -> TracerProvider:
    """Return a provider configured by OTEL_* alone, not set as OpenTelemetry's.

    The arguments are those that distributions give opentelemetry-sdk's configurator; each comes before its variable.
    """
    if (file := config.config_file()) is not None:
        parts = _parts(file)
        return _off() if parts is None else _provider_and_propagator(parts)
    _apply_environment()
    settings = config.settings()
    exporters = _exporters(None, exporter_names)
    provider = _provider(
        settings, Resource.create(resource_attributes or {}), None, sampler, id_generator, tracer_configurator
    )
    for span_processor in span_processors or ():
        provider.add_span_processor(span_processor)
    _add_exporters(provider, exporters, settings)
    return provider


def configure(resource_attributes: dict[str, Any], setup_logging_handler: bool | None = None, **arguments: Any) -> None:
    """Set the providers of all signals, by OTEL_CONFIG_FILE or else by the other variables.

    `arguments` are those of `from_environment`; a file leaves no room for them.
    """
    if (file := config.config_file()) is None:
        trace.set_tracer_provider(from_environment(resource_attributes, **arguments))
        other_signals.set_up_from_environment(resource_attributes, setup_logging_handler)
        return
    given = [name for name, value in arguments.items() if value]
    if given:
        report("arguments_ignored", "OTEL_CONFIG_FILE=%r is set and says everything; not applied: %s", file, ", ".join(given))
    if (parts := _parts(file)) is not None:
        _set_globals(parts)


# --- variables ------------------------------------------------------------------------------------------------


def _apply_environment() -> None:
    """Do what variables ask for beside the provider."""
    if (level := config.log_level()) is not None:
        logging.getLogger("tracecore").setLevel(level)
    propagators.check_environment()


def _provider(
    settings: config.Settings,
    resource: Any,
    span_limits: SpanLimits | None,
    sampler: Any = None,
    id_generator: Any = None,
    tracer_configurator: Any = None,
) -> TracerProvider:
    if resource is None:
        resource = Resource.create({"service.name": settings.service} if settings.service else {})
    sampler = settings.sample if sampler is None else sampler
    if isinstance(sampler, float):
        sampler = DEFAULT_ON if sampler == 1.0 else ParentBasedTraceIdRatio(sampler)
    return TracerProvider(
        sampler=sampler,
        resource=resource,
        id_generator=_id_generator() if id_generator is None else id_generator,
        span_limits=span_limits,
        _tracer_configurator=_tracer_configurator() if tracer_configurator is None else tracer_configurator,
    )


def _exporters(endpoint: str | None, more_names: list[str] | None = None) -> list[Any]:
    environment = config.environment()
    if endpoint is not None:
        from tracecore.exporters import otlp

        try:
            return [otlp.from_environment(environment, endpoint)]
        except ConfigurationError as fault:
            if not fault.variable.startswith("OTEL_"):
                raise
            config.warn(fault.variable, str(fault.value), fault.expected, "no exporter")
            return []
    names = config.traces_exporters()
    return exporters_by_name([*(more_names or ()), *(["otlp"] if names is None else names)], environment)


def _add_exporters(provider: TracerProvider, exporters: list[Any], settings: config.Settings) -> None:
    for exporter in exporters:
        provider.add_exporter(
            exporter,
            ring_bytes=settings.ring_bytes,
            batch=settings.batch,
            delay=settings.delay,
            export_timeout=settings.export_timeout,
        )


def _id_generator() -> Any:
    """Return what OTEL_PYTHON_ID_GENERATOR names; None for "random" and for what cannot be used."""
    name = config.id_generator()
    if name is None or name.lower() == "random":
        return None
    try:
        made = load_entry_point("opentelemetry_id_generator", name)()
        if not callable(getattr(made, "generate_trace_id", None)) or not callable(getattr(made, "generate_span_id", None)):
            raise TypeError(f"{made!r} is not an id generator")
    except Exception as fault:  # code of another package; the program must start without it
        config.warn("OTEL_PYTHON_ID_GENERATOR", name, f"the name of an id generator ({fault})", "random")
        return None
    return made


def _tracer_configurator() -> Any:
    """Return what OTEL_PYTHON_TRACER_CONFIGURATOR names; None where it names nothing or cannot be used."""
    name = config.tracer_configurator()
    if name is None:
        return None
    try:
        found = load_entry_point("_opentelemetry_tracer_configurator", name)
        if not callable(found):
            raise TypeError(f"{found!r} cannot be called")
    except Exception as fault:  # code of another package
        expected = f"the name of a tracer configurator ({fault})"
        config.warn("OTEL_PYTHON_TRACER_CONFIGURATOR", name, expected, "all tracers")
        return None
    return found


# --- a file ---------------------------------------------------------------------------------------------------


def _init_from_file(file: str, is_argument: bool) -> TracerProvider:
    parts = _parts(file, is_argument)
    provider = None if parts is None else _set_globals(parts)
    if provider is None:
        provider = _off() if parts is None else _provider_and_propagator(parts)
        trace.set_tracer_provider(provider)
    return provider


def _parts(file: str, is_argument: bool = False) -> Any:
    """Return what the file asks for (a Parts); None, reported, where the environment names one that cannot be used.

    Raises: ConfigurationError, for a file that was given in code.
    """
    # Imported here: few programs have such a file, and the schema takes time to make.
    from tracecore.declarative.building import load

    try:
        parts = load(file)
    except ConfigurationError as fault:
        if is_argument:
            raise
        report("invalid_otel_config_file", "OTEL_CONFIG_FILE=%r: %s\nNothing is traced.", file, fault)
        return None
    if parts.remarks:
        report("config_file_remarks", "%s: %s", file, "; ".join(map(str, parts.remarks)))
    if parts.log_level is not None:
        for name in ("tracecore", "opentelemetry"):
            logging.getLogger(name).setLevel(parts.log_level)
    return parts


def _set_globals(parts: Any) -> TracerProvider | None:
    """Set everything the file asks for; return the provider, None where the file has no traces."""
    from tracecore.declarative.building import provider_of

    propagators.set_global(parts.propagator)
    if parts.is_disabled or not parts.has_tracer_provider:
        # No provider of ours is set: the application may still set its own, and the API's does nothing until then.
        provider = None
    else:
        provider = provider_of(parts)
        trace.set_tracer_provider(provider)
    if not parts.is_disabled:
        if parts.other_signals is not None:
            other_signals.set_up_from_file(
                parts.other_signals, dict(parts.resource.attributes), parts.resource.schema_url
            )
        instrumentations.instrument(parts.instrumentation)
    return provider


def _provider_and_propagator(parts: Any) -> TracerProvider:
    from tracecore.declarative.building import provider_of

    propagators.set_global(parts.propagator)
    return provider_of(parts)


def _off() -> TracerProvider:
    """Return a provider that makes no spans and reads no variable."""
    unset = SpanLimits.UNSET
    return TracerProvider(
        sampler=ALWAYS_OFF,
        resource=Resource.get_empty(),
        shutdown_on_exit=False,
        span_limits=SpanLimits(unset, unset, unset, unset, unset, unset, unset, unset),
        _disabled=True,
        _process_dependent=Resource.get_empty,
    )
