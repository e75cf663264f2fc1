"""Settings: what the environment and the caller ask for, checked once and turned into typed values.

The only file that reads ``os.environ``.  Each variable has one reader, which returns a usable value always:

    unset or blank   the default the caller passed
    wrong            the default, and one warning that names variable, value, expectation and default

What is passed to a function in code is checked by `settings` and refused with a ConfigurationError: the
caller is there to read it.  The environment belongs to whoever deploys, and only warns.

Readers look at the environment each time they are called; nothing is cached here.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, TypeGuard

import msgspec

from tracecore.errors import ConfigurationError, report

__all__ = [
    "Settings",
    "bsp_export_timeout_ms",
    "bsp_max_export_batch_size",
    "bsp_max_queue_size",
    "bsp_schedule_delay_ms",
    "check_ring_bytes",
    "config_file",
    "entities",
    "environment",
    "id_generator",
    "internal_metrics_enabled",
    "key_values",
    "limit",
    "log_level",
    "propagators",
    "resource_attributes",
    "resource_detectors",
    "ring_bytes_for",
    "sdk_disabled",
    "service_name",
    "set_default",
    "settings",
    "spans_for",
    "tracer_configurator",
    "traces_exporters",
    "traces_sampler",
    "traces_sampler_arg",
    "variable_set_to",
    "warn",
]

DEFAULT_RING_BYTES: Final = 4 << 20
"""Four MiB hold some ten thousand spans of ordinary size: seconds of a busy service, while no receiver answers."""
MIN_RING_BYTES: Final = 64 << 10
_BYTES_A_SPAN: Final = 512
"""What a span with a dozen attributes takes: turns a queue size in spans, as OTEL_BSP_MAX_QUEUE_SIZE, into bytes."""
MAX_RING_BYTES: Final = 1 << 30

DEFAULT_BATCH: Final = 4096
"""Spans in one export at most: large enough that a request's fixed cost is small beside its content."""
MAX_BATCH: Final = 65536

DEFAULT_DELAY_S: Final = 5.0
"""Seconds between exports while a batch is not full (the specification's default)."""
DEFAULT_EXPORT_TIMEOUT_S: Final = 30.0
"""Seconds one export may take, retries included (the specification's default)."""
MAX_SECONDS: Final = 3600.0
"""An hour: a longer delay or timeout is a unit taken for another."""

_LOG_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
"""The specification lists no names: these are what its implementations take."""

_MAX_MS: Final = int(MAX_SECONDS * 1000)
_MAX_QUEUE_SIZE: Final = 2**31 - 1


# --- the environment ------------------------------------------------------------------------------------------


def environment() -> Mapping[str, str]:
    """Return a read-only live view of the environment, for readers that live with what they configure."""
    return MappingProxyType(os.environ)


def set_default(variable: str, value: str) -> None:
    """Set a variable that is not set: for this process and those it starts."""
    os.environ.setdefault(variable, value)


@contextmanager
def variable_set_to(variable: str, value: str) -> Iterator[None]:
    """Give a variable another value while the block runs: for code of others that reads it then."""
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def config_file() -> str | None:
    """Return the path in OTEL_CONFIG_FILE, or else in OTEL_EXPERIMENTAL_CONFIG_FILE, its name before it was stable."""
    return _text("OTEL_CONFIG_FILE") or _text("OTEL_EXPERIMENTAL_CONFIG_FILE")


def log_level() -> int | None:
    """Return OTEL_LOG_LEVEL as a level of `logging`, None when unset."""
    variable = "OTEL_LOG_LEVEL"
    value = _text(variable)
    if value is None:
        return None
    level = _LOG_LEVELS.get(value.lower())
    if level is None:
        warn(variable, value, "one of " + ", ".join(_LOG_LEVELS), "the level that is set")
    return level


def propagators() -> list[str]:
    """Return the names in OTEL_PROPAGATORS, in order; [] when it is unset."""
    return _names("OTEL_PROPAGATORS")


def id_generator() -> str | None:
    """Return the name in OTEL_PYTHON_ID_GENERATOR, or None when unset or blank."""
    return _text("OTEL_PYTHON_ID_GENERATOR")


def tracer_configurator() -> str | None:
    """Return the name in OTEL_PYTHON_TRACER_CONFIGURATOR, or None when unset or blank."""
    return _text("OTEL_PYTHON_TRACER_CONFIGURATOR")


def sdk_disabled() -> bool:
    """Return whether OTEL_SDK_DISABLED is "true"; every other text but "false" is warned about and means no."""
    return _switch("OTEL_SDK_DISABLED")


def internal_metrics_enabled() -> bool:
    """Return whether OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED asks for metrics about the tracing itself."""
    return _switch("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED")


def _switch(variable: str) -> bool:
    value = _text(variable)
    if value is None:
        return False
    known = {"true": True, "false": False}.get(value.lower())
    if known is None:
        warn(variable, value, "true or false", False)
        return False
    return known


def service_name() -> str | None:
    """Return OTEL_SERVICE_NAME as it stands, or None when unset or empty."""
    return os.environ.get("OTEL_SERVICE_NAME") or None


