# cython: binding=False
"""Backlog: batches between the worker that drains a queue and the thread of one of its exporters.

    the drain's worker              the exporter's thread
    put, pass_by, end   ......>     wait -> take -> export

A batch stands in the backlog of every exporter that shares the queue; its memory is counted in each, so each
keeps to its own bound whatever the others do. What does not fit is the newest batch, and the drain goes on:
`put` never waits.

A position is a number of spans written to the queue: when the batch that carries it has been dealt with, so
has every span before that position. Where no batch is left to carry one, an entry without a batch does.

Threads: put, pass_by and end are the drain's; take the exporter's thread's; clear anybody's. Each is one step
under the GIL.
"""

from collections import deque

cimport cython
from libc.stdint cimport uint64_t

from tracecore._core.batch cimport Batch
from tracecore._core.workplace cimport Workplace

# What an entry costs beside the batch's records: objects, list, deque.
cdef uint64_t ENTRY_BYTES = 512


@cython.no_gc_clear  # as its base
cdef class Backlog(Workplace):
    """A bounded queue of batches.

    Arguments:
        max_bytes: of records; one batch is taken whatever its size.
        start_worker: called with no argument to have a thread that serves (see Workplace).
    Raises: MemoryError.
    """

    def __cinit__(self, uint64_t max_bytes, object start_worker):
        self.max_bytes = max_bytes
        self.start_worker = start_worker
        self.entries = deque()

    def put(self, Batch batch not None, position: int) -> bool:
        """Add a batch behind which everything before `position` is dealt with; False: no room. Raises: MemoryError."""
        cdef uint64_t size = <uint64_t>batch.held_bytes + ENTRY_BYTES
        if self.entries and self.n_bytes + size > self.max_bytes:
            self.pass_by(position)
            return False
        self.entries.append([batch, position, size])
        self.n_bytes += size
        self.wake()
        return True

    def pass_by(self, position: int) -> None:
        """Nothing to export up to `position` but what is inside already. Raises: MemoryError."""
        cdef list last
        if self.entries:
            last = self.entries[len(self.entries) - 1]
            last[1] = position
        else:
            self.entries.append([None, position, 0])
            self.wake()

    def end(self) -> None:
        """Nothing is put any more."""
        self.ends = True
        self.wake()

    @property
    def has_ended(self) -> bool:
        """Whether `end` was called and nothing is left."""
        return self.ends and not self.entries

    def take(self) -> tuple[Batch | None, int] | None:
        """Return the oldest batch (None where there is nothing but a position) and its position; None when empty."""
        cdef list first
        if not self.entries:
            return None
        first = self.entries.popleft()
        self.n_bytes -= <uint64_t>first[2]
        return first[0], first[1]

    def clear(self) -> None:
        """Forget what is inside."""
        forgotten, self.entries = self.entries, deque()
        self.n_bytes = 0
        del forgotten  # frees the batches, and runs code of others if theirs does: last

    def reset_in_child(self) -> None:
        """Start clean in a forked child: no batches, no worker. Before any other thread exists."""
        self.staff_in_child()
        self.ends = False
        self.clear()
