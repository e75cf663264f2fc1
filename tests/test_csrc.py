"""The C units: their programs under each sanitizer, and what holds them together."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CSRC = ROOT / "csrc"
PROGRAMS = ROOT / "tests" / "c"
UNITS = sorted(path.stem.removeprefix("tc_") for path in CSRC.glob("tc_*.c"))

SANITIZERS = {"none": "", "address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}

# Seconds of mutations after the replay of the corpus.
MUTATION_S = 6


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
    )


@cache
def lacks(sanitizer: str, where: Path) -> str:
    """Why this compiler or machine cannot run programs under the sanitizer; empty if it can."""
    where.mkdir(parents=True, exist_ok=True)
    (where / "probe.c").write_text("int main(void) { return 0; }\n")
    flags = SANITIZERS[sanitizer].split()
    built = run("cc", *flags, where / "probe.c", "-o", where / "probe")
    if built.returncode != 0:
        return built.stderr.strip().splitlines()[-1]
    started = run(where / "probe")
    return "" if started.returncode == 0 else started.stderr.strip() or "its programs do not start"


class Build:
    """The programs of tests/c, made once a sanitizer and session."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def program(self, name: str, sanitizer: str, ring_flags: str = "") -> Path:
        out = self.where / (sanitizer + ring_flags.replace("/", ""))
        if sanitizer != "none" and (reason := lacks(sanitizer, self.where / "probe" / sanitizer)):
            pytest.skip(f"no {SANITIZERS[sanitizer]} here: {reason}")
        program = out / name
        if not program.exists():
            targets = [program] if ring_flags else ["all"]
            made = run(
                "make", "-s", "-j2", "-C", PROGRAMS, f"SANITIZE={sanitizer}", f"OUT={out}", f"RING_FLAGS={ring_flags}", *targets
            )
            assert made.returncode == 0, made.stderr
        return program


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return Build(tmp_path_factory.mktemp("csrc"))


@pytest.mark.parametrize("sanitizer", SANITIZERS)
@pytest.mark.parametrize("unit", UNITS)
def test_the_program_of_a_unit_passes(build: Build, unit: str, sanitizer: str) -> None:
    ran = run(build.program(f"test_{unit}", sanitizer))
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("order", ["TC_RING_PUBLISH_ORDER", "TC_RING_FREE_ORDER"])
def test_a_weakened_ring_is_a_data_race(build: Build, order: str) -> None:
    """What the thread sanitizer does not report here it would not report in the ring as it is."""
    program = build.program("test_ring", "thread", f"-D{order}=memory_order_relaxed")
    ran = run(program, "concurrent", TSAN_OPTIONS="halt_on_error=1 exitcode=66")
    assert ran.returncode == 66
    assert "ThreadSanitizer: data race" in ran.stderr
    assert "tc_ring.c" in ran.stderr


@pytest.mark.parametrize("sanitizer", ["none", "address"])
def test_the_corpus_and_its_mutations_harm_nobody(build: Build, sanitizer: str, tmp_path: Path) -> None:
    seconds = MUTATION_S if sanitizer == "address" else 1
    ran = run(build.program("replay_corpus", sanitizer), PROGRAMS / "corpus", str(seconds), "1", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.fuzz
def test_libfuzzer_finds_nothing(tmp_path: Path) -> None:
    """TRACECORE_FUZZ_S: how long, in seconds; five minutes otherwise."""
    if shutil.which("clang") is None:
        pytest.skip("no clang here: libFuzzer comes with it")
    seconds = int(os.environ.get("TRACECORE_FUZZ_S", "300"))
    flags = f"-max_total_time={seconds} -max_len=65536 -artifact_prefix={tmp_path}/"
    ran = subprocess.run(
        ["make", "-s", "-C", str(PROGRAMS), "fuzz", "CC=clang", f"OUT={tmp_path}", f"FUZZ_FLAGS={flags}"],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + 300,
    )
    assert ran.returncode == 0, ran.stderr[-5000:]


# ---- what holds the units together -----------------------------------------------------------


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)


