"""OCI layouts as BuildKit exports them: today's dates, folders it had to make, its own gzip."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.engines.takeover import Export
from registry.layout import LayoutStore
from registry.oci import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor, Document, sha256
from tests.unit.builder.plans import chunks

NOW = 1_750_000_000.75


def member(name: str, content: bytes | None = b"x", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A tar member dated NOW; a folder when content is None. fields: of TarInfo."""
    info = tarfile.TarInfo(name)
    info.mtime = NOW
    info.mode = 0o755 if content is None else 0o644
    info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    info.size = len(content or b"")
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content or b""


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An uncompressed layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def write_export(
    folder: Path,
    layers: Sequence[bytes],
    *,
    before: Sequence[str] = (),
    history: Sequence[Mapping[str, Any]] | None = None,
    config: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Export:
    """Write an image of these uncompressed layers and open it.

    before: diff_ids of layers below them, whose blobs are not written. history: one entry a layer
    unless given. config: replaces fields of the image config; settings: its `config` object.
    """
    store = LayoutStore.create(folder)
    descriptors = [Descriptor(OCI_LAYER_GZIP, digest, 7) for digest in before]
    diff_ids = list(before)
    for layer in layers:
        blob = gzip.compress(layer, 1)
        head = Descriptor(OCI_LAYER_GZIP, sha256(blob), len(blob))
        store.push_blob(head, chunks(blob))
        descriptors.append(head)
        diff_ids.append("sha256:" + hashlib.sha256(layer).hexdigest())
    value: dict[str, Any] = {
        "architecture": "arm64",
        "os": "linux",
        "config": dict(settings or {}),
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": list(history or [{"created_by": "a step"} for _ in diff_ids]),
    }
    raw = json.dumps(value | dict(config or {})).encode()
    head = Descriptor(OCI_CONFIG, sha256(raw), len(raw))
    store.push_blob(head, chunks(raw))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": head.to_json(),
        "layers": [item.to_json() for item in descriptors],
    }
    store.put_manifest(Document.of(manifest, OCI_MANIFEST), "latest")
    return Export.open(folder)
