"""Building: what a valid configuration asks for, made part by part, and then put together.

    Configuration --> Parts                      exporters, sampler, resource, ...: whatever can still be refused
    Parts --> TracerProvider                     known to the process and with threads, and made only without faults

Parts that are made when a fault is found are shut down again: what is refused leaves nothing behind.

Source: specification, configuration/sdk.md "Create".
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec import UNSET, Struct, field

from tracecore import config, propagators, sampling
from tracecore.declarative import schema
from tracecore.declarative.document import Node, plain, read
from tracecore.declarative.exporters import OURS as OUR_EXPORTERS
from tracecore.declarative.exporters import PLACES, exporter
from tracecore.declarative.faults import ConfigurationFileError, Fault, did_you_mean, shown
from tracecore.declarative.processors import OURS as OUR_PROCESSORS
from tracecore.declarative.processors import processor
from tracecore.declarative.resources import resource_of
from tracecore.declarative.samplers import WrongComponent, sampler
from tracecore.declarative.validation import Validation
from tracecore.entry_point import load_entry_point
from tracecore.errors import ConfigurationError
from tracecore.limits import SpanLimits
from tracecore.provider import TracerProvider
from tracecore.resource import Resource
from tracecore.simple_span_processor import SimpleSpanProcessor

__all__ = ["Parts", "load", "provider_of"]

_MAJOR: Final = 1
_MINOR: Final = 1
"""The version of the schema this package follows."""

LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}


class BatchSettings(NamedTuple):
    """Arguments of TracerProvider.add_exporter, in its units: all of them, so that no variable is read for one."""

    ring_bytes: int
    batch: int
    delay: float
    export_timeout: float


_EXPORTERS: Final = {*schema.COMPONENTS["exporter"], *OUR_EXPORTERS}

_ONE_BY_ONE: Final = BatchSettings(config.DEFAULT_RING_BYTES, 1, 0.001, config.DEFAULT_EXPORT_TIMEOUT_S)


class BatchOf(NamedTuple):
    """A pipeline of its own for one exporter."""

    exporter: Any
    settings: BatchSettings


class Parts(Struct, kw_only=True):
    """Everything a file asks for, made but for the provider."""

    file: str
    is_disabled: bool
    log_level: int | None
    has_tracer_provider: bool
    resource: Resource
    process_dependent: Callable[[], Resource]
    """What of the resource is to be asked again in a forked child."""
    propagator: Any
    sampler: Any = None
    limits: SpanLimits | None = None
    id_generator: Any = None
    tracer_configurator: Any = None
    processors: list[Any] = field(default_factory=list)
    """Span processors, and BatchOf where a pipeline is to be made."""
    instrumentation: dict[str, Any] = field(default_factory=dict)
    """Settings by name of the instrumentation."""
    other_signals: dict[str, Any] | None = None
    """What opentelemetry-sdk is to build, as the plain data of a configuration file; None where nothing is."""
    remarks: list[Fault] = field(default_factory=list)
    """What is accepted and does not do what it says."""

    def shutdown(self) -> None:
        """Let go of the exporters and processors, for parts that no provider is made of."""
        for each in self.processors:
            made = each.exporter if isinstance(each, BatchOf) else each
            if callable(shutdown := getattr(made, "shutdown", None)):
                shutdown()


def load(file: str) -> Parts:
    """Read a file and make its parts.  Raises: ConfigurationFileError, with all that is wrong with it."""
    root, faults = read(file, config.environment())
    validation = Validation(faults)
    _check_version(root, validation, file)
    configuration: schema.Configuration | None = validation.of(root, schema.Configuration)
    if configuration is None:
        _Building(file, schema.Configuration("1.0"), validation).try_exporters()
        raise ConfigurationFileError(file, _in_order(validation.faults))
    parts = _Building(file, configuration, validation).parts(plain(root))
    if validation.faults:
        parts.shutdown()
        raise ConfigurationFileError(file, _in_order(validation.faults))
    return parts


def provider_of(parts: Parts) -> TracerProvider:
    """Return the TracerProvider that the parts make; one that records nothing where the file wants none."""
    is_disabled = parts.is_disabled or not parts.has_tracer_provider
    provider = TracerProvider(
        sampler=parts.sampler or sampling.DEFAULT_ON,
        resource=parts.resource,
        id_generator=parts.id_generator,
        span_limits=parts.limits or _limits(schema.SpanLimits(), None),
        _tracer_configurator=parts.tracer_configurator,
        _disabled=is_disabled,
        _process_dependent=parts.process_dependent,
    )
    for each in parts.processors:
        if isinstance(each, BatchOf):
            provider.add_exporter(each.exporter, **each.settings._asdict())
        else:
            provider.add_span_processor(each)
    return provider


def _check_version(root: Node, validation: Validation, file: str) -> None:
    """Refuse another major version, as the policy of the schema wants it; remark upon a newer minor one.

    Raises: ConfigurationFileError, with that fault alone: the others would be consequences.
    """
    version = root.any().get("file_format")
    if version is None or not isinstance(version.value, str):
        return  # for the schema to judge
    number, _, _ = version.value.partition("-")
    major, _, minor = number.partition(".")
    if not (major.isdecimal() and (minor or "0").isdecimal()) or int(major) != _MAJOR:
        expected = f"expected {_MAJOR}.0 to {_MAJOR}.{_MINOR}"
        raise ConfigurationFileError(file, [Fault("file_format", version.line, expected, shown(version.value))])
    if int(minor or 0) > _MINOR:
        words = f"{version.value} is newer than {_MAJOR}.{_MINOR}, which is read: what is new in it may be refused"
        validation.remarks.append(Fault("file_format", version.line, words))


def _in_order(faults: list[Fault]) -> list[Fault]:
    return sorted(faults, key=lambda fault: fault.line or 0)


class _Building:
    """The making of one file's parts: faults and remarks go to the lists of its validation."""

    def __init__(self, file: str, configuration: schema.Configuration, validation: Validation) -> None:
        self._file = file
        self._configuration = configuration
        self._validation = validation
        self._hides_values = False  # whether a processor of the file does

    def parts(self, data: dict[str, Any]) -> Parts:
        configuration = self._configuration
        resource, process_dependent = resource_of(
            None if configuration.resource is UNSET else configuration.resource,
            self._validation.sources.get,
            self._fault,
        )
        parts = Parts(
            file=self._file,
            is_disabled=configuration.disabled is True,
            log_level=None if configuration.log_level is None else LEVELS[configuration.log_level.rstrip("234")],
            has_tracer_provider=configuration.tracer_provider is not UNSET,
            resource=resource,
            process_dependent=process_dependent,
            propagator=self._propagator(),
            instrumentation=self._instrumentation(),
            remarks=self._validation.remarks,
        )
        if configuration.tracer_provider is not UNSET:
            self._add_tracing(parts, configuration.tracer_provider)
        if "meter_provider" in data or "logger_provider" in data:
            theirs = ("file_format", "resource", "attribute_limits", "meter_provider", "logger_provider")
            parts.other_signals = {name: data[name] for name in theirs if name in data}
            # Too new for opentelemetry-sdk's schema, and remarked upon above.
            parts.other_signals.get("attribute_limits", {}).pop("attribute_value_depth_limit", None)
        return parts

    # --- faults -----------------------------------------------------------------------------------------------

    def _fault(self, path: str, message: str, value: str | None = None) -> None:
        self._validation.faults.append(Fault(path, self._line(path), message, value))

    def _remark(self, path: str, message: str) -> None:
        self._validation.remarks.append(Fault(path, self._line(path), message))

    def _line(self, path: str) -> int | None:
        """Return the line of the path, or of the nearest part of it that the file has."""
        lines = self._validation.lines
        while path and path not in lines:
            path = max(path.rpartition(".")[0], path.rpartition("[")[0], key=len)
        return lines.get(path)

    def _made(self, component: schema.Component, known: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` returns; None, the fault noted, where it raises."""
        try:
            return make()
        except ConfigurationError as fault:
            places = {} if component.name in OUR_EXPORTERS else PLACES
            key = places.get(fault.variable, fault.variable)
            value = fault.value if fault.value == "(hidden)" or fault.value is None else shown(fault.value)
            self._fault(f"{component.path}.{key}", f"expected {fault.expected}", value)
        except WrongComponent as fault:
            self._fault(fault.component.path, f"{fault}{did_you_mean(fault.component.name, known)}")
        except ModuleNotFoundError as fault:
            self._fault(component.path, f"needs a package that is not installed: {fault.name}")
        except LookupError as fault:
            self._fault(component.path, f"{fault}{did_you_mean(component.name, known)}")
        except Exception as fault:  # code of another package
            self._fault(component.path, f"cannot be made: {type(fault).__name__}: {fault}")
        return None

    # --- the parts --------------------------------------------------------------------------------------------

    def try_exporters(self) -> None:
        """Make the exporters of a file that is refused anyway, for the faults that only they can find."""
        for component in self._validation.exporters:
            made = self._made(component, _EXPORTERS, partial(exporter, component, self._remark))
            if callable(shutdown := getattr(made, "shutdown", None)):
                shutdown()

    def _propagator(self) -> Any:
        """Return the propagator; without the section none at all, as the schema has it."""
        settings = self._configuration.propagator
        made: list[Any] = []
        if settings is UNSET:
            return propagators.composite(made)
        known = schema.COMPONENTS["propagator"]
        for component in [] if settings.composite is UNSET else settings.composite:
            given = {} if isinstance(component.settings, schema.Empty) else component.settings
            made.append(self._made(component, known, partial(propagators.load, component.name, given)))
        for name in (settings.composite_list or "").split(","):
            if (name := name.strip()) and name.lower() != "none":
                component = schema.Component(name, {}, "propagator.composite_list")
                made.append(self._made(component, known, partial(propagators.load, name)))
        return propagators.composite([each for each in made if each is not None])

    def _instrumentation(self) -> dict[str, Any]:
        sections = self._configuration.instrumentation
        ours = {} if sections is UNSET else sections.get("python") or {}
        if not isinstance(ours, dict) or not all(isinstance(each, dict) or each is None for each in ours.values()):
            self._fault("instrumentation/development.python", "expected a mapping of settings by name of the instrumentation")
            return {}
        return {name: settings or {} for name, settings in ours.items()}

    def _add_tracing(self, parts: Parts, settings: schema.TracerProvider) -> None:
        parts.limits = self._span_limits(settings.limits)
        if (choice := settings.sampler) is not UNSET:
            known = {*schema.COMPONENTS["sampler"], *schema.COMPONENTS["composable"]}
            parts.sampler = self._made(choice, known, partial(sampler, choice))
        if (id_generator := settings.id_generator) is not UNSET and id_generator.name != "random":
            parts.id_generator = self._made(
                id_generator,
                schema.COMPONENTS["id_generator"],
                lambda: load_entry_point("opentelemetry_id_generator", id_generator.name)(**id_generator.settings),
            )
        if settings.tracer_configurator is not UNSET:
            parts.tracer_configurator = _tracer_configurator(settings.tracer_configurator)
        self._hides_values = any(component.name == "tracecore/redaction" for component in settings.processors)
        for component in settings.processors:
            if (made := self._processor(component)) is not None:
                parts.processors.append(made)

    def _processor(self, component: schema.Component) -> Any:
        if component.name not in schema.COMPONENTS["processor"]:
            known = {*schema.COMPONENTS["processor"], *OUR_PROCESSORS}
            return self._made(component, known, partial(processor, component))
        choice: schema.Component = component.settings.exporter
        made = self._made(choice, _EXPORTERS, partial(exporter, choice, self._remark))
        if made is None:
            return None
        if not callable(getattr(made, "export", None)):
            self._fault(choice.path, f"{made!r} is not an exporter")
            return None
        if component.name == "simple":
            # Ours take batches and deadlines: a pipeline that waits for no second span comes nearest. And where values
            # are to be hidden, only what goes through a pipeline is redacted.
            is_native = callable(getattr(made, "interrupt", None))
            return BatchOf(made, _ONE_BY_ONE) if is_native or self._hides_values else SimpleSpanProcessor(made)
        return BatchOf(made, self._batch_settings(component.settings, component.path))

    def _batch_settings(self, settings: schema.Batch, path: str) -> BatchSettings:
        """Return the settings in the units and within the bounds of a pipeline; what is cut off is remarked upon."""
        ours = self._configuration.distribution
        ring_bytes = config.DEFAULT_RING_BYTES
        if ours is not UNSET and ours.tracecore is not UNSET and ours.tracecore.ring_bytes is not None:
            ring_bytes = ours.tracecore.ring_bytes
            try:
                config.check_ring_bytes(ring_bytes)
            except ConfigurationError as fault:
                self._fault("distribution.tracecore.ring_bytes", f"expected {fault.expected}", shown(ring_bytes))
        if settings.max_queue_size is not None:
            ring_bytes = config.ring_bytes_for(settings.max_queue_size)
        batch = self._at_most(settings.max_export_batch_size, config.MAX_BATCH, f"{path}.max_export_batch_size")
        if batch is not None and settings.max_queue_size is not None:
            batch = self._at_most(batch, settings.max_queue_size, f"{path}.max_export_batch_size")
        return BatchSettings(
            ring_bytes,
            batch if batch is not None else config.DEFAULT_BATCH,
            self._seconds(settings.schedule_delay, config.DEFAULT_DELAY_S, 0.001, f"{path}.schedule_delay"),
            # 0 is "no limit" there.
            self._seconds(settings.export_timeout, config.DEFAULT_EXPORT_TIMEOUT_S, config.MAX_SECONDS, f"{path}.export_timeout"),
        )

    def _seconds(self, millis: int | None, default: float, for_zero: float, path: str) -> float:
        if millis is None:
            return default
        at_most = self._at_most(millis, int(config.MAX_SECONDS * 1000), path)
        return at_most / 1000 if at_most else for_zero

    def _at_most(self, value: int | None, maximum: int, path: str) -> int | None:
        if value is None or value <= maximum:
            return value
        self._remark(path, f"{value} is more than {maximum}, which is used")
        return maximum

    def _span_limits(self, settings: schema.SpanLimits | Any) -> SpanLimits:
        given = schema.SpanLimits() if settings is UNSET else settings
        general = self._configuration.attribute_limits
        for path, limits in (("attribute_limits", general), ("tracer_provider.limits", settings)):
            if limits is not UNSET and limits.attribute_value_depth_limit is not None:
                self._remark(f"{path}.attribute_value_depth_limit", "has no effect: the depth is bounded by what receivers read")
        return _limits(given, None if general is UNSET else general)


def _limits(given: schema.SpanLimits, general: schema.AttributeLimits | None) -> SpanLimits:
    """Return span limits: those of spans, then the general ones, then the schema's, and none from variables."""
    unset, default = SpanLimits.UNSET, 128

    def first(*limits: int | None, last: int) -> int:
        return next((limit for limit in limits if limit is not None), last)

    count = first(given.attribute_count_limit, general.attribute_count_limit if general else None, last=default)
    length = first(
        given.attribute_value_length_limit, general.attribute_value_length_limit if general else None, last=unset
    )
    return SpanLimits(
        max_attributes=count,
        max_events=first(given.event_count_limit, last=default),
        max_links=first(given.link_count_limit, last=default),
        max_span_attributes=count,
        max_event_attributes=first(given.event_attribute_count_limit, last=default),
        max_link_attributes=first(given.link_attribute_count_limit, last=default),
        max_attribute_length=length,
        max_span_attribute_length=length,
    )


def _tracer_configurator(settings: schema.TracerConfigurator) -> Any:
    from tracecore.tracer_config import RuleBasedTracerConfigurator, TracerConfig, scope_name_matches_glob

    def of(each: Any) -> TracerConfig:
        return TracerConfig(is_enabled=each is UNSET or each.enabled is not False)

    matchers = [] if settings.tracers is UNSET else settings.tracers
    return RuleBasedTracerConfigurator(
        rules=[(scope_name_matches_glob(matcher.name), of(matcher.config)) for matcher in matchers],
        default_config=of(settings.default_config),
    )
