"""Tests of opentelemetry-sdk 1.45.1 that pass on it and need not pass on tracecore, each with its own reason.

What they are run with is sdk_plugin.py; contrib.py asks this table. The reasons are of four kinds: the test replaces or
reads a private part of the SDK; it wants the SDK's very words; it is given what is no argument of that type; or
docs/differences.md (named in backquotes) says why tracecore does otherwise.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SDK_DIFFERENCES", "SDK_UNSTEADY"]

_RESOURCES: Final = "opentelemetry-sdk::tests.resources.test_resources."
_BATCH: Final = "opentelemetry-sdk::tests.shared_internal.test_batch_processor.TestBatchProcessor::"
_EXPORT: Final = "opentelemetry-sdk::tests.trace.export.test_export."
_RATIO: Final = "opentelemetry-sdk::tests.trace.composite_sampler.test_traceid_ratio::test_sampling"
_TRACE: Final = "opentelemetry-sdk::tests.trace.test_trace."

_EMIT: Final = "hands spans in through BatchSpanProcessor._batch_processor.emit; "

SDK_DIFFERENCES: Final[dict[str, str]] = {
    # ---- resources ----
    f"{_RESOURCES}TestHostResourceDetector::test_host_id_bsd_falls_back_to_kenv": (
        "replaces resources._read_machine_id_file to have no /etc/hostid; the detector reads the file itself"
    ),
    f"{_RESOURCES}TestHostResourceDetector::test_host_id_bsd_no_host_id": (
        "replaces resources._read_machine_id_file to have no /etc/hostid; the detector reads the file itself"
    ),
    f"{_RESOURCES}TestHostResourceDetector::test_host_id_bsd_reads_etc_hostid": (
        "replaces resources._read_machine_id_file by one that gives an id, and counts its calls"
    ),
    f"{_RESOURCES}TestHostResourceDetector::test_host_id_bsd_without_kenv": (
        "replaces resources._read_machine_id_file to have no /etc/hostid; the detector reads the file itself"
    ),
    f"{_RESOURCES}TestHostResourceDetector::test_host_id_error_swallowed_by_default": (
        "replaces resources._get_host_id by one that raises"
    ),
    f"{_RESOURCES}TestHostResourceDetector::test_host_id_raise_on_error": ("replaces resources._get_host_id by one that raises"),
    f"{_RESOURCES}TestHostResourceDetector::test_resource_detector_entry_points_host": (
        "replaces resources._get_host_id by one that gives an id"
    ),
    f"{_RESOURCES}TestHostResourceDetector::test_host_id_windows_reads_machine_guid_from_registry": (
        "replaces resources.winreg, which is imported on Windows only, and there by the function that needs it"
    ),
    f"{_RESOURCES}TestHostResourceDetector::test_host_id_windows_registry_read_fails": (
        "replaces resources.winreg, which is imported on Windows only, and there by the function that needs it"
    ),
    f"{_RESOURCES}TestHostResourceDetector::test_host_id_windows_without_winreg": (
        "replaces resources.winreg, which is imported on Windows only, and there by the function that needs it"
    ),
    f"{_RESOURCES}TestResources::test_aggregated_resources_joins_detector_threads": (
        "`detector-timeout`: asserts that a detector's thread has ended, long after the detector's time was up"
    ),
    f"{_RESOURCES}TestResources::test_resource_detector_timeout": (
        "replaces resources.logger and asserts the format string that the SDK calls it with"
    ),
    f"{_RESOURCES}TestResources::test_get_process_dependent_resource": (
        "replaces resources._build_resource_detectors by a list of its own"
    ),
    f"{_RESOURCES}TestResources::test_get_process_dependent_resource_empty": (
        "replaces resources._build_resource_detectors by a list of its own"
    ),
    f"{_RESOURCES}TestServiceInstanceIdResourceDetector::test_detect_pid_change_generates_new_id": (
        "sets resources._service_instance_id_pid to another process's, and reads it back"
    ),
    f"{_RESOURCES}TestServiceInstanceIdResourceDetector::test_detect_pid_unchanged_returns_same_id": (
        "sets resources._service_instance_id, and wants that value from the detector"
    ),
    # ---- batches ----
    f"{_BATCH}test_telemetry_exported_once_batch_size_reached[BatchSpanProcessor-telemetry1]": (
        _EMIT + "the same through on_end: test_sdk_face.py"
    ),
    f"{_BATCH}test_telemetry_exported_once_schedule_delay_reached[BatchSpanProcessor-telemetry1]": (
        _EMIT + "the same through on_end: test_sdk_face.py"
    ),
    f"{_BATCH}test_telemetry_flushed_before_shutdown_and_dropped_after_shutdown[BatchSpanProcessor-telemetry1]": (
        _EMIT + "the same through on_end: test_sdk_face.py"
    ),
    f"{_BATCH}test_force_flush_flushes_telemetry[BatchSpanProcessor-telemetry1]": (
        _EMIT + "the same through on_end: test_sdk_face.py"
    ),
    f"{_BATCH}test_batch_telemetry_record_processor_fork[BatchSpanProcessor-telemetry1]": (
        _EMIT + "the same through on_end: test_sdk_face.py"
    ),
    f"{_BATCH}test_shutdown_allows_1_export_to_finish[BatchSpanProcessor-telemetry1]": (
        _EMIT + "and waits for its _worker_thread; the same through on_end: test_sdk_face.py"
    ),
    f"{_EXPORT}TestBatchSpanProcessor::test_args_env_var": (
        "reads queue size, delay, batch size and timeout in BatchSpanProcessor._batch_processor"
    ),
    f"{_EXPORT}TestBatchSpanProcessor::test_args_env_var_defaults": (
        "reads queue size, delay, batch size and timeout in BatchSpanProcessor._batch_processor"
    ),
    f"{_EXPORT}TestBatchSpanProcessor::test_args_env_var_value_error": (
        "reads queue size, delay, batch size and timeout in BatchSpanProcessor._batch_processor"
    ),
    f"{_EXPORT}TestBatchSpanProcessor::test_metrics": (
        "wants the second of two spans dropped by max_queue_size=1; `queue-bytes`: the queue has room for 64 KiB at least"
    ),
    # ---- ids ----
    f"{_TRACE}TestRandomIdGenerator::test_generate_span_id_avoids_invalid": (
        "`random-ids`: replaces random.getrandbits, which the SDK draws ids from"
    ),
    f"{_TRACE}TestRandomIdGenerator::test_generate_trace_id_avoids_invalid": (
        "`random-ids`: replaces random.getrandbits, which the SDK draws ids from"
    ),
    # ---- spans and providers ----
    f"{_TRACE}TestSpan::test_add_link_with_invalid_span_context_with_tracestate": (
        '`wrong-types`: the tracestate of its SpanContext is the str "foo=bar", no TraceState'
    ),
    f"{_TRACE}TestSpanCreation::test_start_span_implicit": (
        "`fresh-reads`: wants span.parent to be the parent's SpanContext object, here an equal one"
    ),
    f"{_TRACE}TestSpanCreation::test_start_as_current_span_implicit": (
        "`fresh-reads`: wants span.parent to be the parent's SpanContext object, here an equal one"
    ),
    f"{_TRACE}TestSpanCreation::test_start_as_current_span_decorator": (
        "`fresh-reads`: wants span.parent to be the parent's SpanContext object, here an equal one"
    ),
    f"{_TRACE}TestSpanCreation::test_update_resource": (
        "calls TracerProvider._update_resource, and wants an open span to keep the resource it started with: a span that is "
        "sent later has the provider's"
    ),
    f"{_TRACE}TestSpanLimits::test_invalid_env_vars_raise": (
        "wants a ValueError for a limit in the environment that is none; `wrong-limits`: it warns and gives the default"
    ),
    f"{_TRACE}TestTracer::test_no_deprecated_warning": (
        "gives a Mock as the resource, whose attributes are no mapping: refused by the constructor"
    ),
    f"{_TRACE}TestTracerProvider::test_tracer_provider_init_default": (
        "replaces sampling._get_from_env_or_default and wants it called; it is here another name for the function that is"
    ),
}

SDK_UNSTEADY: Final[dict[str, str]] = {
    **{
        f"{_RATIO}[{ratio}-{threshold}]": (
            "`random-ids`: of 10,000 ids fewer than 50 too many or too few may be sampled, about one standard deviation; "
            "that holds for the ids that the SDK draws after the suite's random.seed(0), and by chance for others"
        )
        for ratio, threshold in (
            (0.5, 36028797018963968),
            (0.25, 54043195528445952),
            (0.125, 63050394783186944),
            (0.45, 39631676720860364),
            (0.2, 57646075230342348),
            (0.13, 62690106812997304),
            (0.05, 68454714336031539),
        )
    },
}
"""Tests that pass on opentelemetry-sdk, and on tracecore sometimes."""
