"""Resources and their detectors, against opentelemetry-sdk's."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk import resources as sdk

from tracecore import resource as tested
from tracecore.errors import reported, reset_reports
from tracecore.resource import (
    HostResourceDetector,
    OsResourceDetector,
    OTELResourceDetector,
    ProcessResourceDetector,
    Resource,
    ResourceDetector,
    ServiceInstanceIdResourceDetector,
    get_aggregated_resources,
    process_dependent,
)

ROOT = Path(tested.__file__).parent.parent


@pytest.fixture(autouse=True)
def _no_reports_from_elsewhere() -> Iterator[None]:
    reset_reports()
    yield
    reset_reports()


def environment(**variables: str) -> Any:
    """Set these OTEL_ variables and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return mock.patch.dict(os.environ, {**kept, **variables}, clear=True)


def quiet() -> Any:
    return mock.patch.object(logging.Logger, "handle")


def same(ours: Resource, theirs: sdk.Resource) -> bool:
    return ours.attributes == theirs.attributes and ours.schema_url == theirs.schema_url


# --- the resource itself --------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.0, 1.0, "", "a", b"", b"\x01"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.tuples(
    st.dictionaries(st.sampled_from(["", "a", "b", "service.name"]), VALUES, max_size=3),
    st.sampled_from([None, "", "https://schema/1", "https://schema/2"]),
)


@given(FIELDS, FIELDS)
def test_resources_merge_and_show_themselves_as_the_sdks(a: tuple[Any, ...], b: tuple[Any, ...]) -> None:
    with quiet():
        ours, theirs = Resource(*a).merge(Resource(*b)), sdk.Resource(*a).merge(sdk.Resource(*b))
        mixed = Resource(*a).merge(sdk.Resource(*b))  # type: ignore[arg-type]
    assert ours == mixed
    assert ours.to_json() == theirs.to_json()
    assert ours.to_json(indent=None) == theirs.to_json(indent=None)
    assert (ours.attributes, ours.schema_url) == (theirs.attributes, theirs.schema_url)
    assert list(ours.attributes) == list(theirs.attributes)


@given(FIELDS, FIELDS)
def test_resources_are_equal_exactly_when_the_sdks_are_and_then_their_hashes_are(
    a: tuple[Any, ...], b: tuple[Any, ...]
) -> None:
    with quiet():
        equal = sdk.Resource(*a) == sdk.Resource(*b)
        assert (Resource(*a) == Resource(*b)) is equal
        if equal:
            assert hash(Resource(*a)) == hash(Resource(*b))


def test_resources_of_different_texts_have_different_hashes() -> None:
    assert len({hash(Resource({"service.name": name})) for name in "abc"}) == 3
    assert hash(Resource({"a": 1})) == hash(Resource({"a": True}))


def test_a_resource_is_equal_to_nothing_else() -> None:
    assert Resource({}) != {}
    assert Resource({}) != sdk.Resource({"a": 1})
    assert sdk.Resource({"a": 1}) != Resource({})
    assert Resource({"a": 1}) != Resource({"a": 2})
    assert Resource({"a": 1}) != Resource({"a": 1}, "https://schema/1")


def test_resources_of_two_schemas_are_not_merged_and_that_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    ours = Resource({"a": 1}, "https://schema/1")
    assert ours.merge(Resource({"b": 2}, "https://schema/2")) is ours
    (record,) = caplog.records
    assert "https://schema/1" in record.getMessage()
    assert "https://schema/2" in record.getMessage()


def test_the_attributes_of_a_resource_cannot_be_changed() -> None:
    given_ = {"a": [1]}
    made = Resource(given_)
    given_["a"].append(2)
    assert made.attributes["a"] == (1,)
    with pytest.raises(TypeError):
        made.attributes["a"] = 1  # type: ignore[index]


def test_the_empty_resource_is_empty() -> None:
    assert Resource.get_empty().attributes == {}
    assert Resource.get_empty().schema_url == ""


# --- create ---------------------------------------------------------------------------------------------------

PARTS = st.lists(
    st.sampled_from(
        ["a=1", " b = x%20y ", "service.name=env", "bad", "", "=empty", "a=2", "c=d=e", "k=%zz", "%41=1", "é=ü"]
    )
).map(",".join)
OURS_ALONE = ("telemetry.sdk.name", "telemetry.sdk.version", "service.instance.id")


