"""Instructions an operation takes, counted by valgrind: the figure that does not depend on the weather.

    child, n operations      under callgrind    -> instructions
    child, 2 n operations    under callgrind    -> instructions
    an operation = the difference / n

Each count is a process of its own, with a fixed hash seed and without address randomisation. Nobody
but the calling thread runs: the ring stands behind the recorder without a worker. Kernel time, caches
and branch misses are not in the count; a change that trades instructions for misses needs compare.py.

Counts belong to one build of CPython. bench/instructions-<python>.json holds those of the build it
names; on another build there is nothing to compare with, and that is said.

    python bench/instructions.py            print, and compare with the file
    python bench/instructions.py --check    the same; exit 1 when one operation grew by more than 3 %
    python bench/instructions.py --write    make the counts the new reference
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import machine
import workloads

HERE = Path(__file__).parent

TOLERANCE = 0.03
"""Repeated counts differ by less than 0.5 %, on a loaded machine too; what is left is real."""

N_OPERATIONS = 500
"""Twice that fits the ring, so no span is dropped, and a count takes a few seconds."""

N_WARM_UP = 100
"""Names and keys learned, specialised bytecode, freelists filled."""

RING_BYTES = 1 << 20
BATCH = 50
"""Spans in a batch of the export operations."""


# ---- in the child ----------------------------------------------------------------------------------------


def rig(sampled: bool) -> tuple[Any, Any]:
    """Return (tracer, queue): a provider whose spans end in a ring that nobody empties."""
    from tracecore import TracerProvider
    from tracecore._core.queue import SpanQueue
    from tracecore.sampling import ALWAYS_OFF

    provider = TracerProvider(sampler=None if sampled else ALWAYS_OFF)
    queue = SpanQueue(provider._origin, RING_BYTES, BATCH, lambda: None)
    provider._recorder.add_queue(queue)
    return provider.get_tracer("bench"), queue


def calling_thread(workload: workloads.Workload, n: int) -> None:
    tracer, _ = rig(workload.sampled)
    workload.loop(tracer, N_WARM_UP)
    workload.loop(tracer, n)


def export(n: int) -> None:
    """Take and encode n spans. As many are queued whatever n is, so that they fall out of the difference."""
    tracer, queue = rig(True)
    workloads.five(tracer, N_WARM_UP + 2 * N_OPERATIONS)
    for _ in range((N_WARM_UP + n) // BATCH):
        queue.take().otlp()


def take(n: int) -> None:
    """Take n spans out of the ring: what the operations of the rules have in common."""
    worked_on(None, n)


def worked_on(processor: Any, n: int) -> None:
    """Take n spans and pass them through the stage of a native processor."""
    tracer, queue = rig(True)
    stage = None if processor is None else processor.attach_stage(None)
    with tracer.start_as_current_span("parent"):
        workloads.five(tracer, N_WARM_UP + 2 * N_OPERATIONS)
    for _ in range((N_WARM_UP + n) // BATCH):
        batch = queue.take()
        if stage is not None:
            stage.process(batch)


def rules(which: str, n: int) -> None:
    from tracecore.processors.baggage import BaggageAttributes
    from tracecore.processors.dropping import Dropping, asgi_send_receive
    from tracecore.processors.folding import Folding
    from tracecore.processors.redaction import Redaction, drop, hashed, replaced

    worked_on(
        {
            "redact nothing": lambda: Redaction([drop("*.password")]),
            "redact drop": lambda: Redaction([drop("http.route")]),
            "redact hash": lambda: Redaction([hashed("http.route")]),
            "redact search": lambda: Redaction([replaced(values=r"\b\d{13,16}\b")]),
            "drop nothing": lambda: Dropping([asgi_send_receive()]),
            "fold": lambda: Folding(),
            "baggage none": lambda: BaggageAttributes(["tenant.*"]),
        }[which](),
        n,
    )


RULES = ("redact nothing", "redact drop", "redact hash", "redact search", "drop nothing", "fold", "baggage none")

OPERATIONS: dict[str, Callable[[int], None]] = {
    **{w.name: partial(calling_thread, w) for w in workloads.WORKLOADS},
    "export": export,
    "take": take,
    **{which: partial(rules, which) for which in RULES},
}


# ---- in the parent -----------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """Return the children's environment: nothing that changes how Python or the tracers run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    return {**kept, "PYTHONHASHSEED": "0"}


