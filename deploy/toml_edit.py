"""Values set in a TOML text and tables taken out of it, everything else left as it was written.

The text is edited where its statements stand; what they mean is read by tomllib, before and after,
so that an edit either does what was asked or is refused. (A library that parses into an editable
document was tried: it lost keys of tables whose parts are apart from each other, without a word.)
Grammar: TOML 1.0.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.errors import BadInput

Path = tuple[str, ...]

_PART = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_ONE = re.compile(_PART)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|$)")
_SCALAR = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,#\]}]*|[^\s,#\]}]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)


@dataclass(frozen=True)
class Header:
    """A line `[path]`. start, end: of the line, its end after the line break."""

    path: Path
    start: int
    end: int
    margin: str
    repeated: bool


@dataclass(frozen=True)
class Pair:
    """A `key = value` under a header. path: the whole, the header's included.

    start, end: of its line or lines; value, value_end: of the value.
    """

    table: Path
    path: Path
    start: int
    value: int
    value_end: int
    end: int
    margin: str
    repeated: bool


Statement = Header | Pair


def set_value(text: str, path: Sequence[str], value: bool | int | str | Sequence[str]) -> str:
    """The text with the value under a path of keys set; tables on the way are made.

    text: TOML with lines ending in LF. Raises BadInput where the value cannot be put.
    """
    wanted = tuple(path)
    edited = _set(text if text.endswith("\n") or not text else text + "\n", wanted, _literal(value))
    expected = _read(text)
    inner = expected
    for key in wanted[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise _cannot(wanted)
    inner[wanted[-1]] = list(value) if isinstance(value, list | tuple) else value
    return _checked(edited, expected, wanted)


def drop_table(text: str, path: Sequence[str]) -> str:
    """The text without the table at a path; BadInput where it is written in a way of its own."""
    wanted = tuple(path)
    edited = text
    for item in reversed(_sections(_statements(text))):
        first = item[0]
        if isinstance(first, Header) and first.path[: len(wanted)] == wanted:
            end = item[-1].end
            after = _BLANK.match(edited, end)
            blank = after is not None and not after[0].strip() and after.end() > end
            edited = edited[: first.start] + edited[after.end() if blank and after else end :]
            continue
        for pair in reversed(item):
            if isinstance(pair, Pair) and pair.path[: len(wanted)] == wanted:
                edited = edited[: pair.start] + edited[pair.end :]
    expected = _read(text)
    inner = expected
    for key in wanted[:-1]:
        inner = inner.get(key, {})
    inner.pop(wanted[-1], None)
    return _checked(edited, expected, wanted)


def _checked(text: str, expected: dict[str, Any], path: Path) -> str:
    try:
        found = _read(text)
    except tomllib.TOMLDecodeError as error:
        raise _cannot(path) from error
    if _filled(found) != _filled(expected):
        raise _cannot(path)
    return text


def _filled(value: Any) -> Any:
    """A value without tables that hold nothing: taking the last key out may take the table too."""
    if not isinstance(value, dict):
        return value
    inner = {key: _filled(item) for key, item in value.items()}
    return {key: item for key, item in inner.items() if item != {}}


def _read(text: str) -> dict[str, Any]:
    return copy.deepcopy(tomllib.loads(text))


def _cannot(path: Path) -> BadInput:
    return BadInput(
        f"{dotted(path)} cannot be changed in the way this file is written",
        "",
        "write its tables with [headers], or start from `containerd config default`",
    )


def dotted(path: Sequence[str]) -> str:
    """A path of keys as TOML writes it."""
    return ".".join(
        key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False) for key in path
    )


def _literal(value: bool | int | str | Sequence[str]) -> str:
    # A JSON string, number or list of strings is TOML too.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _set(text: str, path: Path, literal: str) -> str:
    statements = _statements(text)
    pairs = [item for item in statements if isinstance(item, Pair) and not item.repeated]
    for pair in pairs:
        if pair.path == path:
            return text[: pair.value] + literal + text[pair.value_end :]
        if pair.path == path[: len(pair.path)] and text[pair.value] == "{":
            return _set_inline(text, pair.value, path[len(pair.path) :], literal)
    parent = path[:-1]
    for section in _sections(statements):
        first = section[0]
        if isinstance(first, Header) and first.path == parent and not first.repeated:
            return _add_line(text, section, f"{dotted(path[-1:])} = {literal}\n")
    siblings = [pair for pair in pairs if pair.path[: len(parent)] == parent]
    by_dots = [pair for pair in siblings if len(pair.table) < len(parent)]
    if not parent or by_dots:
        return _add_dotted(text, statements, by_dots, path, literal)
    return _add_table(text, statements, parent, f"{dotted(path[-1:])} = {literal}\n")


def _add_line(text: str, section: list[Statement], line: str) -> str:
    """A line put after the last one of a section, under its neighbours."""
    last = section[-1]
    margin = last.margin if isinstance(last, Pair) else last.margin + _step(text)
    return text[: last.end] + margin + line + text[last.end :]


def _add_dotted(
    text: str, statements: list[Statement], siblings: list[Pair], path: Path, literal: str
) -> str:
    """A line beside those that make its table by dotted keys; at the top for the root table."""
    if siblings:
        last = siblings[-1]
        line = f"{last.margin}{dotted(path[len(last.table) :])} = {literal}\n"
        return text[: last.end] + line + text[last.end :]
    root = [item for item in statements if isinstance(item, Pair) and not item.table]
    end = root[-1].end if root else 0
    return text[:end] + f"{dotted(path)} = {literal}\n" + text[end:]


def _add_table(text: str, statements: list[Statement], table: Path, line: str) -> str:
    """A new table after those nearest to it in name, at the margin of those as deep as it."""
    headers = [item for item in statements if isinstance(item, Header)]
    margins = {len(header.path): header.margin for header in headers}
    margin = margins.get(len(table), headers[-1].margin if headers else "")
    place = len(text)
    sections = _sections(statements)
    for length in range(len(table), 0, -1):
        near = [part for part in sections if isinstance(part[0], Header)
                and part[0].path[:length] == table[:length]]  # fmt: skip
        if near:
            place = near[-1][-1].end
            break
    before, after = text[:place], text[place:]
    gap = "\n" if before.strip() and not before.endswith("\n\n") else ""
    rest = "\n" if after.strip() and not after.startswith("\n") else ""
    block = f"{margin}[{dotted(table)}]\n{margin}{_step(text)}{line}"
    return before + gap + block + rest + after


def _set_inline(text: str, start: int, path: Path, literal: str) -> str:
    """Set a value in the inline table that begins at start."""
    position, last = start + 1, None
    while True:
        position = _skip(text, position)
        if text[position] == "}":
            break
        if text[position] == ",":
            position += 1
            continue
        key = _KEY.match(text, position)
        if key is None:
            raise _cannot(path)
        name = _names(key[0])
        value = _skip(text, _skip(text, key.end()) + 1)
        last = _value_end(text, value)
        if name == path:
            return text[:value] + literal + text[last:]
        if name == path[: len(name)] and text[value] == "{":
            return _set_inline(text, value, path[len(name) :], literal)
        position = last
    added = f"{dotted(path[:1])} = {_nested(path[1:], literal)}"
    if last is None:
        return text[: start + 1] + added + text[position:]
    return text[:last] + ", " + added + text[last:]


def _nested(path: Path, literal: str) -> str:
    for key in reversed(path):
        literal = f"{{{dotted((key,))} = {literal}}}"
    return literal


def _step(text: str) -> str:
    """How far keys stand to the right of their table's header, as the first one does."""
    header: Header | None = None
    for item in _statements(text):
        if isinstance(item, Header):
            header = item
        elif header is not None:
            return item.margin.removeprefix(header.margin)
    return ""


