"""Values set in a TOML text of any notation: what it means afterwards, and what was not touched."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.toml_edit import drop_table, set_value
from registry.errors import BadInput

NAMES = ["a", "b", "io.x", "ö", 'q"']
LEAVES = st.sampled_from([
    "1", "true", '"s#]"', "'l'", "[1, [2]] ", '["x", # in\n  "y"]', '"""\n[a]\nb = 1"""',
    "1979-05-27 07:32:00",
])  # fmt: skip
TREES = st.recursive(
    st.dictionaries(st.sampled_from(NAMES), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(NAMES), LEAVES | inner, max_size=3),
    max_leaves=10,
)
PATHS = st.lists(st.sampled_from([*NAMES, "new"]), min_size=1, max_size=4)


def quoted(key: str, draw: st.DataObject) -> str:
    ways = ['"' + key.replace('"', '\\"') + '"']
    ways += [f"'{key}'"] if "'" not in key else []
    ways += [key] if re.fullmatch("[a-z]+", key) else []
    return draw.draw(st.sampled_from(ways))


def written(tree: dict[str, Any], draw: st.DataObject) -> str:
    """The tree as text: each table under a header, by dotted keys or inline, in any order."""
    sections: list[str] = []
    count = 0

    def comment() -> str:
        nonlocal count
        count += 1
        return f" # c{count}" if draw.draw(st.booleans()) else ""

    def inline(value: Any) -> str:
        if not isinstance(value, dict):
            return str(value)
        inner = (f"{quoted(key, draw)} = {inline(item)}" for key, item in value.items())
        return "{" + ", ".join(inner) + "}"

    def pairs(value: dict[str, Any], prefix: str) -> list[str]:
        lines = []
        for key, item in value.items():
            name = prefix + quoted(key, draw)
            if not isinstance(item, dict):
                lines.append(f"{name} = {item}{comment()}")
            elif "\n" not in inline(item) and draw.draw(st.booleans()):
                lines.append(f"{name} = {inline(item)}{comment()}")
            elif draw.draw(st.booleans()) and item:
                lines += pairs(item, f"{name}.")
            elif not prefix:
                later.append((key, item))
            else:
                lines += pairs(item, f"{name}.")
        return lines

    waiting: list[tuple[list[str], dict[str, Any]]] = [([], tree)]
    while waiting:
        path, value = waiting.pop()
        later: list[tuple[str, dict[str, Any]]] = []
        margin = draw.draw(st.sampled_from(["", "  ", "\t"]))
        lines = [margin + line for line in pairs(value, "")]
        if path:
            head = ".".join(quoted(key, draw) for key in path)
            lines.insert(0, f"{margin}[{head}]{comment()}")
            sections.append("\n".join(lines) + "\n")
        else:
            root = "\n".join(lines) + ("\n" if lines else "")
        waiting += [([*path, key], item) for key, item in later]
    order = draw.draw(st.permutations(sections))
    return root + draw.draw(st.sampled_from(["", "\n"])).join(order)


@given(tree=TREES, path=PATHS, value=st.sampled_from([True, "x", 'y"', ["a", "b"]]), data=st.data())
def test_the_value_is_there_and_the_rest_as_before(
    tree: dict[str, Any], path: list[str], value: Any, data: st.DataObject
) -> None:
    text = written(tree, data)
    expected = tomllib.loads(text)
    inner: Any = expected
    for key in path[:-1]:
        inner = inner.setdefault(key, {}) if isinstance(inner, dict) else None
    if not isinstance(inner, dict):
        with pytest.raises(BadInput):
            set_value(text, path, value)
        return
    inner[path[-1]] = value
    try:
        edited = set_value(text, path, value)
    except BadInput:
        # Said, not done: TOML has no way to add there, or to put a value for a table of headers.
        return
    assert tomllib.loads(edited) == expected
    replaced = isinstance(tomllib.loads(text).get(path[0]), dict)
    assert replaced or set(re.findall(r"# c\d+", text)) <= set(re.findall(r"# c\d+", edited))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "x = true\n"),
        ("[a]\n  b = 1 # one\n\n[c]\n", "[a]\n  b = 1 # one\n  x = true\n\n[c]\n"),
        ("a.b = 1\n[c]\n", "a.b = 1\na.x = true\n[c]\n"),
        ("a = {b = 1} # inline\n", "a = {b = 1, x = true} # inline\n"),
        ("a = {}\n", "a = {x = true}\n"),
        ("[c]\n  d = 1\n", "[c]\n  d = 1\n\n[a]\n  x = true\n"),
        ("[a.b]\n[c]\n", "[a.b]\n\n[a]\nx = true\n\n[c]\n"),
        ("[ 'a' ]\nx  =  false# no\n", "[ 'a' ]\nx  =  true# no\n"),
    ],
)
def test_it_is_written_as_the_rest_is(before: str, after: str) -> None:
    path = ["a", "x"] if before else ["x"]
    assert set_value(before, path, True) == after


def test_a_table_is_taken_out_with_all_its_parts() -> None:
    text = '[p."l.x"]\nr = 1 # gone\n[p."l.x".y]\nz = 1\n\n# stays\n[q]\np = 1\n[p."l.x".z]\n'
    assert drop_table(text, ["p", "l.x"]) == "# stays\n[q]\np = 1\n"
    assert drop_table('p."l.x".r = 1\np.m = 2\n', ["p", "l.x"]) == "p.m = 2\n"
    with pytest.raises(BadInput, match="cannot be changed in the way this file is written"):
        drop_table('p = {"l.x" = {r = 1}}\n', ["p", "l.x"])
