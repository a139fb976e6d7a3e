"""Patterns of Harbor's rules on tags and repositories, in the syntax of bmatcuk/doublestar.

`*` and `?` stop at a slash, `**` does not; `[a-z]`, `[^a-z]`, `{one,other}` and `\\` as usual.
"""

from __future__ import annotations

import re
from functools import cache


def matches(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern as a whole; a pattern that is not well formed matches
    nothing, as in Harbor."""
    compiled = _compile(pattern)
    return compiled is not None and compiled.fullmatch(name) is not None


def is_pattern(text: str) -> bool:
    """Whether it can match anything at all: not empty, its brackets and braces closed."""
    return bool(text) and _compile(text) is not None


@cache
def _compile(pattern: str) -> re.Pattern[str] | None:
    try:
        text, rest = _translate(pattern, 0, "")
        return re.compile(text) if rest == len(pattern) else None
    except (re.error, _BadPattern):
        return None


class _BadPattern(Exception):
    """Brackets or braces that do not close."""


def _translate(pattern: str, at: int, stop: str) -> tuple[str, int]:
    """The regular expression for pattern from `at` up to a character of stop, and where that is."""
    parts: list[str] = []
    while at < len(pattern) and pattern[at] not in stop:
        char = pattern[at]
        if pattern.startswith("**/", at):
            parts.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            parts.append(".*")
            at += 2
        elif char == "*":
            parts.append("[^/]*")
            at += 1
        elif char == "?":
            parts.append("[^/]")
            at += 1
        elif char == "[":
            text, at = _bracket(pattern, at)
            parts.append(text)
        elif char == "{":
            text, at = _braces(pattern, at)
            parts.append(text)
        else:
            at += char == "\\"
            parts.append(re.escape(pattern[at : at + 1]))
            at += 1
    return "".join(parts), at


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    end = pattern.find("]", at + 2)
    if end < 0:
        raise _BadPattern
    inside = pattern[at + 1 : end]
    negated = inside[0] in "^!"
    chars = inside[1:] if negated else inside
    # Two dashes may come to mean a set difference in Python's syntax, which warns of them.
    escaped = re.sub(r"([\\\[&~|^])", r"\\\1", chars).replace("--", r"-\-")
    return f"[{'^/' if negated else ''}{escaped}]", end + 1


def _braces(pattern: str, at: int) -> tuple[str, int]:
    options: list[str] = []
    while at < len(pattern) and pattern[at] in "{,":
        text, at = _translate(pattern, at + 1, ",}")
        options.append(text)
    if at >= len(pattern):
        raise _BadPattern
    return f"(?:{'|'.join(options)})", at + 1
