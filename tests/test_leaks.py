"""What every path leaves behind: nothing. Each scenario is a process of its own, and counts exactly (see measure.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from program import run, start_and_wait

SCENARIOS = sorted(path for path in (Path(__file__).parent / "leak_scenarios").glob("*.py") if path.name != "measure.py")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_a_path_leaves_nothing_behind(scenario: Path) -> None:
    ended = start_and_wait([sys.executable, str(scenario)], 120, 0, {})
    print(ended.out)


def test_the_measurement_notices_each_kind_of_leak() -> None:
    leak_scenarios = str(Path(__file__).parent / "leak_scenarios")
    start = f"import sys; sys.path.insert(0, {leak_scenarios!r})\nfrom measure import Value, measure\nkept = []\n"
    for once in (
        "kept.append(object())",
        "kept.append(bytes(2000))",
        "libc.malloc(20)",
        "libc.mmap(None, 65536, 3, 34, -1, 0)",
    ):
        ended = run(start + f"import ctypes; libc = ctypes.CDLL(None)\nmeasure(lambda: {once}, n=200)", code=1)
        assert "after 200 passes" in ended.err or "left by 200 passes" in ended.err, ended.err
    ended = run(start + "held = Value()\nmeasure(lambda: None, n=200)", code=1)
    assert "user values" in ended.err


def test_distinct_keys_and_names_are_kept_up_to_a_bound() -> None:
    """The table of strings is the one thing that grows, and it stops."""
    ended = run(
        """
import json
from tracecore import TracerProvider
from tracecore._core.values import interned
from tracecore.exporters.memory import InMemorySpanExporter
provider = TracerProvider(shutdown_on_exit=False)
provider.add_exporter(exporter := InMemorySpanExporter(max_spans=1), batch=4096)
tracer = provider.get_tracer("a")
for i in range(100_000):
    tracer.start_span(f"name {i}", attributes={f"key {i}": i}).end()
    if i % 5000 == 0:
        provider.force_flush()
provider.force_flush()
(span,) = exporter.get_finished_spans()
assert (span.name, dict(span.attributes)) == ("name 99999", {"key 99999": 99999})
print(json.dumps(interned()))
"""
    )
    n, n_bytes = ended.answer
    assert n <= 65536
    assert n_bytes <= 4 << 20
