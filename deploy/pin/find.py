"""Finding the fields that name images in a YAML stream, down into strings that hold more of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from deploy.pin.layers import Layer
from deploy.pin.nodes import Alias, Mapping, Node, Scalar, Sequence, as_yaml, parse, target
from deploy.pin.rules import ANY, ImagePath, Rules
from registry.errors import BadInput

_MARK = "\ufeff"
_NULL = ("", "~", "null", "Null", "NULL")
_LIKELY = re.compile(r"[a-z0-9][\w.:/-]*[:/][\w./:-]*\w(?:@sha256:[0-9a-f]{64})?", re.ASCII)
_NUMBERED = re.compile(r"\[[0-9]+\]")
# A string within a string within a string is as deep as anybody has been seen to go.
_DEEPEST = 3


@dataclass(frozen=True)
class ImageField:
    """One place that names an image.

    start, end: its characters in the file's text. image: what is there now. line: from 1.
    """

    kind: str
    name: str
    path: str
    line: int
    start: int
    end: int
    image: str


@dataclass(frozen=True)
class Note:
    """Something that was left alone, and why. line: from 1."""

    line: int
    message: str


@dataclass
class _Search:
    """What one file holds so far.

    fields: by where they stand, so that an anchor counts once. aliases: image fields that are
    aliases, looked at when all anchors are known. likely: notes on what no rule has named yet.
    """

    text: str
    rules: Rules
    fields: dict[int, ImageField] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    aliases: list[tuple[_Object, Alias, str]] = field(default_factory=list)
    likely: dict[int, Note] = field(default_factory=dict)

    def line(self, position: int) -> int:
        """The line of a position in the file."""
        return self.text.count("\n", 0, position) + 1


@dataclass(frozen=True)
class _Object:
    """An API object, the layer it is written in, and how many strings deep that is."""

    layer: Layer
    node: Mapping
    kind: str
    name: str
    depth: int


def find_images(text: str, rules: Rules) -> tuple[list[ImageField], list[Note]]:
    """Every image field of a file's text, in order, and what was left alone.

    Raises BadInput with what `line:column` the YAML breaks at.
    """
    search = _Search(text, rules)
    offset = len(text) - len(text.lstrip(_MARK))
    inside = text.find(f"\n{_MARK}", offset)
    if inside >= 0:
        # It would be read as part of a key, and the object behind it not be known any more.
        raise BadInput(f"{search.line(inside + 1)}:1", "a byte order mark within the text")
    layer = Layer(as_yaml(text[offset:]), offset)
    try:
        for document in parse(layer.text):
            _objects(search, layer, document, 0)
        for owner, alias, path in search.aliases:
            _take_alias(search, owner, alias, path)
    except RecursionError as error:
        raise BadInput("", "nested too deeply to be an object") from error
    notes = search.notes + [
        note for start, note in search.likely.items() if start not in search.fields
    ]
    ordered = sorted(search.fields.values(), key=lambda found: found.start)
    return ordered, sorted(notes, key=lambda note: note.line)


def _objects(search: _Search, layer: Layer, document: Node, depth: int) -> None:
    """Search every object in a document, however it is wrapped (List, EdgeApplication, …)."""
    whole = _Object(layer, Mapping([]), "", "", depth)
    waiting: list[tuple[Node, _Object, str]] = [(document, whole, "")]
    if isinstance(document, Mapping) and ANY in search.rules and not document.text("kind"):
        _apply(search, _Object(layer, document, ANY, "", depth))
    _note_kustomize(search, layer, document)
    while waiting:
        node, owner, path = waiting.pop()
        if isinstance(node, Sequence):
            waiting += [(item, owner, f"{path}[{n}]") for n, item in enumerate(node.items)]
        elif isinstance(node, Mapping):
            kind = node.text("kind")
            if kind and node.text("apiVersion"):
                owner, path = _Object(layer, node, kind, _name(node), depth), ""
                _apply(search, owner)
            for key, value in node.pairs:
                if isinstance(key, Scalar):
                    waiting.append((value, owner, f"{path}.{key.value}"))
        elif isinstance(node, Scalar) and path.endswith(".image") and owner.kind:
            _remember(search, owner, node, path[1:])


def _note_kustomize(search: _Search, layer: Layer, document: Node) -> None:
    """Kustomize sets images by name and tag in fields of its own, which no digest fits into."""
    for key, value in document.pairs if isinstance(document, Mapping) else ():
        if isinstance(key, Scalar) and key.value == "images" and isinstance(value, Sequence):
            items = [item for item in value.items if isinstance(item, Mapping)]
            if any(item.text("newTag") or item.text("newName") for item in items):
                start, _ = layer.place(key.start, key.end)
                message = "Kustomize's images left alone: kustomize build DIR | imgctl pin -"
                search.notes.append(Note(search.line(start), message))


def _name(node: Mapping) -> str:
    for key, value in node.pairs:
        value = target(value)
        if isinstance(key, Scalar) and key.value == "metadata" and isinstance(value, Mapping):
            return value.text("name") or value.text("generateName")
    return ""


def _remember(search: _Search, owner: _Object, node: Scalar, path: str) -> None:
    """Keep what looks like an image and that no rule may name, to say so."""
    if not _LIKELY.fullmatch(node.value):
        return
    inner = owner.layer.inner(node)
    if inner is not None and inner.text:
        start, _ = inner.place(0, 1)
        rule = f"{owner.kind}:{_NUMBERED.sub('[*]', path)}"
        message = f"{node.value} left alone: name its place with --image-path '{rule}'"
        search.likely[start] = Note(search.line(start), message)


def _apply(search: _Search, owner: _Object) -> None:
    for rule in (*search.rules.get(owner.kind, ()), *search.rules.get(ANY, ())):
        seen: set[tuple[int, int]] = set()
        _follow(search, owner, rule, owner.node, 0, "", seen)


def _follow(
    search: _Search,
    owner: _Object,
    rule: ImagePath,
    node: Node,
    step: int,
    path: str,
    seen: set[tuple[int, int]],
) -> None:
    """Go one step of a rule down from a node, to every place it leads to.

    seen: nodes and steps that were gone through, since aliases may multiply the ways.
    """
    if isinstance(node, Alias) and isinstance(target(node), Scalar) and step == len(rule.steps):
        search.aliases.append((owner, node, path[1:]))
        return
    node = target(node)
    if (id(node), step) in seen:
        return
    seen.add((id(node), step))
    if isinstance(node, Scalar):
        if step < len(rule.steps) or _is_text(node):
            _descend(search, owner, rule, node, step, path)
        elif not rule.text_only:
            _take(search, owner, node, path[1:])
    elif step < len(rule.steps):
        wanted = rule.steps[step]
        for name, child in _children(node):
            if wanted in (ANY, name.strip("[]") if isinstance(node, Sequence) else name):
                way = f"{path}{name}" if isinstance(node, Sequence) else f"{path}.{name}"
                _follow(search, owner, rule, child, step + 1, way, seen)


def _children(node: Node) -> Iterator[tuple[str, Node]]:
    """What is under a node by name, merged mappings (`<<`) included."""
    if isinstance(node, Sequence):
        yield from ((f"[{number}]", item) for number, item in enumerate(node.items))
    elif isinstance(node, Mapping):
        own = [(key.value, value) for key, value in node.pairs if isinstance(key, Scalar)]
        yield from ((name, value) for name, value in own if name != "<<")
        names = {name for name, _ in own}
        for merged in (target(value) for name, value in own if name == "<<"):
            sources = merged.items if isinstance(merged, Sequence) else [merged]
            for source in map(target, sources):
                for name, value in _children(source):
                    if name not in names:
                        yield name, value


def _is_text(node: Scalar) -> bool:
    """Whether a string holds objects; no image has a capital letter in its name."""
    return "apiVersion" in node.value and "kind" in node.value


def _take(search: _Search, owner: _Object, node: Scalar, path: str) -> None:
    if not node.style and node.value in _NULL:
        return
    inner = owner.layer.inner(node)
    image = node.value.strip()
    if inner is None:
        start, _ = owner.layer.place(node.start, node.start + 1)
        raise BadInput(f"{search.line(start)}:", f"the image {image[:80]!r} is written strangely",
                       "write it plainly, on one line")  # fmt: skip
    if not image:
        return
    begin = inner.text.index(image)
    _add(search, owner, path, inner.place(begin, begin + len(image)), image)


def _take_alias(search: _Search, owner: _Object, alias: Alias, path: str) -> None:
    """`image: *name`: where the anchor is an image field, that is edited; else the alias is."""
    node = target(alias)
    if not isinstance(node, Scalar) or node.value.strip() in _NULL:
        return
    inner = owner.layer.inner(node)
    if inner is not None and inner.place(0, 1)[0] in search.fields:
        return
    span = owner.layer.place(alias.start, alias.end)
    _add(search, owner, path, span, node.value.strip())


def _add(search: _Search, owner: _Object, path: str, span: tuple[int, int], image: str) -> None:
    search.fields[span[0]] = ImageField(
        owner.kind, owner.name, path, search.line(span[0]), *span, image
    )


def _descend(
    search: _Search, owner: _Object, rule: ImagePath, node: Scalar, step: int, path: str
) -> None:
    """Go on within a string that holds YAML or JSON."""
    whole = step == len(rule.steps)
    if not node.value.strip():
        return
    start, _ = owner.layer.place(node.start, node.start + 1)
    inner = owner.layer.inner(node)
    if inner is None or owner.depth == _DEEPEST:
        why = "strings in it go too deep" if inner else "it has rare line breaks"
        message = f"the text at {path[1:]} left alone: {why}"
        search.notes.append(Note(search.line(start), message))
        return
    try:
        documents = parse(inner.text)
    except BadInput as error:
        message = f"the text at {path[1:]} left alone: it is not YAML ({error.why})"
        search.notes.append(Note(search.line(start), message))
        return
    for document in documents:
        if whole:
            _objects(search, inner, document, owner.depth + 1)
        else:
            place = _Object(inner, owner.node, owner.kind, owner.name, owner.depth + 1)
            _follow(search, place, rule, document, step, path, set())
