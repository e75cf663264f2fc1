"""Document: a configuration file read, its references substituted, each value with the line it stands in.

    bytes --> YAML or JSON --> Node tree        syntax errors, doubled keys and wrong references are Faults

YAML is read by the 1.2 core schema, which the specification asks for: ``yes``, ``on``, ``1:30`` and ``2024-01-01``
are texts.  PyYAML, an optional package, takes the text apart; what its scalars mean is decided here.  A plain scalar
gets its type after substitution, a quoted one is text.  JSON has no plain texts, so there a string that is one
reference and nothing else may also be taken as a number or true or false, where the schema wants that.

Source: specification, configuration/data-model.md; YAML 1.2.2 chapter 10.3.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, Final, TypeAlias

from tracecore.declarative.faults import ConfigurationFileError, Fault
from tracecore.declarative.substitution import WrongReference, substitute

__all__ = ["Node", "Scalar", "core_schema", "join", "plain", "read"]

Scalar: TypeAlias = "str | int | float | bool | None"

_MOST_VALUES: Final = 100_000
"""Aliases of aliases can stand for more values than memory holds; no real file comes near this."""
_DEEPEST: Final = 100
"""Levels of nesting, far below where Python's own recursion ends."""


class Node:
    """A value of the file.  `value` is a scalar, a list of nodes or a dict of nodes by key."""

    __slots__ = ("is_wrong", "line", "source", "value")

    def __init__(
        self,
        value: Scalar | list[Node] | dict[str, Node],
        line: int,
        source: str | None = None,
        is_wrong: bool = False,
    ) -> None:
        self.value = value
        self.line = line
        self.source = source
        """The text of a scalar that is not quoted: what it would be as a string."""
        self.is_wrong = is_wrong
        """A fault was noted about this value already."""

    def any(self) -> Any:
        """Return the value without the promise of a type."""
        return self.value


def join(path: str, key: str | int) -> str:
    """Return the path of what stands under `key`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def plain(node: Node) -> Any:
    """Return a node as what `json.loads` would have given."""
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def read(file: str | Path, environment: Mapping[str, str]) -> tuple[Node, list[Fault]]:
    """Return the root of the file, a mapping, and the faults of single values in it.

    Raises: ConfigurationFileError where there is nothing to go on with.
    """
    path = Path(file)

    def stop(message: str, line: int | None = None) -> ConfigurationFileError:
        return ConfigurationFileError(str(file), [Fault("", line, message)])

    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".json"):
        raise stop("expected the name of a file that ends in .yaml, .yml or .json")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as fault:
        raise stop(f"cannot be read: {fault.strerror or fault}") from None
    except UnicodeDecodeError as fault:
        raise stop(f"is not UTF-8: {fault.reason} at byte {fault.start}") from None
    faults: list[Fault] = []
    try:
        reader = _Json(text, environment, faults) if suffix == ".json" else _Yaml(text, environment, faults)
        root = reader.root()
    except _Unreadable as unreadable:
        raise stop(str(unreadable), unreadable.line) from None
    except RecursionError:
        raise stop("is nested too deeply") from None
    if not isinstance(root.value, dict):
        raise stop("is empty" if root.value is None else "expected a mapping at the top", root.line)
    return root, faults


class _Unreadable(Exception):
    """The file as a whole cannot be taken apart."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class _Reader:
    """What both formats share: substitution, and faults by path."""

    def __init__(self, environment: Mapping[str, str], faults: list[Fault]) -> None:
        self._environment = environment
        self._faults = faults
        self._n_values = 0

    def _substituted(self, text: str, path: str, line: int) -> str | None:
        """Return the text after substitution, or None, the fault noted."""
        try:
            return substitute(text, self._environment)
        except WrongReference as wrong:
            self._faults.append(
                Fault(path, line, "expected ${VAR}, ${env:VAR} or ${VAR:-default}, and $$ for a dollar sign", wrong.reference)
            )
            return None

    def _enter(self, depth: int, line: int) -> None:
        self._n_values += 1
        if depth > _DEEPEST:
            raise _Unreadable("is nested too deeply", line)
        if self._n_values > _MOST_VALUES:
            raise _Unreadable(f"stands for more than {_MOST_VALUES} values", line)

    def _put(self, mapping: dict[str, Node], key: str, value: Node, path: str, line: int) -> None:
        if key in mapping:
            self._faults.append(Fault(path, line, f"stands here twice, first in line {mapping[key].line}"))
        else:
            mapping[key] = value


