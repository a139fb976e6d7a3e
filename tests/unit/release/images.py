"""Small real images in an OCI layout, for tests of what reads them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from registry.layout import LayoutStore
from registry.oci import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor, Document, sha256
from tests.unit.registry.images import chunks_of

Content = bytes | str | None


def tar(files: Mapping[str, Content]) -> bytes:
    """A tar: bytes are a file, text is a symlink's target, None is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.mode = 0o644
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def put(store: LayoutStore, tag: str, *layers: bytes, **settings: Any) -> Document:
    """Store an arm64 image of tar layers under a tag; settings go into the config's `config`."""
    descriptors = []
    for layer in layers:
        packed = gzip.compress(layer, mtime=0)
        descriptors.append(Descriptor(OCI_LAYER_GZIP, sha256(packed), len(packed)))
        store.push_blob(descriptors[-1], chunks_of(packed))
    config = json.dumps(
        {
            "architecture": "arm64",
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        }
    ).encode()
    described = Descriptor(OCI_CONFIG, sha256(config), len(config))
    store.push_blob(described, chunks_of(config))
    document = Document.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": described.to_json(),
            "layers": [item.to_json() for item in descriptors],
        },
        OCI_MANIFEST,
    )
    store.put_manifest(document, tag)
    return document
