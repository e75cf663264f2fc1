"""Resource: what the traced process is, in attributes that go out once with every batch of its spans.

    telemetry.sdk.*               always
    service.instance.id           a random id of this process
    detectors                     those OTEL_EXPERIMENTAL_RESOURCE_DETECTORS names, in its order
    OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
    what the program passes to `Resource.create`
    service.name                  "unknown_service:<interpreter>", if it is still missing

Of a key that comes twice the lower line wins.  Detectors of this file that only look around in their own process
run on the calling thread; any other may wait for a network, so each gets a daemon thread and a deadline.

What only some detectors need (platform, socket, subprocess, psutil, package metadata) is imported by those.

Source: specification, resource/sdk.md and the semantic conventions for the attribute names.
"""

from __future__ import annotations

import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from logging import ERROR
from time import monotonic
from typing import Any, Final, TypeAlias, TypeGuard
from uuid import uuid4

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.util.types import AnyValue

from tracecore import config
from tracecore.entities import attributes_of
from tracecore.errors import report
from tracecore.sdk_classes import StandIn, stands_for

__all__ = [
    "Attributes",
    "HostResourceDetector",
    "OTELResourceDetector",
    "OsResourceDetector",
    "ProcessResourceDetector",
    "Resource",
    "ResourceDetector",
    "ServiceInstanceIdResourceDetector",
    "get_aggregated_resources",
    "process_dependent",
    "telemetry_sdk",
    "undetected",
]

Attributes: TypeAlias = Mapping[str, AnyValue]

HOST_ARCH: Final = "host.arch"
HOST_ID: Final = "host.id"
HOST_NAME: Final = "host.name"
OS_TYPE: Final = "os.type"
OS_VERSION: Final = "os.version"
PROCESS_COMMAND: Final = "process.command"
PROCESS_COMMAND_ARGS: Final = "process.command_args"
PROCESS_COMMAND_LINE: Final = "process.command_line"
PROCESS_EXECUTABLE_NAME: Final = "process.executable.name"
PROCESS_EXECUTABLE_PATH: Final = "process.executable.path"
PROCESS_OWNER: Final = "process.owner"
PROCESS_PARENT_PID: Final = "process.parent_pid"
PROCESS_PID: Final = "process.pid"
PROCESS_RUNTIME_DESCRIPTION: Final = "process.runtime.description"
PROCESS_RUNTIME_NAME: Final = "process.runtime.name"
PROCESS_RUNTIME_VERSION: Final = "process.runtime.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
SERVICE_NAME: Final = "service.name"
TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
TELEMETRY_SDK_NAME: Final = "telemetry.sdk.name"
TELEMETRY_SDK_VERSION: Final = "telemetry.sdk.version"

DETECTOR_TIMEOUT_S: Final = 5
"""Seconds all detectors together may take: what a cloud's metadata service needs, and a start can bear."""