# --- YAML -----------------------------------------------------------------------------------------------------

_STR: Final = "tag:yaml.org,2002:str"
_PLAIN: Final = "plain"
_NULL: Final = re.compile(r"null|Null|NULL|~|")
_BOOL: Final = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_INT: Final = 4000
"""Digits; Python refuses to convert many more, and no setting has them."""


def core_schema(text: str) -> Scalar:
    """Return what a plain scalar means by YAML's core schema."""
    if _NULL.fullmatch(text):
        return None
    if boolean := _BOOL.fullmatch(text):
        return boolean[1] is not None
    if len(text) <= _LONGEST_INT and _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NO_NUMBER.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


class _Yaml(_Reader):
    def __init__(self, text: str, environment: Mapping[str, str], faults: list[Fault]) -> None:
        super().__init__(environment, faults)
        self._text = text
        self._open: set[int] = set()

    def root(self) -> Node:
        try:
            import yaml
        except ImportError:
            raise _Unreadable("YAML needs PyYAML: pip install 'tracecore-native[yaml]' (JSON needs nothing)", None) from None
        self._yaml = yaml

        class Composer(yaml.SafeLoader):  # type: ignore[misc]
            def resolve(self, kind: type, value: Any, implicit: Any) -> Any:
                if kind is yaml.ScalarNode:
                    return _PLAIN if implicit[0] else _STR
                return super().resolve(kind, value, implicit)

        try:
            composer = Composer(self._text)
            try:
                root = composer.get_single_node()
            finally:
                composer.dispose()
        except yaml.MarkedYAMLError as fault:
            mark = fault.problem_mark or fault.context_mark
            words = ", ".join(filter(None, (fault.context, fault.problem)))
            raise _Unreadable(f"is not YAML: {words}", mark.line + 1 if mark else None) from None
        except yaml.YAMLError as fault:
            raise _Unreadable(f"is not YAML: {fault}", None) from None
        return Node(None, 1) if root is None else self._node(root, "", 0)

    def _node(self, node: Any, path: str, depth: int) -> Node:
        line = node.start_mark.line + 1
        self._enter(depth, line)
        if isinstance(node, self._yaml.ScalarNode):
            return self._scalar(node, path, line)
        if id(node) in self._open:
            raise _Unreadable(f"{path} contains itself", line)
        self._open.add(id(node))
        try:
            if isinstance(node, self._yaml.SequenceNode):
                items = enumerate(node.value)
                return Node([self._node(item, join(path, index), depth + 1) for index, item in items], line)
            return self._mapping(node, path, line, depth)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: Any, path: str, line: int, depth: int) -> Node:
        mapping: dict[str, Node] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, self._yaml.ScalarNode):
                self._faults.append(Fault(path, key_line, "expected keys that are texts"))
                continue
            key = str(key_node.value)
            value = self._node(value_node, join(path, key), depth + 1)
            if key == "<<" and key_node.tag == _PLAIN:
                # Not of YAML 1.2, but what people share the settings of two exporters with.
                merged.extend(value.value if isinstance(value.value, list) else [value])
                continue
            self._put(mapping, key, value, join(path, key), key_line)
        for source in merged:
            if not isinstance(source.value, dict):
                self._faults.append(Fault(join(path, "<<"), source.line, "expected a mapping to take keys from"))
                continue
            for key, value in source.value.items():
                mapping.setdefault(key, value)
        return Node(mapping, line)

    def _scalar(self, node: Any, path: str, line: int) -> Node:
        text = self._substituted(node.value, path, line)
        if text is None:
            return Node(None, line, is_wrong=True)
        if node.tag == _STR:
            return Node(text, line)
        value = core_schema(text)
        if node.tag == _PLAIN:
            return Node(value, line, text)
        wanted = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(node.tag.rpartition(":")[2])
        if wanted is float and type(value) is int:
            value = float(value)
        if wanted is None or type(value) is not wanted:
            self._faults.append(Fault(path, line, f"is no value of the tag {node.tag}", repr(text)))
            return Node(None, line, is_wrong=True)
        return Node(value, line, text)


