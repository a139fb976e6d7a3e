"""A build in dist/, as far as what is attested of it goes: its record and its own layers."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.record import BuildRecord
from registry.layout import LayoutStore
from registry.oci import OCI_LAYER_GZIP, Descriptor, sha256
from registry.reference import Reference
from tests.unit.builder.plans import chunks

DIGEST = "sha256:" + "ab" * 32
BASE_DIGEST = "sha256:" + "cd" * 32
BASE = "nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3"
REFERENCE = Reference.parse("local-harbor.com/algorithms/mnist:1.0.0-l4t-r35.2.1")


def layer(files: Mapping[str, bytes | None]) -> bytes:
    """A gzipped tar of files; None makes a folder, a name is put in as it is."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def installed(name: str, version: str, root: str, *headers: str) -> dict[str, bytes]:
    """The files of an installed Python package of one module."""
    info = f"{name}-{version}.dist-info"
    metadata = "\n".join(
        ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *headers]
    )
    record = f"{name}.py,,\n{info}/METADATA,,\n{info}/RECORD,,\n../../../bin/{name},,\n"
    return {
        f"{root}/{name}.py": b"x = 1\n",
        f"{root}/{info}/METADATA": metadata.encode() + b"\n\nWords.\n",
        f"{root}/{info}/RECORD": record.encode(),
        f"{root.partition('/lib/')[0]}/bin/{name}": b"#!/usr/bin/python3\n",
    }


def wheel(folder: Path, name: str, version: str, *headers: str) -> Path:
    """A wheel file of one module."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": b"x = 1\n",
        f"{info}/METADATA": "\n".join([f"Name: {name}", f"Version: {version}", *headers]).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [
        f"{item},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()},"
        for item, content in files.items()
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for item, content in files.items():
            archive.writestr(item, content)
        archive.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,", ""]))
    return path


def build(folder: Path, *layers: bytes, **changes: Any) -> BuildRecord:
    """A record whose own layers lie in a layout at folder, above one of the base's."""
    store = LayoutStore.create(folder)
    listed = [{"digest": BASE_DIGEST, "size": 1, "media_type": OCI_LAYER_GZIP, "ours": False}]
    for content in layers:
        found = Descriptor(OCI_LAYER_GZIP, sha256(content), len(content))
        store.push_blob(found, chunks(content))
        listed.append({"digest": found.digest, "size": found.size,
                       "media_type": OCI_LAYER_GZIP, "ours": True})  # fmt: skip
    labels = {
        "org.opencontainers.image.description": "Trains",
        "org.opencontainers.image.source": "https://git.example/acme/images",
        "org.opencontainers.image.revision": "0123456789" * 4,
    }
    return BuildRecord(
        {
            "schema": 1,
            "kind": "build",
            "image": "mnist",
            "version": "1.0.0",
            "tag": "1.0.0-l4t-r35.2.1",
            "l4t": "r35.2.1",
            "plan": "sha256:" + "12" * 32,
            "engine": "direct",
            "method": "wheels",
            "platform": "linux/arm64",
            "digest": DIGEST,
            "media_type": "application/vnd.oci.image.manifest.v1+json",
            "size": 500,
            "layers": listed,
            "base": {
                "reference": BASE,
                "digest": BASE_DIGEST,
            },
            "labels": labels,
            "wheels": [],
            "created": "2023-02-01T10:11:12Z",
            "plan_document": {"build_args": {"A": "1"}, "dockerfile": f"FROM {BASE}"},
            **changes,
        }
    )
