"""How a process ends, and how it multiplies: what becomes of its spans. Each scenario runs in a process of its own."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from otlp_receiver import Receiver
from program import run, start_and_wait, until

START = """
import os, sys, threading, time, signal, atexit
import tracecore
from opentelemetry import trace
endpoint = sys.argv[1]
provider = tracecore.init(service="test", endpoint=endpoint, delay=600.0)
tracer = trace.get_tracer("test")
def spans(n, name="a"):
    for _ in range(n):
        with tracer.start_as_current_span(name):
            pass
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def arrived(receiver: Receiver) -> Counter[str]:
    """How often each name arrived; fails when a span came twice."""
    assert len(receiver.ids) == len(receiver.spans), "a span arrived twice, or two spans share an id"
    return Counter(receiver.names)


# --- exit ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("raise ValueError('on purpose')", 1),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", 4),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -2),
        ("threading.Thread(target=lambda: (time.sleep(0.3), spans(5))).start()", 0),
    ],
    ids=["end", "sys.exit", "exception", "SIGTERM with a handler", "Ctrl-C", "a thread that outlives main"],
)
def test_queued_spans_arrive_when_the_program_ends(receiver: Receiver, ending: str, code: int) -> None:
    ended = run(START + f"spans(1000)\n{ending}", receiver.endpoint, code=code)
    assert arrived(receiver)["a"] == (1005 if "Thread" in ending else 1000)
    assert ended.seconds < 20


def test_spans_are_lost_with_os_exit_and_nothing_hangs(receiver: Receiver) -> None:
    ended = run(START + "spans(1000)\nos._exit(5)", receiver.endpoint, code=5)
    assert ended.seconds < 10
    assert receiver.spans == []


def test_exit_is_quick_while_the_receiver_is_down() -> None:
    ended = run(START + "spans(10000)\nprint(time.monotonic())", "http://127.0.0.1:1")
    assert ended.seconds < 6
    assert "Traceback" not in ended.err
    assert "connection" in ended.err