def source(unit: str) -> str:
    return "".join(without_comments((CSRC / f"tc_{unit}{suffix}").read_text()) for suffix in (".h", ".c"))


def without_strings(text: str) -> str:
    return re.sub(r'"(\\.|[^"\\])*"', '""', text)


def test_every_c_file_belongs_to_a_unit_of_one_header_and_one_source() -> None:
    assert {path.name for path in CSRC.iterdir()} == {f"tc_{unit}{suffix}" for unit in UNITS for suffix in (".h", ".c")}
    assert {path.stem.removeprefix("test_") for path in PROGRAMS.glob("test_*.c")} == set(UNITS)


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_needs_no_python_prints_nothing_and_ends_no_process(unit: str) -> None:
    text = source(unit)
    assert not re.search(r"#\s*include\s*<(Python\.h|stdio\.h|err\.h|syslog\.h|assert\.h|wchar\.h)>", text)
    assert "Python.h" not in text
    calls = set(re.findall(r"\b(\w+)\s*\(", without_strings(text)))
    assert calls & {"abort", "exit", "_exit", "_Exit", "quick_exit", "raise", "kill", "assert"} == set()
    assert calls & {"printf", "fprintf", "dprintf", "puts", "putchar", "perror", "write", "vprintf"} == set()


def drawn_graph() -> dict[str, set[str]]:
    """unit -> the units it stands on, from the drawing in tc_base.h.

    `a, b <- c` names what c stands on; a `<-` without a left side stands on the unit drawn last
    whose own arrow is further left.
    """
    drawing = (CSRC / "tc_base.h").read_text().split("*/")[0]
    graph: dict[str, set[str]] = {}
    columns: list[tuple[int, str]] = []
    for line in drawing.splitlines():
        match = re.match(r"^ \*(?P<left>[ \w,]*)<- (?P<unit>\w+)", line)
        if match is None:
            assert "<-" not in line, line
            continue
        column, unit = match.end("left"), match["unit"]
        left = set(re.findall(r"\w+", match["left"]))
        if not columns:
            assert left == {"base"}
            graph["base"] = set()
            columns.append((-1, "base"))
        columns = [(at, name) for at, name in columns if at < column]
        assert unit not in graph, f"{unit} is drawn twice"
        graph[unit] = left or {columns[-1][1]}
        if not left or left == {"base"}:
            columns.append((column, unit))
    return graph


def included_graph() -> dict[str, set[str]]:
    return {unit: set(re.findall(r'#\s*include\s*"tc_(\w+)\.h"', source(unit))) - {unit} for unit in UNITS}


def reached(graph: dict[str, set[str]], unit: str, above: tuple[str, ...] = ()) -> set[str]:
    assert unit not in above, f"a circle: {' -> '.join((*above, unit))}"
    below = graph[unit]
    return below.union(*(reached(graph, name, (*above, unit)) for name in below))


def test_the_include_graph_is_the_one_that_is_drawn() -> None:
    included, drawn = included_graph(), drawn_graph()
    # An edge that a longer way round implies is not drawn; every other one is.
    direct = {
        unit: {name for name in names if not any(name in reached(included, other) for other in names - {name})}
        for unit, names in included.items()
    }
    assert drawn == direct


def test_headers_and_sources_include_only_units_and_the_c_library() -> None:
    for unit in UNITS:
        for quoted in re.findall(r'#\s*include\s*"([^"]+)"', source(unit)):
            assert re.fullmatch(r"tc_\w+\.h", quoted) and (CSRC / quoted).exists()


