"""One tar that is an OCI layout and a `docker save` archive: every image store imports it.

containerd and Docker's containerd store read index.json, Docker's classic store manifest.json.
Blobs may be left out (image-layout.md of the OCI image spec allows it): an importer that has a
layer's snapshot never opens the layer.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from registry.blobs import OpenChunks, in_memory
from registry.layout_index import INDEX_FILE, LAYOUT_FILE, LAYOUT_VERSION, REF_NAME, index_json
from registry.oci import Descriptor, Document, canonical_json

DOCKER_FILE = "manifest.json"
_CONTAINERD_NAME = "io.containerd.image.name"


@dataclass(frozen=True)
class Names:
    """What the image is called after the import.

    tag: as an OCI layout lists it. docker: `REPOSITORY:TAG` for Docker. containerd: whole
    references, the first of them with the tag; a `REPOSITORY@sha256:…` lets pinned pods start.
    """

    tag: str
    docker: str
    containerd: tuple[str, ...]


def combined_archive(
    manifest: Document,
    names: Names,
    blobs: Iterable[tuple[Descriptor, OpenChunks]],
    extra: Mapping[str, bytes] | None = None,
) -> Iterator[bytes]:
    """The archive's bytes, streamed.

    blobs: all that go in besides the manifest, each with what opens it. extra: further files by
    name, in front. Raises what opening and reading the blobs raises.
    """
    entries = []
    for number, name in enumerate(names.containerd):
        annotations = {_CONTAINERD_NAME: name} | ({} if number else {REF_NAME: names.tag})
        value = manifest.descriptor.to_json() | {"annotations": annotations}
        entries.append(Descriptor.from_json(value))
    saved = {
        "Config": blob_name(manifest.config.digest),
        "RepoTags": [names.docker],
        "Layers": [blob_name(layer.digest) for layer in manifest.layers],
    }
    for name, content in (extra or {}).items():
        yield from _member(name, content)
    yield from _member(LAYOUT_FILE, LAYOUT_VERSION)
    yield from _member(INDEX_FILE, index_json(entries))
    yield from _member(DOCKER_FILE, canonical_json([saved]))
    yield from _member(blob_name(manifest.digest), manifest.raw)
    for descriptor, open_chunks in blobs:
        yield _header(blob_name(descriptor.digest), descriptor.size)
        with open_chunks() as chunks:
            yield from map(in_memory, chunks)
        yield bytes(-descriptor.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def blob_name(digest: str) -> str:
    """A blob's place in a layout: `blobs/sha256/…`."""
    return "blobs/" + digest.replace(":", "/", 1)


def _member(name: str, content: bytes) -> Iterator[bytes]:
    yield _header(name, len(content))
    yield content
    yield bytes(-len(content) % tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT)