def test_exit_is_bounded_while_the_receiver_hangs(receiver: Receiver) -> None:
    receiver.hang.set()
    ended = run(START + "spans(10)", receiver.endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert ended.seconds < 10
    assert "Traceback" not in ended.err


def test_exit_is_bounded_while_the_exporter_hangs() -> None:
    ended = run(
        """
import tracecore, threading
class Hangs:
    def export(self, spans): threading.Event().wait()
    def shutdown(self): pass
provider = tracecore.TracerProvider()
provider.add_exporter(Hangs(), batch=1)
provider.get_tracer("a").start_span("a").end()
provider.shutdown(500)
""",
    )
    assert ended.seconds < 10


def test_ctrl_c_while_the_exit_waits_for_a_hanging_receiver_ends_it(receiver: Receiver) -> None:
    receiver.hang.set()
    ended = run(
        START
        + """
spans(10)
if os.fork() == 0:
    time.sleep(1.5)
    os.kill(os.getppid(), signal.SIGINT)
    os._exit(0)
""",
        receiver.endpoint,
        code=None,
        timeout=40,
    )
    assert ended.seconds < 15


def test_spans_of_atexit_functions_arrive(receiver: Receiver) -> None:
    """Functions registered later run earlier: before the provider's own."""
    run(START + "atexit.register(lambda: spans(7, 'at exit'))", receiver.endpoint)
    assert arrived(receiver) == {"at exit": 7}


def test_an_atexit_function_may_flush_although_no_thread_starts_any_more(receiver: Receiver) -> None:
    program = START + "atexit.register(lambda: (spans(7, 'at exit'), provider.force_flush()))"
    ended = run(program, receiver.endpoint)
    assert ended.seconds < 10
    assert arrived(receiver) == {"at exit": 7}


def test_spans_after_the_shutdown_at_exit_do_no_harm(receiver: Receiver) -> None:
    program = START.replace("provider = ", "atexit.register(lambda: spans(7, 'too late'))\nprovider = ")
    ended = run(program + "spans(3)", receiver.endpoint)
    assert arrived(receiver) == {"a": 3}
    assert "Traceback" not in ended.err


def test_daemon_threads_that_make_spans_during_the_exit_do_no_harm(receiver: Receiver) -> None:
    for _ in range(3):
        ended = run(
            START
            + """
def work():
    while True:
        with tracer.start_as_current_span("daemon", attributes={"k": [1, "x"]}) as span:
            span.add_event("e", {"f": 1})
for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
spans(3)
""",
            receiver.endpoint,
        )
        assert ended.err == ""
    arrived(receiver)


def test_two_hundred_threads_that_end_at_once_lose_nothing(receiver: Receiver) -> None:
    run(
        START
        + """
def work():
    spans(10)
threads = [threading.Thread(target=work) for _ in range(200)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""",
        receiver.endpoint,
    )
    assert arrived(receiver) == {"a": 2000}


# --- fork -----------------------------------------------------------------------------------------------------------


def test_fork_the_parents_spans_arrive_once_and_the_childs_once(receiver: Receiver) -> None:
    run(
        START
        + """
spans(100, "parent")
pids = []
for i in range(5):
    pid = os.fork()
    if pid == 0:
        spans(10, f"child {i}")
        sys.exit(0)
    pids.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 5
spans(100, "parent")
""",
        receiver.endpoint,
    )
    assert arrived(receiver) == {"parent": 200} | {f"child {i}": 10 for i in range(5)}
    assert len({resource["service.instance.id"] for resource in receiver.resources}) == 6


def test_fork_inside_an_open_span(receiver: Receiver) -> None:
    """The span is the parent's: it arrives once, and its children in both processes name it."""
    ended = run(
        START
        + """
import json
with tracer.start_as_current_span("open") as span:
    span.set_attribute("k", "v")
    pid = os.fork()
    spans(1, "child" if pid == 0 else "parent")
if pid == 0:
    known = provider.stats()["spans"]
    assert (known["inherited"], known["started"], known["ended"]) == (1, 1, 1), known
    assert not span.is_recording()
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
known = provider.stats()["spans"]
assert (known["inherited"], known["started"], known["ended"]) == (0, 2, 2), known
""",
        receiver.endpoint,
    )
    assert ended.err == ""
    assert arrived(receiver) == {"open": 1, "child": 1, "parent": 1}
    by_name = {span.name: span for span in receiver.spans}
    for name in ("child", "parent"):
        assert by_name[name].parent_span_id == by_name["open"].span_id


def test_the_worker_of_a_child_starts_with_its_first_span(receiver: Receiver) -> None:
    run(
        START
        + """
spans(1)
def n_tasks(): return len(os.listdir("/proc/self/task"))
assert n_tasks() == 2
pid = os.fork()
if pid == 0:
    assert n_tasks() == 1, n_tasks()
    provider.force_flush()
    assert n_tasks() == 1, n_tasks()
    spans(1, "child")
    assert n_tasks() == 2, n_tasks()
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
        receiver.endpoint,
    )
    assert arrived(receiver) == {"a": 1, "child": 1}


def test_hundreds_of_forks_while_other_threads_make_spans(receiver: Receiver) -> None:
    """Some forks hit the worker in the middle of a request, some a thread in the middle of a span."""
    run(
        START
        + """
provider.add_exporter(type("Slow", (), {"export": lambda self, spans: time.sleep(0.001), "shutdown": lambda self: None})(),
                      batch=50, delay=0.001, ring_bytes=65536)  # big spans travel by address
stop = False
n_made = [0] * 4
def work(which):
    while not stop:
        with tracer.start_as_current_span("parent", attributes={"k": [1, "x"], "big": "x" * 20000 if which == 0 else 1}):
            pass
        n_made[which] += 1
        time.sleep(0.0005)
def flush():
    while not stop:
        provider.force_flush()
        time.sleep(0.002)
def fork():
    for i in range(300):
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)
            spans(2, "child")
            code = 0 if provider.force_flush(20000) else 9
            os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0, i
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)] + [threading.Thread(target=flush)]
for thread in threads: thread.start()
forker = threading.Thread(target=fork)
forker.start(); forker.join()
stop = True
for thread in threads: thread.join()
spans(1, f"made {sum(n_made)}")
""",
        receiver.endpoint,
        timeout=120,
    )
    names = arrived(receiver)
    assert names.pop("child") == 600
    n_parent = names.pop("parent")
    assert set(names) == {f"made {n_parent}"}


def test_fork_while_the_exporter_is_in_the_middle_of_a_request(receiver: Receiver) -> None:
    receiver.delay_s = 1.0
    run(
        START
        + """
spans(10, "parent")
threading.Thread(target=provider.force_flush).start()
time.sleep(0.5)
pid = os.fork()
if pid == 0:
    spans(10, "child")
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
        receiver.endpoint,
    )
    assert arrived(receiver) == {"parent": 10, "child": 10}


def test_fork_right_after_the_first_span_leaves_the_child_no_half_imported_module(receiver: Receiver) -> None:
    """The worker's first export must not import: a child forked meanwhile would keep half a module."""
    run(
        START
        + """
before = set(sys.modules)
spans(1)
assert provider.force_flush()
new = set(sys.modules) - before
assert not new, new
""",
        receiver.endpoint,
    )


