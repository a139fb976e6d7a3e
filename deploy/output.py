"""Manifests as files: one each, found again by kustomize."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.manifests import Object
from deploy.yaml_text import to_yaml

KUSTOMIZATION = "kustomization.yaml"


def write_folder(objects: Sequence[Object], folder: Path, *, as_json: bool = False) -> list[Path]:
    """Write each object to its own file, then kustomization.yaml; return the paths in order.

    Each file is replaced in one step. Other files in the folder are left alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for item in objects:
        ending = "json" if as_json else "yaml"
        path = folder / f"{item['metadata']['name']}-{item['kind'].lower()}.{ending}"
        text = json.dumps(item, indent=2, ensure_ascii=False) + "\n" if as_json else to_yaml([item])
        replace_text(path, text)
        written.append(path)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [path.name for path in written],
    }
    replace_text(folder / KUSTOMIZATION, to_yaml([kustomization]))
    return [*written, folder / KUSTOMIZATION]


def replace_text(path: Path, text: str) -> None:
    """Write a file aside and rename it into place."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
