"""As opentelemetry.sdk.trace._sampling_experimental._rule_based."""

from collections.abc import Sequence

from tracecore.composable_sampling import ComposableSampler, composable_rule_based
from tracecore.sampling_rules import (
    AllPredicate,
    AlwaysMatchPredicate,
    AttributePatternsPredicate,
    AttributePredicate,
    AttributeValuesPredicate,
    ParentPredicate,
    SpanKindPredicate,
)
from tracecore.sampling_rules import Predicate as PredicateT

__all__ = [
    "AllPredicate",
    "AlwaysMatchPredicate",
    "AttributePatternsPredicate",
    "AttributePredicate",
    "AttributeValuesPredicate",
    "ParentPredicate",
    "PredicateT",
    "RulesT",
    "SpanKindPredicate",
    "composable_rule_based",
]

RulesT = Sequence[tuple[PredicateT, ComposableSampler]]