def test_fork_by_c_code_which_runs_no_python_hook(receiver: Receiver) -> None:
    ended = run(
        START
        + """
import ctypes
libc = ctypes.PyDLL(None)
# CPython's own locks survive such a fork only if no other thread is inside the interpreter: let the worker
# come to rest, then queue what it has no reason to wake for.
spans(50, "parent")
assert provider.force_flush()
time.sleep(0.5)
spans(50, "parent")
open_span = tracer.start_span("open")
for i in range(10):
    pid = libc.fork()
    if pid == 0:
        signal.alarm(30)
        if i % 2:  # before any span of its own
            began = time.monotonic()
            assert provider.force_flush() and time.monotonic() - began < 5
            known = provider.stats()
            assert known["spans"]["started"] == known["exporters"][0]["written"] == 0, known
        spans(10, "child")
        open_span.end()
        assert provider.stats()["spans"]["inherited"] == 1
        os._exit(0 if provider.force_flush(20000) else 9)
    assert os.waitpid(pid, 0)[1] == 0
pid = libc.fork()
if pid == 0:  # nothing at all but an exit
    signal.alarm(30)
    began = time.monotonic()
    provider.shutdown()
    os._exit(0 if time.monotonic() - began < 5 else 8)
assert os.waitpid(pid, 0)[1] == 0
open_span.end()
""",
        receiver.endpoint,
    )
    assert ended.err == ""
    assert arrived(receiver) == {"parent": 100, "open": 1, "child": 100}


def test_a_daemon_by_two_forks(receiver: Receiver) -> None:
    run(
        START
        + """
spans(10, "parent")
pid = os.fork()
if pid == 0:
    os.setsid()
    spans(1, "between")
    if os.fork():
        os._exit(0)
    spans(10, "daemon")
    for fd in (0, 1, 2): os.close(fd)
    sys.exit(0)
os.waitpid(pid, 0)
""",
        receiver.endpoint,
    )
    assert until(lambda: len(receiver.spans) >= 20)
    assert arrived(receiver) == {"parent": 10, "daemon": 10}


