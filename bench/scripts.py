"""Images that differ in a script alone, as definitions for imgctl and as layers for crane."""

from __future__ import annotations

import tarfile
from pathlib import Path

_DEFINITION = """\
name: {name}
version: {version}
description: A script that differs from its neighbours by a line
framework: pytorch
bases: [l4t-pytorch]
files:
  - {{source: run.py, target: /home/run.py, mode: "0644", owner: "0:0"}}
command: [python3, /home/run.py]
workload: {{kind: batch, gpus: 1}}
"""


def write_image(root: Path, name: str, version: str) -> None:
    """Write images/NAME/ below root, in the place of an older version; see write_layer()."""
    folder = root / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image.yaml").write_text(_DEFINITION.format(name=name, version=version))
    (folder / "run.py").write_text(_script(name, version))


def write_layer(path: Path, name: str, version: str) -> None:
    """Write the tar of the layer that an image of this name and version adds to its base."""
    script = path.with_suffix(".py")
    script.write_text(_script(name, version))
    with tarfile.open(path, "w") as tar:
        tar.add(script, "home/run.py")


def _script(name: str, version: str) -> str:
    trainer = Path(__file__).parent.parent / "images" / "mnist" / "pytorch-mnist.py"
    return f"# {name} {version}\n{trainer.read_text()}"