def resource_attributes() -> dict[str, str]:
    """Return OTEL_RESOURCE_ATTRIBUTES: ``key=value,key=value``, values percent-decoded, the last of a key wins.

    An item without "=" or without a key is left out; all such items of the variable are named in one warning.

    Source: specification, resource/sdk.md, "Specifying resource information via an environment variable".
    """
    variable = "OTEL_RESOURCE_ATTRIBUTES"
    attributes, wrong = key_values(_text(variable) or "")
    if wrong:
        warn(variable, ",".join(wrong), "key=value", "the other items")
    return attributes


def key_values(text: str) -> tuple[dict[str, str], list[str]]:
    """Take ``key=value,key=value`` apart, values percent-decoded; return the pairs, and the items that are none."""
    pairs: dict[str, str] = {}
    wrong: list[str] = []
    for item in text.split(","):
        key, equals, value = item.partition("=")
        if equals and key.strip():
            pairs[key.strip()] = _percent_decoded(value.strip())
        elif item.strip():
            wrong.append(item)
    return pairs, wrong


def entities() -> str | None:
    """Return OTEL_ENTITIES, or None when unset or blank: tracecore.entities knows its form."""
    return _text("OTEL_ENTITIES")


def resource_detectors() -> list[str]:
    """Return the names in OTEL_EXPERIMENTAL_RESOURCE_DETECTORS, in order, blanks left out."""
    return _names("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS")


def traces_sampler() -> str | None:
    """Return the name in OTEL_TRACES_SAMPLER, or None when unset or blank.  The sampling file knows the names."""
    return _text("OTEL_TRACES_SAMPLER")


def traces_sampler_arg() -> str | None:
    """Return OTEL_TRACES_SAMPLER_ARG as it stands, or None when unset: what it means is the sampler's matter."""
    return os.environ.get("OTEL_TRACES_SAMPLER_ARG")


def traces_exporters() -> list[str] | None:
    """Return the names in OTEL_TRACES_EXPORTER in order; [] for "none", None when unset or blank."""
    names = _names("OTEL_TRACES_EXPORTER")
    if not names:
        return None
    return [name for name in names if name.lower() != "none"]


def limit(variable: str, default: int | None) -> int | None:
    """Return a span limit from the environment: a count or a length, None for "no limit".

    Unset gives `default`; set to nothing (``OTEL_SPAN_LINK_COUNT_LIMIT=``) lifts the limit, as in opentelemetry-sdk.
    Anything that is not a non-negative integer is warned about and gives `default`.
    """
    if variable not in os.environ:
        return default
    value = os.environ[variable].strip()
    if not value:
        return None
    number = _integer(value)
    if number is None or number < 0:
        warn(variable, value, "a non-negative integer", "no limit" if default is None else default)
        return default
    return number


def bsp_schedule_delay_ms(default: int = 5000) -> int:
    """Return OTEL_BSP_SCHEDULE_DELAY: milliseconds between two exports, from 1 to an hour."""
    return _whole_number("OTEL_BSP_SCHEDULE_DELAY", default, _MAX_MS)


def bsp_max_queue_size(default: int = 2048) -> int:
    """Return OTEL_BSP_MAX_QUEUE_SIZE: spans that may wait for export."""
    return _whole_number("OTEL_BSP_MAX_QUEUE_SIZE", default, _MAX_QUEUE_SIZE)


def bsp_max_export_batch_size(default: int = 512) -> int:
    """Return OTEL_BSP_MAX_EXPORT_BATCH_SIZE: spans in one export at most, from 1 to 65536."""
    return _whole_number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", default, MAX_BATCH)


def bsp_export_timeout_ms(default: int = 30000) -> int:
    """Return OTEL_BSP_EXPORT_TIMEOUT: milliseconds one export may take, from 1 to an hour."""
    return _whole_number("OTEL_BSP_EXPORT_TIMEOUT", default, _MAX_MS)


# --- the caller -----------------------------------------------------------------------------------------------


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one tracing pipeline is built from.  Made by `settings`, which checks every field."""

    service: str | None
    """service.name; None leaves it to the resource (OTEL_SERVICE_NAME, then unknown_service)."""
    endpoint: str | None
    """Where spans go; None leaves it to the exporter's own variables."""
    sample: object | None
    """A probability from 0 to 1, a sampler object, or None for OTEL_TRACES_SAMPLER."""
    ring_bytes: int
    """Bytes for finished spans that wait for export, a power of two."""
    batch: int
    """Spans in one export at most."""
    delay: float
    """Seconds between two exports while no batch is full."""
    export_timeout: float
    """Seconds one export may take."""


def ring_bytes_for(n_spans: int) -> int:
    """Return the size of a ring for `n_spans` spans of ordinary size: a power of two within the bounds."""
    wanted = n_spans * _BYTES_A_SPAN
    ring_bytes = MIN_RING_BYTES
    while ring_bytes < min(wanted, MAX_RING_BYTES):
        ring_bytes *= 2
    return ring_bytes


def spans_for(ring_bytes: int) -> int:
    """Return how many spans of ordinary size a ring holds."""
    return ring_bytes // _BYTES_A_SPAN


