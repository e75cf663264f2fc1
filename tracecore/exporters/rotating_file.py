"""A file that whole records are appended to, by several processes, and that is put aside when it is full or old.

    append(data)     lock ---> is it still the file of that name? --no--> open again
                      |        full, or of an earlier interval?  --yes--> rename, open again
                      |        write; a write that broke off is cut away
                     unlock -> rotated files: oldest deleted, the rest packed

    spans.msgpack                                    written to
    spans-20261124T170000.000000Z.msgpack            put aside, name from the time of rotation (UTC)
    spans-20261124T160000.000000Z.msgpack.gz         the same, packed

What holds: `data` is in the file as a whole or not at all, and never in the middle of another process's, as long as
the process lives.  A process that is killed, or a machine that stops, in the middle of a write can leave a part of it
at the end: `terminator` closes such a part before the next append, and readers must pass over it.  What was written
survives the process; only with `sync` does it survive the machine too.

The lock is flock(2) on the file itself: held for one append, waited for until the deadline, gone with its process.
Where the file system has no locks, appends go without: then rotation is safe for one process only.

Files are put aside by one rename to a name of its own, not by a chain of numbers: a second process that waits for the
lock meanwhile sees that the name leads elsewhere, and opens that.  So an outside logrotate does no harm either.

Age is counted in intervals from 1970 (3600: a new file each full hour, UTC), and a file belongs to that of its last
write: so every process, and one that was restarted, decides the same.  An idle file stays until the next append.

Fork: flock belongs to the open file, which a child shares, so a child closes its copy and opens the file itself.
Threads: one at a time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from datetime import datetime, timedelta, timezone

from tracecore.errors import ConfigurationError, report

__all__ = ["RotatingFile"]

_LOCK_POLL_S = 0.01
"""Between two tries for a lock that another process holds for the time of one write."""

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})

_STAMP = "%Y%m%dT%H%M%S.%fZ"
_STAMP_PATTERN = r"\d{8}T\d{6}\.\d{6}Z"

_CHUNK_BYTES = 1 << 20


class RotatingFile:
    """The file at `path`; its directory is made when missing.

    max_bytes: size from which on a new file is begun; 0 for no limit.  One append is never divided: larger data
        fills a file of its own.
    max_age: seconds of an interval after which a new file is begun; 0 for never.
    keep: number of rotated files that stay; the oldest are deleted.  None keeps all.
    compress: pack rotated files with gzip, on the calling thread (a hundred megabytes take a second or two).
    sync: have each append wait until the disk has it (milliseconds, on a real one).
    terminator: what every `data` ends with, if there is something; see the head of this file.

    Raises: ConfigurationError, naming the argument.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = 0,
        max_age: float = 0.0,
        keep: int | None = None,
        compress: bool = False,
        sync: bool = False,
        terminator: bytes = b"",
    ) -> None:
        try:
            self.path = os.path.abspath(os.fspath(path))
        except (TypeError, ValueError):
            raise ConfigurationError("path", path, "the path of a file, as str or PathLike") from None
        if not isinstance(self.path, str) or not os.fspath(path) or "\0" in self.path or os.path.isdir(self.path):
            raise ConfigurationError("path", path, "the path of a file, as str or PathLike")
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 0:
            raise ConfigurationError("max_bytes", max_bytes, "an integer of bytes, 0 for no limit")
        if isinstance(max_age, bool) or not isinstance(max_age, (int, float)) or not 0 <= max_age < float("inf"):
            raise ConfigurationError("max_age", max_age, "a number of seconds, 0 for no limit")
        if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int) or keep < 0):
            raise ConfigurationError("keep", keep, "a number of files from 0 on, or None for all")
        self._max_bytes = max_bytes
        self._max_age_s = max_age
        self._keep = keep
        self._compress = compress
        self._sync = sync
        self._terminator = terminator
        self._directory, name = os.path.split(self.path)
        self._stem, self._suffix = os.path.splitext(name)
        self._rotated = re.compile(
            f"{re.escape(self._stem)}-{_STAMP_PATTERN}{re.escape(self._suffix)}" + r"(\.gz)?", re.ASCII
        )
        self._fd = -1
        self._pid = os.getpid()
        self._cut_to: int | None = None
        """Where a write began that broke off and could not be cut away at once."""
        self._torn_size = 0
        """How long the file was after it."""

    def append(self, data: bytes, deadline: float) -> None:
        """Write `data` behind what is there, after rotating where that is due.

        Raises: OSError, when nothing of `data` is in the file (TimeoutError without errno: the deadline, of
        ``time.monotonic()``, passed while another process held the lock).
        """
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            self.close()
        rotated = False
        locked = self._lock(deadline)
        try:
            status = os.fstat(self._fd)
            if self._is_due(status, len(data)):
                rotated = self._put_aside()
                if rotated:
                    if locked:
                        fcntl.flock(self._fd, fcntl.LOCK_UN)
                        locked = False
                    self.close()
                    locked = self._lock(deadline)
                    status = os.fstat(self._fd)
            self._write(data, status.st_size)
        finally:
            if locked and self._fd >= 0:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        if rotated:
            self._clear_up()

    def close(self) -> None:
        """Let go of the file; the next append opens it again."""
        fd, self._fd = self._fd, -1
        self._cut_to = None
        if fd >= 0:
            os.close(fd)

    # --- the file -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not block here
        try:
            fd = os.open(self.path, flags, 0o666)
        except FileNotFoundError:
            os.makedirs(self._directory, exist_ok=True)
            fd = os.open(self.path, flags, 0o666)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", self.path)
        self._fd = fd

    def _lock(self, deadline: float) -> bool:
        """Open and lock the file that `path` names now; False where there are no locks.  Raises: OSError."""
        while True:
            if self._fd < 0:
                self._open()
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                locked = True
            except BlockingIOError:
                if time.monotonic() + _LOCK_POLL_S >= deadline:
                    raise TimeoutError(f"another process holds the lock of {self.path}") from None
                time.sleep(_LOCK_POLL_S)
                continue
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                locked = False
            if self._is_current():
                return locked
            self.close()

    def _is_current(self) -> bool:
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        here = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def _write(self, data: bytes, size: int) -> None:
        if self._cut_to is not None:
            # Only if nobody wrote behind it: what follows a broken record is sound, and stays.
            if self._cut_to < size == self._torn_size:
                os.ftruncate(self._fd, self._cut_to)
                size = self._cut_to
            self._cut_to = None
        end = self._terminator
        if end and size and os.pread(self._fd, len(end), max(size - len(end), 0)) != end:
            data = end + data
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            if self._sync:
                os.fdatasync(self._fd)
        except OSError:
            if len(rest) < len(data):
                self._torn_size = size + len(data) - len(rest)
                self._cut_to = size
                os.ftruncate(self._fd, size)
                self._cut_to = None
            raise

    # --- rotation -------------------------------------------------------------------------------------------------

    def _is_due(self, status: os.stat_result, n_bytes: int) -> bool:
        if status.st_size == 0:
            return False
        if self._max_bytes and status.st_size + n_bytes > self._max_bytes:
            return True
        return bool(self._max_age_s) and status.st_mtime // self._max_age_s != time.time() // self._max_age_s

    def _put_aside(self) -> bool:
        """Rename the file; False, with a report, if that cannot be done: then it grows on, as spans come first."""
        moment = datetime.now(timezone.utc)
        while os.path.lexists(target := self._rotated_path(moment)) or os.path.lexists(target + ".gz"):
            moment += timedelta(microseconds=1)
        try:
            os.rename(self.path, target)
        except OSError as error:
            report("file_rotation", "%s grows beyond its limit: %s", self.path, error)
            return False
        return True

    def _rotated_path(self, moment: datetime) -> str:
        return os.path.join(self._directory, f"{self._stem}-{moment.strftime(_STAMP)}{self._suffix}")

    def rotated(self) -> list[str]:
        """Return the paths of the rotated files, oldest first.  Raises: OSError."""
        names = sorted(name for name in os.listdir(self._directory) if self._rotated.fullmatch(name))
        return [os.path.join(self._directory, name) for name in names]

    def _clear_up(self) -> None:
        """Delete what is too old and pack the rest.  A fault is reported, and the next rotation tries again."""
        try:
            rotated = self.rotated()
            if self._keep is not None:
                for path in rotated[: max(len(rotated) - self._keep, 0)]:
                    _remove(path)
                    _remove(path + ".part")
                rotated = rotated[max(len(rotated) - self._keep, 0) :]
            if self._compress:
                for path in rotated:
                    if not path.endswith(".gz"):
                        _pack(path)
        except OSError as error:
            report("file_rotation", "rotated files of %s: %s", self.path, error)


def _pack(path: str) -> None:
    """Replace a file by its gzip; not if another process is at it, or still writing.  Raises: OSError."""
    import gzip

    try:
        source = open(path, "rb")
    except FileNotFoundError:  # another process deleted it, or packed it
        return
    with source:
        try:
            fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        if not os.path.exists(path):
            return
        part = path + ".part"  # left behind by a process that died here: written over
        try:
            with gzip.GzipFile(part, "wb", compresslevel=1) as packed:
                while chunk := source.read(_CHUNK_BYTES):
                    packed.write(chunk)
            os.rename(part, path + ".gz")
        except OSError:
            _remove(part)
            raise
        _remove(path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
