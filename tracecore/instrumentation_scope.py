"""InstrumentationScope: the library a span was made by, as given to ``get_tracer``.

Equality also holds with the scope of opentelemetry-sdk: exporters and test suites put scopes of both kinds into
one dict.  It is recognised by the name of its class, never by importing it.
"""

from __future__ import annotations

import warnings
from typing import Final, TypeGuard

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.util.types import Attributes

from tracecore.sdk_classes import StandIn, stands_for

__all__ = ["InstrumentationInfo", "InstrumentationScope", "instrumentation_info_of"]

_SDK_MODULE: Final = "opentelemetry.sdk.util.instrumentation"


@stands_for("opentelemetry.sdk.util.instrumentation", "InstrumentationScope")
class InstrumentationScope(StandIn):
    """Name, version, schema URL and attributes of an instrumentation library.  Does not change once made.

    Attributes are cleaned on the way in; a missing schema URL is "".  Threads: any.

    Source: specification, common/instrumentation-scope.md.
    """

    def __init__(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> None:
        self._name = name
        self._version = version
        self._schema_url = "" if schema_url is None else schema_url
        self._attributes = BoundedAttributes(attributes=attributes, immutable=True)

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str | None:
        return self._version

    @property
    def schema_url(self) -> str | None:
        return self._schema_url

    @property
    def attributes(self) -> Attributes:
        return self._attributes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name}, {self._version}, {self._schema_url}, {self._attributes})"

    def __eq__(self, other: object) -> bool:
        if not _is_scope(other):
            return NotImplemented
        return (
            self._name == other.name
            and self._version == other.version
            and self._schema_url == other.schema_url
            and self._attributes == other.attributes
        )

    def __hash__(self) -> int:
        # Attributes may hold what has no hash; scopes that differ in them alone are too few to matter here.
        return hash((self._name, self._version, self._schema_url))

    def __lt__(self, other: object) -> bool:
        if not _is_scope(other):
            return NotImplemented
        return _order(self) < _order(other)

    @property
    def instrumentation_info(self) -> InstrumentationInfo:
        """The scope in its deprecated form, which a tracer shows; without the warning, which a span's reader gets."""
        return instrumentation_info_of(self)

    def to_json(self, indent: int | None = 4) -> str:
        # Imported here: nothing on the way to a sent span needs json.
        from json import dumps

        return dumps(
            {
                "name": self._name,
                "version": self._version,
                "schema_url": self._schema_url,
                "attributes": dict(self._attributes) or None,
            },
            indent=indent,
            # bytes are the one kind of value an attribute may have that JSON has not.
            default=bytes.hex,
        )


@stands_for("opentelemetry.sdk.util.instrumentation", "InstrumentationInfo")
class InstrumentationInfo(StandIn):
    """Name, version and schema URL of an instrumentation library.  Deprecated: use InstrumentationScope."""

    def __init__(self, name: str, version: str | None = None, schema_url: str | None = None) -> None:
        warnings.warn("InstrumentationInfo is deprecated, use InstrumentationScope", DeprecationWarning, stacklevel=2)
        self._name = name
        self._version = version
        self._schema_url = "" if schema_url is None else schema_url

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str | None:
        return self._version

    @property
    def schema_url(self) -> str | None:
        return self._schema_url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name}, {self._version}, {self._schema_url})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InstrumentationInfo) or type(other) is not type(self):
            return False
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, InstrumentationInfo) or type(other) is not type(self):
            return NotImplemented
        # A version that is missing sorts before every version there is.
        return (self._name, self._version or "", self._schema_url) < (
            other._name,
            other._version or "",
            other._schema_url,
        )

    def _fields(self) -> tuple[str, str | None, str]:
        return self._name, self._version, self._schema_url


def instrumentation_info_of(scope: InstrumentationScope) -> InstrumentationInfo:
    """Return the deprecated form of a scope, without the warning: the reader of an old property gets that."""
    info = object.__new__(InstrumentationInfo)
    info._name = scope._name
    info._version = scope._version
    info._schema_url = scope._schema_url
    return info


def _is_scope(value: object) -> TypeGuard[InstrumentationScope]:
    return isinstance(value, InstrumentationScope) or any(
        cls.__name__ == "InstrumentationScope" and cls.__module__ == _SDK_MODULE for cls in type(value).__mro__
    )


def _order(scope: InstrumentationScope) -> tuple[str, str, str, str]:
    """Return what scopes are sorted by: total, also where versions are missing or only attributes differ."""
    from json import dumps

    attributes = dumps(dict(scope.attributes or {}), sort_keys=True, default=bytes.hex)
    return scope.name, scope.version or "", scope.schema_url or "", attributes
