"""OTLPFileExporter: lines that opentelemetry-proto reads, on real files and pipes.

What rotation, several processes and torn writes do to any file is test_rotating_file.py's; here is what this exporter
makes of it: every line whole, every lost batch an outcome.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from batches import batch_of
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from test_otlp_json import read

from tracecore import errors
from tracecore.errors import ConfigurationError
from tracecore.exporters import Outcome
from tracecore.exporters.by_name import exporters_by_name
from tracecore.exporters.otlp_file import OTLPFileExporter, from_environment

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

PATIENCE_S = 30.0


def export(exporter: OTLPFileExporter, batch: Any = None) -> Outcome:
    batch = batch_of() if batch is None else batch
    outcome = exporter.export(batch, time.monotonic() + PATIENCE_S)
    assert outcome.accepted + outcome.rejected == len(batch)
    assert bool(outcome.reason) == bool(outcome.rejected)
    return outcome


def requests_in(data: bytes) -> list[ExportTraceServiceRequest]:
    """Every line, which must be whole."""
    assert data.endswith(b"\n")
    return [read(line) for line in data.splitlines()]


def names_in(directory: Path) -> list[str]:
    """The names of all spans in the files of a directory, packed or not."""
    names = []
    for path in sorted(directory.iterdir()):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for request in requests_in(data):
            names += [span.name for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]
    return sorted(names)


# --- files ----------------------------------------------------------------------------------------------------


def test_each_batch_is_one_line_that_is_its_request(tmp_path: Path) -> None:
    path, batches = tmp_path / "made" / "spans.jsonl", [batch_of(3), batch_of(1), batch_of(20)]
    exporter = OTLPFileExporter(path)
    for batch in batches:
        assert export(exporter, batch) == Outcome(len(batch), 0, "", "")
    assert requests_in(path.read_bytes()) == [ExportTraceServiceRequest.FromString(batch.otlp()) for batch in batches]


def test_a_line_is_traces_data_too(tmp_path: Path) -> None:
    """The specification's name for a line; the two messages have the same fields."""
    batch = batch_of()
    export(OTLPFileExporter(tmp_path / "f"), batch)
    (line,) = (tmp_path / "f").read_bytes().splitlines()
    assert TracesData.FromString(read(line).SerializeToString()) == TracesData.FromString(batch.otlp())


def test_after_a_restart_lines_are_appended(tmp_path: Path) -> None:
    for _ in range(2):
        exporter = OTLPFileExporter(tmp_path / "f")
        export(exporter)
        exporter.shutdown()
    assert len(requests_in((tmp_path / "f").read_bytes())) == 2


def test_a_line_that_a_dead_process_left_half_written_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b'{"resourceSpans":[{"reso')
    export(OTLPFileExporter(path))
    torn, whole = path.read_bytes().splitlines()
    assert torn == b'{"resourceSpans":[{"reso' and len(read(whole).resource_spans) == 1


def test_rotation_keeps_every_line_whole(tmp_path: Path) -> None:
    exporter = OTLPFileExporter(tmp_path / "spans.jsonl", max_bytes=5000, keep=None, compress=True)
    for _ in range(20):
        assert export(exporter, batch_of(3)).accepted == 3
    assert len(list(tmp_path.glob("spans-*.jsonl.gz"))) >= 3
    assert names_in(tmp_path) == sorted([f"span {number}" for number in range(3)] * 20)


def test_an_export_can_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    export(OTLPFileExporter(tmp_path / "lazy"))
    assert synced == []
    export(OTLPFileExporter(tmp_path / "sure", sync=True))
    assert len(synced) == 1


WRITER = """
    import os, sys
    import tracecore
    from tracecore.exporters.otlp_file import OTLPFileExporter

    provider = tracecore.TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(OTLPFileExporter(sys.argv[1], max_bytes=20_000, keep=None), batch=7, delay=0.01)
    tracer = provider.get_tracer("lib")
    children = []
    for _ in range(2):  # four processes
        child = os.fork()
        children = [*children, child] if child else []
    for number in range(100):
        tracer.start_span(f"{sys.argv[2]} {number}", attributes={"padding": "x" * 200}).end()
    assert provider.shutdown() is None
    (counts,) = provider.stats()["exporters"]
    assert counts["exported"] == 100, counts
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
"""


def test_many_processes_write_into_one_rotating_file(tmp_path: Path) -> None:
    code = textwrap.dedent(WRITER)
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "spans.jsonl"), name], stderr=subprocess.PIPE)
        for name in ("a", "b")
    ]
    for writer in writers:
        _, words = writer.communicate(timeout=120)
        assert writer.returncode == 0, words.decode()
    assert names_in(tmp_path) == sorted(f"{name} {number}" for name in "ab" for number in range(100) for _ in range(4))
    assert len(list(tmp_path.iterdir())) > 2


