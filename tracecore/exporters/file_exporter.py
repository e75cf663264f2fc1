"""What every exporter into a file shares: a batch becomes bytes, and the bytes are appended as a whole.

A format is a subclass that says what the bytes are (`_encode`); where they go is RotatingFile's.

Failures are outcomes, as in the exporters over HTTP: "file" for what the file system refuses (a full disk, missing
rights, a directory in the way), "export_timeout" where another process held the file for too long, "encode".  Nothing
is tried twice within one export: a full disk does not empty itself in a second.  Each batch tries anew, so the
exporter recovers as soon as the disk does.

What is lost: the batches that met a fault, counted by `Outcome.reason`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from tracecore.errors import ConfigurationError, report
from tracecore.exporters import Outcome, SpanBatch
from tracecore.exporters.http_connection import words
from tracecore.exporters.rotating_file import RotatingFile

__all__ = ["Appendable", "FileExporter", "file_arguments"]

DEFAULT_MAX_BYTES = 100 << 20
"""A size that one gzip or one reader takes in a second or two."""
DEFAULT_KEEP = 10


class Appendable(Protocol):
    """Where bytes go: a RotatingFile, or what takes its place."""

    path: str

    def append(self, data: bytes, deadline: float) -> None:
        """Write all of `data`.  Raises: OSError, when nothing of it was written or it cannot be said."""
        ...

    def close(self) -> None:
        """Let go of what is open; the next append opens it again."""
        ...


class FileExporter:
    """Append batches to a file.  The base of the exporters; on its own it has no format.

    path: the file; directories above it are made.
    max_bytes, max_age, keep, compress: when a new file is begun and what becomes of the old one, see RotatingFile.
    sync: have each export wait until the disk has the batch.

    Raises: ConfigurationError, for an argument that cannot be honoured.
    Threads: as tracecore.exporters.Exporter.  Fork: both sides may go on, into the same file.
    """

    _terminator = b""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        max_age: float = 0.0,
        keep: int | None = DEFAULT_KEEP,
        compress: bool = False,
        sync: bool = False,
    ) -> None:
        self._file: Appendable = RotatingFile(
            path,
            max_bytes=max_bytes,
            max_age=max_age,
            keep=keep,
            compress=compress,
            sync=sync,
            terminator=self._terminator,
        )
        self._shut_down = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._file.path}>"

    def export(self, batch: SpanBatch, deadline: float) -> Outcome:
        """Append `batch`, or say why not."""
        n_spans = len(batch)
        path = self._file.path
        if self._shut_down:
            return Outcome(0, n_spans, "export_shutdown", f"{path}: the exporter has been shut down")
        if n_spans == 0:
            return Outcome(0, 0, "", "")
        try:
            data = self._encode(batch)
        except Exception as error:  # noqa: BLE001 - out of memory, or an encoder's own exception types
            return Outcome(0, n_spans, "encode", f"{path}: {words(error)}")
        try:
            self._file.append(data, deadline)
        except OSError as error:
            reason = "export_timeout" if isinstance(error, TimeoutError) and error.errno is None else "file"
            return Outcome(0, n_spans, reason, f"{path}: {words(error)}")
        except Exception as error:  # noqa: BLE001 - the worker thread must survive what nobody thought of
            return Outcome(0, n_spans, "exporter_error", f"{path}: {words(error)}")
        return Outcome(n_spans, 0, "", "")

    def interrupt(self) -> None:
        """Nothing: an append is short, and ends by its deadline."""

    def shutdown(self) -> None:
        """Refuse later exports and let go of the file."""
        self._shut_down = True
        self._file.close()

    def _encode(self, batch: SpanBatch) -> bytes:
        """Return the bytes of a batch.  May raise: the batch is lost then, under "encode"."""
        raise NotImplementedError


def file_arguments(environment: Mapping[str, str], prefix: str, default_path: str) -> dict[str, Any]:
    """Return a FileExporter's arguments from `prefix` + PATH, MAX_BYTES, MAX_AGE, KEEP, COMPRESSION, SYNC.

    A wrong value is reported, and its default used.  KEEP may be "all", COMPRESSION "gzip" or "none", SYNC "true" or
    "false".
    """
    arguments: dict[str, Any] = {
        "path": environment.get(prefix + "PATH", "").strip() or default_path,
        "max_bytes": DEFAULT_MAX_BYTES,
        "max_age": 0.0,
        "keep": DEFAULT_KEEP,
        "compress": False,
        "sync": False,
    }
    readers = {
        "MAX_BYTES": ("max_bytes", _whole, "an integer of bytes, 0 for no limit"),
        "MAX_AGE": ("max_age", _seconds, "a number of seconds, 0 for no limit"),
        "KEEP": ("keep", lambda text: None if text == "all" else _whole(text), "a number of files from 0 on, or all"),
        "COMPRESSION": ("compress", {"gzip": True, "none": False}.__getitem__, "gzip or none"),
        "SYNC": ("sync", {"true": True, "false": False}.__getitem__, "true or false"),
    }
    refused = []
    for suffix, (argument, read, expected) in readers.items():
        text = environment.get(prefix + suffix, "").strip()
        if not text:
            continue
        try:
            arguments[argument] = read(text.lower())
        except (ValueError, KeyError):
            fault = ConfigurationError(prefix + suffix, text, expected)
            refused.append(f"{fault}; using the default, {arguments[argument]!r}, instead")
    if refused:
        report("file_settings", "%s", "; ".join(refused))
    return arguments


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value
