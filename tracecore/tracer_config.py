"""TracerConfig: which tracers of a provider are switched on, decided by a function of their scope.

    TracerConfigurator    scope -> TracerConfig     asked when a tracer is made, and again when it is replaced
    RuleBasedTracerConfigurator                     the first rule whose predicate says yes; else a default

A tracer that is switched off hands its parent on: what it starts is neither recorded nor has an id of its own.

Source: specification, trace/sdk.md "TracerConfigurator" (in development there, which is why opentelemetry-sdk has these
names with an underscore; tracecore.sdk.trace has them so, too).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from tracecore.instrumentation_scope import InstrumentationScope

__all__ = [
    "RuleBasedTracerConfigurator",
    "ScopePredicate",
    "TracerConfig",
    "TracerConfigurator",
    "default_tracer_configurator",
    "disable_tracer_configurator",
    "scope_name_matches_glob",
]

ScopePredicate: TypeAlias = "Callable[[InstrumentationScope], bool]"


@dataclass
class TracerConfig:
    """What can be configured of one tracer."""

    is_enabled: bool

    @classmethod
    def default(cls) -> TracerConfig:
        return cls(is_enabled=True)


TracerConfigurator: TypeAlias = "Callable[[InstrumentationScope], TracerConfig]"

_ON: Final = TracerConfig(is_enabled=True)
_OFF: Final = TracerConfig(is_enabled=False)


class RuleBasedTracerConfigurator:
    """The config of the first rule whose predicate accepts the scope, else `default_config`."""

    def __init__(
        self,
        *,
        rules: Sequence[tuple[ScopePredicate, TracerConfig]],
        default_config: TracerConfig,
    ) -> None:
        self._rules = rules
        self._default_config = default_config

    def __call__(self, scope: InstrumentationScope) -> TracerConfig:
        for accepts, config in self._rules:
            if accepts(scope):
                return config
        return self._default_config

    def update_rules(self, rules: Sequence[tuple[ScopePredicate, TracerConfig]]) -> None:
        """Replace the rules; tracers that exist take them when their provider is given a configurator again."""
        self._rules = rules


def default_tracer_configurator(tracer_scope: InstrumentationScope) -> TracerConfig:
    """Switch every tracer on."""
    return _ON


def disable_tracer_configurator(tracer_scope: InstrumentationScope) -> TracerConfig:
    """Switch every tracer off."""
    return _OFF


def scope_name_matches_glob(glob_pattern: str) -> ScopePredicate:
    """Return a predicate: whether a scope's name matches the pattern (`*`, `?`, `[]`), upper and lower case apart."""

    def matches(scope: InstrumentationScope) -> bool:
        return fnmatchcase(scope.name, glob_pattern)

    return matches
