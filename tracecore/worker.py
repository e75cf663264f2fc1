"""Worker: a bare thread of the pipeline's own.

Without `threading`'s locks on the span path that starts it, unknown to `threading`'s exit, which would wait for it before
atexit could tell it to end; and a real thread where gevent has replaced the module's functions.
"""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

__all__ = ["RECOVERY_S", "start", "uninstrumented"]

RECOVERY_S = 1.0
"""Pause after a fault of a worker itself (memory, as good as always), so that it does not spin."""


def start(work: Callable[[], object]) -> None:
    """Call `work()` on a thread of its own. Raises: RuntimeError, when no thread can be had."""
    start_thread: Callable[..., int] = _thread.start_new_thread
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None:
        start_thread = gevent.get_original("_thread", "start_new_thread")
    start_thread(work, ())


@contextmanager
def uninstrumented() -> Iterator[None]:
    """Whatever HTTP client an exporter uses, its calls are no spans of the application."""
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        yield
    finally:
        detach(token)  # shutdown does a worker's work on its caller's thread when there is none
