"""A Python program in a process of its own, for what a test cannot do to its own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Ended", "clean_environment", "run", "until"]


class Ended(NamedTuple):
    """What a program left behind."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def answer(self) -> Any:
        """The last line of its output, as JSON."""
        return json.loads(self.out.strip().splitlines()[-1])


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this environment without OTEL_*, with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return kept | variables


def run(program: str, *arguments: str, timeout: float = 60, code: int | None = 0, **variables: str) -> Ended:
    """Run `program` (source text) to its end and return what it left; fail unless it exits with `code` (None: any).

    Its whole process group is killed when `timeout` seconds pass: a test that fails leaves nothing running.
    """
    return start_and_wait([sys.executable, "-c", program, *arguments], timeout, code, variables)


def start_and_wait(command: list[str], timeout: float, code: int | None, variables: dict[str, str]) -> Ended:
    """Run a command as `run` does."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        env=clean_environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"still running after {timeout} s\n{out[-4000:]}\n{err[-4000:]}") from None
    seconds = time.monotonic() - began
    assert code is None or process.returncode == code, f"exit code {process.returncode}\n{out[-4000:]}\n{err[-4000:]}"
    return Ended(process.returncode, out, err, seconds)


def until(condition: Callable[[], object], timeout: float = 20) -> bool:
    """Wait until `condition()` is true; return whether it became so within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True
