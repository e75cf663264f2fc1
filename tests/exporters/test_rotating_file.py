"""RotatingFile on real files: limits, rotation, several processes, forks, disks that are full, files that move."""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecore import errors
from tracecore.errors import ConfigurationError
from tracecore.exporters import rotating_file
from tracecore.exporters.rotating_file import RotatingFile

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

PATIENCE_S = 20.0


def soon() -> float:
    return time.monotonic() + PATIENCE_S


def content(file: RotatingFile) -> bytes:
    """Everything that was ever appended, in order."""
    parts = []
    for path in [*file.rotated(), file.path]:
        data = Path(path).read_bytes()
        parts.append(gzip.decompress(data) if path.endswith(".gz") else data)
    return b"".join(parts)


def in_child(work: Callable[[], None]) -> None:
    """Run `work` in a forked child and fail if it does."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


# --- appending ------------------------------------------------------------------------------------------------


def test_appends_follow_each_other_and_survive_reopening(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way" / "spans"
    for part in (b"one", b"two"):
        file = RotatingFile(path)
        file.append(part, soon())
        file.append(part, soon())
        file.close()
    assert path.read_bytes() == b"oneonetwotwo"


def test_a_torn_end_that_was_left_behind_is_closed_by_the_terminator(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_bytes(b'{"whole":1}\n{"to')
    file = RotatingFile(path, terminator=b"\n")
    file.append(b'{"next":2}\n', soon())
    file.append(b'{"next":3}\n', soon())
    assert path.read_bytes().splitlines() == [b'{"whole":1}', b'{"to', b'{"next":2}', b'{"next":3}']


def test_a_file_that_was_moved_away_or_deleted_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    file = RotatingFile(path)
    file.append(b"one", soon())
    path.rename(tmp_path / "spans.1")  # as logrotate does
    file.append(b"two", soon())
    path.unlink()
    tmp_path.joinpath("spans.1").unlink()
    tmp_path.rmdir()
    file.append(b"three", soon())
    assert path.read_bytes() == b"three"


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError) as caught:
        RotatingFile(path).append(b"data", soon())
    assert caught.value.errno in (errno.EINVAL, errno.ENXIO)
    with pytest.raises(OSError):
        RotatingFile("/dev/full").append(b"data", soon())


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("path", ""), ("path", 3), ("path", "a\0b"), ("path", "/tmp"), ("max_bytes", -1), ("max_bytes", 1.5), ("max_bytes", True),
        ("max_age", -1), ("max_age", float("nan")), ("max_age", "1h"), ("keep", -1), ("keep", 1.0),
    ],
)  # fmt: skip
def test_arguments_that_cannot_be_honoured_are_refused_by_name(tmp_path: Path, argument: str, value: object) -> None:
    arguments: dict[str, object] = {"path": tmp_path / "spans", argument: value}
    with pytest.raises(ConfigurationError) as caught:
        RotatingFile(**arguments)  # type: ignore[arg-type]
    assert caught.value.variable == argument


# --- rotation -------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=30),
    st.integers(1, 100),
    st.booleans(),
)
def test_no_byte_is_lost_or_moved_by_rotation(sizes: list[int], max_bytes: int, compress: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = RotatingFile(Path(directory) / "spans.bin", max_bytes=max_bytes, compress=compress)
        parts = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
        for part in parts:
            file.append(part, soon())
        assert content(file) == b"".join(parts)
        for path in [*file.rotated(), file.path]:
            data = gzip.decompress(Path(path).read_bytes()) if path.endswith(".gz") else Path(path).read_bytes()
            assert len(data) <= max_bytes or len(set(data)) == 1, "only one append alone may be larger than a file"
        file.close()


def test_rotated_files_are_kept_to_a_number_and_packed(tmp_path: Path) -> None:
    tmp_path.joinpath("spans-of-another-program.bin").write_bytes(b"stays")
    file = RotatingFile(tmp_path / "spans.bin", max_bytes=10, keep=3, compress=True)
    for number in range(10):
        file.append(b"%09d" % number, soon())
    assert [gzip.decompress(Path(path).read_bytes()) for path in file.rotated()] == [b"%09d" % n for n in (6, 7, 8)]
    assert Path(file.path).read_bytes() == b"000000009"
    assert len(list(tmp_path.iterdir())) == 5


def test_keeping_none_deletes_each_rotated_file(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "spans", max_bytes=1, keep=0)
    for _ in range(3):
        file.append(b"data", soon())
    assert [path.name for path in tmp_path.iterdir()] == ["spans"]


def test_a_file_of_an_earlier_interval_is_put_aside_whoever_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    file = RotatingFile(path, max_age=3600)
    file.append(b"one", soon())
    file.append(b"two", soon())
    assert file.rotated() == [] or time.time() % 3600 < PATIENCE_S
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    RotatingFile(path, max_age=3600).append(b"three", soon())
    assert path.read_bytes() == b"three"
    file.append(b"four", soon())
    assert content(file) == b"onetwothreefour"


def test_a_file_that_cannot_be_put_aside_grows_on_and_that_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors.reset_reports()
    file = RotatingFile(tmp_path / "spans", max_bytes=5)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "the directory is not ours")

    file.append(b"one", soon())
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        file.append(b"two", soon())
    assert Path(file.path).read_bytes() == b"onetwo"
    assert errors.reported() == {"file_rotation": 1}
    file.append(b"three", soon())
    assert Path(file.path).read_bytes() == b"three"


def test_packing_that_was_cut_short_is_finished_by_the_next_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors.reset_reports()
    file = RotatingFile(tmp_path / "spans", max_bytes=1, compress=True)

    def die(path: str) -> None:
        Path(path + ".part").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "no space for the packed copy")

    file.append(b"one", soon())
    with monkeypatch.context() as patch:
        patch.setattr(rotating_file, "_pack", die)
        file.append(b"two", soon())
    assert errors.reported() == {"file_rotation": 1}
    file.append(b"three", soon())
    assert all(path.endswith(".gz") for path in file.rotated())
    assert content(file) == b"onetwothree"
    assert not list(tmp_path.glob("*.part"))


# --- faults ---------------------------------------------------------------------------------------------------


def test_a_write_that_breaks_off_leaves_nothing_and_the_next_one_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "spans"

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        file = RotatingFile(path)
        file.append(b"a" * 1000, soon())
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))  # the kernel writes 500 bytes, then refuses
        try:
            file.append(b"b" * 1000, soon())
        except OSError as error:
            assert error.errno == errno.EFBIG
        else:
            raise AssertionError("the limit did not hold")
        assert path.read_bytes() == b"a" * 1000
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        file.append(b"c" * 1000, soon())

    in_child(work)
    assert path.read_bytes() == b"a" * 1000 + b"c" * 1000


@pytest.mark.parametrize("another_wrote", [False, True])
def test_a_torn_record_that_could_not_be_cut_at_once_is_cut_later_unless_somebody_wrote_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another_wrote: bool
) -> None:
    file = RotatingFile(tmp_path / "spans", terminator=b"\n")
    file.append(b"one\n", soon())
    real_write = os.write

    def break_off(fd: int, data: bytes) -> int:
        if len(data) < 5:
            raise OSError(errno.EIO, "the disk is gone")
        return real_write(fd, bytes(data)[:3])

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", break_off)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError):
            file.append(b"torn..\n", soon())
    assert Path(file.path).read_bytes() == b"one\ntor"
    if another_wrote:
        RotatingFile(file.path, terminator=b"\n").append(b"two\n", soon())
    file.append(b"three\n", soon())
    assert Path(file.path).read_bytes() == (b"one\ntor\ntwo\nthree\n" if another_wrote else b"one\nthree\n")


def test_missing_rights_are_a_fault_until_they_are_given() -> None:
    nobody = 65534 if os.geteuid() == 0 else os.geteuid()  # root is refused nothing

    def work(directory: Path) -> None:
        directory.chmod(0o555)
        os.seteuid(nobody)
        file = RotatingFile(directory / "spans")
        with pytest.raises(PermissionError):
            file.append(b"one", soon())
        os.seteuid(os.getuid())
        directory.chmod(0o777)
        os.seteuid(nobody)
        file.append(b"two", soon())

    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to others
        in_child(lambda: work(Path(name)))
        assert Path(name, "spans").read_bytes() == b"two"


def test_a_lock_that_another_holds_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "spans")
    file.append(b"one", soon())
    with open(file.path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError) as caught:
            file.append(b"two", time.monotonic() + 0.1)
        assert caught.value.errno is None
    file.append(b"three", soon())
    assert Path(file.path).read_bytes() == b"onethree"


def test_without_locks_in_the_file_system_appends_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    file = RotatingFile(tmp_path / "spans", max_bytes=5, compress=True)
    for part in (b"one", b"two", b"three"):
        file.append(part, soon())
    assert content(file) == b"onetwothree"


# --- several processes ----------------------------------------------------------------------------------------


def test_a_forked_child_and_its_parent_write_into_one_file(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "spans")
    file.append(b"parent", soon())
    # The child's lock is its own: with the parent's descriptor the two would hold one lock together.
    fcntl.flock(file._fd, fcntl.LOCK_EX)

    def work() -> None:
        try:
            file.append(b"child", time.monotonic() + 0.1)
        except TimeoutError:
            return
        raise AssertionError("the child passed the parent's lock")

    in_child(work)
    fcntl.flock(file._fd, fcntl.LOCK_UN)
    in_child(lambda: file.append(b"child", soon()))
    file.append(b"parent", soon())
    assert Path(file.path).read_bytes() == b"parentchildparent"


def test_many_processes_that_rotate_lose_and_tear_nothing(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from tracecore.exporters.rotating_file import RotatingFile
        path, writer = sys.argv[1], sys.argv[2].encode()
        file = RotatingFile(path, max_bytes=4000, compress=True)
        for number in range(150):
            record = b"%s %d %s\\n" % (writer, number, b"x" * (number * 7 % 300))
            file.append(record, time.monotonic() + 60)
        """
    )
    path = tmp_path / "spans.txt"
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), f"w{n}"]) for n in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    lines = content(RotatingFile(path)).splitlines()
    assert sorted(tuple(line.split()[:2]) for line in lines) == sorted(
        (b"w%d" % writer, b"%d" % number) for writer in range(4) for number in range(150)
    )
    assert all(len(line.split(b" ")[2]) == int(line.split()[1]) * 7 % 300 for line in lines)
    for writer in range(4):
        numbers = [int(line.split()[1]) for line in lines if line.startswith(b"w%d " % writer)]
        assert numbers == sorted(numbers), "each writer's records stand in the order of its appends"
    assert all(Path(rotated).stat().st_size <= 4000 for rotated in RotatingFile(path).rotated())


@pytest.mark.parametrize("moment", range(5))
def test_a_writer_that_is_killed_leaves_whole_records_but_for_the_last(tmp_path: Path, moment: int) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from tracecore.exporters.rotating_file import RotatingFile
        file = RotatingFile(sys.argv[1], max_bytes=5_000_000, terminator=b"\\n")
        print(flush=True)
        while True:
            file.append(b"x" * 1_000_000 + b"\\n", time.monotonic() + 60)
        """
    )
    path = tmp_path / "spans"
    writer = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(0.02 + moment * 0.013)
    writer.kill()
    writer.wait(30)
    writer.stdout.close()
    file = RotatingFile(path, max_bytes=5_000_000, terminator=b"\n")
    file.append(b"after\n", soon())
    lines = content(file).split(b"\n")
    assert lines[-2:] == [b"after", b""]
    assert all(len(line) == 1_000_000 for line in lines[:-3])
