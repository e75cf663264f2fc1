"""The console exporter by name: a waterfall, or JSON as opentelemetry-sdk's console writes it."""

from __future__ import annotations

import io
import sys

import pytest
from batches import batch_of
from opentelemetry.sdk.trace.export import ConsoleSpanExporter as SDKConsoleSpanExporter

from tracecore import errors
from tracecore.exporters.by_name import exporters_by_name


def test_json_is_what_the_sdks_console_writes_of_the_same_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    (exporter,) = exporters_by_name(["console"], {"TRACECORE_CONSOLE_FORMAT": "JSON"})
    spans = batch_of(3).spans()
    ours, theirs = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", ours)
    exporter.export(spans)
    SDKConsoleSpanExporter(out=theirs).export(spans)
    assert ours.getvalue() == theirs.getvalue() != ""


@pytest.mark.parametrize(("text", "reports"), [("", {}), ("waterfall", {}), ("xml", {"console_settings": 1})])
def test_anything_else_draws_and_is_told_if_it_is_wrong(
    text: str, reports: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors.reset_reports()
    (exporter,) = exporters_by_name(["console"], {"TRACECORE_CONSOLE_FORMAT": text})
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    exporter.export(batch_of(1).spans())
    assert "span 0" in out.getvalue() and '"context"' not in out.getvalue()
    assert errors.reported() == reports
