"""What every checkout must leave behind, and the judgement whether it did.

The driver knows how many checkouts it sent, and each answer carries the id of its trace.  So nothing here is an estimate: a
missing trace, a trace nobody asked for, a lost span and a broken link are each told apart and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tracecore.trace_tree import Trace, missing

#: The services in the order a checkout meets them.
SERVICES = ("gateway", "orders", "inventory", "payment")

#: The spans that the services make by hand; exactly one of each in every checkout.
STEPS = (
    ("orders", "Validate cart"),
    ("orders", "Create order"),
    ("orders", "Database write"),
    ("inventory", "Check stock"),
    ("inventory", "Reserve items"),
    ("payment", "Validate payment"),
    ("payment", "Charge card"),
    ("payment", "External API call"),
)


@dataclass(frozen=True, slots=True)
class Checkout:
    """One request of the driver and its answer.  `attempts` is how often payment says it called the provider."""

    number: int
    faulty: bool
    status: int
    trace_id: str
    attempts: int
    took_ns: int


def judge(traces: Iterable[Trace], checkouts: Sequence[Checkout]) -> list[str]:
    """Return in words all that is incomplete; an empty list is the verdict "complete"."""
    by_id = {trace.trace_id: trace for trace in traces}
    shapes = _usual_shapes(by_id, checkouts)
    found: list[str] = []
    for checkout in checkouts:
        trace = by_id.pop(checkout.trace_id, None)
        if trace is None:
            found.append(f"trace {checkout.trace_id} of checkout {checkout.number}: nothing of it arrived")
            continue
        lacks = [*missing(trace, SERVICES), *_lost_steps(trace)]
        if not lacks:
            # A span without children leaves no orphan when it is lost.  But equal requests make equal spans.
            usual = shapes[checkout.attempts]
            lacks.extend(f"{n} of {service}: {name} lost" for (service, name), n in (usual - _shape(trace)).items())
        found.extend(f"trace {trace.trace_id} of checkout {checkout.number}: {lack}" for lack in lacks)
    for trace in by_id.values():
        root = trace.root
        found.append(
            f"trace {trace.trace_id}: no checkout has this id; it begins at {root.service}: {root.name}, "
            "cut off from the trace it belongs to"
        )
    return found


def _shape(trace: Trace) -> Counter[tuple[str, str]]:
    return Counter((row.service, row.name) for row in trace.spans)


def _usual_shapes(
    by_id: Mapping[str, Trace], checkouts: Iterable[Checkout]
) -> dict[int, Counter[tuple[str, str]]]:
    """Return, by number of attempts, the most spans of each kind that any such checkout left."""
    shapes: dict[int, Counter[tuple[str, str]]] = {}
    for checkout in checkouts:
        trace = by_id.get(checkout.trace_id)
        if trace is not None:
            shape = _shape(trace)
            shapes[checkout.attempts] = shapes.get(checkout.attempts, shape) | shape
    return shapes


def _lost_steps(trace: Trace) -> list[str]:
    shape = _shape(trace)
    return [
        f"{shape[step]} of {step[0]}: {step[1]} instead of one"
        for step in STEPS
        if shape[step] != 1 and step[0] in trace.services  # a service of which nothing came has been named already
    ]
