"""The record of a build: what was made from what, and where the rest of it lies.

Written as build.json beside the OCI layout. Everything that comes later (push, manifests,
bundles, releases) starts from it, so its fields only ever grow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.dates import timestamp
from registry.errors import BadInput, CorruptContent
from registry.files import replace_json
from registry.oci import Descriptor, Document

if TYPE_CHECKING:
    from builder.engines.image import BuiltImage
    from builder.plan import BuildPlan

FILE_NAME = "build.json"
SCHEMA = 1


@dataclass(frozen=True)
class BuildRecord:
    """A build.json; `value` is its JSON object, see `record_of` for the fields."""

    value: Mapping[str, Any] = field(hash=False)

    @classmethod
    def load(cls, folder: Path) -> BuildRecord:
        """Read a build's record; raises BadInput when there is none, CorruptContent when broken."""
        path = folder / FILE_NAME
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BadInput(f"{folder} holds no build", f"there is no {FILE_NAME}") from error
        except ValueError as error:
            raise CorruptContent(f"{path} is not JSON", str(error)[:120], "build again") from error
        if not isinstance(value, dict) or value.get("kind") != "build":
            raise CorruptContent(f"{path} is not the record of a build", "", "build again")
        if value.get("schema") != SCHEMA:
            raise BadInput(f"{path} is of another version of imgctl", "", "build again")
        return cls(value)

    def save(self, folder: Path) -> None:
        """Write the record into a folder, whole or not at all."""
        replace_json(folder / FILE_NAME, self.value)

    @property
    def name(self) -> str:
        """`mnist:1.0.0-l4t-r35.2.1`."""
        return f"{self.value['image']}:{self.value['tag']}"

    @property
    def plan(self) -> str:
        """The identity of the plan it was built from."""
        return str(self.value.get("plan", ""))

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return str(self.value["digest"])

    @property
    def sparse(self) -> bool:
        """Whether blobs of the base are only described."""
        return bool(self.value.get("sparse"))

    @property
    def descriptor(self) -> Descriptor:
        """The manifest's descriptor."""
        return Descriptor(self.value["media_type"], self.digest, self.value["size"])

    def layers(self, *, ours: bool) -> list[Descriptor]:
        """The descriptors of our layers, or of the base's."""
        return [
            Descriptor(item["media_type"], item["digest"], item["size"])
            for item in self.value["layers"]
            if item["ours"] is ours
        ]

    def complete(self) -> BuildRecord:
        """The same with every blob present."""
        return BuildRecord({**self.value, "sparse": False})


def record_of(plan: BuildPlan, built: BuiltImage, timings: Mapping[str, float]) -> BuildRecord:
    """The record of a finished build; sizes in bytes, timings in seconds."""
    manifest: Document = built.image.manifest
    base = plan.remote
    places = dict.fromkeys((item.host, item.repository) for item in (base.source, base.reference))
    return BuildRecord(
        {
            "schema": SCHEMA,
            "kind": "build",
            "image": plan.image,
            "version": plan.version,
            "tag": plan.tag,
            "l4t": plan.release.name,
            "jetpack": plan.release.jetpack,
            "plan": plan.identity,
            "engine": built.engine,
            "method": plan.method,
            "platform": str(plan.platform),
            "digest": manifest.digest,
            "media_type": manifest.media_type,
            "size": len(manifest.raw),
            "config_digest": manifest.config.digest,
            "layers": [
                {
                    "digest": layer.descriptor.digest,
                    "size": layer.descriptor.size,
                    "media_type": layer.descriptor.media_type,
                    "diff_id": layer.diff_id,
                    "ours": layer.ours,
                }
                for layer in built.layers
            ],
            "base": {
                "reference": str(base.reference),
                "digest": base.manifest.digest,
                "family": plan.base.family,
                "l4t": plan.base.l4t,
                "exact": plan.base.exact,
                "reason": plan.base.reason,
                "sources": [
                    {"host": host, "repository": repository} for host, repository in places
                ],
            },
            "sparse": built.sparse,
            "command": list(plan.command),
            "workload": dict(plan.workload),
            "labels": dict(plan.labels),
            "wheels": [dict(item) for item in built.wheels],
            "created": timestamp(plan.created),
            "timings": {key: round(value, 3) for key, value in timings.items()},
            "plan_document": plan.deciding(),
        }
    )