@given(
    attributes=st.none()
    | st.dictionaries(st.sampled_from(["a", "service.name", "service.instance.id"]), st.sampled_from(["", "x"])),
    schema_url=st.sampled_from([None, "", "https://schema/1"]),
    in_environment=st.none() | PARTS,
    name=st.none() | st.sampled_from(["", "named", " a b "]),
)
def test_a_created_resource_has_what_the_sdks_has(
    attributes: dict[str, str] | None, schema_url: str | None, in_environment: str | None, name: str | None
) -> None:
    variables = {"OTEL_RESOURCE_ATTRIBUTES": in_environment, "OTEL_SERVICE_NAME": name}
    with environment(**{key: value for key, value in variables.items() if value is not None}), quiet():
        ours, theirs = Resource.create(attributes, schema_url), sdk.Resource.create(attributes, schema_url)
    assert list(ours.attributes) == list(theirs.attributes)
    assert ours.schema_url == theirs.schema_url
    for key, value in theirs.attributes.items():
        if key not in OURS_ALONE:
            assert ours.attributes[key] == value


@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | PARTS)
def test_every_text_of_resource_attributes_is_read_as_the_sdk_reads_it(text: str) -> None:
    with environment(OTEL_RESOURCE_ATTRIBUTES=text), quiet():
        assert same(OTELResourceDetector().detect(), sdk.OTELResourceDetector().detect())


def test_a_created_resource_says_who_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["tracecore"], "__version__", "1.2.3", raising=False)
    attributes = Resource.create().attributes
    assert attributes["telemetry.sdk.name"] == "tracecore"
    assert attributes["telemetry.sdk.language"] == "python"
    assert attributes["telemetry.sdk.version"] == "1.2.3"


def test_a_service_keeps_a_name_even_if_no_interpreter_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", None)
    with environment():
        assert Resource.create().attributes["service.name"] == "unknown_service"


def test_a_service_keeps_its_default_name_when_a_detectors_schema_conflicts() -> None:
    with environment(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="custom"), installed(custom="OtherSchema"):
        made = Resource.create({"a": 1}, "https://schema/1")
    assert str(made.attributes["service.name"]).startswith("unknown_service")
    assert made.schema_url == "https://schema/other"


# --- which detectors ------------------------------------------------------------------------------------------


def installed(**classes: str) -> Any:
    """Pretend that packages with these detectors, by name, are installed."""
    group = EntryPoints(
        [EntryPoint(name, f"{__name__}:{value}", "opentelemetry_resource_detector") for name, value in classes.items()]
    )
    return mock.patch("opentelemetry.util._importlib_metadata.entry_points", group.select)


class Custom(ResourceDetector):
    def detect(self) -> Resource:
        return Resource({"custom": "yes"})


class OtherSchema(ResourceDetector):
    def detect(self) -> Resource:
        return Resource({}, "https://schema/other")


class ForTheSdk(sdk.ResourceDetector):
    """A detector as packages for opentelemetry-sdk have them."""

    def detect(self) -> sdk.Resource:
        return sdk.Resource({"for": "the sdk"})


class CannotBeMade(ResourceDetector):
    def __init__(self) -> None:
        raise RuntimeError("no")

    def detect(self) -> Resource:
        raise AssertionError


def names_of(detectors: list[Any]) -> list[str]:
    return [type(detector).__name__.lstrip("_") for detector in detectors]


@pytest.mark.parametrize(
    "configured",
    [
        "",
        " ",
        "otel",
        "process",
        "os,host",
        "otel,os",
        "service_instance",
        "os, service_instance ,os",
        "*",
        "*,otel",
        "os,*,host",
    ],
)
def test_the_built_in_detectors_are_asked_in_the_sdks_order(configured: str) -> None:
    with environment(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=configured):
        assert names_of(tested._detectors()) == names_of(sdk._build_resource_detectors())
    assert reported() == {}


def test_the_default_detectors_are_found_without_looking_at_what_is_installed() -> None:
    with environment(), mock.patch("opentelemetry.util._importlib_metadata.entry_points", side_effect=AssertionError):
        assert names_of(tested._detectors()) == ["ServiceInstanceIdResourceDetector", "OTELResourceDetector"]


def test_a_built_in_name_is_ours_whatever_is_installed_under_it() -> None:
    with environment(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="os,custom"), installed(os="Custom", custom="Custom"):
        assert [type(detector) for detector in tested._detectors()] == [
            ServiceInstanceIdResourceDetector,
            OsResourceDetector,
            Custom,
            OTELResourceDetector,
        ]


def test_detectors_of_other_packages_contribute_also_those_made_for_the_sdk() -> None:
    with (
        environment(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="custom,other"),
        installed(custom="Custom", other="ForTheSdk"),
    ):
        attributes = Resource.create().attributes
    assert (attributes["custom"], attributes["for"]) == ("yes", "the sdk")


