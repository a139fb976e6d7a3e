"""What is attached to an image: all that refers to it, and signatures under tags of its digest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from registry.oci import Document
from registry.store import Store


@dataclass(frozen=True)
class Attached:
    """What is attached to one document. tagged: cosign's older form, by tag."""

    subject: Document
    referrers: tuple[Document, ...]
    tagged: dict[str, Document]


def attached(source: Store, root: Document) -> Iterator[Attached]:
    """For an image or index, for all below it, and for what refers to any of these in turn."""
    waiting, seen = [root], {root.digest}
    images = {root.digest}
    while waiting:
        subject = waiting.pop()
        found = []
        for descriptor in source.referrers(subject.digest):
            if descriptor.digest not in seen:
                seen.add(descriptor.digest)
                found.append(source.manifest(descriptor.digest))
        waiting += found
        for child in subject.manifests:
            if child.digest not in seen:
                seen.add(child.digest)
                images.add(child.digest)
                waiting.append(source.manifest(child.digest))
        tagged = _tagged(source, subject.digest) if subject.digest in images else {}
        yield Attached(subject, tuple(found), tagged)


def _tagged(source: Store, digest: str) -> dict[str, Document]:
    tags = [f"{digest.replace(':', '-')}.{kind}" for kind in ("sig", "att", "sbom")]
    there = [tag for tag in tags if source.manifest_descriptor(tag) is not None]
    return {tag: source.manifest(tag) for tag in there}
