"""Compile the C benches against csrc and run them: nanoseconds, minimum and median of 301 rounds.

    python bench/csrc/run.py             all
    python bench/csrc/run.py ring otlp   some

Compiler: $CC, else cc. The flags are those of the extension modules.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CSRC = HERE.parent.parent / "csrc"
BUILD = HERE.parent / "build" / "csrc"

UNITS = {
    "ring": ["base", "strings", "record", "ring"],
    "record": ["base", "strings", "record"],
    "otlp": ["base", "strings", "record", "ring", "batch", "pb", "otlp"],
    "rules": [
        *["base", "strings", "record", "ring", "batch", "pb", "program", "regex", "match", "hmac"],
        *["redact", "drop", "fold", "baggage"],
    ],
    "span_metrics": ["base", "strings", "record", "ring", "batch", "histogram", "span_metrics"],
}


def compiled(bench: str) -> Path:
    """Return the program. Raises: CalledProcessError; the compiler's words go to stderr."""
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / bench
    sources = [HERE / f"{bench}.c", *(CSRC / f"tc_{unit}.c" for unit in UNITS[bench])]
    flags = ["-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", f"-I{CSRC}", "-pthread"]
    subprocess.run([os.environ.get("CC", "cc"), *flags, *map(str, sources), "-o", str(program), "-lm"], check=True)
    return program


def main() -> None:
    for bench in sys.argv[1:] or UNITS:
        if bench not in UNITS:
            sys.exit(f"no bench {bench}: there are {', '.join(UNITS)}")
        answer = subprocess.run([compiled(bench)], stdout=subprocess.PIPE, text=True, check=True)
        for line in answer.stdout.splitlines():
            found = json.loads(line)
            print(f"{found['bench']:46}{found['min_ns']:>8.1f} ns ({found['median_ns']:.1f})")


if __name__ == "__main__":
    main()
