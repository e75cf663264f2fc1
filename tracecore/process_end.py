"""Ends of a process that pass atexit by, and what is there to hear of them instead.

    child of multiprocessing      os._exit after its own finalizers          multiprocessing.util.Finalize
    child of billiard             the same                                   billiard.util.Finalize
    worker of Celery's pool       os._exit after a signal of Celery's own    celery.signals.worker_process_shutdown
    uvicorn, told by a signal     raises that signal again when it has
                                  stopped, and its default action kills      uvicorn.Server.shutdown, wrapped

Nothing is imported for it: who listens looks for these modules among those that are loaded, and looks again
from time to time. uvicorn offers nothing to hook into that runs after the last request, so its method is
wrapped, once a process, and does what it did before.

Threads: listen and cancel by any thread, one at a time for one object.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final

from tracecore.errors import report

__all__ = ["ProcessEnd"]

FLUSH_S: Final = 5.0
"""How long uvicorn's stop waits for a receiver: within what operators and Kubernetes (30 s) give a server."""


class ProcessEnd:
    """Calls `shutdown` before this process ends without atexit, or `flush(seconds)` where it may yet go on."""

    def __init__(self, shutdown: Callable[[], Any], flush: Callable[[float], Any]) -> None:
        self._shutdown = shutdown
        self._flush = flush
        self._pid = os.getpid()
        self._cancels: dict[str, Callable[[], Any]] = {}

    def listen(self) -> None:
        """Listen to those of the modules that are loaded by now. Costs a few dict lookups once it has."""
        if self._pid != os.getpid():  # what a parent process listened to concerns the parent
            self._pid = os.getpid()
            self._cancels = {}
        for module, hear in _ENDS.items():
            if module not in self._cancels and (loaded := sys.modules.get(module)) is not None:
                try:
                    if (cancel := hear(loaded, self)) is not None:
                        self._cancels[module] = cancel
                except Exception as fault:  # half imported, or another version than those known
                    self._cancels[module] = _nothing
                    report("process_end", "cannot hear of a process's end from %s: %s", module, fault)

    def cancel(self) -> None:
        """Stop listening: there is nothing left to be done."""
        if self._pid == os.getpid():
            for cancel in self._cancels.values():
                cancel()
            self._cancels = dict.fromkeys(_ENDS, _nothing)


def _nothing() -> None:
    pass


def _multiprocessing(util: Any, end: ProcessEnd) -> Callable[[], Any] | None:
    process: Any = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return None
    # Priority 0: after the program's own finalizers, which may end spans.
    finalizer = util.Finalize(None, end._shutdown, exitpriority=0)
    return lambda: finalizer.cancel()


def _billiard(util: Any, end: ProcessEnd) -> Callable[[], Any] | None:
    process: Any = sys.modules.get("billiard.process")
    if process is None or process.current_process()._parent_pid is None:
        return None
    finalizer = util.Finalize(None, end._shutdown, exitpriority=0)
    return lambda: finalizer.cancel()


def _celery(signals: Any, end: ProcessEnd) -> Callable[[], Any]:
    def ended(**_: Any) -> None:
        end._shutdown()

    signals.worker_process_shutdown.connect(ended, weak=False)
    return lambda: signals.worker_process_shutdown.disconnect(ended)


_uvicorn_listeners: Final[list[ProcessEnd]] = []


def _uvicorn(server: Any, end: ProcessEnd) -> Callable[[], Any]:
    if not hasattr(server.Server.shutdown, "_tracecore"):
        server.Server.shutdown = _flushing(server.Server.shutdown)
    pid = os.getpid()
    _uvicorn_listeners[:] = [*(each for each in _uvicorn_listeners if each._pid == pid), end]  # none of a parent's
    return lambda: _uvicorn_listeners.remove(end) if end in _uvicorn_listeners else None


def _flushing(shutdown: Callable[..., Any]) -> Callable[..., Any]:
    from functools import wraps

    @wraps(shutdown)
    async def flushing(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await shutdown(self, *args, **kwargs)
        finally:
            # Without a signal the program goes on after its server, and ends as programs do.
            if getattr(self, "_captured_signals", True):
                from asyncio import to_thread

                for end in tuple(_uvicorn_listeners):
                    await to_thread(end._flush, FLUSH_S)

    flushing._tracecore = True  # type: ignore[attr-defined]
    return flushing


_ENDS: Final[dict[str, Callable[[Any, ProcessEnd], Callable[[], Any] | None]]] = {
    "multiprocessing.util": _multiprocessing,
    "billiard.util": _billiard,
    "celery.signals": _celery,
    "uvicorn.server": _uvicorn,
}