def _sections(statements: list[Statement]) -> list[list[Statement]]:
    """The statements by the header they stand under, which comes first; the root's have none."""
    sections: list[list[Statement]] = []
    for item in statements:
        if isinstance(item, Header) or not sections:
            sections.append([])
        sections[-1].append(item)
    return sections


def _statements(text: str) -> list[Statement]:
    found: list[Statement] = []
    table: Path = ()
    repeated = False
    position = 0
    while position < len(text):
        blank = _BLANK.match(text, position)
        if blank is not None:
            position = max(blank.end(), position + 1)
            continue
        start = position
        position = _skip(text, position)
        margin = text[start:position]
        if text[position] == "[":
            repeated = text.startswith("[[", position)
            key = _KEY.match(text, _skip(text, position + (2 if repeated else 1)))
            end = _line_end(text, position)
            table = _names(key[0]) if key else ()
            found.append(Header(table, start, end, margin, repeated))
        else:
            key = _KEY.match(text, position)
            if key is None:
                raise _cannot(table)
            value = _skip(text, _skip(text, key.end()) + 1)
            value_end = _value_end(text, value)
            end = _line_end(text, value_end)
            path = table + _names(key[0])
            found.append(Pair(table, path, start, value, value_end, end, margin, repeated))
        position = end
    return found


def _names(key: str) -> Path:
    parts = (match[0] for match in _ONE.finditer(key))
    return tuple(
        str(tomllib.loads(f"key = {part}")["key"]) if part[0] in "\"'" else part for part in parts
    )


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t":
        position += 1
    return position


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def _value_end(text: str, position: int) -> int:
    if text[position] in "\"'":
        string = _STRING.match(text, position)
        return string.end() if string else len(text)
    if text[position] not in "[{":
        scalar = _SCALAR.match(text, position)
        return scalar.end() if scalar else position
    depth = 0
    while position < len(text):
        character = text[position]
        if character in "\"'":
            position = _value_end(text, position)
            continue
        if character == "#":
            position = _line_end(text, position)
            continue
        depth += (character in "[{") - (character in "]}")
        position += 1
        if depth == 0:
            break
    return position
