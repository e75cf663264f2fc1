"""What contrib.py may find: tests that tracecore need not pass, and packages whose tests cannot run here."""

from __future__ import annotations

from typing import Final

from sdk_differences import SDK_DIFFERENCES

ALLOWED: Final[dict[str, str]] = {**SDK_DIFFERENCES}
"""Tests that pass on opentelemetry-sdk and need not pass on tracecore.

"package::class::test" -> the reason: an entry of docs/differences.md, or which private attribute of the SDK is reached into.
"""

CANNOT_RUN: Final[dict[str, str]] = {}
"""Packages of which no test passes on opentelemetry-sdk either, and why. They are tried all the same."""
