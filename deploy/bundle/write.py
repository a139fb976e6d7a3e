"""A bundle on disk: the archive, and the script that puts it into a device's container engine."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.bundle.plan import BundlePlan
from registry.blobs import Chunk, OpenChunks
from registry.combined import combined_archive
from registry.files import aside, check_room, replace_text
from registry.oci import Descriptor, canonical_json
from registry.origin import open_from
from registry.progress import Progress, counted

BUNDLE_FILE = "bundle.json"
INSTALLER = Path(__file__).parent.parent / "data" / "install.sh"


@dataclass(frozen=True)
class Bundle:
    """A written bundle. size: bytes of the archive; sha256: their hex digest."""

    plan: BundlePlan
    archive: Path
    script: Path
    size: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """The bundle for a reader: bundle.json, and what lies where."""
        return {
            **self.plan.to_json(),
            "archive": str(self.archive),
            "script": str(self.script),
            "size": self.size,
            "sha256": self.sha256,
        }


def write_bundle(plan: BundlePlan, archive: Path, progress: Progress) -> Bundle:
    """Write the archive to a path ending in `.tar`, and its script beside it.

    Both are there whole or not at all. Blobs are streamed from where they are, and checked. Raises
    ImgctlError when the disk is too small, NotFound when a layer is nowhere to be had.
    """
    needed = sum(item.size for item in plan.carried)
    hint = "free some space, or leave out what the device has: --holds, --inventory"
    check_room(archive.parent, needed, f"the bundle does not fit into {archive.parent}", hint)
    script = archive.with_suffix(".sh")
    blobs = [(item, _opener(plan, item, progress)) for item in plan.carried]
    extra = {BUNDLE_FILE: canonical_json(plan.to_json())}
    chunks = combined_archive(plan.image.manifest, plan.names, blobs, extra)
    with aside(archive) as new:
        size, digest = _write(new, chunks)
        bundle = Bundle(plan, archive, script, size, digest)
        # The script first: without its archive it says what is missing; an archive without the
        # script, or with that of another, would be a riddle.
        replace_text(script, install_script(bundle), mode=0o755)
        new.chmod(0o644)
        new.replace(archive)
    return bundle


def install_script(bundle: Bundle) -> str:
    """The script for the device: what the bundle is, then install.sh."""
    plan = bundle.plan
    tagged, pinned = plan.names.containerd
    left_out = plan.left_out
    values = {
        "IMAGE": tagged,
        "PINNED": pinned,
        "DIGEST": plan.image.manifest.digest,
        "PLATFORM": str(plan.image.config.platform),
        "ARCHIVE": bundle.archive.name,
        "SIZE": str(bundle.size),
        "SHA256": bundle.sha256,
        "LAYERS": _listed([layer.diff_id for layer in plan.layers]),
        # The beginning of such a list, as `docker image inspect` prints it.
        "NEEDED": _listed([layer.diff_id for layer in left_out]).removesuffix("]"),
        "NEEDED_CHAIN": left_out[-1].chain_id if left_out else "",
        "NEEDED_COUNT": str(len(left_out)),
    }
    if not left_out:
        values["NEEDED"] = ""
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    first, _, body = INSTALLER.read_text(encoding="utf-8").partition("\n")
    return f"{first}\n{lines}\n{body}"


def _listed(diff_ids: list[str]) -> str:
    return json.dumps(diff_ids, separators=(",", ":"))


def _opener(plan: BundlePlan, blob: Descriptor, progress: Progress) -> OpenChunks:
    @contextmanager
    def opened() -> Iterator[Iterator[Chunk]]:
        progress.start(blob.digest, f"layer {blob.digest[7:19]}", blob.size)
        try:
            with open_from(plan.image.origins, blob) as chunks:
                yield counted(chunks, blob.digest, progress)
        finally:
            progress.finish(blob.digest)

    return opened


def _write(path: Path, chunks: Iterator[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as stream:
        for chunk in chunks:
            stream.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