@stands_for("opentelemetry.sdk.resources", "Resource")
class Resource(StandIn):
    """Attributes of the process and the URL of the schema they follow.  Does not change once made.  Threads: any.

    Programs call `Resource.create`.  Detectors, which `create` calls, use the constructor.
    """

    def __init__(self, attributes: Attributes, schema_url: str | None = None) -> None:
        self._attributes = BoundedAttributes(attributes=attributes, immutable=True)
        self._schema_url = "" if schema_url is None else schema_url

    @staticmethod
    def create(attributes: Attributes | None = None, schema_url: str | None = None) -> Resource:
        """Return the resource of this process: what was detected, overridden by `attributes`.

        Blocks for as long as the configured detectors take, at most `DETECTOR_TIMEOUT_S` seconds.
        """
        resource = get_aggregated_resources(_detectors(), telemetry_sdk()).merge(
            Resource(attributes or {}, schema_url)
        )
        if resource.attributes.get(SERVICE_NAME):
            return resource
        return resource.merge(_unknown_service())

    @staticmethod
    def get_empty() -> Resource:
        return _EMPTY

    @property
    def attributes(self) -> Attributes:
        return self._attributes

    @property
    def schema_url(self) -> str:
        return self._schema_url

    def merge(self, other: Resource) -> Resource:
        """Return both in one, `other` winning where both have a key.

        Two different schema URLs cannot be merged: that is reported, and this resource returned as it is.
        """
        if self._schema_url and other.schema_url and self._schema_url != other.schema_url:
            report(
                "resource_schema_conflict",
                "a resource of schema %s cannot take in one of schema %s, which is left out",
                self._schema_url,
                other.schema_url,
                level=ERROR,
            )
            return self
        return Resource({**self._attributes, **other.attributes}, self._schema_url or other.schema_url)

    def __eq__(self, other: object) -> bool:
        # A resource of opentelemetry-sdk compares itself: it takes this one for its own kind (tracecore.sdk_classes).
        if not isinstance(other, Resource):
            return NotImplemented
        return self._attributes == other._attributes and self._schema_url == other._schema_url

    def __hash__(self) -> int:
        # Of texts and bytes alone: numbers are equal across their types (1 == True), sequences may hold mappings.
        texts = frozenset((key, value) for key, value in self._attributes.items() if isinstance(value, (str, bytes)))
        return hash((texts, self._schema_url))

    def to_json(self, indent: int | None = 4) -> str:
        # Imported here: nothing on the way to a sent span needs json.
        from json import dumps

        # bytes are the one kind of value an attribute may have that JSON has not.
        return dumps(
            {"attributes": dict(self._attributes), "schema_url": self._schema_url},
            indent=indent,
            default=bytes.hex,
        )


def _is_resource(value: object) -> TypeGuard[Resource]:
    """Return whether a detector's answer can be merged; detectors for opentelemetry-sdk give that package's class."""
    return isinstance(getattr(value, "attributes", None), Mapping) and isinstance(
        getattr(value, "schema_url", None), str
    )


_EMPTY: Final = Resource({})


def telemetry_sdk() -> Resource:
    """Return the attributes that say who made the spans.

    Not "opentelemetry": the specification keeps that name for the official SDK.
    """
    # Read when asked: while this file is imported, the package is not finished and has no version yet.
    version = getattr(sys.modules[__name__.partition(".")[0]], "__version__", "unknown")
    return Resource(
        {
            TELEMETRY_SDK_LANGUAGE: "python",
            TELEMETRY_SDK_NAME: "tracecore",
            TELEMETRY_SDK_VERSION: version,
        }
    )


def _unknown_service() -> Resource:
    interpreter = os.path.basename(sys.executable or "")
    return Resource({SERVICE_NAME: f"unknown_service:{interpreter}" if interpreter else "unknown_service"})


def undetected() -> Resource:
    """Return what every resource has, before detectors and variables: telemetry.sdk.* and a service.name."""
    return telemetry_sdk().merge(_unknown_service())


# --- detectors ------------------------------------------------------------------------------------------------


@stands_for("opentelemetry.sdk.resources", "ResourceDetector")
class ResourceDetector(StandIn, ABC):
    """What finds out attributes of the process.  With `raise_on_error` its faults stop the program's start."""

    def __init__(self, raise_on_error: bool = False) -> None:
        self.raise_on_error = raise_on_error

    @abstractmethod
    def detect(self) -> Resource:
        """Return what was found.  Make it with ``Resource(...)``: `Resource.create` would call this method again.

        Threads: may run on a thread of its own, and is abandoned there when it takes too long.
        """

    def is_process_dependent(self) -> bool:
        """Return whether the answer is another one in a forked child, so that it must be asked again there."""
        return False


