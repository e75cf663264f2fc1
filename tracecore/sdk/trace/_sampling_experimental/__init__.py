"""As opentelemetry.sdk.trace._sampling_experimental."""

from tracecore.composable_sampling import (
    ComposableSampler,
    SamplingIntent,
    composable_always_off,
    composable_always_on,
    composable_parent_threshold,
    composable_rule_based,
    composable_traceid_ratio_based,
    composite_sampler,
)

__all__ = [
    "ComposableSampler",
    "SamplingIntent",
    "composable_always_off",
    "composable_always_on",
    "composable_parent_threshold",
    "composable_rule_based",
    "composable_traceid_ratio_based",
    "composite_sampler",
]
