from tracecore._core.batch import Batch

COUNT: str
TOTAL_NS: str
MIN_NS: str
MAX_NS: str

class FoldStage:
    reason: str
    required: bool
    def __init__(
        self,
        threshold: int,
        hold_ns: int,
        max_groups: int,
        max_parents: int,
        max_bytes: int,
        keys: tuple[tuple[int, bytes, int], ...] | None,
    ) -> None: ...
    @property
    def n_held(self) -> int: ...
    @property
    def held_bytes(self) -> int: ...
    @property
    def n_folded(self) -> int: ...
    @property
    def n_passed(self) -> int: ...
    def process(self, batch: Batch) -> None: ...
    def expire(self, batch: Batch) -> None: ...
    def finish(self, batch: Batch) -> None: ...
