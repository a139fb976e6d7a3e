"""Stand-ins for NVIDIA's bases: small arm64 Debian systems under the real names.

NVIDIA's registry cannot be reached from a test. The file system is made once and cached.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.support.processes import PATH, tool

PYTORCH = "nvidia/l4t-pytorch:r35.2.1-pth2.0-py3"
L4T_BASE = "nvidia/l4t-base:r35.2.1"
PYTORCH_IGPU = "nvidia/pytorch:25.06-py3-igpu"
PACKAGES = "python3-minimal,libpython3-stdlib,coreutils,dash,bash,libc-bin"
ENVIRONMENT = [
    "PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LD_LIBRARY_PATH=/usr/local/cuda/lib64",
    "NVIDIA_VISIBLE_DEVICES=all",
    "NVIDIA_DRIVER_CAPABILITIES=all",
]


def cache_folder() -> Path:
    """Where made things are kept between runs."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(root) / "imgctl-e2e"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def root_filesystem() -> Path:
    """A gzipped arm64 root file system with python3 and a shell (about 35 MB), made once."""
    name = hashlib.sha256(PACKAGES.encode()).hexdigest()[:12]
    path = cache_folder() / f"arm64-{name}.tar.gz"
    if path.is_file():
        return path
    tar = path.with_name(f"{path.stem}-making.tar")
    command = [tool("mmdebstrap"), "--arch=arm64", "--variant=extract", f"--include={PACKAGES}",
               "bookworm", str(tar), mirror()]  # fmt: skip
    subprocess.run(command, check=True, env={**os.environ, "PATH": PATH}, timeout=300)
    part = path.with_suffix(".part")
    with tar.open("rb") as source, gzip.GzipFile(part, "wb", compresslevel=1, mtime=0) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    tar.unlink()
    part.rename(path)
    return path


def mirror() -> str:
    """The Debian mirror this machine's own apt uses."""
    folder = Path("/etc/apt")
    texts = [path.read_text() for path in sorted(folder.glob("sources.list.d/*"))]
    if (folder / "sources.list").is_file():
        texts.append((folder / "sources.list").read_text())
    for text in texts:
        found = re.search(r"(https?://\S+/debian/?)(?=\s|$)", text)
        if found:
            return found[1]
    raise RuntimeError("this machine's apt sources name no Debian mirror")


def push_base(
    host: str, name: str, layers: list[Path], settings: Mapping[str, Any] | None = None
) -> str:
    """Push gzipped layers as an arm64 image `repository:tag`; return the manifest's digest.

    settings: the `config` object of its config, in place of the usual one.
    """
    usual = {"Env": ENVIRONMENT, "Cmd": ["/bin/bash"]}
    repository, tag = name.split(":")
    with httpx.Client(base_url=f"http://{host}/v2/{repository}", timeout=120) as client:
        diff_ids, descriptors = [], []
        for layer in layers:
            diff_ids.append(_diff_id(layer))
            descriptors.append(_push_file(client, layer))
        config = json.dumps(
            {
                "architecture": "arm64",
                "os": "linux",
                "config": usual if settings is None else settings,
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
                "history": [{"created_by": "stand-in"} for _ in layers],
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    **_push_bytes(client, config),
                },
                "layers": [
                    {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **item}
                    for item in descriptors
                ],
            }
        ).encode()
        kind = {"Content-Type": "application/vnd.docker.distribution.manifest.v2+json"}
        client.put(f"/manifests/{tag}", content=manifest, headers=kind).raise_for_status()
        return "sha256:" + hashlib.sha256(manifest).hexdigest()


def push_own_base(
    host: str, prefix: str, folder: Path, settings: Mapping[str, Any] | None = None
) -> str:
    """Push `PREFIX/nvidia/l4t-base`, a base no test before had; the digest of its one layer."""
    path = folder / "own-layer.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        name = str(folder).encode()
        member = tarfile.TarInfo("etc/own")
        member.size = len(name)
        archive.addfile(member, io.BytesIO(name))
    push_base(host, f"{prefix}/{L4T_BASE}", [path], settings)
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def _diff_id(layer: Path) -> str:
    digest = hashlib.sha256()
    with gzip.open(layer, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _push_file(client: httpx.Client, path: Path) -> dict[str, object]:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    size = path.stat().st_size
    with path.open("rb") as stream:
        _upload(
            client, f"sha256:{digest.hexdigest()}", size, iter(lambda: stream.read(1 << 20), b"")
        )
    return {"digest": f"sha256:{digest.hexdigest()}", "size": size}


def _push_bytes(client: httpx.Client, data: bytes) -> dict[str, object]:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    _upload(client, digest, len(data), iter([data]))
    return {"digest": digest, "size": len(data)}


def _upload(client: httpx.Client, digest: str, size: int, chunks: object) -> None:
    if client.head(f"/blobs/{digest}").status_code == 200:
        return
    opened = client.post("/blobs/uploads/")
    opened.raise_for_status()
    place = opened.headers["Location"]
    joined = f"{place}{'&' if '?' in place else '?'}digest={digest}"
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    client.put(joined, content=chunks, headers=headers).raise_for_status()  # type: ignore[arg-type]
