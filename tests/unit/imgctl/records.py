"""Build and push records as they lie in dist/, and a registry with an image in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry.oci import DOCKER_MANIFEST, Document, sha256
from registry.sandbox.memory import Contents, MemoryRegistry
from registry.sandbox.server import serve

DIGEST = "sha256:" + "ab" * 32
PLAN = "sha256:" + "cd" * 32
TAG = "1.0.0-l4t-r35.2.1"
DESCRIPTION = "Trains a small convolutional network"

Call = Callable[..., tuple[int, str, str]]


def build_record(**changes: Any) -> dict[str, Any]:
    """What a build of mnist writes as build.json, as far as the edge side reads it."""
    return {
        "schema": 1,
        "kind": "build",
        "image": "mnist",
        "version": "1.0.0",
        "tag": TAG,
        "l4t": "r35.2.1",
        "plan": PLAN,
        "digest": DIGEST,
        "command": ["python3", "/home/pytorch-mnist.py"],
        "workload": {"kind": "batch", "gpus": 1, "host_network": True},
        "labels": {"org.opencontainers.image.description": DESCRIPTION},
        **changes,
    }


def push_record(**changes: Any) -> dict[str, Any]:
    """What a push of it writes as push.json."""
    return {
        "schema": 1,
        "kind": "push",
        "image": "mnist",
        "repository": "local-harbor.com/algorithms/mnist",
        "tags": [TAG],
        "digest": DIGEST,
        "image_size": 6_000_000_000,
        "l4t": "r35.2.1",
        "plan": PLAN,
        "command": ["python3", "/home/pytorch-mnist.py"],
        "workload": {"kind": "batch", "gpus": 1, "host_network": True},
        **changes,
    }


def put(dist: Path, *records: dict[str, Any], image: str = "mnist", tag: str = TAG) -> Path:
    """Write records into a build's folder in dist; return the folder."""
    folder = dist / image / tag
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        (folder / f"{record['kind']}.json").write_text(json.dumps(record))
    return folder


@contextmanager
def registry_with(
    repository: str, tag: str, annotations: dict[str, str] | None = None, **config: Any
) -> Iterator[tuple[str, str]]:
    """A registry on loopback holding one image; yields its host and the manifest's digest.

    annotations: of its manifest. config: fields of its config, laid over those of a Jetson's.
    """
    value = {"os": "linux", "architecture": "arm64", "rootfs": {"type": "layers"}, **config}
    raw = json.dumps(value).encode()
    layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
             "digest": sha256(b"layer"), "size": 2_000_000_000}  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
                   "digest": sha256(raw), "size": len(raw)},
        "layers": [layer],
        **({"annotations": annotations} if annotations else {}),
    }  # fmt: skip
    document = Document.of(manifest, DOCKER_MANIFEST)
    registry = MemoryRegistry()
    registry.blobs[sha256(raw)] = raw
    registry.repositories[repository] = Contents(
        {sha256(raw)}, {document.digest: document}, {tag: document.digest}
    )
    with serve(registry) as host:
        yield host, document.digest
