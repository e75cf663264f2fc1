"""What the environment and the caller ask for, and what they get."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tracecore import config
from tracecore.errors import ConfigurationError, reported, reset_reports


@pytest.fixture(autouse=True)
def _no_reports_from_elsewhere() -> Iterator[None]:
    reset_reports()
    yield
    reset_reports()


def environment(**variables: str) -> Any:
    """Set these OTEL_ variables and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return mock.patch.dict(os.environ, {**kept, **variables}, clear=True)


def the_warning(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = caplog.records
    return record.getMessage()


# \x1f is a blank to str.strip, and none to int.
TEXTS = st.sampled_from(["1\x1f", "\x1f2", "\x1f"]) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"])
)

# --- the environment ------------------------------------------------------------------------------------------


def test_the_environment_is_live_and_cannot_be_written_to() -> None:
    view = config.environment()
    with environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://a"):
        assert view["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://a"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in view
    with pytest.raises(TypeError):
        view["A"] = "b"  # type: ignore[index]


@pytest.mark.parametrize(
    ("value", "disabled"), [("true", True), (" TRUE ", True), ("false", False), ("", False), ("  ", False)]
)
def test_the_sdk_is_disabled_by_true_alone(value: str, disabled: bool, caplog: pytest.LogCaptureFixture) -> None:
    with environment(OTEL_SDK_DISABLED=value):
        assert config.sdk_disabled() is disabled
    assert not caplog.records


def test_another_word_does_not_disable_the_sdk_and_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with environment(OTEL_SDK_DISABLED="yes"):
        assert config.sdk_disabled() is False
    assert the_warning(caplog).endswith("OTEL_SDK_DISABLED='yes': expected true or false; using False")


def test_a_service_name_is_taken_as_it_stands_and_an_empty_one_is_none() -> None:
    with environment(OTEL_SERVICE_NAME=" a, b "):
        assert config.service_name() == " a, b "
    with environment(OTEL_SERVICE_NAME=""):
        assert config.service_name() is None
    with environment():
        assert config.service_name() is None


def test_resource_attributes_are_split_decoded_and_the_last_of_a_key_wins() -> None:
    with environment(OTEL_RESOURCE_ATTRIBUTES="a = 1 ,b=x%2Cy%3Dz, c = d=e ,a=2,%20=k"):
        assert config.resource_attributes() == {"a": "2", "b": "x,y=z", "c": "d=e", "%20": "k"}


def test_items_that_are_no_attributes_are_all_named_in_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with environment(OTEL_RESOURCE_ATTRIBUTES="a=1,bad,=empty,,b=2,"):
        assert config.resource_attributes() == {"a": "1", "b": "2"}
    assert "OTEL_RESOURCE_ATTRIBUTES='bad,=empty': expected key=value" in the_warning(caplog)


def test_names_of_detectors_and_exporters_keep_their_order_and_lose_their_blanks() -> None:
    with environment(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=" os ,, host,*", OTEL_TRACES_EXPORTER="otlp, console ,"):
        assert config.resource_detectors() == ["os", "host", "*"]
        assert config.traces_exporters() == ["otlp", "console"]


@pytest.mark.parametrize(("value", "names"), [("none", []), (" None ", []), ("", None), (" ", None)])
def test_no_exporter_is_another_thing_than_none_named(value: str, names: list[str] | None) -> None:
    with environment(OTEL_TRACES_EXPORTER=value):
        assert config.traces_exporters() == names


def test_the_sampler_is_a_name_and_its_argument_is_left_alone() -> None:
    with environment(OTEL_TRACES_SAMPLER=" always_on ", OTEL_TRACES_SAMPLER_ARG=" 0.5 "):
        assert config.traces_sampler() == "always_on"
        assert config.traces_sampler_arg() == " 0.5 "
    with environment(OTEL_TRACES_SAMPLER="", OTEL_TRACES_SAMPLER_ARG=""):
        assert config.traces_sampler() is None
        assert config.traces_sampler_arg() == ""
    with environment():
        assert config.traces_sampler_arg() is None


BATCH_READERS: list[tuple[str, Callable[[], int], Callable[[], int], int]] = [
    (
        "OTEL_BSP_SCHEDULE_DELAY",
        config.bsp_schedule_delay_ms,
        BatchSpanProcessor._default_schedule_delay_millis,
        3_600_000,
    ),
    ("OTEL_BSP_MAX_QUEUE_SIZE", config.bsp_max_queue_size, BatchSpanProcessor._default_max_queue_size, 2**31 - 1),
    (
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        config.bsp_max_export_batch_size,
        BatchSpanProcessor._default_max_export_batch_size,
        65536,
    ),
    (
        "OTEL_BSP_EXPORT_TIMEOUT",
        config.bsp_export_timeout_ms,
        BatchSpanProcessor._default_export_timeout_millis,
        3_600_000,
    ),
]


@pytest.mark.parametrize(("variable", "read", "sdk_reads", "maximum"), BATCH_READERS)
@given(value=st.none() | st.integers(-(10**11), 10**11).map(str) | st.integers(-5, 70000).map("  {} ".format) | TEXTS)
def test_batch_variables_are_read_as_the_sdk_reads_them_and_kept_within_their_range(
    variable: str, read: Callable[[], int], sdk_reads: Callable[[], int], maximum: int, value: str | None
) -> None:
    with environment():
        default = sdk_reads()
    with environment(**({} if value is None else {variable: value})), mock.patch.object(logging.Logger, "handle"):
        expected = sdk_reads()
        if not 1 <= expected <= maximum:
            expected = default
        assert read() == expected


@pytest.mark.parametrize(("variable", "read", "sdk_reads", "maximum"), BATCH_READERS)
@pytest.mark.parametrize("value", ["0", "-1", "1e3", "5s", "99999999999"])
def test_a_wrong_batch_variable_is_named_with_what_is_used_instead(
    variable: str,
    read: Callable[[], int],
    sdk_reads: Callable[[], int],
    maximum: int,
    value: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with environment(**{variable: value}):
        used = read()
    assert the_warning(caplog).endswith(f"{variable}={value!r}: expected an integer from 1 to {maximum}; using {used}")


def test_each_wrong_variable_gets_its_own_line(caplog: pytest.LogCaptureFixture) -> None:
    with environment(OTEL_BSP_SCHEDULE_DELAY="x", OTEL_BSP_MAX_QUEUE_SIZE="y"):
        config.bsp_schedule_delay_ms()
        config.bsp_max_queue_size()
    assert len(caplog.records) == 2
    assert reported() == {"invalid_otel_bsp_schedule_delay": 1, "invalid_otel_bsp_max_queue_size": 1}


# --- the caller -----------------------------------------------------------------------------------------------


class HasTheShapeOfASampler:
    def should_sample(self) -> None: ...

    def get_description(self) -> None: ...


def test_settings_left_out_have_the_documented_defaults() -> None:
    with environment():
        made = config.settings()
    assert msgspec.structs.asdict(made) == {
        "service": None,
        "endpoint": None,
        "sample": None,
        "ring_bytes": 4 * 1024 * 1024,
        "batch": 4096,
        "delay": 5.0,
        "export_timeout": 30.0,
    }


def test_settings_left_out_come_from_the_environment_and_arguments_win_over_it() -> None:
    variables = {
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100",
        "OTEL_BSP_SCHEDULE_DELAY": "250",
        "OTEL_BSP_EXPORT_TIMEOUT": "1500",
    }
    with environment(**variables):
        made = config.settings()
        assert (made.batch, made.delay, made.export_timeout) == (100, 0.25, 1.5)
        made = config.settings(batch=7, delay=1, export_timeout=2)
        assert (made.batch, made.delay, made.export_timeout) == (7, 1.0, 2.0)


def test_settings_cannot_be_changed_afterwards() -> None:
    made = config.settings()
    with pytest.raises(AttributeError):
        made.batch = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "given_",
    [
        {"batch": 1},
        {"batch": 65536},
        {"ring_bytes": 64 * 1024},
        {"ring_bytes": 1024**3},
        {"delay": 0.001},
        {"delay": 3600},
        {"export_timeout": 3600.0},
        {"sample": 0},
        {"sample": 1.0},
        {"sample": HasTheShapeOfASampler()},
        {"service": "a"},
        {"endpoint": "http://localhost:4318"},
    ],
)
def test_both_ends_of_each_range_are_accepted(given_: dict[str, Any]) -> None:
    ((name, value),) = given_.items()
    assert getattr(config.settings(**given_), name) == value


SECONDS = "seconds, above 0 and at most 3600"
POWER = "a power of two from 65536 to 1073741824"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("batch", 0, "an integer from 1 to 65536"),
        ("batch", 65537, "an integer from 1 to 65536"),
        ("batch", 1.0, "an integer from 1 to 65536"),
        ("batch", True, "an integer from 1 to 65536"),
        ("batch", "5", "an integer from 1 to 65536"),
        ("ring_bytes", 32 * 1024, POWER),
        ("ring_bytes", 2 * 1024**3, POWER),
        ("ring_bytes", 65537, POWER),
        ("delay", 0, SECONDS),
        ("delay", -1.0, SECONDS),
        ("delay", 3600.1, SECONDS),
        ("delay", float("nan"), SECONDS),
        ("delay", float("inf"), SECONDS),
        ("delay", "5", SECONDS),
        ("export_timeout", 0, SECONDS),
        ("export_timeout", True, SECONDS),
        ("sample", -0.1, "a number from 0 to 1, or a sampler"),
        ("sample", 1.1, "a number from 0 to 1, or a sampler"),
        ("sample", float("nan"), "a number from 0 to 1, or a sampler"),
        ("sample", True, "a number from 0 to 1, or a sampler"),
        ("sample", "always_on", "a number from 0 to 1, or a sampler"),
        ("service", "", "a non-empty string"),
        ("service", 5, "a non-empty string"),
        ("endpoint", "  ", "a non-empty string"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name_value_and_range(name: str, value: object, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config.settings(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == f"{name}={value!r}: expected {expected}"