def settings(
    *,
    service: str | None = None,
    endpoint: str | None = None,
    sample: object | None = None,
    ring_bytes: int | None = None,
    batch: int | None = None,
    delay: float | None = None,
    export_timeout: float | None = None,
) -> Settings:
    """Return checked settings.  What of the last four is left out comes from OTEL_BSP_*, else the default.

    Units and ranges: `ring_bytes` a power of two from 64 KiB to 1 GiB; `batch` spans, 1 to 65536; `delay` and
    `export_timeout` seconds, above 0 to 3600; `sample` 0 to 1, or an object with should_sample and get_description.

    Raises: ConfigurationError, naming argument, value and range.
    """
    queue_size = None
    if ring_bytes is None:
        n_spans = bsp_max_queue_size(DEFAULT_RING_BYTES // _BYTES_A_SPAN)
        ring_bytes = ring_bytes_for(n_spans)
        queue_size = n_spans if _integer(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "")) == n_spans else None
    if batch is None:
        batch = bsp_max_export_batch_size(DEFAULT_BATCH)
        if queue_size is not None and batch > queue_size:
            # A queue that is full before a batch is would lose spans while the worker waits for the batch.
            text = os.environ.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "")
            if _integer(text) == batch:
                warn("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", text, f"OTEL_BSP_MAX_QUEUE_SIZE ({queue_size}) or less", queue_size)
            batch = queue_size
    if delay is None:
        delay = bsp_schedule_delay_ms(int(DEFAULT_DELAY_S * 1000)) / 1000
    if export_timeout is None:
        export_timeout = bsp_export_timeout_ms(int(DEFAULT_EXPORT_TIMEOUT_S * 1000)) / 1000
    return Settings(
        service=_checked_text("service", service),
        endpoint=_checked_text("endpoint", endpoint),
        sample=_checked_sample(sample),
        ring_bytes=check_ring_bytes(ring_bytes),
        batch=_checked_batch(batch),
        delay=_checked_seconds("delay", delay),
        export_timeout=_checked_seconds("export_timeout", export_timeout),
    )


def _checked_text(name: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise ConfigurationError(name, value, "a non-empty string")


def _checked_sample(value: object) -> object | None:
    if value is None:
        return None
    # By shape, not by class: a sampler written against opentelemetry-sdk is as good as one of ours.
    if callable(getattr(value, "should_sample", None)) and callable(getattr(value, "get_description", None)):
        return value
    if _is_number(value) and 0.0 <= value <= 1.0:
        return float(value)
    raise ConfigurationError("sample", value, "a number from 0 to 1, or a sampler")


def check_ring_bytes(value: object) -> int:
    """Return the size of a ring.  Raises: ConfigurationError for one that no ring has."""
    # A power of two has one bit set: the ring turns a position into an offset with one "and".
    if _is_integer(value) and MIN_RING_BYTES <= value <= MAX_RING_BYTES and value & (value - 1) == 0:
        return value
    raise ConfigurationError("ring_bytes", value, f"a power of two from {MIN_RING_BYTES} to {MAX_RING_BYTES}")


def _checked_batch(value: object) -> int:
    if _is_integer(value) and 1 <= value <= MAX_BATCH:
        return value
    raise ConfigurationError("batch", value, f"an integer from 1 to {MAX_BATCH}")


def _checked_seconds(name: str, value: object) -> float:
    # NaN fails both comparisons and so is refused here too.
    if _is_number(value) and 0.0 < value <= MAX_SECONDS:
        return float(value)
    raise ConfigurationError(name, value, f"seconds, above 0 and at most {MAX_SECONDS:.0f}")


# --- reading values -------------------------------------------------------------------------------------------


def _is_integer(value: object) -> TypeGuard[int]:
    # True is an int to Python, but "batch=True" is a mistake.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(variable: str) -> str | None:
    """Return the variable without surrounding blanks, or None when that leaves nothing."""
    return os.environ.get(variable, "").strip() or None


def _names(variable: str) -> list[str]:
    """Return the comma-separated names in a variable, blanks left out."""
    return [name for item in os.environ.get(variable, "").split(",") if (name := item.strip())]


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _whole_number(variable: str, default: int, maximum: int) -> int:
    """Return a number from 1 to `maximum`; anything else is warned about and gives `default`."""
    text = os.environ.get(variable, "")
    if not text.strip():
        return default
    number = _integer(text)
    if number is None or not 1 <= number <= maximum:
        warn(variable, text, f"an integer from 1 to {maximum}", default)
        return default
    return number


def _percent_decoded(text: str) -> str:
    if "%" not in text:
        return text
    # Imported here: rarely needed, and it is a tenth of the time `import tracecore` may take.
    from urllib.parse import unquote

    return unquote(text)


def warn(variable: str, value: str, expected: str, used: object) -> None:
    """Report a wrong value of a variable that is judged elsewhere, in the words of this file."""
    # One reason a variable, so that the second wrong variable is not held back behind the first.
    report(f"invalid_{variable.lower()}", "%s=%r: expected %s; using %s", variable, value, expected, used)
