"""Settings of a configuration file that are the arguments of one of our own classes, as they stand."""

from __future__ import annotations

from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from tracecore.declarative.faults import did_you_mean
from tracecore.declarative.schema import Component
from tracecore.errors import ConfigurationError

__all__ = ["made_of"]


def made_of(module: str, name: str, component: Component) -> Any:
    """Return what `name` of `module` makes of the settings.

    Raises: ConfigurationError, naming the setting that it does not have, misses, or does not take.
    """
    make = getattr(import_module(module), name)
    parameters = {
        each.name: each
        for each in signature(make).parameters.values()
        if each.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    }
    for key in component.settings:
        if key not in parameters:
            known = ", ".join(parameters)
            raise ConfigurationError(key, None, f"one of {known}{did_you_mean(key, parameters)}")
    for each in parameters.values():
        if each.default is Parameter.empty and each.name not in component.settings:
            raise ConfigurationError(each.name, None, "it to be there")
    return make(**component.settings)
