"""The import graph is what the contributor's page says it is: layers, no circle, no edge that goes up."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tracecore"

# Bottom to top. A module may import what stands in a layer below, or in its own layer where that makes no circle.
LAYERS: list[tuple[str, ...]] = [
    ("tracecore.errors", "tracecore.entry_point", "tracecore.entities", "tracecore.sdk_classes"),
    ("tracecore.config",),
    ("tracecore._core", "tracecore.exponential_histogram"),
    (
        "tracecore.limits",
        "tracecore.instrumentation_scope",
        "tracecore.id_generator",
        "tracecore.ot_trace_state",
        "tracecore.sampling",
        "tracecore.sampling_rules",
        "tracecore.composable_sampling",
        "tracecore.tracer_config",
        "tracecore.resource",
    ),
    ("tracecore.readable_span", "tracecore.trace_tree", "tracecore.span_feed"),
    ("tracecore.span_processor", "tracecore.span_exporter", "tracecore.waterfall", "tracecore.self_metrics"),
    ("tracecore.span_batches", "tracecore.simple_span_processor", "tracecore.exporters", "tracecore.process_end"),
    ("tracecore.stages",),
    ("tracecore.worker",),
    ("tracecore.processors", "tracecore.pipeline"),
    ("tracecore.drain",),
    ("tracecore.provider",),
    ("tracecore.container_detector", "tracecore.propagators", "tracecore.instrumentations", "tracecore.other_signals"),
    ("tracecore.declarative",),
    ("tracecore.bootstrap", "tracecore.statistics"),
    ("tracecore.shortcuts", "tracecore.sdk", "tracecore.otel"),
    ("tracecore",),
    ("tracecore.reader", "tracecore._reader_build"),
    ("tracecore.demo",),
    ("tracecore.cli",),
    ("tracecore.__main__",),
]


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")) + sorted(PACKAGE.rglob("*.pyx")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def layer_of(module: str) -> int:
    """The layer that names the module or the nearest package around it."""
    while module:
        for number, names in enumerate(LAYERS):
            if module in names:
                return number
        module = module.rpartition(".")[0] if module.count(".") > 1 else ""
    raise KeyError(module)


def names_in(path: Path, module: str) -> set[str]:
    """Modules of ours that the file imports when it is imported or later; not those for type checkers only."""
    text = path.read_text()
    if path.suffix == ".pyx":
        pxd = path.with_suffix(".pxd")
        text += pxd.read_text() if pxd.exists() else ""
        found = set()
        for line in text.splitlines():
            if match := re.match(r"\s*from (tracecore[\w.]*) c?import (.+)", line):
                found |= resolved(match[1], [name.strip(" ()") for name in match[2].split(",")])
        return found - {module}
    tree = ast.parse(text)
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tracecore":
            found |= resolved(node.module or "", [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "tracecore"}
    return found - {module}


def resolved(base: str, names: list[str]) -> set[str]:
    """`from a.b import c` names a.b.c where that is a module, else a.b."""
    return {f"{base}.{name}" if f"{base}.{name}" in MODULES else base for name in names}


GRAPH = {module: names_in(path, module) for module, path in MODULES.items()}


def test_every_module_stands_in_a_layer() -> None:
    missing = [module for module in MODULES if not _has_layer(module)]
    assert missing == []


def _has_layer(module: str) -> bool:
    try:
        layer_of(module)
    except KeyError:
        return False
    return True


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_import_goes_up(module: str) -> None:
    up = {name for name in GRAPH[module] if name in MODULES and layer_of(name) > layer_of(module)}
    assert up == set(), f"{module} imports {up} from a layer above its own"


def test_there_is_no_circle() -> None:
    # The package's own __init__ re-exports from everywhere and nothing below imports it.
    try:
        list(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(f"imports in a circle: {error.args[1]}")


def test_only_config_reads_the_environment() -> None:
    readers = {
        module
        for module, path in MODULES.items()
        if path.suffix == ".py" and re.search(r"\bos\.(environ|getenv)\b|from os import .*\benviron\b", path.read_text())
    }
    # The demo gives its child processes an environment; the waterfall asks NO_COLOR, a convention of terminals.
    allowed = {"tracecore.config", "tracecore.waterfall"}
    assert {module for module in readers - allowed if not module.startswith("tracecore.demo")} == set()


def test_only_what_sets_up_the_other_signals_imports_opentelemetry_sdk() -> None:
    users = {
        module
        for module, path in MODULES.items()
        if re.search(r"^\s*(from|import) opentelemetry\.sdk", path.read_text(), re.MULTILINE)
    }
    assert users <= {"tracecore.other_signals", "tracecore.otel.in_place_of_sdk", "tracecore.otel.span_durations"}


def test_every_c_name_stands_in_tc_pxd() -> None:
    others = [
        path.name
        for path in PACKAGE.rglob("*.p[yx][xd]")
        if path.name != "tc.pxd" and re.search(r'cdef extern from "tc_', path.read_text())
    ]
    assert others == []


def test_no_source_file_is_too_long_to_read() -> None:
    """600 lines is where the house stops reading; what is above must be argued here."""
    argued = {
        "tracer.pyx": "tracer, scope and context call each other several times a span, and inline only within a module",
    }
    long = {
        path.name: len(path.read_text().splitlines())
        for path in [*MODULES.values(), *(ROOT / "csrc").glob("*.[ch]")]
        if len(path.read_text().splitlines()) > 600
    }
    assert set(long) <= set(argued), long
