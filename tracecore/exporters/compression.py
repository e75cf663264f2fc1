"""Content codings for request bodies.

Every library used here releases the GIL while it works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracecore.errors import ConfigurationError

__all__ = ["compressor"]

_DEFLATE_LEVEL = 1
_ZSTD_LEVEL = 1
"""Span batches repeat themselves: higher levels cost a multiple of the time for a few percent of the size."""


def compressor(compression: str) -> Callable[[bytes], bytes]:
    """Return the function that packs a body.  Raises: ConfigurationError, when its package is missing."""
    if compression == "none":
        return _unchanged
    if compression == "zstd":
        return _zstd_compressor()
    import zlib

    # RFC 9110: "deflate" is the zlib format (15), "gzip" the same data in gzip's (31).
    wbits = 31 if compression == "gzip" else 15
    module: Any = _module("isal.isal_zlib") or zlib

    def compress(data: bytes) -> bytes:
        packer = module.compressobj(_DEFLATE_LEVEL, zlib.DEFLATED, wbits)
        packed: bytes = packer.compress(data) + packer.flush()
        return packed

    return compress


def _zstd_compressor() -> Callable[[bytes], bytes]:
    module: Any = _module("compression.zstd")
    if module is not None:

        def compress_stdlib(data: bytes) -> bytes:
            packed: bytes = module.compress(data, level=_ZSTD_LEVEL)
            return packed

        return compress_stdlib
    module = _module("zstandard")
    if module is None:
        raise ConfigurationError(
            "compression", "zstd", "the package zstandard: install the extra tracecore-native[zstd]"
        )

    def compress(data: bytes) -> bytes:
        packed: bytes = module.ZstdCompressor(level=_ZSTD_LEVEL).compress(data)
        return packed

    return compress


def _unchanged(data: bytes) -> bytes:
    return data


def _module(name: str) -> Any:
    """Return an optional module, or None when it is not installed."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        return None
