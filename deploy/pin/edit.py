"""Writing pins into text: only the characters of the images change."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import unified_diff

from deploy.pin.files import Change
from deploy.pin.plan import Pin


def edited(text: str, pins: Iterable[Pin]) -> str:
    """The text with every pin's field replaced; pins are of this text and in any order."""
    parts = []
    position = 0
    for pin in sorted(pins, key=lambda item: item.place.field.start):
        field = pin.place.field
        parts += [text[position : field.start], pin.after]
        position = field.end
    return "".join((*parts, text[position:]))


def diff(change: Change) -> str:
    """A unified diff with three lines of context; empty when nothing changes."""
    name = str(change.path)
    lines = unified_diff(
        (change.before or "").splitlines(keepends=True),
        change.after.splitlines(keepends=True),
        "/dev/null" if change.before is None else name,
        name,
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
