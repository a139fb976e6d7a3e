"""Text that a stranger wrote, made fit to be shown."""

from __future__ import annotations

# Lines, indents, and what scripts and emoji are joined with.
_MEANT = frozenset("\n\t\u00a0\u200c\u200d")


def visible(text: str, *, lines: bool = True) -> str:
    """The text with an escape for each character that would not be seen as itself.

    Those are controls (a terminal obeys them), overrides of the direction of writing (they turn
    names around), and bytes that are no UTF-8. lines: whether there may be several of them.
    """
    if text.isprintable():
        return text
    meant = _MEANT if lines else _MEANT - {"\n", "\t"}
    return "".join(
        character if character.isprintable() or character in meant else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
