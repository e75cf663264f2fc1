"""As opentelemetry.sdk.util.instrumentation."""

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.util.types import AnyValue, Attributes

from tracecore.instrumentation_scope import InstrumentationInfo, InstrumentationScope
from tracecore.tracer_config import ScopePredicate as _InstrumentationScopePredicateT
from tracecore.tracer_config import scope_name_matches_glob as _scope_name_matches_glob

__all__ = [
    "AnyValue",
    "Attributes",
    "BoundedAttributes",
    "InstrumentationInfo",
    "InstrumentationScope",
    "_InstrumentationScopePredicateT",
    "_scope_name_matches_glob",
]
