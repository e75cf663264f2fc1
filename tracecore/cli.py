"""The `tracecore` command: one entry in `COMMANDS` for each subcommand.

A subcommand is a module, or any object, with two functions:

    add_arguments(parser)   declare its options
    run(options) -> int     do it and return the exit code

The module is imported when its command is called and not before: `tracecore version` needs neither Flask nor a terminal
library, and a broken extra breaks only the command that uses it.

Exit codes: 0 done, 1 done and the answer is no, 2 wrong usage or something needed is missing, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple, Protocol, cast

#: The name of the distribution on the package index, which is not the name of the package.
DISTRIBUTION = "tracecore-native"


class Subcommand(Protocol):
    """What the module of a subcommand offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options of the subcommand."""

    def run(self, options: argparse.Namespace) -> int:
        """Carry it out and return the exit code."""


class Version:
    """`tracecore version`: the versions a bug report has to name."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare nothing: there is nothing to choose."""

    def run(self, options: argparse.Namespace) -> int:
        """Print one line for each version."""
        print(f"tracecore {installed_version()}")
        print(f"opentelemetry-api {installed_version('opentelemetry-api')}")
        print(f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}")
        return 0


class Command(NamedTuple):
    """A subcommand by name; `load` is called when the command is."""

    name: str
    summary: str
    load: Callable[[], Subcommand]


def _module(name: str) -> Callable[[], Subcommand]:
    return lambda: cast(Subcommand, import_module(name))


COMMANDS = (
    Command("config", "check an OpenTelemetry configuration file", _module("tracecore.declarative.check")),
    Command("demo", "run a small shop, break its payment service, show the trace that tells", _module("tracecore.demo.run")),
    Command("version", "print the versions of tracecore, the OpenTelemetry API and Python", Version),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.  `arguments` are `sys.argv[1:]` unless given."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # The first word that is no option is the command; only that one's module is imported.
    called = next((word for word in given if not word.startswith("-")), None)

    parser = argparse.ArgumentParser(prog="tracecore", description="Distributed tracing for Python with a native core.")
    parser.add_argument("--version", action="version", version=f"tracecore {installed_version()}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="<command>", required=True)
    loaded: Subcommand | None = None
    for command in COMMANDS:
        subparser = commands.add_parser(command.name, help=command.summary, description=command.summary.capitalize() + ".")
        if command.name == called:
            loaded = command.load()
            loaded.add_arguments(subparser)
    try:
        options = parser.parse_args(given)
    except SystemExit as wanted:  # argparse exits for --help, --version and wrong usage
        return wanted.code if isinstance(wanted.code, int) else 2
    assert loaded is not None  # argparse accepts no other command than those in COMMANDS
    try:
        return loaded.run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone (`tracecore ... | head`).  What is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def installed_version(distribution: str = DISTRIBUTION) -> str:
    """Return the version of an installed distribution, "unknown" where it is not installed (a bare source tree)."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
