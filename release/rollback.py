"""Going back: readable tags name an earlier release again, and nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semver import Version

from deploy.output import write_matching
from registry.errors import NotFound, Refused
from registry.oci import Platform
from registry.repository import Repository
from release.listing import Released, list_releases
from release.tags import TagScheme


@dataclass(frozen=True)
class Rollback:
    """target: the release to go back to. moves: the tags that move, with what they name now."""

    target: Released
    moves: Mapping[str, str] = field(hash=False)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"target": self.target.to_json(), "moves": dict(self.moves)}


def plan_rollback(
    repository: Repository, scheme: TagScheme, version: Version, l4t: str
) -> Rollback:
    """What going back to a version means.

    A readable tag moves when it would have named the version, had nothing been released after it.
    Raises NotFound when the version was never released, Refused for a pre-release.
    """
    if version.prerelease:
        raise Refused(f"{version} is a pre-release", "readable tags never name one")
    released = list_releases(repository, scheme, Platform(), l4t)
    target = next((item for item in released if item.version == version), None)
    if target is None:
        there = ", ".join(str(item.version) for item in released) or "none"
        raise NotFound(f"{repository} has no release {version} for {l4t}", f"there are: {there}")
    names = scheme.moving_tags(version, l4t, [])
    moves = {}
    for tag in names:
        found = repository.manifest_descriptor(tag)
        if found is not None and found.digest != target.digest:
            moves[tag] = found.digest
    return Rollback(target, moves)


def put_tags(repository: Repository, plan: Rollback) -> None:
    """Move the tags, the least specific last."""
    for tag in plan.moves:
        repository.put_manifest(plan.target.image.manifest, tag)


def write_manifests(plan: Rollback, workload: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write pod.yaml and deployment.yaml that run the release; their paths.

    workload: what it needs to run, as a build record has it.
    """
    image = plan.target.image
    command = [*(image.settings.get("Entrypoint") or []), *(image.settings.get("Cmd") or [])]
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "schema": 1,
        "kind": "push",
        "image": image.reference.repository.rpartition("/")[2],
        "version": str(plan.target.version),
        "repository": image.reference.name,
        "tags": [plan.target.tag],
        "digest": plan.target.digest,
        "platform": str(image.config.platform),
        "l4t": plan.target.l4t,
        "command": command,
        "workload": dict(workload),
    }
    return write_matching(record, folder)
