"""OTEL_ENTITIES: what the process around this one knows of it, as entities; here, as attributes of the resource.

    service{service.name=shop}[service.version=1.0]@https://opentelemetry.io/schemas/1.21.0;host{host.id=7}
    type    what identifies     what describes       schema URL, which is checked and left out

OTLP's own notion of entities is in development, and receivers know attributes: identifying and descriptive ones go into
the resource alike. Of two entities of a type that contradict each other in what identifies them, the last holds.

Source: specification, entities/entity-propagation.md (in development).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["attributes_of"]

_ENTITY: Final = re.compile(
    r"(?P<type>[a-zA-Z][a-zA-Z0-9._-]*)\{(?P<id>[^{}\[\]@;]*)\}(?:\[(?P<description>[^{}\[\]@;]*)\])?(?:@(?P<url>[^;]*))?"
)
_KEY: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]*")
_URL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s]+")


def attributes_of(text: str) -> tuple[dict[str, str], list[str]]:
    """Return the attributes that the entities in `text` give the resource, and what of it was wrong, in words."""
    wrong: list[str] = []
    entities: dict[str, list[tuple[dict[str, str], dict[str, str]]]] = {}
    for item in text.split(";"):
        if not (item := item.strip()):
            continue
        form = _ENTITY.fullmatch(item)
        identity = None if form is None else _pairs(form["id"])
        description = {} if form is None or not form["description"] else _pairs(form["description"])
        if form is None or not identity or description is None:
            wrong.append(item)
            continue
        if form["url"] is not None and not _URL.fullmatch(form["url"]):
            wrong.append("@" + form["url"])
        of_type = entities.setdefault(form["type"], [])
        for other, _ in of_type:
            if any(other[key] != value for key, value in identity.items() if key in other) or other == identity:
                wrong.append(f"{form['type']} twice")
                of_type.clear()
                break
        of_type.append((identity, description))
    attributes: dict[str, str] = {}
    for of_type in entities.values():
        for identity, description in of_type:
            attributes |= identity | description
    return attributes, wrong


def _pairs(text: str) -> dict[str, str] | None:
    """Take ``key=value,key=value`` apart, percent-decoded; None where a part is not of that form."""
    from urllib.parse import unquote

    pairs: dict[str, str] = {}
    for item in text.split(","):
        key, equals, value = item.partition("=")
        if not equals or not _KEY.fullmatch(key.strip()) or "=" in value:
            return None
        pairs[key.strip()] = unquote(value.strip())
    return pairs
