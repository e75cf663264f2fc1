"""Redaction and drop rules in a configuration file: each a mapping of one key, the function that makes it.

    - tracecore/redaction:
        rules:
          - drop: {keys: ["*.password", {regex: "^x-.*-token$", ignore_case: true}]}
          - replaced: {values: '\\b\\d{13,16}\\b', text: "[card]"}
    - tracecore/dropping:
        rules:
          - asgi_send_receive:
          - dropped: {names: "GET /health", kinds: [server]}

Under the key stand the arguments of that function, `keys` for those that have no name. A pattern is a text, which is a
glob, or a mapping with `regex`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from opentelemetry.trace import SpanKind

from tracecore.declarative.arguments import check_arguments
from tracecore.declarative.faults import did_you_mean
from tracecore.errors import ConfigurationError

__all__ = ["dropping", "redaction"]

_REDACTION: Final = ("drop", "hashed", "kept", "renamed", "replaced", "truncated")
_DROPPING: Final = ("asgi_send_receive", "dropped")
_PATTERNS: Final = frozenset({"keys", "names", "scopes", "values"})


def redaction(rules: Any, names: bool = True, resource: bool = False, hash_key: str | None = None) -> Any:
    """Return the Redaction of these rules.  Raises: ConfigurationError, with the path to what is wrong in a rule."""
    module = import_module("tracecore.processors.redaction")
    key = None if hash_key is None else _key("hash_key", hash_key)
    return module.Redaction(_made(module, _REDACTION, rules), names=names, resource=resource, hash_key=key)


def dropping(rules: Any) -> Any:
    """Return the Dropping of these rules.  Raises: ConfigurationError, with the path to what is wrong in a rule."""
    module = import_module("tracecore.processors.dropping")
    return module.Dropping(_made(module, _DROPPING, rules))


def _made(module: Any, functions: tuple[str, ...], rules: Any) -> list[Any]:
    if not isinstance(rules, list) or not rules:
        raise ConfigurationError("rules", rules, "a list of one rule or more")
    made = []
    for index, rule in enumerate(rules):
        path = f"rules[{index}]"
        if not isinstance(rule, dict) or len(rule) != 1:
            raise ConfigurationError(path, rule, f"a mapping with one key: {', '.join(functions)}")
        ((name, settings),) = rule.items()
        if name not in functions:
            hint = did_you_mean(name, functions)
            raise ConfigurationError(f"{path}.{name}", None, f"one of {', '.join(functions)}{hint}")
        if settings is not None and not isinstance(settings, dict):
            raise ConfigurationError(f"{path}.{name}", settings, "a mapping of settings, or nothing")
        made.append(_rule(f"{path}.{name}", getattr(module, name), settings or {}, has_keys=functions is _REDACTION))
    return made


def _rule(path: str, make: Callable[..., Any], settings: dict[str, Any], has_keys: bool) -> Any:
    try:
        check_arguments(make, settings, *(["keys"] if has_keys else []))
        arguments = {key: _argument(key, value) for key, value in settings.items()}
        keys = arguments.pop("keys", [])
        return make(*(keys if isinstance(keys, list) else [keys]), **arguments)
    except ConfigurationError as fault:
        raise ConfigurationError(f"{path}.{fault.variable}", fault.value, fault.expected) from None


def _argument(key: str, value: Any) -> Any:
    if key in _PATTERNS:
        return [_pattern(key, each) for each in value] if isinstance(value, list) else _pattern(key, value)
    if key == "attributes" and isinstance(value, dict):
        return {each: _pattern(key, wanted) for each, wanted in value.items()}
    if key == "hash_key":
        return _key(key, value)
    if key == "kinds":
        kinds = value if isinstance(value, list) else [value]
        names = [kind.name.lower() for kind in SpanKind]
        if not all(kind in names for kind in kinds):
            raise ConfigurationError(key, value, ", ".join(names))
        return [SpanKind[kind.upper()] for kind in kinds]
    return value


def _pattern(key: str, value: Any) -> Any:
    """Return a text as it is, and what re.compile makes of a mapping with `regex`."""
    if not isinstance(value, dict):
        return value
    if "regex" not in value or not value.keys() <= {"regex", "ignore_case"} or not isinstance(value["regex"], str):
        raise ConfigurationError(key, value, "a text, or a mapping with regex and perhaps ignore_case")
    try:
        return re.compile(value["regex"], re.IGNORECASE if value.get("ignore_case") else 0)
    except re.error as fault:
        raise ConfigurationError(key, value["regex"], f"a regular expression ({fault})") from None


def _key(name: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise ConfigurationError(name, "(hidden)", "a text in quotes")
    return value.encode()
