"""Lines added to a TOML file made to look like those around them.

A TOML library puts new tables and keys in the right place, but at the left margin and without an
empty line: in a file that indents its tables the diff would be hard to read.
"""

from __future__ import annotations

import re
import tomllib
from difflib import SequenceMatcher

_HEADER = re.compile(r"^([ \t]*)\[(?!\[)")
_KEY = re.compile(r"^([ \t]*)(?:[A-Za-z0-9_-]|\"|')")


def laid_out(before: str, after: str) -> str:
    """after, with its added lines indented as their neighbours and set apart from the next table.

    What it means is not changed: if it would be, after comes back as it is.
    """
    step = _step(before)
    lines: list[str] = []
    table: str | None = None
    new_table = False
    margins: dict[int, str] = {}  # by the depth of a table
    for line, added in _marked(before.splitlines(), after.splitlines()):
        found = _HEADER.match(line)
        if added and found:
            line = margins.get(line.count("."), table or "") + line.lstrip()
        elif added and line.strip():
            line = _indent_of(lines, "" if table is None else table + step) + line.lstrip()
        if found:
            if (added or new_table) and lines and lines[-1].strip():
                lines.append("")
            table, new_table = line[: len(line) - len(line.lstrip())], added
            margins[line.count(".")] = table
        lines.append(line)
    text = "\n".join(lines) + ("\n" if after.endswith("\n") else "")
    return text if _means(text) == _means(after) else after


def _marked(before: list[str], after: list[str]) -> list[tuple[str, bool]]:
    """Each line of after, and whether it is not in before."""
    marked = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, _, _, start, end in matcher.get_opcodes():
        replaced = kind in ("insert", "replace")
        marked += [(line, replaced) for line in after[start:end]]
    return marked


def _step(text: str) -> str:
    """How far keys stand to the right of their table's header; empty when they do not."""
    header = None
    for line in text.splitlines():
        if found := _HEADER.match(line):
            header = found[1]
        elif header is not None and (key := _KEY.match(line)):
            return key[1][len(header) :] if key[1].startswith(header) else ""
    return ""


def _indent_of(lines: list[str], fallback: str) -> str:
    """The indentation of the key above, if the line above is one of the same table."""
    for line in reversed(lines):
        if _HEADER.match(line):
            break
        if key := _KEY.match(line):
            return key[1]
    return fallback


def _means(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
