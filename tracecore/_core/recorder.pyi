from collections.abc import Callable
from typing import Any

from tracecore._core.origin import Origin
from tracecore._core.queue import SpanQueue

class Recorder:
    origin: Origin
    limits: Any
    shown_id_generator: Any
    def __init__(
        self,
        origin: Origin,
        sampler: Any,
        plan: Any,
        limits: Any,
        id_generator: Any,
        on_fork: Callable[[], object],
    ) -> None: ...
    def set_sampler(self, sampler: Any, plan: Any) -> None: ...
    def set_processor(self, processor: Any) -> None: ...
    def measure_with(self, queue: SpanQueue) -> None: ...
    def add_queue(self, queue: SpanQueue) -> None: ...
    def counts(self) -> dict[str, int]: ...
    def reset_in_child(self) -> None: ...