def test_fork_after_shutdown(receiver: Receiver) -> None:
    run(
        START
        + """
spans(10, "parent")
provider.shutdown()
pid = os.fork()
if pid == 0:
    signal.alarm(30)
    spans(3, "child")
    assert provider.stats()["exporters"][0]["dropped_after_shutdown"] == 3
    provider.force_flush()
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
        receiver.endpoint,
    )
    assert arrived(receiver) == {"parent": 10}


# --- multiprocessing ----------------------------------------------------------------------------------------------------

MULTI = (
    START.replace("provider = ", "if __name__ == '__main__' or os.environ['METHOD'] != 'fork': provider = ")
    + """
def job(i):
    spans(10, "child")
    return i
if __name__ == "__main__":
    import multiprocessing, concurrent.futures
    multiprocessing.set_start_method(os.environ["METHOD"])
    spans(10, "parent")
"""
)


def run_file(program: str, receiver: Receiver, tmp_path: Path, **variables: str) -> None:
    """Children started anew import the program: it must be a file."""
    file = tmp_path / "program_of_test.py"
    file.write_text(program)
    ended = start_and_wait([sys.executable, str(file), receiver.endpoint], 60, 0, variables)
    assert ended.err == ""


METHODS = ["fork", "spawn", "forkserver"]


@pytest.mark.parametrize("method", METHODS)
def test_children_of_multiprocessing_deliver_at_their_exit(receiver: Receiver, tmp_path: Path, method: str) -> None:
    program = (
        MULTI
        + """
    children = [multiprocessing.Process(target=job, args=(i,)) for i in range(3)]
    for child in children: child.start()
    for child in children: child.join(30)
    assert [child.exitcode for child in children] == [0] * 3
"""
    )
    run_file(program, receiver, tmp_path, METHOD=method)
    assert arrived(receiver) == {"parent": 10, "child": 30}


@pytest.mark.parametrize("method", METHODS)
def test_children_of_a_pool_deliver_at_their_exit(receiver: Receiver, tmp_path: Path, method: str) -> None:
    program = (
        MULTI
        + """
    with multiprocessing.Pool(2) as pool:
        assert pool.map(job, range(6)) == list(range(6))
        pool.close()
        pool.join()
"""
    )
    run_file(program, receiver, tmp_path, METHOD=method)
    assert arrived(receiver) == {"parent": 10, "child": 60}


@pytest.mark.parametrize("method", METHODS)
def test_children_of_a_process_pool_executor_deliver_at_their_exit(receiver: Receiver, tmp_path: Path, method: str) -> None:
    program = (
        MULTI
        + """
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        assert list(pool.map(job, range(6))) == list(range(6))
"""
    )
    run_file(program, receiver, tmp_path, METHOD=method)
    assert arrived(receiver) == {"parent": 10, "child": 60}


def test_a_child_of_a_child_delivers(receiver: Receiver, tmp_path: Path) -> None:
    program = (
        MULTI
        + """
    def middle():
        spans(1, "middle")
        child = multiprocessing.Process(target=job, args=(0,))
        child.start(); child.join(30)
        assert child.exitcode == 0
    child = multiprocessing.Process(target=middle)
    child.start(); child.join(30)
    assert child.exitcode == 0
"""
    )
    run_file(program, receiver, tmp_path, METHOD="fork")
    assert arrived(receiver) == {"parent": 10, "middle": 1, "child": 10}


def test_a_failing_child_of_multiprocessing_delivers(receiver: Receiver, tmp_path: Path) -> None:
    program = (
        MULTI
        + """
    def fail():
        spans(5, "child")
        sys.exit(7)
    child = multiprocessing.Process(target=fail)
    child.start(); child.join(30)
    assert child.exitcode == 7
"""
    )
    run_file(program, receiver, tmp_path, METHOD="fork")
    assert arrived(receiver) == {"parent": 10, "child": 5}


def test_a_subprocess_has_its_own_core(receiver: Receiver) -> None:
    run(
        START
        + """
import subprocess
spans(5, "parent")
subprocess.run([sys.executable, "-c", os.environ["CHILD"], endpoint], check=True)
""",
        receiver.endpoint,
        CHILD=START + "spans(5, 'child')",
    )
    assert arrived(receiver) == {"parent": 5, "child": 5}


# --- gevent -----------------------------------------------------------------------------------------------------------------

GEVENT = (
    "from gevent import monkey; monkey.patch_all(); import gevent\n"
    + START
    + """
def work(i):
    with tracer.start_as_current_span(f"outer {i}"):
        gevent.sleep(0.01)
        with tracer.start_as_current_span(f"inner {i}"):
            gevent.sleep(0.01)
"""
)

needs_gevent = pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")


@needs_gevent
def test_gevent_spans_of_greenlets_arrive_with_their_parents(receiver: Receiver) -> None:
    ended = run(GEVENT + "gevent.joinall([gevent.spawn(work, i) for i in range(100)])\nassert provider.force_flush()", receiver.endpoint)
    assert ended.err == ""
    by_name = {span.name: span for span in receiver.spans}
    assert len(by_name) == len(receiver.spans) == 200
    for i in range(100):
        assert by_name[f"inner {i}"].parent_span_id == by_name[f"outer {i}"].span_id
        assert by_name[f"outer {i}"].parent_span_id == b""


@needs_gevent
def test_gevent_the_loop_goes_on_while_a_receiver_is_slow(receiver: Receiver) -> None:
    receiver.delay_s = 1.5
    run(
        GEVENT.replace("delay=600.0", "delay=0.05")
        + """
longest = 0.0
def tick():
    global longest
    while True:
        began = time.monotonic()
        gevent.sleep(0.01)
        longest = max(longest, time.monotonic() - began)
ticking = gevent.spawn(tick)
work(0)
gevent.sleep(1.0)
assert longest < 0.8, longest
""",
        receiver.endpoint,
    )
    assert arrived(receiver) == {"outer 0": 1, "inner 0": 1}


@needs_gevent
def test_gevent_an_exporter_may_flush_and_a_receiver_may_be_down() -> None:
    ended = run(
        GEVENT
        + """
answers = []
class Flushes:
    def export(self, spans):
        began = time.monotonic()
        answers.append((provider.force_flush(20000), time.monotonic() - began))
    def shutdown(self): pass
provider.add_exporter(Flushes(), batch=2)
work(1)
deadline = time.monotonic() + 30
while not answers and time.monotonic() < deadline:
    gevent.sleep(0.01)
assert answers and all(not flushed and took < 15 for flushed, took in answers), answers
""",
        "http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert ended.seconds < 30
    assert "Traceback" not in ended.err


@needs_gevent
def test_gevent_fork(receiver: Receiver) -> None:
    run(
        GEVENT
        + """
work(0)
pid = os.fork()
if pid == 0:
    spans(3, "child")
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
        receiver.endpoint,
    )
    assert arrived(receiver) == {"outer 0": 1, "inner 0": 1, "child": 3}
