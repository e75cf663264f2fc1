"""Patterns as they are written in rules: a str is a glob, what `re.compile` returns is a regular expression.

    "user.id"                   that key
    "http.request.header.*"     * any run, ? one character, [abc] [a-z] [!a-z] one of ASCII; [*] is a plain *
    re.compile(r"^card", re.I)  found anywhere in the key

A glob is for the whole text and its case counts. Regular expressions are not run by `re` but by the core, in linear
time: csrc/tc_program.h has the dialect. What it does not have is refused here, with the place and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

from tracecore._core import patterns as core
from tracecore.errors import ConfigurationError

__all__ = ["Pattern", "compiled", "each_compiled", "expression"]

Pattern: TypeAlias = "str | re.Pattern[str]"

_FLAGS = {re.IGNORECASE: core.IGNORE_CASE, re.DOTALL: core.DOT_ALL, re.MULTILINE: core.MULTILINE}
_KNOWN_FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE | re.ASCII | re.UNICODE
_GLOB_SIGNS = frozenset("*?[")


def compiled(variable: str, pattern: Any) -> tuple[int, bytes, int]:
    """Return (kind, UTF-8, flags) as the core takes it. Raises: ConfigurationError naming `variable` and the place."""
    if isinstance(pattern, str):
        kind = core.GLOB if _GLOB_SIGNS & set(pattern) else core.EXACT
        return _tried(variable, pattern, kind, pattern, 0)
    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        return _tried(variable, pattern, core.REGEX, pattern.pattern, _flags(variable, pattern))
    raise ConfigurationError(variable, pattern, "a str (a glob) or what re.compile() returns for one")


def each_compiled(variable: str, patterns: Any) -> tuple[tuple[int, bytes, int], ...]:
    """Return every pattern of one or of an iterable, compiled. Raises: ConfigurationError."""
    if isinstance(patterns, (str, re.Pattern)):
        patterns = (patterns,)
    if not isinstance(patterns, Iterable):
        raise ConfigurationError(variable, patterns, "patterns: each a str (a glob) or what re.compile() returns")
    return tuple(compiled(variable, pattern) for pattern in patterns)


def expression(variable: str, pattern: Any) -> tuple[bytes, int]:
    """Return (UTF-8, flags) of a regular expression, given as its text or compiled. Raises: ConfigurationError.

    One that finds the empty text is refused: it would find it everywhere.
    """
    if isinstance(pattern, str):
        text, flags = pattern, 0
    elif isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        text, flags = pattern.pattern, _flags(variable, pattern)
    else:
        raise ConfigurationError(variable, pattern, "a regular expression, as its text or compiled")
    _, encoded, flags = _tried(variable, pattern, core.REGEX, text, flags)
    if core.Regex(encoded, flags).search(b""):
        raise ConfigurationError(variable, pattern, "a regular expression that does not match the empty text")
    return encoded, flags


def _flags(variable: str, pattern: re.Pattern[str]) -> int:
    if pattern.flags & ~_KNOWN_FLAGS:
        raise ConfigurationError(variable, pattern, "flags among IGNORECASE, DOTALL, MULTILINE and ASCII")
    return sum(ours for theirs, ours in _FLAGS.items() if pattern.flags & theirs)


def _tried(variable: str, given: Any, kind: int, text: str, flags: int) -> tuple[int, bytes, int]:
    try:
        encoded = text.encode()
    except UnicodeEncodeError as fault:
        raise ConfigurationError(variable, given, f"a pattern that is valid Unicode: {fault}") from None
    try:
        core.Pattern(kind, encoded, flags)
    except core.PatternFault as fault:
        raise ConfigurationError(
            variable, given, f"a pattern of the supported dialect: at character {fault.at}: {fault.reason}"
        ) from None
    return kind, encoded, flags
