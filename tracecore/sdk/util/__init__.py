"""As opentelemetry.sdk.util, as far as traces need it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar, overload

__all__ = ["BoundedList", "ns_to_iso_str"]

T = TypeVar("T")


def ns_to_iso_str(nanoseconds: int) -> str:
    """Return nanoseconds since 1970 as ISO 8601 text in UTC, to the microsecond."""
    return datetime.fromtimestamp(nanoseconds / 1e9, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class BoundedList(Sequence[T]):
    """What was appended last, at most `maxlen` of it, and in `dropped` how much went.  Threads: any, under the GIL."""

    def __init__(self, maxlen: int | None) -> None:
        self._items: deque[T] = deque(maxlen=maxlen)
        self.dropped = 0

    @classmethod
    def from_seq(cls, maxlen: int | None, seq: Iterable[T]) -> BoundedList[T]:
        made = cls(maxlen)
        made.extend(seq)
        return made

    def append(self, item: T) -> None:
        if len(self._items) == self._items.maxlen:
            self.dropped += 1
        self._items.append(item)

    def extend(self, seq: Iterable[T]) -> None:
        for item in seq:
            self.append(item)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._items[index] if isinstance(index, int) else list(self._items)[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._items))  # a copy: another thread may append meanwhile

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._items)}, maxlen={self._items.maxlen})"
