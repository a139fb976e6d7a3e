"""Text within text: where each character of a decoded YAML string stands in the file.

A layer is a text that is parsed as YAML. The outermost is the file; a string in it that holds
YAML or JSON itself is another, whose characters lie between escapes, folds and indentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.pin.nodes import Scalar, as_yaml

Span = tuple[int, int]

_BREAK = r"(?:\r\n|[\n\r\x85\u2028\u2029])"
_FOLD = rf"[ \t]*{_BREAK}(?:[ \t]*{_BREAK})*[ \t]*"
_DOUBLE = re.compile(
    rf"(?P<joined>\\{_BREAK}[ \t]*)"
    r"|\\x(?P<x>[0-9a-fA-F]{2})|\\u(?P<u>[0-9a-fA-F]{4})|\\U(?P<U>[0-9a-fA-F]{8})"
    rf"|\\(?P<escaped>.)|(?P<fold>{_FOLD})|.",
    re.DOTALL,
)
_SINGLE = re.compile(rf"''|(?P<fold>{_FOLD})|.", re.DOTALL)
_PLAIN = re.compile(rf"(?P<fold>{_FOLD})|.", re.DOTALL)
_ONE_BREAK = re.compile(_BREAK)
_LINE = re.compile(rf"(?P<text>[^\r\n\x85\u2028\u2029]*)(?P<end>{_BREAK}|\Z)")
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f",
    "r": "\r", "e": "\x1b", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """text: what is parsed, from as_yaml. spans: where each of its characters is in the file.

    spans is None for the outermost layer, whose text begins at `offset` in the file.
    """

    text: str
    offset: int = 0
    spans: tuple[Span, ...] | None = None

    def place(self, start: int, end: int) -> Span:
        """Where text[start:end], not empty, stands in the file."""
        if self.spans is None:
            return start + self.offset, end + self.offset
        return self.spans[start][0], self.spans[end - 1][1]

    def inner(self, scalar: Scalar) -> Layer | None:
        """The layer of a scalar's own text; None where its source cannot be followed."""
        begin = _after_properties(self.text, scalar)
        if scalar.style in ("|", ">"):
            characters = list(_block(self.text, begin, scalar))
        else:
            quote = len(scalar.style)
            body = begin + quote, scalar.end - quote
            characters = list(_flow(self.text, body, scalar.style))
        text = "".join(character for character, _ in characters)
        # What is read otherwise than above (U+2028 and its like) is left to people.
        if text.rstrip("\n") != scalar.value.rstrip("\n"):
            return None
        return Layer(as_yaml(text), spans=tuple(self.place(*span) for _, span in characters))


def _after_properties(text: str, scalar: Scalar) -> int:
    """Where the scalar itself begins: past `&anchor`, `!tag`, and comments between."""
    position = scalar.start
    while position < scalar.end and text[position] in "&!":
        while position < scalar.end and not text[position].isspace():
            position += 1
        while position < scalar.end and (text[position].isspace() or text[position] == "#"):
            if text[position] == "#":
                position = _line_end(text, position)
            else:
                position += 1
    return position


def _line_end(text: str, position: int) -> int:
    found = _ONE_BREAK.search(text, position)
    return found.start() if found else len(text)


def _flow(text: str, body: Span, style: str) -> Iterator[tuple[str, Span]]:
    """The characters of a plain or quoted scalar, and the source each is written with."""
    pattern = {"": _PLAIN, "'": _SINGLE, '"': _DOUBLE}[style]
    for found in pattern.finditer(text, *body):
        groups = found.groupdict()
        if groups.get("fold"):
            breaks = len(_ONE_BREAK.findall(found[0]))
            for character in "\n" * (breaks - 1) or " ":
                yield character, found.span()
        elif groups.get("joined"):
            continue
        elif digits := groups.get("x") or groups.get("u") or groups.get("U"):
            yield chr(min(int(digits, 16), 0x10FFFF)), found.span()
        elif escaped := groups.get("escaped"):
            yield _ESCAPES.get(escaped, escaped), found.span()
        else:
            yield found[0][0], found.span()


def _block(text: str, begin: int, scalar: Scalar) -> Iterator[tuple[str, Span]]:
    """The characters of a block scalar (`|`, `>`); line breaks at its end may be too many."""
    first = _ONE_BREAK.match(text, _line_end(text, begin))
    if first is None:
        return
    lines = [line for line in _LINE.finditer(text, first.end(), scalar.end) if line[0]]
    wanted = next((line for line in scalar.value.split("\n") if line.strip()), "")
    source = next((line["text"] for line in lines if line["text"].strip()), "")
    indent = _leading_spaces(source) - _leading_spaces(wanted)
    breaks: list[Span] = []
    unfolded = True  # whether a break before this line stays one
    for line in lines:
        start, end = line.start("text") + indent, line.end("text")
        if start < end:
            folds = scalar.style == ">" and text[start] not in " \t"
            if unfolded or not folds:
                yield from (("\n", span) for span in breaks)
            else:
                yield from [("\n", span) for span in breaks[1:]] or [(" ", breaks[0])]
            yield from ((text[place], (place, place + 1)) for place in range(start, end))
            breaks, unfolded = [], not folds
        if line["end"]:
            breaks.append(line.span("end"))
    yield from (("\n", span) for span in breaks)


def _leading_spaces(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
