"""Large stand-in bases: layers that no compressor can shrink, streamed as they are made."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from registry.oci import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from tests.e2e.support.bases import ENVIRONMENT

_BLOCK = 8 << 20


@dataclass(frozen=True)
class Family:
    """The media types of manifest, config and layers that go together."""

    manifest: str
    config: str
    layer: str


DOCKER = Family(DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER_GZIP)
OCI = Family(OCI_MANIFEST, OCI_CONFIG, OCI_LAYER_GZIP)


@dataclass
class Layer:
    """A gzipped tar with one file of random bytes, streamed by chunks() once.

    size: bytes of the file within. digest, diff_id and length (bytes of the blob) are known when
    chunks() has come to its end.
    """

    name: str
    size: int
    digest: str = ""
    diff_id: str = ""
    length: int = 0

    def chunks(self) -> Iterator[bytes]:
        """The blob's bytes: gzip level 0, as the content would not get smaller."""
        plain, packed = hashlib.sha256(), hashlib.sha256()
        gzip = zlib.compressobj(0, wbits=31)
        for part in _tar(self.name, self.size):
            plain.update(part)
            chunk = gzip.compress(part)
            packed.update(chunk)
            self.length += len(chunk)
            yield chunk
        end = gzip.flush()
        packed.update(end)
        self.length += len(end)
        self.digest = f"sha256:{packed.hexdigest()}"
        self.diff_id = f"sha256:{plain.hexdigest()}"
        yield end


def layers(total: int, count: int) -> list[Layer]:
    """Layers of alike size that come to `total` bytes; their content is new in every run."""
    return [Layer(f"opt/nvidia/part-{number}", total // count) for number in range(count)]


def config_of(made: list[Layer]) -> bytes:
    """The config of an arm64 image made of these layers."""
    value = {
        "architecture": "arm64",
        "os": "linux",
        "config": {"Env": ENVIRONMENT, "Cmd": ["/bin/bash"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in made]},
        "history": [{"created_by": "stand-in"} for _ in made],
    }
    return json.dumps(value).encode()


def manifest_of(config: bytes, made: list[Layer], family: Family) -> bytes:
    """The manifest over the config and the layers."""
    value = {
        "schemaVersion": 2,
        "mediaType": family.manifest,
        "config": {"mediaType": family.config, "digest": digest(config), "size": len(config)},
        "layers": [
            {"mediaType": family.layer, "digest": layer.digest, "size": layer.length}
            for layer in made
        ],
    }
    return json.dumps(value).encode()


def push_large(host: str, name: str, total: int, count: int, family: Family = DOCKER) -> None:
    """Push an arm64 image `repository:tag` of `count` layers and `total` bytes to a registry.

    family: Docker's media types, as NVIDIA's images have them, unless given.
    """
    repository, tag = name.rsplit(":", 1)
    with httpx.Client(base_url=f"http://{host}/v2/{repository}", timeout=120) as client:
        made = layers(total, count)
        for layer in made:
            _upload(client, layer)
        config = config_of(made)
        opened = client.post("/blobs/uploads/").raise_for_status()
        place = httpx.URL(opened.headers["Location"]).copy_merge_params({"digest": digest(config)})
        client.put(place, content=config).raise_for_status()
        kind = {"Content-Type": family.manifest}
        manifest = manifest_of(config, made, family)
        client.put(f"/manifests/{tag}", content=manifest, headers=kind).raise_for_status()


def digest(data: bytes) -> str:
    """The digest of data, by the standard library: the measured code is not its own judge."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _upload(client: httpx.Client, layer: Layer) -> None:
    """One PATCH with everything, then a PUT with the digest, which is only known by then."""
    opened = client.post("/blobs/uploads/").raise_for_status()
    sent = client.patch(opened.headers["Location"], content=layer.chunks()).raise_for_status()
    place = httpx.URL(sent.headers["Location"]).copy_merge_params({"digest": layer.digest})
    client.put(place).raise_for_status()


def _tar(name: str, size: int) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size = size
    yield info.tobuf(tarfile.GNU_FORMAT)
    # One random block over and over, numbered: gzip and zstd do not look back that far.
    block = os.urandom(_BLOCK)
    left = size
    while left:
        part = (left.to_bytes(8, "big") + block[8:])[:left]
        yield part
        left -= len(part)
    yield b"\0" * (-size % tarfile.BLOCKSIZE) + b"\0" * (2 * tarfile.BLOCKSIZE)
