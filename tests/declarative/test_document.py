"""Files become nodes: YAML by its core schema, JSON, references in both, and what cannot be read."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from files import faults_of, write
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecore.declarative.document import core_schema, plain, read
from tracecore.declarative.faults import ConfigurationFileError

VARIABLES = {
    "STRING": "value",
    "BOOL": "true",
    "INT": "1",
    "FLOAT": "1.1",
    "HEX": "0xdeadbeef",
    "MAP": "value\nkey: value",
    "LIST": "[1, 2]",
    "NULL": "null",
}


def value_of(tmp_path: Path, text: str, name: str = "otel.yaml") -> Any:
    root, faults = read(write(tmp_path, text, name), VARIABLES)
    assert faults == []
    return plain(root)["key"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${STRING}", "value"),
        ("${BOOL}", True),
        ("${INT}", 1),
        ("${FLOAT}", 1.1),
        ("${HEX}", 0xDEADBEEF),
        ("${NULL}", None),
        ("${UNDEFINED}", None),
        ('"${UNDEFINED}"', ""),
        ('"${STRING}"', "value"),
        ('"${BOOL}"', "true"),
        ("'${INT}'", "1"),
        ('"${FLOAT}"', "1.1"),
        ('"${HEX}"', "0xdeadbeef"),
        ("${MAP}", "value\nkey: value"),
        ("${LIST}", "[1, 2]"),
        ("foo ${STRING} ${FLOAT}", "foo value 1.1"),
        ("${INT}${INT}", 11),
        ("${UNDEFINED:-5}", 5),
        ("$${INT}", "${INT}"),
        ("!!str ${INT}", "1"),
        ("!!float ${INT}", 1.0),
        ("|\n  ${INT}\n  ${BOOL}\n", "1\ntrue\n"),
        ("# ${1WRONG} is a comment\n  5", 5),
    ],
)
def test_a_plain_value_gets_its_type_after_substitution_and_a_quoted_one_is_text(
    tmp_path: Path, written: str, expected: object
) -> None:
    value = value_of(tmp_path, f"key: {written}")
    assert (value, type(value)) == (expected, type(expected))


def test_keys_are_not_substituted(tmp_path: Path) -> None:
    root, _ = read(write(tmp_path, "${STRING}: 1\n'${1WRONG}': 2"), VARIABLES)
    assert plain(root) == {"file_format": "1.0", "${STRING}": 1, "${1WRONG}": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("+12", 12),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("TRUE", True),
        ("~", None),
        ("", None),
        ("0b1", "0b1"),
        ("9" * 5000, float("inf")),
    ],
)
def test_plain_texts_mean_what_the_core_schema_says(text: str, expected: object) -> None:
    value = core_schema(text)
    assert (value, type(value)) == (expected, type(expected))


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\u2028\u2029\x85"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=12,
)


def escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return {key: escaped(item) for key, item in value.items()} if isinstance(value, dict) else value


@settings(max_examples=60, deadline=None)
@given(data=st.dictionaries(st.text("abc", min_size=1, max_size=3), DATA, max_size=3))
def test_what_json_and_pyyaml_write_is_read_back(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("files")
    (directory / "a.json").write_text(json.dumps(escaped(data), indent=1))
    (directory / "b.json").write_text(json.dumps(escaped(data), ensure_ascii=False, separators=(",", ":")))
    for name in ("a.json", "b.json"):
        root, faults = read(directory / name, {})
        assert (plain(root), faults) == (data, [])
    (directory / "c.yaml").write_text(yaml.safe_dump(escaped(data), allow_unicode=True), encoding="utf-8")
    root, faults = read(directory / "c.yaml", {})
    if data:
        # A float that PyYAML writes without a dot before its exponent is one to the core schema only.
        assert (plain(root), faults) == (data, [])


def test_json_knows_the_line_of_every_value(tmp_path: Path) -> None:
    root, _ = read(write(tmp_path, '{\n "a": 1,\n "b": [\n  {"c": "x\\n"},\n  true]\n}', "a.json"), {})
    b = root.any()["b"]
    assert (root.line, root.any()["a"].line, b.line, b.any()[0].any()["c"].line, b.any()[1].line) == (1, 2, 3, 4, 5)


def test_in_json_a_lone_reference_may_be_a_number_where_one_is_wanted(tmp_path: Path) -> None:
    text = '{"file_format": "1.0", "disabled": "${BOOL}", "key": "${UNDEFINED}", "other": "a${UNDEFINED}"}'
    root, _ = read(write(tmp_path, text, "a.json"), VARIABLES)
    assert plain(root) == {"file_format": "1.0", "disabled": "true", "key": None, "other": "a"}
    assert root.any()["disabled"].source == "true"
    assert root.any()["other"].source is None


def test_anchors_and_merge_keys_share_settings(tmp_path: Path) -> None:
    text = """
    base: &base {a: 1, b: "${INT}", c: "$${INT}"}
    key:
      <<: *base
      b: 2
    again: *base
    """
    root, faults = read(write(tmp_path, text), VARIABLES)
    assert faults == []
    assert plain(root)["key"] == {"a": 1, "b": 2, "c": "${INT}"}
    assert plain(root)["again"] == {"a": 1, "b": "1", "c": "${INT}"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [1", "line 2: is not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n--- \nb: 2", "line 3: is not YAML: expected a single document in the stream, but found another document"),
        ("a: &a {b: *a}", "line 2: a.b contains itself"),
        ("a: 1\na: 2", "a (line 3): stands here twice, first in line 2"),
        ("? [1, 2]\n: 3", "line 2: expected keys that are texts"),
        ("a: !!int x", "a='x' (line 2): is no value of the tag tag:yaml.org,2002:int"),
        ("a: !!binary aGk=", "a='aGk=' (line 2): is no value of the tag tag:yaml.org,2002:binary"),
        ("a: !ours x", "a='x' (line 2): is no value of the tag !ours"),
        ("<<: 5", "<< (line 2): expected a mapping to take keys from"),
        (
            "a: [1, '${B:?c}']",
            "a[1]=${B:?c} (line 2): expected ${VAR}, ${env:VAR} or ${VAR:-default}, and $$ for a dollar sign",
        ),
        ("a: " + "[" * 200 + "]" * 200, "line 2: is nested too deeply"),
        ("a: \x07", "is not YAML: "),
    ],
)
def test_what_is_wrong_with_a_yaml_file_is_said_with_its_place(tmp_path: Path, text: str, fault: str) -> None:
    assert faults_of(tmp_path, text)[0].startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"a": 1,\n}', "line 1: is not JSON: Illegal trailing comma before end of object"),
        ('{"a": NaN}', "is not JSON: NaN is no value"),
        ('{"a": 1,\n "a": 2}', "a (line 2): stands here twice, first in line 1"),
        ("[1]", "line 1: expected a mapping at the top"),
        ("", "line 1: is empty"),
        ('{"a": "${}"}', "a=${} (line 1): expected ${VAR}, ${env:VAR}"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "line 1: is nested too deeply"),
    ],
)
def test_what_is_wrong_with_a_json_file_is_said_with_its_place(tmp_path: Path, text: str, fault: str) -> None:
    found = faults_of(tmp_path, text, "otel.json")
    if sys.version_info < (3, 13) and "trailing comma" in fault:
        fault = "line 2: is not JSON: Expecting property name enclosed in double quotes"
    assert any(each.startswith(fault) for each in found), found


def test_aliases_of_aliases_do_not_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "stands for more than 100000 values" in faults_of(tmp_path, "\n".join(lines))[0]


def test_a_file_that_is_not_there_or_has_another_name_is_refused(tmp_path: Path) -> None:
    for file, words in [
        (str(tmp_path / "none.yaml"), "cannot be read: No such file or directory"),
        (str(tmp_path), "expected the name of a file that ends in .yaml, .yml or .json"),
        (write(tmp_path, "", "otel.toml"), "expected the name of a file that ends in .yaml, .yml or .json"),
    ]:
        with pytest.raises(ConfigurationFileError) as refused:
            read(file, {})
        assert str(refused.value) == f"{file}: {words}"


def test_a_directory_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").mkdir()
    (tmp_path / "b.yaml").write_bytes(b"a: \xff")
    for name, words in [("d.yaml", "cannot be read: Is a directory"), ("b.yaml", "is not UTF-8: invalid start byte at byte 3")]:
        with pytest.raises(ConfigurationFileError, match=words):
            read(tmp_path / name, {})


def test_without_pyyaml_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (fault,) = faults_of(tmp_path, "a: 1")
    assert fault == "YAML needs PyYAML: pip install 'tracecore-native[yaml]' (JSON needs nothing)"
    root, _ = read(write(tmp_path, '{"a": 1}', "a.json"), {})
    assert plain(root) == {"a": 1}
