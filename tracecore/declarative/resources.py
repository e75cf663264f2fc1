"""The resource of a configuration file.

    telemetry.sdk.*, service.name      always, the latter "unknown_service:<interpreter>" until something below says more
    detection/development              the detectors it names, in order, through its filter
    attributes_list                    as OTEL_RESOURCE_ATTRIBUTES is written
    attributes

Of a key that comes twice the lower line wins.  No variable is read but OTEL_SERVICE_NAME, by the detector "service",
whose meaning that is.

Source: specification, resource/sdk.md; schema/resource.yaml for each setting.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Final

from msgspec import UNSET

from tracecore import config, resource
from tracecore.container_detector import ContainerResourceDetector
from tracecore.declarative import schema
from tracecore.declarative.document import core_schema, join
from tracecore.declarative.faults import did_you_mean, shown
from tracecore.entry_point import load_entry_point
from tracecore.resource import Resource

__all__ = ["resource_of"]


def resource_of(
    settings: schema.Resource | None,
    source_of: Callable[[str], str | None],
    fault: Callable[[str, str, str | None], None],
) -> tuple[Resource, Callable[[], Resource]]:
    """Return the resource, and what returns the attributes that are others in a forked child.

    `source_of` gives the text of an unquoted scalar by its path; `fault` takes path, words and value of what is wrong.
    """
    made = resource.undetected()
    if settings is None:
        return made, Resource.get_empty
    detectors: list[resource.ResourceDetector] = []
    accepts: Callable[[str], bool] = bool
    if settings.detection is not UNSET:
        detectors = _detectors(settings.detection, fault)
        accepts = _filter(settings.detection.attributes)
        made = made.merge(_detected(detectors, accepts))
    attributes: dict[str, Any] = {}
    if settings.attributes_list:
        attributes, wrong = config.key_values(settings.attributes_list)
        if wrong:
            fault("resource.attributes_list", "expected key=value, comma-separated", shown(",".join(wrong)))
    for index, attribute in enumerate([] if settings.attributes is UNSET else settings.attributes):
        if attribute.value is not None:
            path = join(join("resource.attributes", index), "value")
            value = _typed(attribute, source_of(path))
            if value is None:
                fault(path, f"expected {_WORDS[attribute.type or 'string']}", shown(attribute.value))
            attributes[attribute.name] = value
    again = [each for each in detectors if getattr(each, "is_process_dependent", bool)()]

    def in_a_child() -> Resource:
        # What the file says itself holds in every process.
        return _detected(again, lambda key: accepts(key) and key not in attributes)

    return made.merge(Resource(attributes, settings.schema_url)), in_a_child


# --- attributes -----------------------------------------------------------------------------------------------

_WORDS: Final = {
    "string": "a string, number, boolean, or a list of one of them",
    "bool": "true or false",
    "int": "an integer",
    "double": "a number",
    "string_array": "a list of strings",
    "bool_array": "a list of true and false",
    "int_array": "a list of integers",
    "double_array": "a list of numbers",
}


def _typed(attribute: schema.Attribute, source: str | None) -> Any:
    """Return the value in the attribute's type, or None where it is of another.

    Without a type it is what the file says it is, a list included: so opentelemetry-sdk does it.
    """
    value = attribute.value
    if isinstance(value, str) and source is not None and attribute.type not in (None, "string"):
        value = core_schema(source)  # JSON's one way to write a number that comes from the environment
    if attribute.type is None:
        items = value if isinstance(value, list) else [value]
        is_plain = all(isinstance(item, (str, int, float)) for item in items)
        return value if is_plain and len({type(item) for item in items}) <= 1 else None
    if attribute.type == "string":
        # A version that reads 1.10 is not to become 1.1.
        return value if isinstance(value, str) else None if isinstance(value, (list, dict)) else source
    if attribute.type.endswith("_array"):
        if not isinstance(value, list):
            return None
        items = [_scalar(item, attribute.type.removesuffix("_array")) for item in value]
        return None if any(item is None for item in items) else items
    return _scalar(value, attribute.type)


def _scalar(value: Any, kind: str) -> Any:
    if kind == "string":
        return value if isinstance(value, str) else None
    if isinstance(value, bool):
        return value if kind == "bool" else None
    if kind == "int":
        return value if isinstance(value, int) else None
    if kind == "double":
        return float(value) if isinstance(value, (int, float)) else None
    return None


# --- detectors ------------------------------------------------------------------------------------------------


class _Service(resource.ResourceDetector):
    """service.instance.id, and service.name where OTEL_SERVICE_NAME says it."""

    def is_process_dependent(self) -> bool:
        return True

    def detect(self) -> Resource:
        found = resource.ServiceInstanceIdResourceDetector().detect()
        name = config.service_name()
        return found if name is None else found.merge(Resource({resource.SERVICE_NAME: name}))


_OURS: Final[dict[str, tuple[type[resource.ResourceDetector], ...]]] = {
    "container": (ContainerResourceDetector,),
    "service": (_Service,),
    "host": (resource.HostResourceDetector, resource.OsResourceDetector),
    "os": (resource.OsResourceDetector,),
    "process": (resource.ProcessResourceDetector,),
    "service_instance": (resource.ServiceInstanceIdResourceDetector,),
    "otel": (resource.OTELResourceDetector,),
}


def _detectors(settings: schema.Detection, fault: Callable[[str, str, str | None], None]) -> list[Any]:
    detectors: list[Any] = []
    for component in [] if settings.detectors is UNSET else settings.detectors:
        if component.name in _OURS:
            detectors.extend(cls() for cls in _OURS[component.name])
            continue
        try:
            detectors.append(load_entry_point("opentelemetry_resource_detector", component.name)(**component.settings))
        except LookupError as missing:
            fault(component.path, f"{missing}{did_you_mean(component.name, _OURS)}", None)
        except Exception as raised:  # code of another package
            fault(component.path, f"cannot be made: {type(raised).__name__}: {raised}", None)
    return detectors


def _detected(detectors: list[Any], accepts: Callable[[str], bool]) -> Resource:
    found = resource.get_aggregated_resources(detectors, Resource.get_empty()).attributes
    return Resource({key: value for key, value in found.items() if accepts(key)})


def _filter(patterns: Any) -> Callable[[str], bool]:
    """Return whether a key passes: it is included, where anything is said about that, and not excluded."""
    if patterns is UNSET:
        return bool
    included = ["*"] if patterns.included is UNSET else patterns.included
    excluded = [] if patterns.excluded is UNSET else patterns.excluded
    return lambda key: any(fnmatchcase(key, each) for each in included) and not any(fnmatchcase(key, each) for each in excluded)