@stands_for("opentelemetry.sdk.resources", "OTELResourceDetector")
class OTELResourceDetector(ResourceDetector):
    """OTEL_ENTITIES, OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME, of which the later ones win."""

    def detect(self) -> Resource:
        attributes: dict[str, AnyValue] = {}
        if (text := config.entities()) is not None:
            found, wrong = attributes_of(text)
            attributes.update(found)
            if wrong:
                config.warn("OTEL_ENTITIES", ";".join(wrong), "type{key=value}[key=value]@url, each entity once", "the rest")
        attributes.update(config.resource_attributes())
        if (name := config.service_name()) is not None:
            attributes[SERVICE_NAME] = name
        return Resource(attributes)


@stands_for("opentelemetry.sdk.resources", "ServiceInstanceIdResourceDetector")
class ServiceInstanceIdResourceDetector(ResourceDetector):
    """service.instance.id, a random UUID: one a process, the same from every detector of the process.

    A forked child gets another, which also replaces one the program set by hand, as in opentelemetry-sdk.
    """

    def is_process_dependent(self) -> bool:
        return True

    def detect(self) -> Resource:
        # setdefault is one step under the GIL.  A lock could be held by a thread that a fork left behind.
        return Resource({SERVICE_INSTANCE_ID: _instance_ids.setdefault(os.getpid(), str(uuid4()))})


_instance_ids: Final[dict[int, str]] = {}
"""service.instance.id by process id: this process's, and those of the parents it was forked from."""


@stands_for("opentelemetry.sdk.resources", "ProcessResourceDetector")
class ProcessResourceDetector(ResourceDetector):
    """process.*: the interpreter, its command, its owner if psutil is installed.

    The arguments of the command, which may hold secrets, only with `include_command_args`.
    """

    def __init__(self, raise_on_error: bool = False, *, include_command_args: bool = False) -> None:
        super().__init__(raise_on_error)
        self._include_command_args = include_command_args

    def is_process_dependent(self) -> bool:
        return True

    def detect(self) -> Resource:
        executable = sys.executable or ""
        # orig_argv is what the interpreter was started with; argv has lost its "-m module". Arguments that are
        # not asked for are not even looked at.
        argv = sys.orig_argv
        attributes: dict[str, AnyValue] = {
            PROCESS_RUNTIME_DESCRIPTION: sys.version,
            PROCESS_RUNTIME_NAME: sys.implementation.name,
            PROCESS_RUNTIME_VERSION: _runtime_version(),
            PROCESS_PID: os.getpid(),
            PROCESS_EXECUTABLE_NAME: os.path.basename(executable),
            PROCESS_EXECUTABLE_PATH: executable,
            PROCESS_COMMAND: argv[0] if argv else "",
        }
        if self._include_command_args:
            attributes[PROCESS_COMMAND_LINE] = " ".join(argv)
            attributes[PROCESS_COMMAND_ARGS] = list(argv)
        if hasattr(os, "getppid"):
            attributes[PROCESS_PARENT_PID] = os.getppid()
        _add(attributes, PROCESS_OWNER, _process_owner, self.raise_on_error)
        return Resource(attributes)


@stands_for("opentelemetry.sdk.resources", "OsResourceDetector")
class OsResourceDetector(ResourceDetector):
    """os.type and os.version, in the words of the semantic conventions."""

    def detect(self) -> Resource:
        import platform

        name = platform.system().lower()
        # Where the release is no version ("2022Server" on Windows, "5.11" on Solaris) the build is.
        version = platform.version() if name in ("windows", "sunos") else platform.release()
        return Resource({OS_TYPE: "solaris" if name == "sunos" else name, OS_VERSION: version})


@stands_for("opentelemetry.sdk.resources", "_HostResourceDetector")
class HostResourceDetector(ResourceDetector):
    """host.name, host.arch and, where the system has one that needs no privileges, host.id."""

    def detect(self) -> Resource:
        import platform
        from socket import gethostname

        attributes: dict[str, AnyValue] = {HOST_NAME: gethostname(), HOST_ARCH: platform.machine()}
        _add(attributes, HOST_ID, _machine_id, self.raise_on_error)
        return Resource(attributes)


