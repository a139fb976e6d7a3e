"""Writing pins into text: only the characters of the images change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import unified_diff

from deploy.pin.files import Change
from deploy.pin.parted import Edit
from deploy.pin.plan import Pin
from registry.errors import BadInput

_SECRET = re.compile(r"""\bkind\\?["']?\s*:\s*\\?["']?Secret\b""")
_AROUND = 3  # lines of context


def edited(text: str, pins: Iterable[Pin]) -> str:
    """The text with every pin's field replaced; pins are of this text and in any order.

    Raises BadInput where an image's new name has no place.
    """
    parts = []
    position = 0
    for start, end, after in sorted(edit for pin in pins for edit in _edits(pin)):
        parts += [text[position:start], after]
        position = end
    return "".join((*parts, text[position:]))


def _edits(pin: Pin) -> list[Edit]:
    field = pin.place.field
    if field.parts is None:
        return [(field.start, field.end, pin.after)]
    try:
        return field.parts.edits(field.image, pin.after)
    except BadInput as error:
        raise BadInput(f"{pin.place}: {field.image}: {error.why}", "", error.hint) from error


def holds_secrets(change: Change) -> bool:
    """Whether lines around a change may be a Secret's, which no log should hold."""
    return _SECRET.search(change.after) is not None


def diff(change: Change) -> str:
    """A unified diff with three lines of context; empty when nothing changes."""
    name = str(change.path)
    before = (change.before or "").splitlines(keepends=True)
    after = change.after.splitlines(keepends=True)
    old = "/dev/null" if change.before is None else name
    if len(before) == len(after):
        lines = [f"--- {old}\n", f"+++ {name}\n", *_hunks(before, after)]
    else:
        lines = list(unified_diff(before, after, old, name))
    if change.before == change.after:
        return ""
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _hunks(before: list[str], after: list[str]) -> Iterator[str]:
    """The hunks where lines differ in place, as pins do; difflib takes seconds for thousands."""
    changed = [number for number, line in enumerate(before) if line != after[number]]
    while changed:
        together = 1
        while (
            together < len(changed) and changed[together] - changed[together - 1] <= 2 * _AROUND + 1
        ):
            together += 1
        hunk, changed = set(changed[:together]), changed[together:]
        start, end = max(min(hunk) - _AROUND, 0), min(max(hunk) + _AROUND + 1, len(before))
        count = f",{end - start}" if end - start != 1 else ""
        yield f"@@ -{start + 1}{count} +{start + 1}{count} @@\n"
        position = start
        while position < end:
            run = position
            while run < end and run in hunk:
                run += 1
            if run == position:
                yield f" {before[position]}"
                position += 1
                continue
            yield from (f"-{line}" for line in before[position:run])
            yield from (f"+{line}" for line in after[position:run])
            position = run