def table(path: Path, name: str) -> object:
    """The literal that the module at `path` assigns to `name`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return ast.literal_eval(node.value)
    raise KeyError(name)


def extensions() -> dict[str, list[str]]:
    """Extension module -> the units that are linked into it."""
    units = table(ROOT / "setup.py", "UNITS")
    reader = table(ROOT / "tracecore" / "_reader_build.py", "UNITS")
    assert isinstance(units, dict) and isinstance(reader, list)
    return units | {"_reader": reader}


@pytest.fixture(scope="session")
def symbols(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """unit -> (nm's letter, name) of every symbol of its object as the extensions compile it."""
    where = tmp_path_factory.mktemp("objects")
    found = {}
    for unit in UNITS:
        compiled = where / f"{unit}.o"
        built = run("cc", "-std=c11", "-O2", "-fPIC", "-I", CSRC, "-c", CSRC / f"tc_{unit}.c", "-o", compiled)
        assert built.returncode == 0, built.stderr
        found[unit] = re.findall(r"^[0-9a-f ]* ([A-Za-z]) (\S+)$", run("nm", compiled).stdout, re.MULTILINE)
    return found


def test_state_of_a_unit_exists_once(symbols: dict[str, list[tuple[str, str]]]) -> None:
    """A C static is duplicated in every module that links its unit."""
    # b, d: writable data, of the file or of the thread; s, g, c: its small and common kinds
    with_state = {unit for unit, names in symbols.items() if any(letter in "bBdDsSgGcC" for letter, _ in names)}
    assert with_state == {"ids"}, "the drawing in tc_base.h says: ids alone"
    for unit in with_state:
        assert len([module for module, units in extensions().items() if unit in units]) == 1


def test_every_extension_links_what_its_units_call(symbols: dict[str, list[tuple[str, str]]]) -> None:
    for module, units in extensions().items():
        assert set(units) <= set(UNITS) and len(set(units)) == len(units), module
        names = [symbol for unit in units for symbol in symbols[unit]]
        called = {name for letter, name in names if letter == "U" and name.startswith("tc_")}
        assert called <= {name for letter, name in names if letter == "T"}, module


def declared_in_headers() -> set[str]:
    return {name for unit in UNITS for name in re.findall(r"\b(tc_\w+)\s*\(", source(unit))}


def test_cython_declares_c_names_in_one_file_only() -> None:
    package = ROOT / "tracecore"
    sources = [*package.rglob("*.pyx"), *package.rglob("*.pxd")]
    assert sources
    tc = (package / "_core" / "tc.pxd").read_text()
    for path in sources:
        text = path.read_text()
        if path.name != "tc.pxd":
            assert not re.search(r'cdef extern from\s+["<](?!Python\.h|pthread\.h)[^">]*tc_', text), path
            assert not re.search(r'cdef extern from\s+[^"\s]*"(\.\./)*csrc', text), path
            for name in re.findall(r"\btc\.((?:tc|TC)_\w+)", text):
                assert re.search(rf"\b{name}\b", tc), f"{path.name} uses {name}, which tc.pxd does not declare"
    for header in re.findall(r'cdef extern from "(\w+\.h)"', tc):
        assert (CSRC / header).exists()


def test_tc_pxd_declares_nothing_that_the_headers_do_not() -> None:
    tc = re.sub(r"#[^\n]*", "", (ROOT / "tracecore" / "_core" / "tc.pxd").read_text())
    functions = set(re.findall(r"\b(tc_\w+)\(", tc))
    assert functions <= declared_in_headers()
    for header, block in re.findall(r'cdef extern from "(tc_\w+\.h)" nogil:\n((?:[ \t]+[^\n]*\n|\n)*)', tc):
        text = without_comments((CSRC / header).read_text())
        for name in re.findall(r"\b((?:tc|TC)_\w+)\b", block):
            in_a_lower_unit = any(
                re.search(rf"\b{name}\b", (CSRC / f"tc_{unit}.h").read_text()) for unit in reached(included_graph(), header[3:-2])
            )
            assert re.search(rf"\b{name}\b", text) or in_a_lower_unit, f"{name} is not in {header}"
