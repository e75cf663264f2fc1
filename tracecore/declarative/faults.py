"""Fault: what is wrong with a configuration file, and where; and the error that holds all of a file's faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple

from tracecore.errors import ConfigurationError

__all__ = ["ConfigurationFileError", "Fault", "did_you_mean", "shown"]

_LONGEST_SHOWN: Final = 80


class Fault(NamedTuple):
    """One thing that is wrong: ``tracer_provider.sampler.trace_id_ratio_based.ratio=2 (line 7): expected ...``."""

    path: str
    """Where in the file: keys and indexes, "" for the file as a whole."""
    line: int | None
    message: str
    value: str | None = None
    """What stands there as it may be shown; None where nothing does."""

    def __str__(self) -> str:
        value = "" if self.value is None else f"={self.value}"
        line = "" if self.line is None else f"line {self.line}" if not self.path else f" (line {self.line})"
        where = f"{self.path}{value}{line}"
        return f"{where}: {self.message}" if where else self.message


class ConfigurationFileError(ConfigurationError):
    """A configuration file that cannot be honoured; `faults` has everything that is wrong with it."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        # "config_file" and the like in ConfigurationError's own fields, for those who catch that.
        super().__init__("config_file", file, "a valid OpenTelemetry configuration file")
        # What BaseException rebuilds the error from, when it is pickled.
        self.args = (file, tuple(faults))
        self.file = file
        self.faults = tuple(faults)

    def __str__(self) -> str:
        if len(self.faults) == 1:
            return f"{self.file}: {self.faults[0]}"
        return "\n".join([f"{self.file} has {len(self.faults)} faults:", *(f"  {fault}" for fault in self.faults)])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the nearest of the known names, with its comma; "" when none is near."""
    near = [] if name in (known := list(known)) else get_close_matches(name, known, 1)
    return f", did you mean {near[0]!r}?" if near else ""


def shown(value: object) -> str:
    """Return a value as it stands in an error: short, and the inside of a collection left out."""
    if isinstance(value, dict):
        return "{...}"
    if isinstance(value, list):
        return "[...]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
