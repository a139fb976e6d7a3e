"""Tiny images for the tests of this package."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.blobs import OpenChunks
from registry.errors import RegistryError
from registry.layout import LayoutStore
from registry.oci import (
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Document,
    canonical_json,
    sha256,
)
from registry.store import Store

LAYER = Descriptor(OCI_LAYER_GZIP, sha256(b"layer"), 5)
CONFIG = Descriptor(OCI_CONFIG, sha256(b"{}"), 2)


def chunks_of(*chunks: bytes) -> OpenChunks:
    @contextmanager
    def open_chunks() -> Iterator[Iterator[bytes]]:
        yield iter(chunks)

    return open_chunks


def manifest(*layers: Descriptor, subject: Descriptor | None = None, **fields: str) -> Document:
    value: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": CONFIG.to_json(),
        "layers": [layer.to_json() for layer in layers],
        **fields,
    }
    if subject:
        value["subject"] = subject.to_json()
    return Document.of(value, OCI_MANIFEST)


def files(path: Path) -> list[str]:
    return sorted(str(item.relative_to(path)) for item in path.rglob("*") if item.is_file())


class Neighbour(LayoutStore):
    """A repository of a registry made of folders: blobs can be mounted from its neighbours.

    calls: what was asked of it, in order, as `method digest-or-reference`.
    """

    host = "registry.test"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.name = path.name
        self.calls: list[str] = []

    def manifest_descriptor(self, reference: str) -> Descriptor | None:
        self.calls.append(f"head {reference}")
        return super().manifest_descriptor(reference)

    def put_manifest(self, document: Document, reference: str | None = None) -> None:
        missing = [blob.digest for blob in document.blobs() if not self._has(blob)]
        missing += [child.digest for child in document.manifests if not self._has(child)]
        if missing:
            raise RegistryError("MANIFEST_BLOB_UNKNOWN", ", ".join(missing), status=400)
        self.calls.append(f"put {reference or document.digest}")
        super().put_manifest(document, reference)

    def blob_exists(self, digest: str) -> bool:
        self.calls.append(f"exists {digest}")
        return super().blob_exists(digest)

    def mount_blob(self, descriptor: Descriptor, source_repository: str) -> bool:
        self.calls.append(f"mount {descriptor.digest}")
        source = self.path.parent / source_repository / "blobs"
        blob = source / descriptor.digest.replace(":", "/")
        if blob.is_file() and source_repository != self.name:
            shutil.copy(blob, self.blob_path(descriptor.digest))
        return blob.is_file()

    def push_blob(self, descriptor: Descriptor, open_chunks: OpenChunks) -> None:
        self.calls.append(f"push {descriptor.digest}")
        super().push_blob(descriptor, open_chunks)

    def _has(self, descriptor: Descriptor) -> bool:
        return descriptor.is_foreign or super().blob_exists(descriptor.digest)


def blob(content: bytes, media_type: str = OCI_LAYER_GZIP) -> Descriptor:
    """The descriptor of content."""
    return Descriptor(media_type, sha256(content), len(content))


def put_image(store: Store, tag: str | None, *contents: bytes, **config: str) -> Document:
    """Store an image whose layers have these contents; its manifest."""
    raw = canonical_json({"architecture": "arm64", "os": "linux", **config})
    for content in (raw, *contents):
        store.push_blob(blob(content), chunks_of(content))
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blob(raw, OCI_CONFIG).to_json(),
        "layers": [blob(content).to_json() for content in contents],
    }
    document = Document.of(value, OCI_MANIFEST)
    store.put_manifest(document, tag)
    return document
