"""Thrift's two encodings, as far as Jaeger's structs need them: values in, bytes out.

    compact   varints, field ids as differences     UDP to an agent, port 6831
    binary    fixed sizes                           HTTP to a collector, UDP port 6832

Why not the package thrift: a datagram has a limit, so the exporter must know the size of each span before it decides
where the next datagram begins.  In both encodings a struct's bytes do not depend on what surrounds it, so a span is
encoded once, weighed, and joined to others as it is; with the package a batch is encoded to find out that it is too
large, and again in halves.  What is left to write is this file, and the exporter needs no further package.

A field is (id, kind, value): kinds "bool", "i32", "i64", "double", "binary" (bytes; text is UTF-8), "struct" (bytes
of one) and "structs" (a list of them).  Ids ascend, as compact needs.

Source: Apache Thrift, doc/specs/thrift-compact-protocol.md and thrift-binary-protocol.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final, Protocol

__all__ = ["BINARY", "COMPACT", "Field", "ThriftProtocol"]

Field = tuple[int, str, Any]

_ONEWAY: Final = 4
"""Message type of a call without an answer."""


class ThriftProtocol(Protocol):
    """One of the two encodings."""

    def struct(self, fields: Iterable[Field]) -> bytes:
        """Return a struct of these fields."""
        ...

    def oneway(self, name: str, arguments: bytes) -> bytes:
        """Return a call of the method `name`; `arguments` is the struct of its arguments."""
        ...


class _Binary:
    _TYPES: Final = {"bool": 2, "double": 4, "i32": 8, "i64": 10, "binary": 11, "struct": 12, "structs": 15}
    _STRUCT: Final = 12

    def struct(self, fields: Iterable[Field]) -> bytes:
        parts: list[bytes] = []
        for number, kind, value in fields:
            parts.append(struct.pack(">bh", self._TYPES[kind], number))
            if kind == "bool":
                parts.append(b"\1" if value else b"\0")
            elif kind == "i32":
                parts.append(struct.pack(">i", value))
            elif kind == "i64":
                parts.append(struct.pack(">q", value))
            elif kind == "double":
                parts.append(struct.pack(">d", value))
            elif kind == "binary":
                parts += (struct.pack(">i", len(value)), value)
            elif kind == "struct":
                parts.append(value)
            else:
                parts.append(struct.pack(">bi", self._STRUCT, len(value)))
                parts += value
        parts.append(b"\0")
        return b"".join(parts)

    def oneway(self, name: str, arguments: bytes) -> bytes:
        encoded = name.encode()
        return struct.pack(">Ii", 0x80010000 | _ONEWAY, len(encoded)) + encoded + struct.pack(">i", 0) + arguments


class _Compact:
    _TYPES: Final = {"i32": 5, "i64": 6, "double": 7, "binary": 8, "structs": 9, "struct": 12}
    _TRUE: Final = 1
    _FALSE: Final = 2
    _STRUCT: Final = 12

    def struct(self, fields: Iterable[Field]) -> bytes:
        parts: list[bytes] = []
        last = 0
        for number, kind, value in fields:
            code = (self._TRUE if value else self._FALSE) if kind == "bool" else self._TYPES[kind]
            parts.append(bytes(((number - last) << 4 | code,)))  # no id of Jaeger's is more than 15 behind another
            last = number
            if kind in ("i32", "i64"):
                parts.append(_varint(_zigzag(value)))
            elif kind == "double":
                parts.append(struct.pack("<d", value))
            elif kind == "binary":
                parts += (_varint(len(value)), value)
            elif kind == "struct":
                parts.append(value)
            elif kind == "structs":
                parts.append(self._list_head(len(value)))
                parts += value
        parts.append(b"\0")
        return b"".join(parts)

    def oneway(self, name: str, arguments: bytes) -> bytes:
        encoded = name.encode()
        return bytes((0x82, _ONEWAY << 5 | 1, 0)) + _varint(len(encoded)) + encoded + arguments

    def _list_head(self, size: int) -> bytes:
        if size < 15:
            return bytes((size << 4 | self._STRUCT,))
        return bytes((0xF0 | self._STRUCT,)) + _varint(size)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


BINARY: Final[ThriftProtocol] = _Binary()
COMPACT: Final[ThriftProtocol] = _Compact()
