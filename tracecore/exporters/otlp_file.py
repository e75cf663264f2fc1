"""OTLP as lines of JSON, in a file that rotates or on standard output: each batch one line.

    {"resourceSpans":[{"resource":{...},"scopeSpans":[{"scope":{...},"spans":[...]}]}]}

A line is one ExportTraceServiceRequest, which in JSON is the same as TracesData: what the collector's otlpjsonfile
receiver reads and its file exporter writes.  Encoded without the GIL, and once for all exporters that want JSON.

Files, several processes, forks and faults are file_exporter.py's and rotating_file.py's.  On standard output a line is
one write of this process; another process on the same pipe may cut in where the pipe is full.

Source: OpenTelemetry specification 1.55, "OpenTelemetry Protocol File Exporter" (development).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from tracecore.exporters import SpanBatch
from tracecore.exporters.file_exporter import DEFAULT_KEEP, DEFAULT_MAX_BYTES, FileExporter, file_arguments

__all__ = ["OTLPFileExporter", "from_environment", "stdout_from_environment"]

_PREFIX = "TRACECORE_OTLP_FILE_"
"""The specification has no variables for this exporter yet."""


class OTLPFileExporter(FileExporter):
    """Append batches as lines of OTLP JSON to the file at `path`, or to standard output when there is none.

    path: see FileExporter; None: sys.stdout, as it is at the time of each export.  The other arguments count for
        files only.
    max_bytes: 100 MiB unless given, and `keep` 10 rotated files, so that a forgotten exporter fills no disk.
    The other arguments, faults and threads: as FileExporter.
    """

    _terminator = b"\n"

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        max_age: float = 0.0,
        keep: int | None = DEFAULT_KEEP,
        compress: bool = False,
        sync: bool = False,
    ) -> None:
        super().__init__(
            os.devnull if path is None else path,  # not opened before something is appended
            max_bytes=max_bytes,
            max_age=max_age,
            keep=keep,
            compress=compress,
            sync=sync,
        )
        if path is None:
            self._file = _StandardOutput()

    def _encode(self, batch: SpanBatch) -> bytes:
        return batch.otlp_json() + b"\n"


class _StandardOutput:
    """sys.stdout as a file exporter wants it."""

    path = "standard output"

    def append(self, data: bytes, deadline: float) -> None:
        """Write in one piece, and through to the descriptor.  Raises: OSError."""
        out = sys.stdout
        if out is None:  # pythonw, or a daemon that closed it
            raise OSError("there is none")
        try:
            binary = getattr(out, "buffer", None)
            if binary is None:  # replaced by something for text only
                out.write(data.decode())
            else:
                out.flush()  # what the program printed before comes before
                binary.write(data)
                binary.flush()
            out.flush()
        except ValueError as error:  # it was closed
            raise OSError(str(error)) from None

    def close(self) -> None:
        """Nothing: it is the program's."""


def from_environment(environment: Mapping[str, str]) -> OTLPFileExporter:
    """Return the exporter for OTEL_TRACES_EXPORTER=otlp_file, as TRACECORE_OTLP_FILE_* describe it.

    TRACECORE_OTLP_FILE_PATH is the file; unset, or "stdout", standard output.
    Raises: ConfigurationError, for a path that cannot be one.
    """
    arguments = file_arguments(environment, _PREFIX, "stdout")
    if arguments["path"] == "stdout":
        arguments["path"] = None
    return OTLPFileExporter(**arguments)


def stdout_from_environment(environment: Mapping[str, str]) -> OTLPFileExporter:
    """Return the exporter for OTEL_TRACES_EXPORTER=otlp/stdout, which has no variables."""
    return OTLPFileExporter()