def _add(attributes: dict[str, AnyValue], key: str, find: Callable[[], str | None], raise_on_error: bool) -> None:
    """Add an attribute that may be impossible to find, without losing the others over it."""
    try:
        value = find()
    except Exception as fault:  # files, commands, the registry, psutil: each with its own errors
        if raise_on_error:
            raise
        report("resource_attribute_not_found", "%s: %s", key, fault)
        return
    if value:
        attributes[key] = value


def _runtime_version() -> str:
    version = sys.version_info
    is_release = version.releaselevel == "final" and version.serial == 0
    return ".".join(map(str, version[:3] if is_release else version))


def _process_owner() -> str | None:
    from importlib import import_module

    try:
        psutil = import_module("psutil")
    except ImportError:
        return None
    return str(psutil.Process().username())


# --- host.id --------------------------------------------------------------------------------------------------
# Source: https://opentelemetry.io/docs/specs/semconv/resource/host/#non-privileged-machine-id-lookup

_COMMAND_TIMEOUT_S: Final = 2
"""Well under `DETECTOR_TIMEOUT_S`: a command that hangs costs host.id, not host.name."""


def _machine_id() -> str | None:
    import platform

    system = platform.system()
    if system == "Linux":
        return _first_line("/etc/machine-id") or _first_line("/var/lib/dbus/machine-id")
    if system == "Darwin":
        return _platform_uuid(_output_of("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice"))
    if system == "Windows":
        return _machine_guid()
    if system == "DragonFly" or system.endswith("BSD"):
        return _first_line("/etc/hostid") or _output_of("/bin/kenv", "-q", "smbios.system.uuid").strip() or None
    return None


def _first_line(path: str) -> str | None:
    """Return what a file of one line holds, or None if it is empty or not there."""
    try:
        with open(path, encoding="utf8") as file:
            return file.read().strip() or None
    except OSError:
        return None


def _output_of(*command: str) -> str:
    """Return what a command prints, or "" if it fails or is not there.  Raises: subprocess.TimeoutExpired."""
    import subprocess

    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=True).stdout
    except (subprocess.CalledProcessError, FileNotFoundError):
        return ""


def _platform_uuid(listing: str) -> str | None:
    """Return the value of the line ``"IOPlatformUUID" = "..."`` in ioreg's output."""
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        if key.strip().strip('"') == "IOPlatformUUID":
            return value.strip().strip('"') or None
    return None


def _machine_guid() -> str | None:
    if sys.platform != "win32":
        return None
    import winreg

    # KEY_WOW64_64KEY: a 32-bit interpreter would be shown a registry of its own, which has no MachineGuid.
    with winreg.OpenKey(
        winreg.HKEY_LOCAL_MACHINE,
        r"SOFTWARE\Microsoft\Cryptography",
        access=winreg.KEY_READ | winreg.KEY_WOW64_64KEY,
    ) as key:
        guid, _ = winreg.QueryValueEx(key, "MachineGuid")
    return str(guid) if guid else None


# --- which detectors, and their answers -----------------------------------------------------------------------

_BUILT_IN: Final[dict[str, type[ResourceDetector]]] = {
    "otel": OTELResourceDetector,
    "process": ProcessResourceDetector,
    "os": OsResourceDetector,
    "host": HostResourceDetector,
    "service_instance": ServiceInstanceIdResourceDetector,
}

_PROMPT: Final = (
    OTELResourceDetector,
    ProcessResourceDetector,
    OsResourceDetector,
    ServiceInstanceIdResourceDetector,
)
"""Detectors that wait for nothing outside the process: a thread would cost more than they do."""


def process_dependent() -> Resource:
    """Return what must be merged into a resource in a forked child: the attributes that are another process's there."""
    return get_aggregated_resources(
        [detector for detector in _detectors() if detector.is_process_dependent()], Resource.get_empty()
    )


