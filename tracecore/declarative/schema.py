"""The schema of configuration files: one msgspec Struct for each type that tracing needs.

    `X | None`        may be null, which means the same as leaving it out
    `X | UnsetType`   may be left out, and must not be null
    a leaf            carries in its Meta the range it must keep and the words for it
    Component         a mapping of one key, the name of what to build, over its settings

A name that a table of COMPONENTS has not is that of an extension: an entry point gets its settings as they are.
What stands under meter_provider and logger_provider is opentelemetry-sdk's, and is passed on.

Source: github.com/open-telemetry/opentelemetry-configuration, schema/, version 1.1; the few properties of its newest
state that this version does not have yet are accepted too.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

__all__ = ["COMPONENTS", "FREE_KEYS", "Component", "Configuration", "OneOf", "Secret"]

# --- leaves ---------------------------------------------------------------------------------------------------

Flag: TypeAlias = Annotated[bool, Meta(description="true or false")]
Text: TypeAlias = Annotated[str, Meta(description="a string")]
FilledText: TypeAlias = Annotated[str, Meta(min_length=1, description="a string that is not empty")]
Count: TypeAlias = Annotated[int, Meta(ge=0, description="an integer, 0 or more")]
Positive: TypeAlias = Annotated[int, Meta(gt=0, description="an integer above 0")]
Millis: TypeAlias = Annotated[int, Meta(ge=0, description="milliseconds, an integer, 0 or more")]
Ratio: TypeAlias = Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")]


class Secret:
    """Marks a leaf whose value no error may show."""


SecretText: TypeAlias = Annotated[str, Meta(description="a string"), Secret()]


class Component(NamedTuple):
    """What to build, by name."""

    name: str
    settings: Any
    """A Struct of this file, or a dict for an extension."""
    path: str
    """Where its settings stand in the file."""


class OneOf(NamedTuple):
    """Marks a Component: the table of its names, and what it is in words."""

    table: str
    what: str


SamplerChoice: TypeAlias = Annotated[Component, OneOf("sampler", "sampler")]
ComposableChoice: TypeAlias = Annotated[Component, OneOf("composable", "composable sampler")]
ExporterChoice: TypeAlias = Annotated[Component, OneOf("exporter", "span exporter")]
ProcessorChoice: TypeAlias = Annotated[Component, OneOf("processor", "span processor")]
PropagatorChoice: TypeAlias = Annotated[Component, OneOf("propagator", "propagator")]
DetectorChoice: TypeAlias = Annotated[Component, OneOf("detector", "resource detector")]
IdGeneratorChoice: TypeAlias = Annotated[Component, OneOf("id_generator", "id generator")]


class Empty(Struct, frozen=True):
    """What has no settings."""


# --- exporters ------------------------------------------------------------------------------------------------


class Header(Struct, frozen=True):
    name: FilledText
    value: SecretText | None


class HttpTls(Struct, frozen=True):
    ca_file: FilledText | None = None
    key_file: FilledText | None = None
    cert_file: FilledText | None = None


class GrpcTls(Struct, frozen=True):
    ca_file: FilledText | None = None
    key_file: FilledText | None = None
    cert_file: FilledText | None = None
    insecure: Flag | None = None


class OtlpHttp(Struct, frozen=True):
    endpoint: FilledText | None = None
    tls: HttpTls | None = None
    headers: list[Header] | UnsetType = UNSET
    headers_list: SecretText | None = None
    compression: FilledText | None = None
    max_request_size: Count | None = None
    max_response_size: Positive | None = None
    timeout: Millis | None = None
    encoding: Literal["protobuf", "json"] | None = None


class OtlpGrpc(Struct, frozen=True):
    endpoint: FilledText | None = None
    tls: GrpcTls | None = None
    headers: list[Header] | UnsetType = UNSET
    headers_list: SecretText | None = None
    compression: FilledText | None = None
    max_request_size: Count | None = None
    max_response_size: Positive | None = None
    timeout: Millis | None = None


class OtlpFile(Struct, frozen=True):
    output_stream: FilledText | None = None


class Zipkin(Struct, frozen=True):
    """Not of version 1: as it stood in 0.4, where others' files have it."""

    endpoint: FilledText | None = None
    timeout: Millis | None = None


# --- processors -----------------------------------------------------------------------------------------------


class Batch(Struct, frozen=True):
    exporter: ExporterChoice
    schedule_delay: Millis | None = None
    export_timeout: Millis | None = None
    max_queue_size: Positive | None = None
    max_export_batch_size: Positive | None = None


class Simple(Struct, frozen=True):
    exporter: ExporterChoice


# --- samplers -------------------------------------------------------------------------------------------------


class TraceIdRatio(Struct, frozen=True):
    ratio: Ratio | None = None


class AlwaysRecord(Struct, frozen=True):
    root: SamplerChoice


class ParentBased(Struct, frozen=True):
    root: SamplerChoice | UnsetType = UNSET
    remote_parent_sampled: SamplerChoice | UnsetType = UNSET
    remote_parent_not_sampled: SamplerChoice | UnsetType = UNSET
    local_parent_sampled: SamplerChoice | UnsetType = UNSET
    local_parent_not_sampled: SamplerChoice | UnsetType = UNSET


class JaegerRemote(Struct, frozen=True):
    endpoint: FilledText
    initial_sampler: SamplerChoice
    interval: Millis | None = None


class ParentThreshold(Struct, frozen=True):
    root: ComposableChoice


class AttributeValues(Struct, frozen=True):
    key: Text
    values: list[Text]


