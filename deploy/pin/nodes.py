"""YAML and JSON text as a tree of nodes that know where they stand in it.

Built from PyYAML's events rather than its nodes: the stack is ours, so that no input is too deep,
and nothing is ever constructed. JSON is read as the YAML it nearly is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from registry.errors import BadInput

# libyaml is ten times as fast, and is in every wheel of PyYAML.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STYLES = ("'", '"', "|", ">")
# White space and breaks to YAML where they are none to JSON, or the other way about. What stands
# for them means nothing to YAML, and is in no name of an image.
_NOT_IN_JSON = str.maketrans({"\t": " ", "\x85": "é", "\u2028": "é", "\u2029": "é"})
# Half a character to JSON, an error to libyaml.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """start, end: where its source stands in the text, properties (`&a`, `!t`) included.

    style: "" for plain, else the character it begins with: one of ' " | >.
    """

    start: int
    end: int
    value: str
    style: str


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """items: in order."""

    items: list[Node]


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """pairs: keys and values in order, repeated and merge keys included. flow: within braces."""

    pairs: list[tuple[Node, Node]]
    flow: bool = False

    def text(self, key: str) -> str:
        """The value of a key that is a scalar; "" for any other."""
        value = self.value(key)
        return value.value if isinstance(value, Scalar) else ""

    def value(self, key: str) -> Node | None:
        """What stands under a key, aliases followed; None when there is no such key."""
        for name, value in self.pairs:
            if isinstance(name, Scalar) and name.value == key:
                return target(value)
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Alias:
    """start, end: of `*name`; node: what has that anchor."""

    start: int
    end: int
    node: Node


Node = Scalar | Sequence | Mapping | Alias


def target(node: Node) -> Node:
    """The node itself, or the one an alias stands for."""
    while isinstance(node, Alias):
        node = node.node
    return node


def parse(text: str) -> list[Node]:
    """The documents of a YAML stream, without empty ones.

    text holds no byte order mark, and is from as_yaml where it may be JSON.

    Raises BadInput with `line:column` and what is wrong there.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _bad(error.problem_mark or error.context_mark, _words(error)) from error
    except yaml.YAMLError as error:
        raise BadInput("", " ".join(str(error).split())[:200]) from error
    return builder.documents


def as_yaml(text: str) -> str:
    """JSON with what YAML does not take replaced, character for character; other text as it is."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    return _SURROGATE.sub(r"\\u00e9", text.translate(_NOT_IN_JSON))


class _Builder:
    """Puts events together; anchors of nodes that are still open are None."""

    def __init__(self) -> None:
        self.documents: list[Node] = []
        self._anchors: dict[str, Node | None] = {}
        self._open: list[tuple[list[Node], str | None, bool]] = [(self.documents, None, False)]

    def take(self, event: Any) -> None:
        """Add what an event begins, ends or is."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            style = event.style if event.style in _STYLES else ""
            start, end = event.start_mark.index, event.end_mark.index
            self._add(Scalar(start, end, event.value, style), event.anchor)
        elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
            if event.anchor:
                self._anchors[event.anchor] = None
            self._open.append(([], event.anchor, bool(event.flow_style)))
        elif kind is yaml.SequenceEndEvent:
            items, anchor, _ = self._open.pop()
            self._add(Sequence(items), anchor)
        elif kind is yaml.MappingEndEvent:
            items, anchor, flow = self._open.pop()
            self._add(Mapping(list(zip(items[::2], items[1::2], strict=True)), flow), anchor)
        elif kind is yaml.AliasEvent:
            self._add(self._alias(event), None)
        elif kind is yaml.DocumentStartEvent:
            self._anchors.clear()

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        self._open[-1][0].append(node)

    def _alias(self, event: Any) -> Alias:
        if event.anchor not in self._anchors:
            raise _bad(event.start_mark, f"the alias *{event.anchor} has no anchor before it")
        node = self._anchors[event.anchor]
        if node is None:
            raise _bad(event.start_mark, f"the alias *{event.anchor} is inside what it stands for")
        return Alias(event.start_mark.index, event.end_mark.index, node)


def _bad(mark: Any, problem: str) -> BadInput:
    place = f"{mark.line + 1}:{mark.column + 1}" if mark else ""
    return BadInput(place, problem)


def _words(error: yaml.MarkedYAMLError) -> str:
    return " ".join(part for part in (error.problem, error.context) if part)
