"""A stand-in for one of NVIDIA's bases, where theirs cannot be reached: the demo.

It has the base's name, platform, media types and the shape of its config, and noise where the
real one has gigabytes of software. It says so in its config, its labels and a file of its own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from builder.bases import BaseImage
from builder.dates import timestamp
from builder.layer import Entry, Layer, write_layer
from registry.oci import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    Descriptor,
    Document,
    Platform,
    canonical_json,
    sha256,
)
from registry.store import Store

NOTICE = "STAND-IN made by imgctl: none of NVIDIA's software is in it, nothing in it runs"
CREATED = 1_675_209_600  # seconds since 1970; any fixed time would do
_MB = 10**6


def push_stand_in(store: Store, base: BaseImage, folder: Path) -> Descriptor:
    """Put a stand-in for a base into a repository under the base's tag; the manifest's descriptor.

    folder: for the layers on their way. The same base gives the same bytes every time.
    """
    layers = [
        write_layer(entries, folder / f"stand-in-{number}", CREATED)
        for number, entries in enumerate(_layers(base))
    ]
    config = canonical_json(_config(base, layers))
    about_config = Descriptor(DOCKER_CONFIG, sha256(config), len(config))
    for layer in layers:
        store.push_blob(layer.descriptor(docker=True), layer.open_chunks)
    store.push_blob(about_config, lambda: nullcontext(iter((config,))))
    manifest = Document.of(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": about_config.to_json(),
            "layers": [layer.descriptor(docker=True).to_json() for layer in layers],
        },
        DOCKER_MANIFEST,
    )
    store.put_manifest(manifest, base.tag)
    return manifest.descriptor


def _layers(base: BaseImage) -> Sequence[list[Entry]]:
    """A system, its CUDA and its framework, as far as names go."""
    release = base.l4t or base.release
    major, _, rest = release.partition(".")
    return (
        [
            _text("STAND-IN", f"{NOTICE}\n"),
            _text("etc/nv_tegra_release", f"# R{major} (release), REVISION: {rest}, STAND-IN\n"),
            _noise("usr/lib/stand-in", base, _MB),
        ],
        [_noise("usr/local/cuda/lib64/stand-in", base, 2 * _MB)],
        [_noise(f"usr/local/lib/python{base.python}/dist-packages/stand-in", base, _MB)],
    )


def _text(path: str, text: str) -> Entry:
    return _entry(path, text.encode())


def _noise(path: str, base: BaseImage, size: int) -> Entry:
    """Bytes that do not compress, so that they weigh what they say."""
    return _entry(path, hashlib.shake_128(f"{base.reference} {path}".encode()).digest(size))


def _entry(path: str, content: bytes) -> Entry:
    return Entry(
        path,
        0o644,
        size=len(content),
        open=lambda: closing(io.BytesIO(content)),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _config(base: BaseImage, layers: Sequence[Layer]) -> dict[str, object]:
    platform = Platform()
    return {
        "os": platform.os,
        "architecture": platform.architecture,
        "created": timestamp(CREATED),
        "comment": NOTICE,
        "config": {
            "Env": [
                "PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LD_LIBRARY_PATH=/usr/local/cuda/lib64",
                "NVIDIA_VISIBLE_DEVICES=all",
                "NVIDIA_DRIVER_CAPABILITIES=all",
            ],
            "Cmd": ["/bin/bash"],
            "Labels": {"org.opencontainers.image.description": NOTICE},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [
            {"created": timestamp(CREATED), "created_by": "imgctl: stand-in"} for _ in layers
        ],
    }