def test_detectors_that_cannot_be_had_are_all_named_in_one_report(caplog: pytest.LogCaptureFixture) -> None:
    with (
        environment(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="absent,broken,custom"),
        installed(broken="CannotBeMade", custom="Custom"),
    ):
        assert Resource.create().attributes["custom"] == "yes"
    (record,) = caplog.records
    assert "absent: not installed" in record.getMessage()
    assert "broken: RuntimeError('no')" in record.getMessage()
    assert reported() == {"resource_detector_not_loaded": 1}


def test_the_built_in_detectors_work_without_the_sdk() -> None:
    script = """
import sys
sys.modules["opentelemetry.sdk"] = None  # type: ignore  # every import of it fails
from tracecore import config, errors, id_generator, instrumentation_scope, limits
from tracecore import readable_span, resource, sampling, span_processor
attributes = resource.Resource.create().attributes
assert {"process.pid", "os.type", "host.name", "service.instance.id"} <= set(attributes), attributes
assert errors.reported() == {}, errors.reported()
"""
    variables = {"PYTHONPATH": str(ROOT), "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process,os,host"}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, env={**os.environ, **variables})


# --- their answers --------------------------------------------------------------------------------------------


class Says(ResourceDetector):
    def __init__(self, answer: Any, raise_on_error: bool = False) -> None:
        super().__init__(raise_on_error)
        self.answer = answer

    def detect(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Silent(ResourceDetector):
    """A detector that answers when the test is over."""

    def __init__(self, raise_on_error: bool = False) -> None:
        super().__init__(raise_on_error)
        self.test_is_over = threading.Event()

    def detect(self) -> Resource:
        self.test_is_over.wait()
        return Resource({"silent": "no more"})


def test_answers_are_merged_in_the_order_of_their_detectors() -> None:
    merged = get_aggregated_resources(
        [Says(Resource({"a": 1, "b": 1})), Says(Resource({"b": 2}))], Resource({"a": 0, "c": 0})
    )
    assert merged == Resource({"a": 1, "b": 2, "c": 0})


def test_without_an_initial_resource_answers_are_merged_into_a_created_one() -> None:
    merged = get_aggregated_resources([Says(Resource({"a": 1}))])
    assert merged.attributes["a"] == 1
    assert merged.attributes["telemetry.sdk.language"] == "python"


def test_detectors_that_fail_are_left_out_and_all_named_in_one_report(caplog: pytest.LogCaptureFixture) -> None:
    detectors = [Says(RuntimeError("first")), Says(Resource({"a": 1})), Says(None), Says({"b": 2})]
    assert get_aggregated_resources(detectors, Resource.get_empty()) == Resource({"a": 1})
    (record,) = caplog.records
    for part in ("RuntimeError('first')", "detect() returned None", "detect() returned {'b': 2}"):
        assert part in record.getMessage()
    assert reported() == {"resource_detector_failed": 1}


def test_a_detector_may_ask_for_its_fault_to_be_raised() -> None:
    with pytest.raises(RuntimeError, match="first"):
        get_aggregated_resources([Says(RuntimeError("first"), raise_on_error=True)], Resource.get_empty())


def test_a_detector_may_end_the_program() -> None:
    with pytest.raises(SystemExit):
        get_aggregated_resources([Says(SystemExit())], Resource.get_empty())


def test_a_detector_that_does_not_answer_is_left_out_and_delays_nobody() -> None:
    silent = Silent()
    try:
        merged = get_aggregated_resources([silent, Says(Resource({"a": 1}))], Resource.get_empty(), timeout=0.05)
        # Had it been waited for without an end, this line would not be reached.
        assert merged == Resource({"a": 1})
        assert reported() == {"resource_detector_failed": 1}
    finally:
        silent.test_is_over.set()


def test_a_detector_that_does_not_answer_may_ask_for_that_to_be_raised() -> None:
    silent = Silent(raise_on_error=True)
    try:
        with pytest.raises(TimeoutError):
            get_aggregated_resources([silent], Resource.get_empty(), timeout=0.05)
    finally:
        silent.test_is_over.set()


def test_the_default_detectors_take_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda self: pytest.fail("a thread was started"))
    with environment(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="process,os"):
        assert Resource.create().attributes["process.pid"] == os.getpid()


# --- each detector --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"include_command_args": True}])
def test_the_process_is_described_as_the_sdk_describes_it(options: dict[str, bool]) -> None:
    ours = ProcessResourceDetector(**options).detect()
    assert same(ours, sdk.ProcessResourceDetector(**options).detect())
    assert ours.attributes["process.pid"] == os.getpid()


