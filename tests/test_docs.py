"""The pages say what the tests show."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = [line for line in (ROOT / "docs" / "matrix.md").read_text().splitlines() if line.startswith("| ") and not line.startswith("| feature")]


@cache
def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=[row.split("|")[1].strip() for row in ROWS])
def test_a_row_of_the_matrix_names_a_test_that_is_there(row: str) -> None:
    _, _, _, ours, test, _ = (cell.strip() for cell in row.split("|"))
    if test == "-":
        assert ours == "no", "only what is not offered needs no test"
        return
    found = re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", test)
    assert found is not None, test
    assert found[2] in functions_of(ROOT / "tests" / found[1])


def test_every_page_that_a_page_names_is_there() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "bench" / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} names {target}"


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"<!-- ([\w ]+) -->\n```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def test_the_native_processors_work_as_the_page_has_them() -> None:
    """All of them together, on spans with something for each."""
    from opentelemetry import baggage, context

    from tracecore import TracerProvider
    from tracecore.exporters.memory import InMemorySpanExporter

    provider = TracerProvider(shutdown_on_exit=False)
    memory = InMemorySpanExporter()
    provider.add_exporter(memory)
    found = blocks("processors.md")
    assert [name for name, _ in found] == ["redaction", "dropping", "folding", "baggage", "span metrics"]
    for _, block in found:
        exec(compile(block, "docs/processors.md", "exec"), {"provider": provider})
    tracer = provider.get_tracer("shop")
    token = context.attach(baggage.set_baggage("tenant.id", "acme"))
    try:
        with tracer.start_as_current_span("order", attributes={"user.id": "17", "db.password": "x", "note": "4111111111111111"}):
            for _ in range(50):
                with tracer.start_as_current_span("row"):
                    pass
    finally:
        context.detach(token)
    assert provider.force_flush()
    spans = {span.name: dict(span.attributes) for span in memory.get_finished_spans()}
    assert spans["order"]["note"] == "[card]"
    assert spans["order"]["tenant.id"] == "acme"
    assert "db.password" not in spans["order"]
    assert spans["order"]["user.id"] != "17"
    assert len(memory.get_finished_spans()) < 51
    assert any("tracecore.fold.count" in attributes for attributes in spans.values())
    provider.shutdown()
