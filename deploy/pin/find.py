"""Finding the fields that name images in a YAML stream, down into strings that hold more of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from deploy.pin.layers import Layer
from deploy.pin.nodes import Alias, Mapping, Node, Scalar, Sequence, as_yaml, parse, target
from deploy.pin.parted import Parted, Parts, helm_image, kustomize_images
from deploy.pin.rules import ANY, ImagePath, Rules
from registry.errors import BadInput

_MARK = "\ufeff"
_NULL = ("", "~", "null", "Null", "NULL")
_LIKELY = re.compile(r"(?!.*//)[a-z0-9][\w.:/-]*[:/][\w./:-]*\w(?:@sha256:[0-9a-f]{64})?", re.ASCII)
_CERTAIN = re.compile(
    r"(?!.*//)[a-z0-9][\w.:/-]*(?::\w[\w.-]*(?:@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})",
    re.ASCII,
)
_OBJECT = re.compile(r"""\A\s*[\[{]|^\s*(?:-\s+)?["']?apiVersion["']?\s*:""", re.MULTILINE)
_PATCH = re.compile(r"""["']?\bop["']?\s*:\s*["']?(?:add|replace)\b""")
_IMAGE_KEY = re.compile(r"""\bimage["']?\s*:""")
# Kinds whose strings are files of programs, and where these strings are.
_SETTINGS = {"ConfigMap": (".data.", ".data["), "Secret": (".stringData.", ".stringData[")}
# What kubectl once sent, which it replaces itself.
_APPLIED = '["kubectl.kubernetes.io/last-applied-configuration"]'
_NUMBERED = re.compile(r"\[[0-9]+\]")
# A string within a string within a string is as deep as anybody has been seen to go.
_DEEPEST = 3


@dataclass(frozen=True)
class ImageField:
    """One place that names an image.

    start, end: its characters in the file's text. image: what is there now. line: from 1.
    parts: where its name, tag and digest stand, if they are apart; start and end say nothing then.
    """

    kind: str
    name: str
    path: str
    line: int
    start: int
    end: int
    image: str
    parts: Parts | None = None


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

    def note(self, start: int, message: str) -> None:
        """Keep a note once, however many ways lead to it."""
        found = Note(self.line(start), message)
        if found not in self.notes:
            self.notes.append(found)

    def line(self, position: int) -> int:
        """The line of a position in the file."""
        return self.text.count("\n", 0, position) + 1


@dataclass(frozen=True)
class _Object:
    """An API object, the layer it is written in, and how many strings deep that is.

    settings: within a string of a ConfigMap or Secret that is settings, of whatever program.
    """

    layer: Layer
    node: Mapping
    kind: str
    name: str
    depth: int
    settings: bool = False


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
        whole = _Object(layer, Mapping([]), "", "", 0)
        for document in parse(layer.text):
            _objects(search, document, whole)
        for owner, alias, path in search.aliases:
            _take_alias(search, owner, alias, path)
    except RecursionError as error:
        raise BadInput("", "nested too deeply to be an object") from error
    notes = search.notes + [
        note for start, note in search.likely.items() if start not in search.fields
    ]
    ordered = sorted(search.fields.values(), key=lambda found: found.start)
    return ordered, sorted(notes, key=lambda note: note.line)


def _objects(search: _Search, document: Node, within: _Object, path: str = "") -> None:
    """Search every object in a document, however it is wrapped (List, EdgeApplication, …).

    within: what the document is part of, at path.
    """
    waiting: list[tuple[Node, _Object, str]] = [(document, within, path)]
    if isinstance(document, Mapping):
        if ANY in search.rules and not document.text("kind"):
            _apply(search, replace(within, node=document, kind=ANY, name=""))
        _kustomize(search, within, document)
    while waiting:
        node, owner, path = waiting.pop()
        if isinstance(node, Sequence):
            waiting += [(item, owner, f"{path}[{n}]") for n, item in enumerate(node.items)]
        elif isinstance(node, Mapping):
            kind = node.text("kind")
            if kind and node.text("apiVersion"):
                owner, path = _Object(owner.layer, node, kind, _name(node), owner.depth), ""
                _apply(search, owner)
            _take_patch(search, owner, node, path)
            for key, value in node.pairs:
                if isinstance(key, Scalar):
                    waiting.append((value, owner, f"{path}{_step(key.value)}"))
            if path.endswith(".image"):
                _remember_parted(search, owner, node, path)
        elif isinstance(node, Scalar):
            _look_at(search, owner, node, path)


def _step(key: str) -> str:
    """A key as rules write it."""
    return f'["{key}"]' if re.search(r"[.\[\]\"']", key) else f".{key}"


def _look_at(search: _Search, owner: _Object, node: Scalar, path: str) -> None:
    """A string: it may hold objects, or name an image that no rule knows."""
    if path.endswith(_APPLIED):
        return
    settings = owner.kind in _SETTINGS and path.startswith(_SETTINGS[owner.kind])
    if holds_objects(node.value) or (settings and _IMAGE_KEY.search(node.value)):
        _descend(search, owner, None, node, 0, path)
    elif path.endswith(".image"):
        if owner.settings and _CERTAIN.fullmatch(node.value):
            _take(search, owner, node, path[1:])
        elif not path.startswith(".status."):
            _remember(search, owner, node, path[1:])


def _kustomize(search: _Search, within: _Object, document: Mapping) -> None:
    try:
        images = kustomize_images(document, within.layer, search.text)
    except BadInput as error:
        line = search.line(within.layer.place(*_extent(document))[0])
        raise BadInput(f"{line}:", error.why, error.hint) from error
    for number, parted in images:
        _add_parted(search, within, parted, "Kustomization", f"images[{number}]")


def _extent(node: Node) -> tuple[int, int]:
    """Characters of a node that can be placed: the first scalar's."""
    while not isinstance(node, Scalar):
        inner = [key for key, _ in node.pairs] if isinstance(node, Mapping) else []
        if not inner:
            return 0, 1
        node = inner[0]
    return node.start, node.start + 1


def _take_patch(search: _Search, owner: _Object, node: Mapping, path: str) -> None:
    """`{op: replace, path: /spec/…/image, value: nginx:1.27}`: a JSON patch (RFC 6902)."""
    if node.text("op") in ("add", "replace") and node.text("path").endswith("/image"):
        value = node.value("value")
        if isinstance(value, Scalar):
            _take(search, owner, value, f"{path}.value"[1:])


def _name(node: Mapping) -> str:
    metadata = node.value("metadata")
    if not isinstance(metadata, Mapping):
        return ""
    return metadata.text("name") or metadata.text("generateName")


def _remember(search: _Search, owner: _Object, node: Scalar, path: str) -> None:
    """Keep what looks like an image and that no rule may name, to say so."""
    if not _LIKELY.fullmatch(node.value):
        return
    inner = owner.layer.inner(node)
    if inner is not None and inner.text:
        _left_alone(search, owner, inner.place(0, 1)[0], node.value, path)


def _remember_parted(search: _Search, owner: _Object, node: Mapping, path: str) -> None:
    """The same for an image whose name and tag are apart."""
    try:
        parted = helm_image(node, owner.layer)
    except BadInput:
        return
    if parted is not None and _LIKELY.fullmatch(parted.image):
        _left_alone(search, owner, parted.parts.start, parted.image, path[1:])


def _left_alone(search: _Search, owner: _Object, start: int, image: str, path: str) -> None:
    rule = f"{owner.kind or ANY}:{_NUMBERED.sub('[*]', path)}"
    message = f"{image} left alone: name its place with --image-path '{rule}'"
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
        if step < len(rule.steps) or holds_objects(node.value):
            _descend(search, owner, rule, node, step, path)
        else:
            _take(search, owner, node, path[1:])
    elif step == len(rule.steps):
        if isinstance(node, Mapping):
            _take_parted(search, owner, node, path[1:])
    else:
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


def holds_objects(text: str) -> bool:
    """Whether a string looks like API objects in YAML or JSON, or like a JSON patch of them."""
    return ("apiVersion" in text and "kind" in text and _OBJECT.search(text) is not None) or (
        "/image" in text and _PATCH.search(text) is not None
    )


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


def _take_parted(search: _Search, owner: _Object, node: Mapping, path: str) -> None:
    """A mapping with `repository` and `tag`, which a rule names; nothing for any other."""
    try:
        parted = helm_image(node, owner.layer)
    except BadInput as error:
        line = search.line(owner.layer.place(*_extent(node))[0])
        raise BadInput(f"{line}:", error.why, error.hint) from error
    if parted is not None:
        _add_parted(search, owner, parted, owner.kind, path)


def _add_parted(search: _Search, owner: _Object, parted: Parted, kind: str, path: str) -> None:
    start = parted.parts.start
    search.fields[start] = ImageField(
        kind, owner.name, path, search.line(start), start, start, parted.image, parted.parts
    )


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
    search: _Search, owner: _Object, rule: ImagePath | None, node: Scalar, step: int, path: str
) -> None:
    """Go on within a string that holds YAML or JSON: to its objects, or on the way of a rule."""
    if not node.value.strip():
        return
    start, _ = owner.layer.place(node.start, node.start + 1)
    inner = owner.layer.inner(node)
    if inner is None or owner.depth == _DEEPEST:
        why = "strings in it go too deep" if inner else "it has rare line breaks"
        search.note(start, f"the text at {path[1:]} left alone: {why}")
        return
    try:
        documents = parse(inner.text)
    except BadInput as error:
        search.note(start, f"the text at {path[1:]} left alone: it is not YAML ({error.why})")
        return
    within = replace(owner, layer=inner, depth=owner.depth + 1)
    for document in documents:
        if rule is None or step == len(rule.steps):
            _objects(search, document, replace(within, settings=owner.kind in _SETTINGS), path)
        else:
            _follow(search, within, rule, document, step, path, set())
