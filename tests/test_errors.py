"""What is raised while configuring, and what is counted and told while running."""

from __future__ import annotations

import gc
import logging
import pickle
from collections.abc import Iterator

import pytest

from tracecore import errors
from tracecore.errors import ConfigurationError, report, reported, reset_reports


class Clock:
    """A monotonic clock that stands still until told to move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _no_reports_from_elsewhere() -> Iterator[None]:
    reset_reports()
    yield
    reset_reports()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(errors, "monotonic", clock)
    return clock


class Unshowable:
    def __init__(self, fault: BaseException) -> None:
        self.fault = fault

    def __str__(self) -> str:
        raise self.fault

    __repr__ = __str__


class NotEvenAnException(BaseException):
    pass


# --- ConfigurationError ---------------------------------------------------------------------------------------


def test_a_configuration_error_names_variable_value_and_range() -> None:
    error = ConfigurationError("batch", 0, "an integer from 1 to 65536")
    assert str(error) == "batch=0: expected an integer from 1 to 65536"
    assert (error.variable, error.value, error.expected) == ("batch", 0, "an integer from 1 to 65536")


def test_a_configuration_error_shows_text_as_text() -> None:
    assert str(ConfigurationError("OTEL_X", "0 ", "more")) == "OTEL_X='0 ': expected more"


def test_a_configuration_error_is_caught_as_the_value_error_it_is() -> None:
    with pytest.raises(ValueError, match="delay=-1"):
        raise ConfigurationError("delay", -1, "seconds")


def test_a_configuration_error_survives_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(ConfigurationError("batch", [0], "an integer")))
    assert isinstance(error, ConfigurationError)
    assert (str(error), error.value) == ("batch=[0]: expected an integer", [0])


# --- report ---------------------------------------------------------------------------------------------------


def test_the_first_fault_of_a_reason_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    report("export_failed", "receiver %s said %d", "a", 503)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("tracecore", logging.WARNING)
    assert record.getMessage() == "export_failed: receiver a said 503"


def test_within_a_minute_further_faults_are_counted_only(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    report("export_failed", "one")
    clock.now += 59.9
    report("export_failed", "two")
    assert len(caplog.records) == 1
    assert reported() == {"export_failed": 2}


def test_the_line_after_a_minute_tells_how_many_were_held_back(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    for _ in range(4):
        report("export_failed", "down")
    clock.now += 60.0
    report("export_failed", "still down")
    clock.now += 60.0
    report("export_failed", "and again")
    assert [record.getMessage() for record in caplog.records] == [
        "export_failed: down",
        "export_failed: still down (3 more like this held back since the last line)",
        "export_failed: and again",
    ]


def test_one_reason_does_not_hold_back_another(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    report("export_failed", "down")
    report("queue_full", "full")
    assert [record.getMessage() for record in caplog.records] == ["export_failed: down", "queue_full: full"]
    assert reported() == {"export_failed": 1, "queue_full": 1}


def test_arguments_are_not_formatted_for_a_line_that_is_held_back(clock: Clock) -> None:
    shown: list[int] = []

    class Shown:
        def __str__(self) -> str:
            shown.append(1)
            return "shown"

    report("export_failed", "%s", Shown())
    report("export_failed", "%s", Shown())
    assert len(shown) == 1


@pytest.mark.parametrize("fault", [ValueError("no"), RecursionError(), NotEvenAnException()])
def test_an_argument_that_cannot_be_shown_costs_the_arguments_not_the_line(
    caplog: pytest.LogCaptureFixture, fault: BaseException
) -> None:
    report("export_failed", "receiver %s", Unshowable(fault))
    assert caplog.records[0].getMessage() == "export_failed: receiver %s (arguments could not be shown)"
    assert reported() == {"export_failed": 1}


def test_a_message_that_does_not_fit_its_arguments_is_still_told(caplog: pytest.LogCaptureFixture) -> None:
    report("export_failed", "no place for it", "argument")
    assert caplog.records[0].getMessage() == "export_failed: no place for it (arguments could not be shown)"


def test_a_percent_sign_in_what_was_formatted_stays_one(caplog: pytest.LogCaptureFixture) -> None:
    report("export_failed", "%s", "100%s")
    report("queue_full", "100%")
    assert [record.getMessage() for record in caplog.records] == ["export_failed: 100%s", "queue_full: 100%"]


def test_the_users_interrupt_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        report("export_failed", "%s", Unshowable(KeyboardInterrupt()))


class _Handler(logging.Handler):
    """A handler that does something else than write."""

    def __init__(self, emit: object) -> None:
        super().__init__()
        self._emit = emit
        self.n_records = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.n_records += 1
        assert callable(self._emit)
        self._emit()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tracecore")
    before = list(logger.handlers)
    yield logger
    logger.handlers[:] = before


def test_a_log_handler_that_raises_does_not_reach_the_program(logger: logging.Logger) -> None:
    def fail() -> None:
        raise OSError("disk full")

    logger.addHandler(_Handler(fail))
    report("export_failed", "down")
    assert reported() == {"export_failed": 1}


def test_a_log_handler_that_reports_in_turn_comes_to_an_end(logger: logging.Logger) -> None:
    handler = _Handler(lambda: report("export_failed", "while telling of it"))
    logger.addHandler(handler)
    report("export_failed", "down")
    assert handler.n_records == 1
    assert reported() == {"export_failed": 2}


def test_a_finalizer_may_report_while_a_report_is_being_made(caplog: pytest.LogCaptureFixture) -> None:
    class Node:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            report("export_failed", "from a finalizer")
            report("span_lost", "from a finalizer")

    class Collects:
        def __str__(self) -> str:
            gc.collect()
            return "collected"

    Node()
    report("export_failed", "%s", Collects())
    assert reported() == {"export_failed": 2, "span_lost": 1}
    assert {record.getMessage() for record in caplog.records} == {
        "export_failed: collected",
        "span_lost: from a finalizer",
    }


def test_what_is_reported_is_a_copy() -> None:
    report("export_failed", "down")
    reported()["export_failed"] = 7
    assert reported() == {"export_failed": 1}


def test_after_a_reset_a_reason_is_new(caplog: pytest.LogCaptureFixture) -> None:
    report("export_failed", "down")
    reset_reports()
    assert reported() == {}
    report("export_failed", "down")
    assert len(caplog.records) == 2
