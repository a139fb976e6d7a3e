"""Image definitions written for a test, and built images read as any other tool would."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TAG = "1.0.0-l4t-r35.2.1"


def write_image(
    folder: Path, name: str, files: Mapping[str, bytes] | None = None, **fields: Any
) -> Path:
    """Write `images/NAME/image.yaml` below folder; fields are added to the definition.

    files: content by name, each put into /opt/NAME/ in the image.
    """
    home = folder / "images" / name
    home.mkdir(parents=True, exist_ok=True)
    for path, content in (files or {}).items():
        (home / path).write_bytes(content)
    listed = [{"source": path, "target": f"/opt/{name}/{path}"} for path in files or {}]
    definition = {
        "name": name,
        "version": "1.0.0",
        "description": "An image of the tests",
        "bases": ["l4t-base"],
        "files": listed,
        "command": ["/bin/true"],
        "workload": {"kind": "batch", "gpus": 0},
    }
    (home / "image.yaml").write_text(yaml.safe_dump(definition | fields))
    return home


def write_template(folder: Path, family: str, *steps: str) -> None:
    """Write a team's own Dockerfile template: the usual layout, these steps before the files."""
    home = folder / "dockerfiles"
    home.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(steps)
    (home / f"{family}.Dockerfile.j2").write_text(
        '{% extends "_layout.Dockerfile.j2" %}\n'
        f"{{% block framework %}}\n{lines}\n{{% endblock %}}\n"
    )


@dataclass(frozen=True)
class Layout:
    """A finished build's OCI layout, read with nothing of imgctl's own code."""

    path: Path

    @property
    def digest(self) -> str:
        """The digest of its only image."""
        index = json.loads((self.path / "index.json").read_text())
        (entry,) = index["manifests"]
        return str(entry["digest"])

    @property
    def manifest(self) -> dict[str, Any]:
        """The image's manifest."""
        value: dict[str, Any] = json.loads(self.blob(self.digest))
        return value

    @property
    def config(self) -> dict[str, Any]:
        """The image's config."""
        value: dict[str, Any] = json.loads(self.blob(self.manifest["config"]["digest"]))
        return value

    def blob(self, digest: str) -> bytes:
        """A blob's bytes."""
        return (self.path / "blobs" / digest.replace(":", "/")).read_bytes()

    def files(self, layer: int = -1) -> dict[str, tuple[str, int, int, int, bytes]]:
        """Path -> (type, mode, owner, group, content) of everything in one layer."""
        found = {}
        blob = gzip.decompress(self.blob(self.manifest["layers"][layer]["digest"]))
        with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
            for item in archive:
                stream = archive.extractfile(item) if item.isreg() else None
                content = stream.read() if stream else item.linkname.encode()
                kind = item.type.decode()
                found[item.name] = (kind, item.mode, item.uid, item.gid, content)
        return found


def built(folder: Path, image: str = "mnist", tag: str = TAG) -> Layout:
    """The build in `folder/dist`."""
    return Layout(folder / "dist" / image / tag)
