"""Bases and plans for the tests of this package; the base lies in a layout, as in a registry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256 as hasher
from pathlib import Path
from typing import Any

from builder.base_image import RemoteBase, read_base
from builder.bases import BaseImage, resolve
from builder.instructions import final_stage, parse
from builder.matrix import L4TRelease, Matrix
from builder.plan import BuildPlan, ContextFile, Method
from builder.stage import obstacle
from registry.blobs import OpenChunks
from registry.layout import LayoutStore
from registry.oci import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Document,
    Platform,
    sha256,
)
from registry.reference import Reference

MATRIX = Matrix.load()
RELEASE: L4TRelease = MATRIX.release("r35.2.1")
BASE: BaseImage = resolve(MATRIX, RELEASE, "l4t-pytorch")
ARM64 = Platform()
HEAD = f"FROM {BASE.reference}\n"


def chunks(data: bytes) -> OpenChunks:
    @contextmanager
    def open_chunks() -> Iterator[Iterator[bytes]]:
        yield iter((data,))

    return open_chunks


def put_base(
    folder: Path,
    *,
    docker: bool = True,
    architecture: str = "arm64",
    config: Mapping[str, Any] | None = None,
    reference: Reference = BASE.reference,
) -> LayoutStore:
    """A registry's repository with a base of one layer under the reference's tag."""
    store = LayoutStore.create(folder)
    layer = b"the base's own layer, never opened"
    head = Descriptor(DOCKER_LAYER_GZIP if docker else OCI_LAYER_GZIP, sha256(layer), len(layer))
    store.push_blob(head, chunks(layer))
    raw = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "2023-02-01T10:11:12.5Z",
            "config": {"Env": ["PATH=/usr/bin"], "Cmd": ["/bin/bash"], "Hostname": ""},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "d" * 64]},
            "history": [{"created_by": "base"}],
        }
        | dict(config or {})
    ).encode()
    kind = DOCKER_CONFIG if docker else OCI_CONFIG
    described = Descriptor(kind, sha256(raw), len(raw))
    store.push_blob(described, chunks(raw))
    family = DOCKER_MANIFEST if docker else OCI_MANIFEST
    manifest = {
        "schemaVersion": 2,
        "mediaType": family,
        "config": described.to_json(),
        "layers": [head.to_json()],
    }
    store.put_manifest(Document.of(manifest, family), reference.tag)
    return store


def put_index(store: LayoutStore, tag: str, *platforms: str) -> None:
    """Put an index before the manifest under a tag, saying it is for these platforms."""
    manifest = store.manifest(tag)
    entries = [
        manifest.descriptor.to_json() | {"platform": Platform.parse(item).to_json()}
        for item in platforms
    ]
    value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    store.put_manifest(Document.of(value, OCI_INDEX), tag)


def remote(store: LayoutStore, reference: Reference = BASE.reference) -> RemoteBase:
    source = Reference("127.0.0.1:5000", reference.repository, reference.tag)
    return read_base(store, reference, source, ARM64)


def context(folder: Path, files: Mapping[str, bytes], mode: int = 0o644) -> list[ContextFile]:
    """Write files and describe them as a build context."""
    found = []
    for name, content in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        found.append(ContextFile(name, mode, len(content), hasher(content).hexdigest(), path))
    return found


def plan(
    base: RemoteBase,
    dockerfile: str,
    files: list[ContextFile] | None = None,
    **fields: Any,
) -> BuildPlan:
    """A plan for `app:1.0.0`; dockerfile without its FROM."""
    text = HEAD + dockerfile
    method: Method = "full" if obstacle(final_stage(parse(text))) else "graft"
    values: dict[str, Any] = {
        "image": "app",
        "version": "1.0.0",
        "tag": "1.0.0-l4t-r35.2.1",
        "release": RELEASE,
        "base": BASE,
        "remote": base,
        "method": method,
        "dockerfile": text,
        "files": tuple(files or ()),
        "requirements": (),
        "command": ("python3", "/opt/app/a.py"),
        "workload": {"kind": "batch", "gpus": 1, "host_network": False},
        "labels": {"io.imgctl.l4t": "r35.2.1"},
        "annotations": {"org.opencontainers.image.version": "1.0.0"},
        "build_args": {},
        "created": 1_600_000_000,
    }
    return BuildPlan(**(values | fields))
