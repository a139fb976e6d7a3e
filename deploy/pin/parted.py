"""Images whose name, tag and digest are fields of their own, as Kustomize and Helm write them.

Kustomize: `images: [{name: nginx, newName: h.example/nginx, newTag: "1.27"}]`. Helm: `image:
{registry: h.example, repository: nginx, tag: "1.27"}`. Where there is no field for the digest it
goes behind the tag (`newTag: 1.27@sha256:…`), which both put after the name as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.pin.layers import Layer, Span
from deploy.pin.nodes import Alias, Mapping, Scalar, Sequence
from registry.errors import BadInput

Edit = tuple[int, int, str]
_NULL = ("", "~", "null", "Null", "NULL")
_KUSTOMIZATIONS = ("", "Kustomization", "Component")


@dataclass(frozen=True)
class Parts:
    """Where the parts of one image stand in the file; None for what is not there.

    add_name: where a name can be added, and the text to write for it, with `{}` in it.
    """

    name: Span | None
    tag: Span | None
    digest: Span | None
    add_name: tuple[int, str] | None = None

    @property
    def start(self) -> int:
        """The first character of what is edited when the image moves."""
        span = self.tag or self.digest
        assert span is not None  # noqa: S101 - an image without either is none
        return span[0]

    def edits(self, before: str, after: str) -> list[Edit]:
        """What to write for `NAME[:TAG]@DIGEST`; raises BadInput where it has no place."""
        name, tag, digest = split(after)
        old_name, old_tag, _ = split(before)
        found: list[Edit] = []
        if name != old_name:
            found.append(self._renamed(name))
        if self.digest is not None:
            found.append((*self.digest, digest))
        if self.tag is not None:
            kept = tag or old_tag
            found.append((*self.tag, kept if self.digest else f"{kept}@{digest}"))
        return found

    def _renamed(self, name: str) -> Edit:
        if self.name is not None:
            return (*self.name, name)
        if self.add_name is not None:
            position, text = self.add_name
            return position, position, text.format(name)
        raise BadInput("", f"there is no place for the name {name}", "write it there by hand")


def split(image: str) -> tuple[str, str, str]:
    """The name, tag and digest of `NAME[:TAG][@DIGEST]`, empty where missing."""
    named, _, digest = image.partition("@")
    name, colon, tag = named.rpartition(":")
    return (name, tag, digest) if colon and "/" not in tag else (named, "", digest)


@dataclass(frozen=True)
class Parted:
    """An image and where its parts stand."""

    image: str
    parts: Parts


def kustomize_images(document: Mapping, layer: Layer, text: str) -> list[tuple[int, Parted]]:
    """The `images` of a Kustomization that set a tag or digest, by their number.

    text: of the whole file. Raises BadInput where one is written so that it cannot be edited.
    """
    images = document.value("images")
    if document.text("kind") not in _KUSTOMIZATIONS or not isinstance(images, Sequence):
        return []
    found = []
    for number, item in enumerate(images.items):
        if not isinstance(item, Mapping) or not item.text("name"):
            continue
        certain = (
            item.text("newTag") or item.text("newName") or item.text("digest").startswith("sha256:")
        )
        if not document.text("kind") and not certain:
            continue
        name = _scalar(item, "newName")
        parts = _parts(item, layer, name, "newTag", text)
        if parts is not None:
            own = name.value if name else item.text("name")
            found.append((number, Parted(_image(own, item, "newTag"), parts)))
    return found


def helm_image(node: Mapping, layer: Layer) -> Parted | None:
    """The image of a mapping with `repository` (or `name`) and `tag`; None when it is none."""
    name = _scalar(node, "repository") or _scalar(node, "name")
    parts = _parts(node, layer, name, "tag") if name else None
    if parts is None or name is None:
        return None
    if registry := node.text("registry"):
        parts = Parts(None, parts.tag, parts.digest)
        return Parted(_image(f"{registry}/{name.value}", node, "tag"), parts)
    return Parted(_image(name.value, node, "tag"), parts)


def _parts(
    node: Mapping,
    layer: Layer,
    name: Scalar | None,
    tag_key: str,
    text: str = "",
) -> Parts | None:
    tag, digest = _scalar(node, tag_key), _scalar(node, "digest")
    if tag is None and digest is None:
        return None
    key = next(key for key, value in node.pairs
               if isinstance(key, Scalar) and key.value in (tag_key, "digest"))  # fmt: skip
    assert isinstance(key, Scalar)  # noqa: S101 - for the type checker
    return Parts(
        _span(layer, name) if name else None,
        _span(layer, tag) if tag else None,
        _span(layer, digest) if digest else None,
        None if name else _add_name(key, node, layer, text),
    )


def _scalar(node: Mapping, key: str) -> Scalar | None:
    for name, value in node.pairs:
        if isinstance(name, Scalar) and name.value == key:
            if isinstance(value, Alias):
                raise BadInput("", f"the alias of {key} cannot be edited alone", "write it out")
            named = isinstance(value, Scalar) and (value.style or value.value not in _NULL)
            return value if named and isinstance(value, Scalar) and value.value else None
    return None


def _image(name: str, node: Mapping, tag_key: str) -> str:
    tag, digest = _scalar(node, tag_key), _scalar(node, "digest")
    return "".join((name, f":{tag.value}" if tag else "", f"@{digest.value}" if digest else ""))


def _span(layer: Layer, scalar: Scalar) -> Span:
    inner = layer.inner(scalar)
    if inner is None or scalar.value.strip() != scalar.value:
        raise BadInput("", f"{scalar.value[:80]!r} is written strangely", "write it plainly")
    return inner.place(0, len(scalar.value))


def _add_name(key: Scalar, item: Mapping, layer: Layer, text: str) -> tuple[int, str] | None:
    """Where and how `newName` goes in before another key; None within a string."""
    if layer.spans is not None:
        return None
    position, _ = layer.place(key.start, key.end)
    quote = key.style if key.style in ("'", '"') else ""
    pair = f"{quote}newName{quote}: {quote}{{}}{quote}"
    if item.flow:
        return position, f"{pair}, "
    line = text.rfind("\n", 0, position) + 1
    ends = "\r\n" if text[:line].endswith("\r\n") else "\n"
    return position, f"{pair}{ends}{' ' * (position - line)}"
