"""Tiny images for the tests of this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.blobs import OpenChunks
from registry.oci import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor, Document, sha256

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
