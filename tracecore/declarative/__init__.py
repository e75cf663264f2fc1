"""Declarative configuration: OTEL_CONFIG_FILE, a YAML or JSON file that says everything the OTEL_* variables cannot.

    document      text -> nodes, each with its line; ${VAR} substituted
    schema        the types of the specification's schema, as msgspec Structs
    validation    nodes -> schema; every fault with its path
    building      schema -> sampler, exporters, ... -> TracerProvider

Nothing here sets a global; `tracecore.bootstrap` does.  docs/configuration-file.md is the user's page.

Source: specification, configuration/ (data-model.md, sdk.md); github.com/open-telemetry/opentelemetry-configuration.
"""
