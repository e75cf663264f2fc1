"""What a path leaves behind when it has run n times: counted, not sampled.

    Python objects     blocks of CPython's own allocator, which hands out every object up to 512 bytes, GC-tracked or not
    native memory      bytes in use in the C heap (mallinfo2), all arenas: drafts, batches, records that travel by address
    mapped memory      bytes of anonymous mappings: rings, stacks of threads
    the process        resident bytes, over two long windows
    user values        objects with a finalizer that counts

A path that leaves one object a pass leaves n of them; what caches and freelists move is far below one in ten passes.
So the verdict is exact: the least of several windows must be below n / 10 blocks, and below 8 n bytes and
the measurement's own (one malloc takes 32), which hundreds of passes make far less than one malloc a pass.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tracecore import TracerProvider
from tracecore.exporters import Outcome
from tracecore.exporters.memory import InMemorySpanExporter

N_WINDOWS = 4


class Value:
    """A user's object: an attribute value by its text. `Value.live` of them exist."""

    live = 0

    def __init__(self) -> None:
        Value.live += 1

    def __del__(self) -> None:
        Value.live -= 1

    def __str__(self) -> str:
        return "the text of a value"


class Discards:
    """An exporter of the core's own interface that encodes every batch and sends it nowhere."""

    def export(self, batch: Any, deadline: float) -> Outcome:
        batch.otlp()
        return Outcome(len(batch), 0, "", "")

    def interrupt(self) -> None: ...

    def shutdown(self) -> None: ...


class Decodes(Discards):
    """One that makes ReadableSpans and reads all there is of them."""

    def export(self, batch: Any, deadline: float) -> Outcome:
        for span in batch.spans():
            span.to_json()
        return Outcome(len(batch), 0, "", "")


def provider_with(exporter: Any = None, **arguments: Any) -> TracerProvider:
    """Return a provider with a small ring and a batch that wakes often."""
    provider = TracerProvider(shutdown_on_exit=False, **arguments)
    provider.add_exporter(Discards() if exporter is None else exporter, ring_bytes=1 << 20, batch=256, delay=0.05)
    return provider


def in_memory() -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    return provider_with(exporter), exporter


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


def native_bytes() -> int | None:
    """Bytes in use in the C heap; None where the C library does not tell."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return None
    mallinfo.restype = _Mallinfo
    known = mallinfo()
    return int(known.uordblks + known.hblkhd)


def status(field: str) -> int:
    """A field of /proc/self/status in KiB, or as a plain number."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def measure(once: Callable[[], object], provider: TracerProvider | None = None, n: int = 2000, mapped_kib: int = 0) -> None:
    """Run `once` again and again; fail when it leaves anything. `mapped_kib`: how much VmSize may grow over a window."""
    logging.getLogger("tracecore").addHandler(logging.NullHandler())
    logging.getLogger("tracecore").propagate = False
    _ = native_bytes(), status("VmRSS")  # what asking itself leaves, first

    def settled() -> None:
        if provider is not None:
            provider.force_flush()
        for _ in range(3):
            gc.collect()

    def passes(count: int) -> None:
        for _ in range(count):
            once()
        settled()

    def windows(count: int) -> tuple[list[int], list[int], list[int]]:
        blocks, native, mapped = [], [], []
        for _ in range(N_WINDOWS):
            before = sys.getallocatedblocks(), native_bytes(), status("VmSize")
            passes(count)
            after = sys.getallocatedblocks(), native_bytes(), status("VmSize")
            blocks.append(after[0] - before[0])
            if before[1] is not None and after[1] is not None:
                native.append(after[1] - before[1])
            mapped.append(after[2] - before[2])
        return blocks, native, mapped

    passes(n)
    passes(n)
    _, idle, _ = windows(0)
    blocks, native, mapped = windows(n)
    native = [each - min(idle) for each in native]
    print(f"n={n} blocks={blocks} native bytes={native} mapped KiB={mapped} user values={Value.live}")
    assert min(blocks) < n / 10, f"{min(blocks)} objects left by {n} passes"
    assert not native or min(native) < 8 * n + 1024, f"{min(native)} bytes of native memory left by {n} passes"
    assert min(mapped) <= mapped_kib, f"{min(mapped)} KiB more mapped after {n} passes"
    assert Value.live == 0, f"{Value.live} user values are still held"

    passes(2 * n)
    resident = [status("VmRSS")]
    # Two windows; more where both grew: pages that were never touched before come in fits, a leak comes each time.
    while len(resident) < 3 or (min(grown) >= 512 and len(resident) < 7):
        passes(4 * n)
        resident.append(status("VmRSS"))
        grown = [after - before for before, after in pairwise(resident)]
    print(f"resident KiB over windows of {4 * n} passes: {grown}")
    assert min(grown) < 512, f"{grown} KiB more resident in each window"
    gc.collect()
