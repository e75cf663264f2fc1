"""How what OpenTelemetry records is written in formats that have no place for it: values as text, the rest as tags.

For the exporters of Zipkin and Jaeger, which share these rules and differ in the names that each format has itself.
Nothing here raises for what a span can hold: a lone surrogate becomes U+FFFD, as no receiver could read it.

Sources: specification, common/README.md "AnyValue representation for non-OTLP protocols", and
common/mapping-to-non-otlp.md (scope, dropped counts).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from json import JSONEncoder
from typing import Any, Final

from opentelemetry.util.types import AnyValue

from tracecore.readable_span import ReadableSpan

__all__ = ["dropped_tags", "json_text", "microseconds", "scope_tags", "sound", "text_of"]

_encode: Final = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

_SURROGATES: Final = re.compile("[\ud800-\udfff]")

_SHORT: Final = 10**600
"""Integers that Python writes in decimal however sys.set_int_max_str_digits is set."""

_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def text_of(value: AnyValue) -> str:
    """Return an attribute's value as text: strings as they are, bytes in Base64, nothing as "", the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (bytes, float)) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(_plain(value))
    return json_text(value)


def json_text(value: AnyValue) -> str:
    """Return a value as JSON, as it stands within an array: bytes in Base64, numbers that JSON has not as strings."""
    return _encode(_plain(value))


def sound(text: str) -> str:
    """Return `text` with what UTF-8 cannot hold replaced."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def scope_tags(span: ReadableSpan) -> Iterator[tuple[str, AnyValue]]:
    """Yield the tags that name the scope; the older names too, which the specification asks for.

    Its attributes have no names in the specification: they come as ``otel.scope.`` and their key, and before the name
    and the version, which win where tags of one name replace each other.
    """
    scope = span.instrumentation_scope
    if scope is None:
        return
    for key, value in (scope.attributes or {}).items():
        if key not in ("name", "version"):
            yield f"otel.scope.{key}", value
    for field, value in (("name", scope.name), ("version", scope.version)):
        if value:
            yield f"otel.scope.{field}", value
            yield f"otel.library.{field}", value


def dropped_tags(span: ReadableSpan) -> Iterator[tuple[str, int]]:
    """Yield the counts of what limits took from the span, each if there is one."""
    for what in ("attributes", "events", "links"):
        if count := getattr(span, f"dropped_{what}"):
            yield f"otel.dropped_{what}_count", count


def microseconds(at_ns: int) -> int:
    """Return nanoseconds as whole microseconds, rounded."""
    return (at_ns + 500) // 1000


def _plain(value: Any) -> Any:
    """Return a value of what JSON has."""
    if isinstance(value, float):
        return _NOT_FINITE.get(repr(value), value)
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, int) and not -_SHORT < value < _SHORT:
        try:
            str(value)
        except ValueError:  # Python writes no decimal of thousands of digits; hexadecimal costs no more than its length
            return hex(value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value]
