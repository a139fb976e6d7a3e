"""Values set in a JSON text: what is there afterwards, and what was not touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.json_edit import set_value

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "{", '"', "é"]), VALUES, max_size=4)
KEYS = st.lists(st.sampled_from(["a", "b", "c", '"']), min_size=1, max_size=3)


@given(
    value=OBJECTS,
    path=KEYS,
    new=VALUES,
    indent=st.sampled_from([None, 2, 4, "\t"]),
    compact=st.booleans(),
)
def test_the_value_is_there_and_the_rest_as_before(
    value: dict[str, Any], path: list[str], new: Any, indent: int | str | None, compact: bool
) -> None:
    text = json.dumps(value, indent=indent, separators=(",", ":") if compact else None)
    expected = json.loads(text)
    inner = expected
    for key in path[:-1]:
        if not isinstance(inner.get(key), dict):
            inner[key] = {}
        inner = inner[key]
    inner[path[-1]] = new
    after = set_value(text, path, new)
    assert json.loads(after) == expected
    assert list(json.loads(after)) == list(expected)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a": 1.10, "b": "\\u00e9"}', '{"a": 1.10, "b": "\\u00e9", "x": {"y": 1}}'),
        (
            '{\n\t"a": ["1", "2"],\n\t"x": {"z": 0}\n}\n',
            '{\n\t"a": ["1", "2"],\n\t"x": {"z": 0, "y": 1}\n}\n',
        ),
        ('{\n  "a": 1\n}', '{\n  "a": 1,\n  "x": {\n    "y": 1\n  }\n}'),
        ("{}", '{\n    "x": {\n        "y": 1\n    }\n}'),
        ('{\n  "x": {}\n}', '{\n  "x": {\n    "y": 1\n  }\n}'),
        ('{"x": null}', '{"x": {"y": 1}}'),
    ],
)
def test_it_is_written_as_the_rest_is(before: str, after: str) -> None:
    assert set_value(before, ["x", "y"], 1) == after
