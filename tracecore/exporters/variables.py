"""Variables of the environment, read one by one: what is wrong is told in one line, and the default used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from tracecore.errors import ConfigurationError, report
from tracecore.exporters.otlp_settings import check_timeout, parse_endpoint

__all__ = ["Variables", "read_endpoint", "read_port", "read_timeout"]

T = TypeVar("T")

_SUSPICIOUS_TIMEOUT_S = 1000.0
"""From here on the writer probably meant milliseconds, the unit the specification gives to durations."""


class Variables:
    """One reading of the environment.  `reason` is the counter that faults are reported under."""

    def __init__(self, environment: Mapping[str, str], reason: str) -> None:
        self._environment = environment
        self._reason = reason
        self._faults: list[str] = []

    def get(self, name: str, read: Callable[[str, str], T], default: T) -> T:
        """Return what `read` (name, text) makes of the variable; `default` if it is unset, blank or wrong."""
        text = self.text(name)
        if not text:
            return default
        try:
            return read(name, text)
        except ConfigurationError as fault:
            self._faults.append(f"{fault}; using {default!r} instead")
            return default

    def text(self, name: str) -> str:
        """Return the variable as it is, without space around it."""
        return self._environment.get(name, "").strip()

    def remark(self, fault: str) -> None:
        """Have one more sentence told."""
        self._faults.append(fault)

    def timeout(self, name: str, default: float) -> float:
        """Return a timeout in seconds, as opentelemetry-python reads it, and remark upon what looks like milliseconds."""
        seconds = self.get(name, read_timeout, default)
        if seconds >= _SUSPICIOUS_TIMEOUT_S:
            self.remark(f"{name}={seconds:g} is read as seconds, not milliseconds")
        return seconds

    def tell(self) -> None:
        """Report the faults, if there were any: one line, as a second would be held back."""
        if self._faults:
            report(self._reason, "%s", "; ".join(self._faults))


def read_endpoint(name: str, text: str) -> str:
    """Return a URL that an exporter over HTTP can use.  Raises: ConfigurationError."""
    parse_endpoint(name, text)
    return text


def read_timeout(name: str, text: str) -> float:
    """Return seconds.  Raises: ConfigurationError."""
    try:
        return check_timeout(name, float(text))
    except ValueError:
        raise ConfigurationError(name, text, "a finite number of seconds above 0") from None


def read_port(name: str, text: str) -> int:
    """Return a port.  Raises: ConfigurationError."""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ConfigurationError(name, text, "a port from 1 to 65535")
    return int(text)
