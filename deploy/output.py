"""Manifests as files: one each, found again by kustomize."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.manifests import Object, manifests
from deploy.workload import Workload, from_record
from deploy.yaml_text import to_yaml
from registry.errors import BadInput
from registry.files import replace_text

KUSTOMIZATION = "kustomization.yaml"
_HEAD = "# Written by imgctl: the files of its last run in this folder.\n"


def write_folder(objects: Sequence[Object], folder: Path, *, as_json: bool = False) -> list[Path]:
    """Write each object to its own file, then kustomization.yaml; return the paths in order.

    Each file is replaced in one step. Other files in the folder are left alone. Raises BadInput,
    with nothing written, when the kustomization.yaml there is someone else's.
    """
    _check_ours(folder / KUSTOMIZATION)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for item in objects:
        ending = "json" if as_json else "yaml"
        path = folder / f"{item['metadata']['name']}-{item['kind'].lower()}.{ending}"
        text = json.dumps(item, indent=2, ensure_ascii=False) + "\n" if as_json else to_yaml([item])
        # A Secret is for its owner's eyes.
        replace_text(path, text, 0o600 if item["kind"] == "Secret" else 0o644)
        written.append(path)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [path.name for path in written],
    }
    replace_text(folder / KUSTOMIZATION, _HEAD + to_yaml([kustomization]))
    return [*written, folder / KUSTOMIZATION]


def _check_ours(path: Path) -> None:
    if path.is_file() and not path.read_bytes().startswith(_HEAD.encode()):
        raise BadInput(
            f"{path} was not written by imgctl", "it would be replaced", "name another folder"
        )


def write_matching(
    record: Mapping[str, Any], folder: Path, workload: Workload | None = None
) -> list[Path]:
    """Write pod.yaml and deployment.yaml for a push record beside it; return their paths.

    record: the JSON object of push.json. workload: what is to be run, where more than the record
    decides it. Raises BadInput when the record is none.
    """
    workload = workload or Workload(**from_record(record))
    written = []
    for kind in ("pod", "deployment"):
        path = folder / f"{kind}.yaml"
        replace_text(path, to_yaml(manifests(workload, [kind])))
        written.append(path)
    return written
