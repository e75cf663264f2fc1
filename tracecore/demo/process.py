"""A child process of the demo: started with a listening socket, told to end, and never left behind.

    driver                                        child
    listening socket, port chosen by the kernel   the same socket, inherited: no port is free for anyone else in between
    write end of a pipe, kept open  ------------> stdin; at end of file the driver is gone, and the child ends itself
    session and process group of its own          signals to the terminal's group (Ctrl-C) reach the driver only

How a child ends: `stop` sends SIGTERM, on which it closes its server, runs its exit handlers (which export the last spans) and
exits with 0.  `kill` ends the whole group at once; `Children` does so for all of them on the way out of its block, whatever the
reason for leaving it.  If the driver itself is killed, its end of the pipe closes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

#: How often a wait looks again, seconds.
_POLL_S = 0.01


class DemoError(Exception):
    """The demo could not be carried out; says why in words for the terminal."""


class Deadline:
    """The point in time by which everything must be over."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def remaining_s(self, doing: str) -> float:
        """Return the seconds left; DemoError, naming what was being done, when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise DemoError(f"out of time while {doing}")
        return left


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: exit code (negative: the signal that killed it) and CPU used in its whole life, seconds."""

    name: str
    pid: int
    exit_code: int
    cpu_s: float


class Child:
    """One process, started at once.

    `command` gets the number of the inherited listening socket appended.  Its output goes to `<name>.log` in `directory`.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener, self.log.open("wb") as log:
            self.port: int = listener.getsockname()[1]
            self._popen = subprocess.Popen(
                [*command, str(listener.fileno())],
                env=dict(environment),
                # Not the caller's: in a source checkout `python -m` would find an unbuilt package there.
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(listener.fileno(),),
                start_new_session=True,
            )
        self.pid = self._popen.pid
        self.url = f"http://127.0.0.1:{self.port}"
        self._ended: Ended | None = None

    def wait_ready(self, deadline: Deadline) -> bytes:
        """Return the body of the first answer to `GET /ready`; DemoError when the child ends before."""
        while True:
            if self._reap() is not None:
                raise DemoError(f"{self.name} ended while starting\n{self.log_tail()}")
            # The socket listens already, so a connection waits in its queue until the child gets there.
            timeout_s = min(self._remaining_s(deadline, "start"), 1.0)
            try:
                return http("GET", self.port, "/ready", timeout_s=timeout_s)[1]
            except (OSError, HTTPException):
                time.sleep(_POLL_S)

    def stop(self, deadline: Deadline) -> Ended:
        """Ask the child to end, wait for it, and return how it ended."""
        if self._reap() is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.wait(deadline)

    def wait(self, deadline: Deadline) -> Ended:
        """Wait until the child has ended by itself."""
        while (ended := self._reap()) is None:
            self._remaining_s(deadline, "end")
            time.sleep(_POLL_S)
        return ended

    def kill(self) -> None:
        """End the child and everything it started.  Does nothing when it has ended."""
        if self._reap() is None:
            # Not reaped, so the id still is this child's: the group cannot be someone else's.
            os.killpg(self.pid, signal.SIGKILL)
            while self._reap() is None:
                time.sleep(_POLL_S)
        if self._popen.stdin is not None:
            self._popen.stdin.close()

    def log_tail(self, lines: int = 15) -> str:
        """Return the end of what the child wrote."""
        text = self.log.read_text(errors="replace").strip()
        return "\n".join(f"  {self.name} | {line}" for line in text.splitlines()[-lines:])

    def _remaining_s(self, deadline: Deadline, to: str) -> float:
        try:
            return deadline.remaining_s(f"waiting for {self.name} to {to}")
        except DemoError as error:
            raise DemoError(f"{error}\n{self.log_tail()}") from None

    def _reap(self) -> Ended | None:
        # wait4 instead of Popen.wait: it also returns what the child used.
        if self._ended is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid == 0:
                return None
            self._popen.returncode = os.waitstatus_to_exitcode(status)
            self._ended = Ended(self.name, self.pid, self._popen.returncode, usage.ru_utime + usage.ru_stime)
        return self._ended


class Children:
    """The children of one run, by name.  None of them outlives the block."""

    def __init__(self) -> None:
        self._by_name: dict[str, Child] = {}

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for child in self._by_name.values():
            child.kill()

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path
    ) -> Child:
        """Start a child."""
        child = Child(name, command, environment, directory)
        self._by_name[name] = child
        return child


def http(
    method: str, port: int, path: str, body: bytes | None = None, *, timeout_s: float
) -> tuple[int, bytes]:
    """Send one request to a process on loopback; return status and body.

    Plain `http.client`, because it never reads proxy settings.  Raises OSError or HTTPException; `timeout_s` is for each wait.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, body, {**headers, "Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def end_with_the_driver() -> None:
    """Call in a child: SIGTERM ends it in good order, the death of the driver at once.

    SIGTERM raises KeyboardInterrupt in the main thread, which is what servers expect and stop for.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_exit_at_end_of_stdin, name="lifeline", daemon=True).start()


def serve(handler: type[BaseHTTPRequestHandler], fileno: int) -> None:
    """Call in a child: serve an inherited listening socket, a thread for each connection, until SIGTERM."""
    listener = socket.socket(fileno=fileno)
    server = ThreadingHTTPServer(listener.getsockname(), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True  # a connection kept alive by its client must not keep the process alive
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


def _exit_at_end_of_stdin() -> None:
    # os.read and not sys.stdin: a thread that waits in a buffered reader holds a lock the interpreter wants at exit.
    while os.read(0, 64):
        pass
    os._exit(1)
