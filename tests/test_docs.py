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
