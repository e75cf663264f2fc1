from collections.abc import Callable
from typing import Any

from tracecore._core.batch import Batch

KEEP: int
DROP: int
HASH: int
REPLACE: int
RENAME: int
TRUNCATE: int

class RedactStage:
    reason: str
    required: bool
    def __init__(
        self,
        rules: list[tuple[Any, ...]],
        names: bool,
        make_resource: Callable[..., Any] | None = None,
        make_scope: Callable[..., Any] | None = None,
    ) -> None: ...
    @property
    def n_changed(self) -> int: ...
    @property
    def n_stripped(self) -> int: ...
    @property
    def n_held(self) -> int: ...
    def process(self, batch: Batch) -> None: ...
    def finish(self, batch: Batch) -> None: ...
