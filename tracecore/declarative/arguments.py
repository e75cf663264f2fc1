"""Settings of a configuration file that are the arguments of one of our own classes, as they stand."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from tracecore.declarative.faults import did_you_mean
from tracecore.declarative.schema import Component
from tracecore.errors import ConfigurationError

__all__ = ["check_arguments", "made_of"]


def made_of(module: str, name: str, component: Component) -> Any:
    """Return what `name` of `module` makes of the settings.

    Raises: ConfigurationError, naming the setting that it does not have, misses, or does not take.
    """
    make = getattr(import_module(module), name)
    check_arguments(make, component.settings)
    return make(**component.settings)


def check_arguments(make: Callable[..., Any], settings: dict[str, Any], *more: str) -> None:
    """Refuse settings that are no arguments of `make`, nor of `more`, and the lack of one that it needs.

    Raises: ConfigurationError.
    """
    parameters = {
        each.name: each
        for each in signature(make).parameters.values()
        if each.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    }
    known = [*more, *parameters]
    for key in settings:
        if key not in known:
            expected = f"one of {', '.join(known)}{did_you_mean(key, known)}" if known else "no settings"
            raise ConfigurationError(key, None, expected)
    for each in parameters.values():
        if each.default is Parameter.empty and each.name not in settings:
            raise ConfigurationError(each.name, None, "it to be there")
