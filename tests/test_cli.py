"""The `tracecore` command without any of its extras."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tracecore import cli
from tracecore.demo import run as demo


def test_version_prints_what_a_bug_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"tracecore {cli.installed_version()}\n")
    assert "opentelemetry-api " in printed


def test_the_version_option_prints_the_same_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tracecore {cli.installed_version()}\n"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    printed = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert command.name in printed


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["version", "--no-such-option"], ["demo", "--requests", "-1"]])
def test_wrong_usage_exits_with_2_and_explains_on_stderr(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: ")


def test_more_faults_than_requests_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--requests", "1", "--faulty", "2"]) == 2
    assert "--faulty" in capsys.readouterr().err


def test_a_missing_extra_exits_with_2_and_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.util.find_spec

    def without_flask(name: str) -> object:
        if name == "flask":
            return None
        if name.startswith("google."):
            raise ModuleNotFoundError(name)
        return real(name)

    monkeypatch.setattr(demo, "find_spec", without_flask)
    assert cli.main(["demo"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "flask, google.protobuf" in captured.err
    assert 'python -m pip install "tracecore-native[demo]"' in captured.err


def test_a_backend_that_is_not_installed_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "require_extra", lambda: None)
    monkeypatch.setattr(demo, "TRACECORE", demo.Backend("no-such-distro", "no-such-configurator", "nothing"))
    assert cli.main(["demo"]) == 2
    assert "no-such-distro" in capsys.readouterr().err


def test_ctrl_c_exits_with_130_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert cli.main(["demo"]) == 130


def test_a_reader_that_goes_away_gets_no_traceback() -> None:
    # A pipe whose reading end is closed before anything is written.
    command = [sys.executable, "-m", "tracecore", "version"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert b"Traceback" not in errors


@pytest.mark.parametrize("arguments", [["version"], ["--help"], ["demo", "--help"]])
def test_a_command_loads_no_packages_of_an_extra_before_it_needs_them(arguments: list[str]) -> None:
    program = (
        "import sys; from tracecore import cli; cli.main(sys.argv[1:]);"
        "print(sorted({'flask', 'rich', 'requests', 'google.protobuf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
