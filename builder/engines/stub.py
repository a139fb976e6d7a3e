"""What BuildKit is given in the base's place, and the folder it takes our files from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.base_image import RemoteBase
from builder.dates import timestamp
from builder.layer import unreadable, write_layer
from builder.plan import BuildPlan
from registry.layout import LayoutStore
from registry.oci import (
    OCI_CONFIG,
    OCI_MANIFEST,
    Descriptor,
    Document,
    canonical_json,
    sha256,
)


def write_stub(base: RemoteBase, folder: Path) -> str:
    """Write an image with the base's config and one empty layer; return its digest.

    BuildKit sees the base's environment, command and working directory, and pulls nothing.
    """
    store = LayoutStore.create(folder)
    layer = write_layer((), folder / "empty", 0)
    raw = canonical_json(
        {
            **base.platform.to_json(),
            "config": base.config.settings,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": timestamp(0), "created_by": "imgctl stub"}],
        }
    )
    config = Descriptor(OCI_CONFIG, sha256(raw), len(raw))
    head = layer.descriptor(docker=False)
    store.push_blob(head, layer.open_chunks)
    store.push_blob(config, lambda: _once(raw))
    manifest = Document.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.to_json(),
            "layers": [head.to_json()],
        },
        OCI_MANIFEST,
    )
    store.put_manifest(manifest, "stub")
    return manifest.digest


def write_context(plan: BuildPlan, folder: Path) -> None:
    """Lay out the build context: the plan's files with their modes, nothing else.

    Modes are set here and not by `COPY --chmod`, which would undo --link. Raises BadInput for a
    file that is gone.
    """
    folder.mkdir()
    for file in plan.files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(file.source, target)
        except (FileNotFoundError, PermissionError) as error:
            raise unreadable(file.source, error) from error
        target.chmod(file.mode)
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.utime(Path(path, name), (plan.created, plan.created))
        if path != str(folder):
            Path(path).chmod(0o755)


@contextmanager
def _once(data: bytes) -> Iterator[Iterator[bytes]]:
    yield iter((data,))