# --- JSON -----------------------------------------------------------------------------------------------------

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_WORD: Final = re.compile(r"[-+.\w]+")
_LONE_REFERENCE: Final = re.compile(r"\$\{[^}]*\}")


class _Json(_Reader):
    """Taken apart a second time after `json`, which says what is wrong but not in which line a value stands."""

    def __init__(self, text: str, environment: Mapping[str, str], faults: list[Fault]) -> None:
        super().__init__(environment, faults)
        self._text = text
        self._line_ends = [found.start() for found in re.finditer("\n", text)]

    def root(self) -> Node:
        if not self._text.strip():
            return Node(None, 1)
        try:
            json.loads(self._text, parse_constant=self._no_constant)
        except json.JSONDecodeError as fault:
            raise _Unreadable(f"is not JSON: {fault.msg}", fault.lineno) from None
        except ValueError as fault:  # a number of too many digits
            raise _Unreadable(f"is not JSON: {fault}", None) from None
        return self._node(0, "", 0)[0]

    def _no_constant(self, name: str) -> None:
        raise _Unreadable(f"is not JSON: {name} is no value", None)

    def _node(self, at: int, path: str, depth: int) -> tuple[Node, int]:
        """Return the value that begins at `at` or after blanks, and where it ends."""
        at = self._after_blanks(at)
        line = self._line(at)
        self._enter(depth, line)
        if self._text[at] == "{":
            mapping: dict[str, Node] = {}
            at = self._after_blanks(at + 1)
            while self._text[at] != "}":
                key_line = self._line(at)
                key, at = scanstring(self._text, at + 1, True)
                value, at = self._node(self._after_blanks(at) + 1, join(path, key), depth + 1)
                self._put(mapping, key, value, join(path, key), key_line)
                at = self._after_blanks(self._after_comma(at))
            return Node(mapping, line), at + 1
        if self._text[at] == "[":
            items: list[Node] = []
            at = self._after_blanks(at + 1)
            while self._text[at] != "]":
                item, at = self._node(at, join(path, len(items)), depth + 1)
                items.append(item)
                at = self._after_blanks(self._after_comma(at))
            return Node(items, line), at + 1
        if self._text[at] == '"':
            raw, at = scanstring(self._text, at + 1, True)
            text = self._substituted(raw, path, line)
            if text is None:
                return Node(None, line, is_wrong=True), at
            if not _LONE_REFERENCE.fullmatch(raw):
                return Node(text, line), at
            # Unset is null, as in YAML; any other text has a second meaning, where the schema wants no text.
            return Node(text or None, line, text), at
        word = _WORD.match(self._text, at)
        assert word is not None  # json.loads has read this text
        return Node(json.loads(word[0]), line, word[0]), word.end()

    def _after_blanks(self, at: int) -> int:
        blanks = _BLANKS.match(self._text, at)
        return blanks.end() if blanks else at

    def _after_comma(self, at: int) -> int:
        at = self._after_blanks(at)
        return at + 1 if self._text[at] == "," else at

    def _line(self, at: int) -> int:
        return bisect_left(self._line_ends, at) + 1