# --- faults ---------------------------------------------------------------------------------------------------


def test_a_full_disk_loses_whole_batches_and_the_exporter_recovers(tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk's: a write breaks off in the middle, and the next one fails."""
    path, batch = tmp_path / "f", batch_of(100, padding=500)
    exporter = OTLPFileExporter(path)
    assert export(exporter, batch_of(3)).accepted == 3
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5000, limits[1]))
        for _ in range(2):
            outcome = export(exporter, batch)
            assert (outcome.rejected, outcome.reason) == (100, "file")
            assert str(path) in outcome.message and "File too large" in outcome.message
            assert path.read_bytes() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert export(exporter, batch).accepted == 100
    assert len(requests_in(path.read_bytes())) == 2


def test_a_path_that_cannot_be_written_is_an_outcome_until_it_can(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("a file")
    path = tmp_path / "in the way" / "f"
    exporter = OTLPFileExporter(path)
    assert export(exporter).reason == "file"
    (tmp_path / "in the way").unlink()
    assert export(exporter).accepted == 3


def test_after_shutdown_nothing_is_written(tmp_path: Path) -> None:
    exporter = OTLPFileExporter(tmp_path / "f")
    exporter.interrupt()
    export(exporter)
    exporter.shutdown()
    exporter.shutdown()
    assert export(exporter).reason == "export_shutdown"
    assert len(requests_in((tmp_path / "f").read_bytes())) == 1


# --- standard output ------------------------------------------------------------------------------------------


def test_without_a_path_lines_go_to_standard_output_behind_what_was_printed() -> None:
    code = """
        import tracecore
        from tracecore.exporters.otlp_file import OTLPFileExporter
        provider = tracecore.TracerProvider(shutdown_on_exit=False)
        provider.add_exporter(OTLPFileExporter())
        print("printed before")
        provider.get_tracer("lib").start_span("sp\\u00e4n").end()
        provider.shutdown()
        print("printed after")
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    before, line, after = ran.stdout.splitlines()
    assert (before, after) == (b"printed before", b"printed after")
    assert read(line).resource_spans[0].scope_spans[0].spans[0].name == "sp\u00e4n"


def test_a_replaced_standard_output_gets_text(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert export(OTLPFileExporter()).accepted == 3
    assert len(json.loads(out.getvalue())["resourceSpans"]) == 1


def test_a_standard_output_that_is_gone_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = OTLPFileExporter()
    closed = io.StringIO()
    closed.close()
    reading, writing = os.pipe()
    os.close(reading)
    broken = os.fdopen(writing, "w")
    for out in (None, closed, broken):
        monkeypatch.setattr(sys, "stdout", out)
        outcome = export(exporter)
        assert (outcome.reason, outcome.rejected) == ("file", 3)
        assert outcome.message.startswith("standard output: ")
    monkeypatch.undo()
    with pytest.raises(BrokenPipeError):
        broken.close()


# --- settings -------------------------------------------------------------------------------------------------


def test_the_environment_names_the_file_and_its_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)
    prefix = "TRACECORE_OTLP_FILE_"
    settings = {"PATH": f"{tmp_path}/spans.jsonl", "MAX_BYTES": "2000", "KEEP": "2", "COMPRESSION": "gzip", "SYNC": "true"}
    (exporter,) = exporters_by_name(["otlp_file"], {prefix + name: value for name, value in settings.items()})
    for _ in range(9):
        assert export(exporter).accepted == 3
    assert len(list(tmp_path.glob("spans-*.jsonl.gz"))) == 2


def test_without_a_path_the_environment_means_standard_output(capsysbinary: Any) -> None:
    for name, settings in (("otlp_file", {}), ("otlp_file", {"TRACECORE_OTLP_FILE_PATH": "stdout"}), ("otlp/stdout", {})):
        (exporter,) = exporters_by_name([name], settings)
        assert export(exporter).accepted == 3
        assert len(requests_in(capsysbinary.readouterr().out)) == 1


def test_wrong_settings_warn_once_and_leave_the_defaults(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    errors.reset_reports()
    wrong = {"MAX_BYTES": "10MB", "MAX_AGE": "-1", "KEEP": "few", "COMPRESSION": "zstd", "SYNC": "maybe"}
    from_environment(
        {"TRACECORE_OTLP_FILE_" + name: value for name, value in {"PATH": f"{tmp_path}/f", **wrong}.items()}
    )
    (line,) = [record.getMessage() for record in caplog.records if record.name == "tracecore"]
    for name, value in wrong.items():
        assert f"TRACECORE_OTLP_FILE_{name}={value!r}: expected" in line


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="path="):
        OTLPFileExporter(tmp_path)
