"""Finished builds as `imgctl build` leaves them, without a base to build on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builder.record import BuildRecord
from registry.layout import LayoutStore
from registry.oci import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    Descriptor,
    Document,
    canonical_json,
    sha256,
)
from registry.store import Store
from tests.unit.imgctl.records import PLAN, TAG
from tests.unit.registry.images import chunks_of

BASE_LAYER = b"the base's only layer " * 1000


def layer(content: bytes) -> Descriptor:
    return Descriptor(DOCKER_LAYER_GZIP, sha256(content), len(content))


def put_blob(store: Store, media_type: str, content: bytes) -> Descriptor:
    blob = Descriptor(media_type, sha256(content), len(content))
    store.push_blob(blob, chunks_of(content))
    return blob


def put_base(store: Store) -> None:
    """A repository that holds the base's layer, and a manifest that keeps it."""
    config = put_blob(store, DOCKER_CONFIG, b"{}")
    put_blob(store, DOCKER_LAYER_GZIP, BASE_LAYER)
    store.put_manifest(_manifest(config, layer(BASE_LAYER)), "r35.2.1")


def make_build(
    dist: Path,
    image: str = "mnist",
    tag: str = TAG,
    *,
    base: tuple[str, str] = ("127.0.0.1:9", "nvidia/l4t-base"),
    architecture: str = "arm64",
    script: bytes = b"our script",
    unpackable: bool = False,
    **changes: Any,
) -> Path:
    """A sparse build in dist: our layer, config and manifest; the base's layer is elsewhere.

    base: host and repository that hold the base's layer. unpackable: list the layers in the config
    too; they are their own content, so that a diff ID is the digest. changes: fields of the record.
    """
    folder = dist / image / tag
    store = LayoutStore.create(folder)
    ours = put_blob(store, DOCKER_LAYER_GZIP, script)
    diff_ids = [layer(BASE_LAYER).digest, ours.digest]
    rootfs = {"type": "layers", "diff_ids": diff_ids} if unpackable else {}
    config = put_blob(
        store,
        DOCKER_CONFIG,
        canonical_json({"os": "linux", "architecture": architecture, "rootfs": rootfs}),
    )
    document = _manifest(config, layer(BASE_LAYER), ours)
    store.put_manifest(document, tag)
    BuildRecord(
        {
            "schema": 1,
            "kind": "build",
            "image": image,
            "version": "1.0.0",
            "tag": tag,
            "l4t": "r35.2.1",
            "jetpack": "5.1",
            "plan": PLAN,
            "platform": "linux/arm64",
            "digest": document.digest,
            "media_type": document.media_type,
            "size": len(document.raw),
            "config_digest": config.digest,
            "layers": [
                {
                    **item.to_json(),
                    "media_type": DOCKER_LAYER_GZIP,
                    "diff_id": item.digest,
                    "ours": item is ours,
                }
                for item in (layer(BASE_LAYER), ours)
            ],
            "base": {
                "reference": "nvcr.io/nvidia/l4t-base:r35.2.1",
                "digest": "sha256:" + "ab" * 32,
                "sources": [{"host": base[0], "repository": base[1]}],
            },
            "sparse": True,
            "command": ["python3", "/opt/run.py"],
            "workload": {"kind": "batch", "gpus": 1, "host_network": True},
            "labels": {},
            **changes,
        }
    ).save(folder)
    return folder


def _manifest(config: Descriptor, *layers: Descriptor) -> Document:
    value = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": config.to_json(),
        "layers": [item.to_json() for item in layers],
    }
    return Document.of(value, DOCKER_MANIFEST)