def count(operation: str, n: int) -> int:
    """Return the instructions of a whole child. Raises: RuntimeError with its words when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={folder}/out",
            sys.executable,
            str(Path(__file__)),
            "--child",
            operation,
            str(n),
        ]
        if (setarch := shutil.which("setarch")) is not None:
            command = [setarch, platform.machine(), "-R", *command]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
        found = re.search(r"Collected : (\d+)", answer.stderr)
        if answer.returncode != 0 or found is None:
            raise RuntimeError(f"{operation}: {' '.join(command)}\n{answer.stderr}")
        return int(found.group(1))


def per_operation(operation: str) -> float:
    once, twice = count(operation, N_OPERATIONS), count(operation, 2 * N_OPERATIONS)
    return (twice - once) / N_OPERATIONS


def reference_file() -> Path:
    return HERE / f"instructions-{sys.version_info.major}.{sys.version_info.minor}.json"


def build() -> dict[str, object]:
    """Return what must be equal for two counts to be comparable."""
    api = machine.versions()["opentelemetry-api"]
    return {**machine.interpreter(), "compiler": machine.compiler(), "opentelemetry-api": api}


def reference() -> dict[str, float]:
    """Return the counts to compare with; empty, and said why, when there are none for this build."""
    path = reference_file()
    if not path.exists():
        print(f"no {path.name}: nothing to compare with (--write makes it)")
        return {}
    stored = json.loads(path.read_text())
    here = build()
    differing = sorted(name for name in {*here, *stored["build"]} if here.get(name) != stored["build"].get(name))
    if differing:
        print(f"{path.name} is of another build, not compared: {', '.join(differing)} differ")
        return {}
    counts: dict[str, float] = stored["instructions"]
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("operations", nargs="*", metavar="operation", help=f"of {', '.join(OPERATIONS)}; none: all")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a count grew by more than 3 %%")
    parser.add_argument("--write", action="store_true", help="make the counts the new reference")
    parser.add_argument("--child", nargs=2, metavar=("OPERATION", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        OPERATIONS[options.child[0]](int(options.child[1]))
        sys.stdout.flush()
        os._exit(0)
    if unknown := [name for name in options.operations if name not in OPERATIONS]:
        parser.error(f"no operation {', '.join(unknown)}")
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: instructions cannot be counted here", file=sys.stderr)
        return 2

    # The first child of a fresh checkout compiles modules to bytecode, which must not be counted.
    subprocess.run([sys.executable, str(Path(__file__)), "--child", "fold", "1"], check=True, env=environment())
    stored = reference()
    grown = []
    counts = {}
    for operation in options.operations or OPERATIONS:
        counts[operation] = per_operation(operation)
        line = f"{operation:15} {counts[operation]:>10.1f} instructions"
        if operation in stored:
            change = counts[operation] / stored[operation] - 1
            line += f"   reference {stored[operation]:>10.1f}   {change:+.2%}"
            if change > TOLERANCE:
                grown.append(operation)
                line += "   GREW"
        print(line, flush=True)
    if options.write:
        kept = {**stored, **{name: round(value, 1) for name, value in counts.items()}}
        reference_file().write_text(json.dumps({"build": build(), "instructions": kept}, indent=1) + "\n")
        print(f"written to {reference_file()}")
    return 1 if options.check and grown else 0


if __name__ == "__main__":
    sys.exit(main())
