"""Validation: nodes of a file become the Structs of the schema, and every fault on the way is noted.

msgspec converts and judges each leaf; it would stop at the first fault of the whole, so the way down to the leaves
is walked here, and goes on beside a fault.

Source: specification, configuration/sdk.md "Parse".
"""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, UnsetType
from msgspec.structs import FieldInfo, fields

from tracecore.declarative.document import Node, core_schema, join, plain
from tracecore.declarative.faults import Fault, did_you_mean, shown
from tracecore.declarative.schema import COMPONENTS, FREE_KEYS, Component, OneOf, Secret

__all__ = ["Validation"]

_WRONG: Final[Any] = object()
"""Stands for a value whose fault is noted."""


class Validation:
    """The walk through one file.  `faults` and `remarks` grow, `lines` holds the line of every path."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        self.remarks: list[Fault] = []
        self.lines: dict[str, int] = {}
        self.exporters: list[Component] = []
        """Those whose settings are right, whatever else is wrong."""
        self.sources: dict[str, str] = {}
        """The text of scalars that are not quoted, by path."""

    def of(self, node: Node, cls: type[Struct]) -> Any:
        """Return the whole file as `cls`, or None when something is wrong."""
        made = self._struct(node, cls, "")
        return None if made is _WRONG or self.faults else made

    def _value(self, node: Node, wanted: Any, path: str) -> Any:
        self.lines[path] = node.line
        if node.is_wrong:
            return _WRONG
        if get_origin(wanted) in (Union, UnionType):
            kinds = [kind for kind in get_args(wanted) if kind not in (type(None), UnsetType)]
            if node.value is None and type(None) in get_args(wanted):
                return None
            return self._value(node, kinds[0] if len(kinds) == 1 else Union[tuple(kinds)], path)  # noqa: UP007
        marks = get_args(wanted)[1:] if get_origin(wanted) is Annotated else ()
        if (one_of := next((mark for mark in marks if isinstance(mark, OneOf)), None)) is not None:
            return self._component(node, one_of, path)
        if get_origin(wanted) is list:
            return self._list(node, get_args(wanted)[0], path)
        if isinstance(wanted, type) and issubclass(wanted, Struct):
            return self._struct(node, wanted, path)
        if get_origin(wanted) is dict:
            if not isinstance(node.value, dict):
                return self._fault(node, path, "expected a mapping")
            return plain(node)
        if wanted is Any:
            if node.source is not None:
                self.sources[path] = node.source
            return plain(node)
        return self._leaf(node, wanted, marks, path)

    def _leaf(self, node: Node, wanted: Any, marks: tuple[Any, ...], path: str) -> Any:
        try:
            return msgspec.convert(node.value, wanted)
        except msgspec.ValidationError:
            pass
        if isinstance(node.value, str) and node.source is not None:
            try:
                return msgspec.convert(core_schema(node.source), wanted)
            except msgspec.ValidationError:
                pass
        if get_origin(wanted) is Literal:
            names = get_args(wanted)
            hint = did_you_mean(str(node.value), names)
            return self._fault(node, path, f"expected {_one_of(names)}{hint}")
        expected = next((mark.description for mark in marks if isinstance(mark, Meta)), None) or str(wanted)
        is_secret = any(isinstance(mark, Secret) for mark in marks)
        if get_args(wanted)[:1] == (str,) and node.source is not None and not isinstance(node.value, str):
            expected += ": put it in quotes" if node.source else ""
        return self._fault(node, path, f"expected {expected}", "(hidden)" if is_secret else None)

    def _list(self, node: Node, wanted: Any, path: str) -> Any:
        if not isinstance(node.value, list) or not node.value:
            return self._fault(node, path, "expected a list of one entry or more")
        made = [self._value(item, wanted, join(path, index)) for index, item in enumerate(node.value)]
        return _WRONG if any(item is _WRONG for item in made) else made

    def _component(self, node: Node, one_of: OneOf, path: str) -> Any:
        """Return the Component that the one key of a mapping names."""
        table = COMPONENTS[one_of.table]
        if isinstance(node.value, str) and node.value in table:
            return self._fault(node, path, f"expected a mapping: put a colon behind it, {node.value}:")
        if not isinstance(node.value, dict) or len(node.value) != 1:
            what = f"expected a mapping with one key, the {one_of.what}: {_one_of(sorted(table))}, or an installed one's name"
            return self._fault(node, path, what)
        ((name, settings),) = node.value.items()
        own_path = join(path, name)
        self.lines[own_path] = settings.line
        if settings.is_wrong:
            return _WRONG
        if one_of.table == "sampler" and name == "composite/development":
            inner = self._component(settings, OneOf("composable", "composable sampler"), own_path)
            return _WRONG if inner is _WRONG else Component(name, inner, own_path)
        if (cls := table.get(name)) is None:
            if settings.value is not None and not isinstance(settings.value, dict):
                return self._fault(settings, own_path, "expected a mapping of settings, or nothing")
            return self._kept(one_of, Component(name, plain(settings) or {}, own_path))
        if settings.value is None:
            # A name with nothing behind it: the component with its defaults, where it has them for everything.
            settings = Node({}, settings.line)
        made = self._struct(settings, cls, own_path)
        return _WRONG if made is _WRONG else self._kept(one_of, Component(name, made, own_path))

    def _kept(self, one_of: OneOf, component: Component) -> Component:
        if one_of.table == "exporter":
            self.exporters.append(component)
        return component

    def _struct(self, node: Node, cls: type[Struct], path: str) -> Any:
        self.lines[path] = node.line
        if not isinstance(node.value, dict):
            return self._fault(node, path, "expected a mapping")
        known: dict[str, FieldInfo] = {each.encode_name: each for each in fields(cls)}
        arguments: dict[str, Any] = {}
        for key, value in node.value.items():
            if (each := known.get(key)) is not None:
                arguments[each.name] = self._value(value, each.type, join(path, key))
            else:
                self._unknown(value, cls, known, path, key)
        is_wrong = any(value is _WRONG for value in arguments.values())
        for each in known.values():
            if each.required and each.name not in arguments:
                self.faults.append(Fault(join(path, each.encode_name), node.line, "is missing"))
                is_wrong = True
        return _WRONG if is_wrong else cls(**arguments)

    def _unknown(self, node: Node, cls: type[Struct], known: dict[str, FieldInfo], path: str, key: str) -> None:
        hint = did_you_mean(key, known)
        path = join(path, key)
        if cls not in FREE_KEYS:
            words = f"is not known here{hint}" if hint or not known else f"is not known here: expected {_one_of(list(known))}"
            self.faults.append(Fault(path, node.line, words))
        elif FREE_KEYS[cls]:
            self.remarks.append(Fault(path, node.line, f"is not known here and has no effect{hint}"))

    def _fault(self, node: Node, path: str, message: str, value: str | None = None) -> Any:
        self.faults.append(Fault(path, node.line, message, value or shown(node.value)))
        return _WRONG


def _one_of(names: Any) -> str:
    *most, last = map(str, names)
    return f"{', '.join(most)} or {last}" if most else last