def test_without_psutil_the_process_has_no_owner_and_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with_owner = dict(ProcessResourceDetector().detect().attributes)
    assert with_owner.pop("process.owner")
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert ProcessResourceDetector().detect().attributes == with_owner


def test_an_owner_that_cannot_be_found_costs_the_owner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(psutil.Process, "username", mock.Mock(side_effect=KeyError("uid")))
    attributes = ProcessResourceDetector().detect().attributes
    assert "process.owner" not in attributes
    assert "process.pid" in attributes
    assert reported() == {"resource_attribute_not_found": 1}
    with pytest.raises(KeyError):
        ProcessResourceDetector(raise_on_error=True).detect()


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows", "SunOS", "FreeBSD", ""])
def test_the_operating_system_is_named_as_the_sdk_names_it(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "release", lambda: "the release")
    monkeypatch.setattr(platform, "version", lambda: "the version")
    assert same(OsResourceDetector().detect(), sdk.OsResourceDetector().detect())


def test_the_host_is_described_as_the_sdk_describes_it() -> None:
    assert same(HostResourceDetector().detect(), sdk._HostResourceDetector().detect())


IOREG = '+-o J316sAP\n    "board-id" = <"x">\n    "IOPlatformUUID" = "AAAA-BBBB"\n    "IOPlatformUUID" = "CCCC"\n'


@pytest.mark.parametrize(
    ("system", "printed", "found"),
    [
        ("Darwin", IOREG, "AAAA-BBBB"),
        ("Darwin", "", None),
        ("Darwin", '"IOPlatformUUID" = ""', None),
        ("FreeBSD", " dddd \n", "dddd"),
        ("DragonFly", "", None),
        ("Plan9", "eeee", None),
    ],
)
def test_the_machine_id_is_taken_from_the_command_of_the_system(
    system: str, printed: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(tested, "_first_line", lambda path: None)
    monkeypatch.setattr(tested, "_output_of", lambda *command: printed)
    assert HostResourceDetector().detect().attributes.get("host.id") == found


def test_the_machine_id_is_the_first_file_that_holds_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").write_text(" abcd \n")
    (tmp_path / "empty").write_text("\n")
    assert tested._first_line(str(tmp_path / "full")) == "abcd"
    assert tested._first_line(str(tmp_path / "empty")) is None
    assert tested._first_line(str(tmp_path / "absent")) is None
    files = {"/etc/machine-id": None, "/var/lib/dbus/machine-id": "dbus"}
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(tested, "_first_line", files.__getitem__)
    assert HostResourceDetector().detect().attributes["host.id"] == "dbus"


def test_a_command_that_fails_or_is_absent_prints_nothing() -> None:
    assert tested._output_of(sys.executable, "-c", "print(1)").strip() == "1"
    assert tested._output_of(sys.executable, "-c", "print(1); raise SystemExit(1)") == ""
    assert tested._output_of(str(ROOT / "no such command")) == ""


def test_a_machine_id_that_cannot_be_found_costs_the_id_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tested, "_machine_id", mock.Mock(side_effect=subprocess.TimeoutExpired("ioreg", 2)))
    assert set(HostResourceDetector().detect().attributes) == {"host.name", "host.arch"}
    with pytest.raises(subprocess.TimeoutExpired):
        HostResourceDetector(raise_on_error=True).detect()


# --- the process and its children -----------------------------------------------------------------------------


def test_a_process_has_one_instance_id_and_it_is_a_random_uuid() -> None:
    first, second = (ServiceInstanceIdResourceDetector().detect().attributes for _ in range(2))
    assert first == second
    assert uuid.UUID(str(first["service.instance.id"])).version == 4


def test_detectors_know_whether_their_answer_is_another_one_in_a_child() -> None:
    for name, cls in tested._BUILT_IN.items():
        assert cls().is_process_dependent() is (name in ("process", "service_instance"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_has_an_instance_id_and_a_pid_of_its_own() -> None:
    with environment(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="process,os", OTEL_SERVICE_NAME="a"):
        parent = Resource.create({"kept": 1})
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                changed = process_dependent()
                text = json.dumps([dict(changed.attributes), dict(parent.merge(changed).attributes)])
                os.write(writer, text.encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answer:
            changed, merged = json.load(answer)
        os.waitpid(child, 0)
    assert changed["process.pid"] == merged["process.pid"] == child
    assert changed["service.instance.id"] == merged["service.instance.id"]
    assert changed["service.instance.id"] != parent.attributes["service.instance.id"]
    assert not {"os.type", "service.name", "telemetry.sdk.name"} & set(changed)
    assert (merged["kept"], merged["service.name"]) == (1, "a")
