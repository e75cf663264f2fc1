"""Redaction and drop rules in a configuration file, by what they do to the spans of its provider."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from files import faults_of, write
from opentelemetry.trace import SpanKind

from tracecore.declarative.building import load, provider_of

pytest.importorskip("tracecore.processors.redaction")

FILE = """
tracer_provider:
  processors:
    - tracecore/dropping:
        rules:
          - asgi_send_receive:
          - dropped: {names: "GET /health", kinds: [server]}
          - dropped: {attributes: {url.path: {regex: "^/INTERNAL/", ignore_case: true}}}
    - tracecore/redaction:
        hash_key: "0123456789abcdef"
        rules:
          - kept: {keys: plain}
          - drop: {keys: ["*.password", {regex: "^x-.*-token$", ignore_case: true}]}
          - hashed: {keys: [user.id]}
          - replaced: {values: '\\b\\d{13,16}\\b', text: "[card]"}
          - renamed: {keys: [old], to: new}
          - truncated: {keys: [long], to: 3}
    - batch: {exporter: {otlp_file/development: {output_stream: "file://PATH"}}}
"""


def test_the_rules_of_a_file_drop_and_redact(tmp_path: Path) -> None:
    out = tmp_path / "spans.jsonl"
    provider = provider_of(load(write(tmp_path, FILE.replace("PATH", str(out)))))
    tracer = provider.get_tracer("a")
    tracer.start_span("GET /health", kind=SpanKind.SERVER).end()
    tracer.start_span("GET /health").end()
    tracer.start_span("x", attributes={"url.path": "/internal/a"}).end()
    given = {"db.password": "p", "X-My-Token": "t", "user.id": "7", "t": "card 4111111111111111", "old": 1, "long": "abcdef"}
    tracer.start_span("work", attributes=given).end()
    provider.shutdown(5000)
    spans = [
        span
        for line in out.read_text().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    assert sorted(span["name"] for span in spans) == ["GET /health", "work"]
    (work,) = (span for span in spans if span["name"] == "work")
    attributes = {each["key"]: next(iter(each["value"].values())) for each in work["attributes"]}
    assert attributes.keys() == {"user.id", "t", "new", "long"}
    assert (attributes["t"], attributes["new"], attributes["long"]) == ("card [card]", "1", "abc")
    assert len(attributes["user.id"]) == 32


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ("redaction: {rules: []}", "redaction.rules=[...] (line 2): expected a list of one rule or more"),
        ("redaction: {rule: []}", "redaction.rule (line 2): expected one of rules, names, resource, hash_key, did you mean 'rules'?"),
        ("redaction: {rules: [{drp: {keys: a}}]}", "redaction.rules[0].drp (line 2): expected one of drop, hashed,"),
        ("redaction: {rules: [{drop: {kyes: a}}]}", "redaction.rules[0].drop.kyes (line 2): expected one of keys, values, did you"),
        ("redaction: {rules: [{truncated: {keys: a}}]}", "redaction.rules[0].truncated.to (line 2): expected it to be there"),
        ("redaction: {rules: [{drop: {keys: {regex: '('}}}]}", "redaction.rules[0].drop.keys='(' (line 2): expected a regular"),
        ("dropping: {rules: [{dropped: {kinds: [srver]}}]}", "dropping.rules[0].dropped.kinds=[...] (line 2): expected internal, "),
        ("dropping: {rules: [dropped]}", "dropping.rules[0]='dropped' (line 2): expected a mapping with one key: asgi_send"),
        ("dropping: {rules: [{dropped: {under: -1}}]}", "dropping.rules[0].dropped.under=-1 (line 2): expected seconds above 0"),
    ],
)
def test_a_rule_that_cannot_be_made_is_a_fault_at_its_place(tmp_path: Path, rules: str, fault: str) -> None:
    (found,) = faults_of(tmp_path, f"tracer_provider: {{processors: [{{tracecore/{rules}}}]}}")
    assert found.startswith(f"tracer_provider.processors[0].tracecore/{fault}"), found


def test_folding_and_baggage_of_a_file(tmp_path: Path) -> None:
    from opentelemetry import baggage, context

    out = tmp_path / "spans.jsonl"
    text = """
tracer_provider:
  processors:
    - tracecore/baggage: {keys: ["tenant.*"]}
    - tracecore/folding: {threshold: 2, hold: 5}
    - batch: {exporter: {otlp_file/development: {output_stream: "file://PATH"}}}
"""
    provider = provider_of(load(write(tmp_path, text.replace("PATH", str(out)))))
    tracer = provider.get_tracer("a")
    token = context.attach(baggage.set_baggage("tenant.id", "acme"))
    try:
        with tracer.start_as_current_span("parent"):
            for _ in range(20):
                with tracer.start_as_current_span("child"):
                    pass
    finally:
        context.detach(token)
    provider.shutdown(5000)
    lines = out.read_text()
    assert lines.count('"child"') < 20
    assert "tracecore.fold.count" in lines
    assert "tenant.id" in lines and "acme" in lines