def get_aggregated_resources(
    detectors: Sequence[ResourceDetector],
    initial_resource: Resource | None = None,
    timeout: float = DETECTOR_TIMEOUT_S,
) -> Resource:
    """Return `initial_resource` (None: ``Resource.create()``) with the answers merged into it, in the given order.

    A detector that raises, or has not answered `timeout` seconds after this call, is left out and reported.  One
    that never returns keeps its daemon thread, and delays nobody.

    Raises: what a detector with `raise_on_error` raised, or TimeoutError for it.
    """
    resource = Resource.create() if initial_resource is None else initial_resource
    deadline = monotonic() + timeout
    answers = [_Answer(detector) for detector in detectors]
    faults: list[str] = []
    for answer in answers:
        try:
            resource = resource.merge(answer.wait(deadline))
        except Exception as fault:  # a detector may be anybody's code
            if getattr(answer.detector, "raise_on_error", False):
                raise
            faults.append(f"{answer.detector!r}: {fault!r}")
    if faults:
        # One line for all: were each reported, the second would be held back behind the first.
        report("resource_detector_failed", "left out of the resource: %s", "; ".join(faults))
    return resource


class _Answer:
    """What one detector says, now or at the end of its thread."""

    def __init__(self, detector: ResourceDetector) -> None:
        self.detector = detector
        self._resource: object = None
        self._fault: BaseException | None = None
        self._thread: threading.Thread | None = None
        if type(detector) in _PROMPT:
            self._detect()
        else:
            self._thread = threading.Thread(target=self._detect, name="tracecore-detector", daemon=True)
            self._thread.start()

    def _detect(self) -> None:
        try:
            self._resource = self.detector.detect()
        except BaseException as fault:  # raised again by `wait`, on the thread that asked
            self._fault = fault

    def wait(self, deadline: float) -> Resource:
        """Return the answer.  Raises: TimeoutError, TypeError for what is no resource, what the detector raised."""
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - monotonic()))
            if self._thread.is_alive():
                raise TimeoutError("took longer than it may")
        if self._fault is not None:
            raise self._fault
        if not _is_resource(self._resource):
            raise TypeError(f"detect() returned {self._resource!r}, which is not a resource")
        return self._resource


def _detectors() -> list[ResourceDetector]:
    """Return the detectors to ask, in the order in which their answers are merged.

    "service_instance" comes first and "otel" last, so that what the operator writes wins, unless
    OTEL_EXPERIMENTAL_RESOURCE_DETECTORS gives them another place.  "*" stands for all that are installed.
    """
    configured = config.resource_detectors()
    first = [] if "service_instance" in configured else ["service_instance"]
    names = list(dict.fromkeys([*first, *configured, "otel"]))
    if "*" in names:
        rest = sorted((_BUILT_IN.keys() | _installed()) - set(names))
        at = names.index("*")
        names[at : at + 1] = rest
    detectors: list[ResourceDetector] = []
    faults: list[str] = []
    for name in names:
        try:
            if name in _BUILT_IN:
                detectors.append(_BUILT_IN[name]())
            elif (found := _entry_point(name)) is not None:
                detectors.append(found.load()())
            else:
                faults.append(f"{name}: not installed")
        except Exception as fault:  # loading another package's code
            faults.append(f"{name}: {fault!r}")
    if faults:
        report(
            "resource_detector_not_loaded",
            "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=%r: %s; using the others",
            ",".join(configured),
            "; ".join(faults),
        )
    return detectors


_GROUP: Final = "opentelemetry_resource_detector"

# Imported in the functions: reading the metadata of all installed packages is slow, and only other packages' names
# need it. The API's function remembers it.


def _installed() -> set[str]:
    """Return the names of detectors of other packages."""
    from opentelemetry.util._importlib_metadata import entry_points

    return {entry_point.name for entry_point in entry_points(group=_GROUP)}


def _entry_point(name: str) -> Any:
    """Return the first entry point of that name, None without one."""
    from opentelemetry.util._importlib_metadata import entry_points

    return next(iter(entry_points(group=_GROUP, name=name)), None)
