"""What contrib.py may find: tests that tracecore need not pass, and packages whose tests cannot run here."""

from __future__ import annotations

from typing import Final

from contrib_packages import SDK
from sdk_differences import SDK_DIFFERENCES, SDK_UNSTEADY

_APPLIES: Final = "calls TracerProvider._apply_tracer_configurator"

_LISTS: Final = (
    "counts TracerProvider._active_span_processor._span_processors, where a BatchSpanProcessor is not: it is a pipeline of the "
    "provider's own"
)

ALLOWED: Final[dict[str, str]] = {
    **SDK_DIFFERENCES,
    "opentelemetry-util-genai::tests.test_utils.TestTelemetryHandler::test_inference_finish_does_not_duplicate_start_attributes": (
        "puts a mock in the place of a tracer's start_span: an object of C, whose methods stay what they are"
    ),
    "opentelemetry-instrumentation-grpc::tests.test_client_interceptor.TestClientProto::test_client_interceptor_falsy_response": (
        "puts a mock in the place of the method `end` of opentelemetry.sdk.trace.Span and counts its calls; a `with` block "
        "of tracecore ends its span in C"
    ),
    **{
        f"opentelemetry-configuration::tests.{test}": _APPLIES
        for test in (
            "file.test_configurator_yaml.TestConfiguratorYaml::test_tracer_configurator_from_yaml_is_wired",
            "test_tracer_provider.TestTracerConfigurator::test_absent_enabled_defaults_to_enabled",
            "test_tracer_provider.TestTracerConfigurator::test_default_config_applies_to_unmatched_scopes",
            "test_tracer_provider.TestTracerConfigurator::test_first_matching_rule_wins",
            "test_tracer_provider.TestTracerConfigurator::test_matching_glob_disables_tracer",
            "test_tracer_provider.TestTracerConfigurator::test_no_configurator_leaves_tracers_enabled",
        )
    },
    **{
        f"opentelemetry-configuration::tests.{test}": _LISTS
        for test in (
            "file.test_loader.TestConfigLoaderEndToEnd::test_typed_config_feeds_factory_function",
            "test_tracer_provider.TestCreateSpanExporterAndProcessor::test_console_exporter_batch",
            "test_tracer_provider.TestCreateSpanExporterAndProcessor::test_plugin_span_exporter_loaded_via_entry_point",
        )
    },
}
"""Tests that pass on opentelemetry-sdk and need not pass on tracecore.

"package::class::test" -> the reason: an entry of docs/differences.md, or which private attribute of the SDK is reached into.
"""

UNSTEADY: Final[dict[str, str]] = {
    **SDK_UNSTEADY,
    "opentelemetry-instrumentation-flask::tests.test_programmatic.TestProgrammatic::test_flask_metric_values": (
        "compares two readings of the clock within 10 ms"
    ),
}
"""Tests that fail at times, on a busy machine or by chance, and why. Only where the reason can be read in the test itself."""

CANNOT_RUN: Final[dict[str, str]] = {
    "opentelemetry-exporter-credential-provider-gcp": "looks for OTLPSpanExporter._session, which the exporter has no more",
    "opentelemetry-instrumentation-elasticsearch": f"there is no release that goes with opentelemetry-sdk {SDK}",
    "opentelemetry-instrumentation-mysqlclient": "building mysqlclient needs Debian's default-libmysqlclient-dev and pkg-config",
    "opentelemetry-instrumentation-genai-openai-agents": "there are no tests in its distribution",
    **{
        f"opentelemetry-instrumentation-{name}": "imports opentelemetry.test_util_genai, which is in its repository only"
        for name in (
            *("genai-agno", "genai-anthropic", "genai-bedrock", "genai-dspy", "genai-langchain", "genai-llama-index"),
            *("genai-openai", "genai-portkey", "genai-qwen-agent", "genai-qwenpaw", "genai-smolagents", "google-genai"),
        )
    },
    "opentelemetry-test-utils": "there are no tests in its distribution",
}
"""Packages of which no test passes on opentelemetry-sdk either, and why. They are tried all the same."""