class AttributePatterns(Struct, frozen=True):
    key: Text
    included: list[Text] | UnsetType = UNSET
    excluded: list[Text] | UnsetType = UNSET


class Rule(Struct, frozen=True):
    sampler: ComposableChoice
    attribute_values: AttributeValues | UnsetType = UNSET
    attribute_patterns: AttributePatterns | UnsetType = UNSET
    span_kinds: list[Literal["internal", "server", "client", "producer", "consumer"]] | UnsetType = UNSET
    parent: list[Literal["none", "remote", "local"]] | UnsetType = UNSET


class RuleBased(Struct, frozen=True):
    rules: list[Rule] | UnsetType = UNSET


# --- tracer_provider ------------------------------------------------------------------------------------------


class AttributeLimits(Struct, frozen=True):
    attribute_value_length_limit: Count | None = None
    attribute_value_depth_limit: Positive | None = None
    attribute_count_limit: Count | None = None


class SpanLimits(Struct, frozen=True):
    attribute_value_length_limit: Count | None = None
    attribute_value_depth_limit: Positive | None = None
    attribute_count_limit: Count | None = None
    event_count_limit: Count | None = None
    link_count_limit: Count | None = None
    event_attribute_count_limit: Count | None = None
    link_attribute_count_limit: Count | None = None


class TracerConfig(Struct, frozen=True):
    enabled: Flag | UnsetType = UNSET


class TracerMatcher(Struct, frozen=True):
    name: Text
    config: TracerConfig


class TracerConfigurator(Struct, frozen=True):
    default_config: TracerConfig | UnsetType = UNSET
    tracers: list[TracerMatcher] | UnsetType = UNSET


class TracerProvider(Struct, frozen=True):
    processors: list[ProcessorChoice]
    limits: SpanLimits | UnsetType = UNSET
    sampler: SamplerChoice | UnsetType = UNSET
    id_generator: IdGeneratorChoice | UnsetType = UNSET
    tracer_configurator: TracerConfigurator | UnsetType = field(name="tracer_configurator/development", default=UNSET)


# --- resource -------------------------------------------------------------------------------------------------


class Attribute(Struct, frozen=True):
    name: FilledText
    value: Any
    type: (
        Literal["string", "bool", "int", "double", "string_array", "bool_array", "int_array", "double_array"] | None
    ) = None


class IncludeExclude(Struct, frozen=True):
    included: list[Text] | UnsetType = UNSET
    excluded: list[Text] | UnsetType = UNSET


class Detection(Struct, frozen=True):
    attributes: IncludeExclude | UnsetType = UNSET
    detectors: list[DetectorChoice] | UnsetType = UNSET


class Resource(Struct, frozen=True):
    attributes: list[Attribute] | UnsetType = UNSET
    attributes_list: Text | None = None
    schema_url: Text | None = None
    detection: Detection | UnsetType = field(name="detection/development", default=UNSET)


# --- the root -------------------------------------------------------------------------------------------------


class Propagator(Struct, frozen=True):
    composite: list[PropagatorChoice] | UnsetType = UNSET
    composite_list: Text | None = None


Severity: TypeAlias = Literal[
    "trace", "trace2", "trace3", "trace4", "debug", "debug2", "debug3", "debug4", "info", "info2", "info3", "info4",
    "warn", "warn2", "warn3", "warn4", "error", "error2", "error3", "error4", "fatal", "fatal2", "fatal3", "fatal4",
]  # fmt: skip


class Ours(Struct, frozen=True):
    """distribution.tracecore: what only tracecore has."""

    ring_bytes: Positive | None = None


class Distribution(Struct, frozen=True):
    tracecore: Ours | UnsetType = UNSET


class Configuration(Struct, frozen=True):
    file_format: Text
    disabled: Flag | None = None
    log_level: Severity | None = None
    attribute_limits: AttributeLimits | UnsetType = UNSET
    propagator: Propagator | UnsetType = UNSET
    resource: Resource | UnsetType = UNSET
    tracer_provider: TracerProvider | UnsetType = UNSET
    meter_provider: dict[str, Any] | UnsetType = UNSET
    logger_provider: dict[str, Any] | UnsetType = UNSET
    instrumentation: dict[str, Any] | UnsetType = field(name="instrumentation/development", default=UNSET)
    distribution: Distribution | UnsetType = UNSET


FREE_KEYS: Final[dict[type[Struct], bool]] = {Configuration: True, Distribution: False}
"""Types that may have further keys, and whether one is remarked upon."""

COMPONENTS: Final[dict[str, dict[str, type[Struct]]]] = {
    "sampler": {
        "always_on": Empty,
        "always_off": Empty,
        "always_record": AlwaysRecord,
        "composite/development": Empty,
        "jaeger_remote/development": JaegerRemote,
        "parent_based": ParentBased,
        "probability/development": TraceIdRatio,
        "trace_id_ratio_based": TraceIdRatio,
    },
    "composable": {
        "always_on": Empty,
        "always_off": Empty,
        "parent_threshold": ParentThreshold,
        "probability": TraceIdRatio,
        "rule_based": RuleBased,
    },
    "exporter": {
        "console": Empty,
        "otlp_file/development": OtlpFile,
        "otlp_grpc": OtlpGrpc,
        "otlp_http": OtlpHttp,
        "zipkin": Zipkin,
    },
    "processor": {"batch": Batch, "simple": Simple},
    "propagator": {"tracecontext": Empty, "baggage": Empty, "b3": Empty, "b3multi": Empty},
    "detector": {"container": Empty, "host": Empty, "process": Empty, "service": Empty},
    "id_generator": {"random": Empty},
}
"""The names each kind of component may have, and the settings under them."""
