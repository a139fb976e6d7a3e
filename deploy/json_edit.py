"""Values set in a JSON text, everything else left as it was written.

json.dumps would give the same object back in another form: a diff full of lines that nobody
changed, escapes and numbers written another way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class _Member:
    """Where a member of an object stands: the start of its key, and its value's start and end."""

    key: str
    start: int
    value: int
    end: int


def set_value(text: str, path: Sequence[str], value: Any) -> str:
    """A JSON object's text with the value under a path of keys set; objects on the way are made.

    text: valid JSON, an object. A value on the way that is no object is replaced.
    """
    position = _SPACE.match(text).end()  # type: ignore[union-attr]
    for depth, key in enumerate(path):
        members = _members(text, position)
        found = next((item for item in members if item.key == key), None)
        rest = path[depth + 1 :]
        if found is None:
            return _insert(text, position, members, key, _nested(rest, value))
        if not rest or text[found.value] != "{":
            written = _written(_nested(rest, value), *_style(text, members, found.start))
            return text[: found.value] + written + text[found.end :]
        position = found.value
    return text


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _members(text: str, start: int) -> list[_Member]:
    """The members of the object that begins at start."""
    decoder = json.JSONDecoder(parse_int=float)  # int() refuses thousands of digits

    def skip(position: int) -> int:
        return _SPACE.match(text, position).end()  # type: ignore[union-attr]

    members = []
    position = skip(start + 1)
    while text[position] == '"':
        key, end = decoder.raw_decode(text, position)
        value = skip(skip(end) + 1)
        _, after = decoder.raw_decode(text, value)
        members.append(_Member(key, position, value, after))
        position = skip(after)
        if text[position] != ",":
            break
        position = skip(position + 1)
    return members


def _insert(text: str, start: int, members: list[_Member], key: str, value: Any) -> str:
    if members:
        last = members[-1]
        indent, step = _style(text, members, last.start)
        gap = _gap(text, last.start) or ("" if len(members) > 1 else " ")
        added = f",{gap}{json.dumps(key)}: {_written(value, indent, step)}"
        return text[: last.end] + added + text[last.end :]
    end = _SPACE.match(text, start + 1).end()  # type: ignore[union-attr]
    outer = _line_indent(text, start)
    indent = outer + (_unit(text) or "    ")
    added = (
        f"\n{indent}{json.dumps(key)}: {_written(value, indent, _unit(text) or '    ')}\n{outer}"
    )
    return text[: start + 1] + added + text[end:]


def _gap(text: str, position: int) -> str:
    """The white space before a position."""
    start = position
    while text[start - 1] in " \t\r\n":
        start -= 1
    return text[start:position]


def _style(text: str, members: list[_Member], position: int) -> tuple[str, str]:
    """A member's indentation and the step to deeper ones; both empty when all is on one line."""
    if not any("\n" in _gap(text, member.start) for member in members):
        return "", ""
    return _line_indent(text, position), _unit(text) or "    "


def _line_indent(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip())]


def _unit(text: str) -> str:
    found = re.search(r"\n([ \t]+)\"", text)
    return found[1] if found else ""


def _written(value: Any, indent: str, step: str) -> str:
    if not step:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, indent=step, ensure_ascii=False).replace("\n", "\n" + indent)
