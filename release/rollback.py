"""Going back: readable tags name an earlier release again, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semver import Version

from deploy.output import write_matching
from deploy.records import read_record
from registry.errors import BadInput, NotFound, Refused
from registry.oci import Platform
from registry.push import RECORD_FILE, ReleaseTarget, check_read_back
from registry.repository import Repository
from release.listing import Released, followed, list_releases
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
    repository: Repository, scheme: TagScheme, version: Version, l4t: str | None = None
) -> Rollback:
    """What going back to a version means.

    A readable tag moves when it would have named the version, had nothing been released after it.
    l4t: which of the version's builds; by default the one on the line that the tags follow. Raises
    NotFound when the version was never released, Refused for a pre-release, BadInput when it is
    not clear which build is meant.
    """
    if version.prerelease:
        raise Refused(f"{version} is a pre-release", "readable tags never name one")
    released = list_releases(repository, scheme, Platform(), l4t)
    found = {item.l4t: item for item in released if item.version == version}
    if not found:
        there = ", ".join(dict.fromkeys(str(item.version) for item in released)) or "none"
        wanted = f" for {l4t}" if l4t else ""
        raise NotFound(f"{repository} has no release {version}{wanted}", f"there are: {there}")
    target = found[l4t or _meant(repository, scheme, released, list(found))]
    moves = {}
    for tag in scheme.moving_tags(version, target.l4t, []):
        now = repository.manifest_descriptor(tag)
        if now is not None and now.digest != target.digest:
            moves[tag] = now.digest
    return Rollback(target, moves)


def _meant(
    repository: Repository, scheme: TagScheme, released: Sequence[Released], offered: Sequence[str]
) -> str:
    """The one of the offered L4T releases that readable tags follow now."""
    if len(offered) == 1:
        return offered[0]
    name = followed(
        repository, scheme, [tag for item in released for tag in (item.tag, *item.tags)]
    )
    if name in offered:
        return str(name)
    line = [item for item in offered if name and item.split(".")[0] == name.split(".")[0]]
    if len(line) == 1:
        return line[0]
    raise BadInput(
        "which build of it?", f"it is released for {', '.join(offered)}", f"add --l4t {offered[0]}"
    )


def put_tags(repository: Repository, target: ReleaseTarget, plan: Rollback) -> None:
    """Move the tags, the least specific last, and read them back.

    Raises Refused, before any has moved, when a rule of the registry holds one of them.
    """
    for tag, before in plan.moves.items():
        if reason := target.why_immutable(repository, tag):
            hint = "take readable tags out of the immutable rule"
            raise Refused(f"{repository}:{tag} is immutable", f"{reason}; it is {before}", hint)
    manifest = plan.target.image.manifest
    for tag in plan.moves:
        repository.put_manifest(manifest, tag)
        check_read_back(repository, tag, manifest.descriptor)


def write_manifests(
    plan: Rollback, workload: Callable[[], Mapping[str, Any]], folder: Path
) -> list[Path]:
    """Write pod.yaml and deployment.yaml that run the release; their paths.

    workload: asked for what it needs to run, as a build record has it, unless the record of its
    push is in the folder.
    """
    image = plan.target.image
    pushed = folder / RECORD_FILE
    if pushed.is_file():
        found = read_record(pushed)
        if (found.get("digest"), found.get("repository")) == (
            plan.target.digest,
            image.reference.name,
        ):
            return write_matching(found, folder)
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
        "workload": dict(workload()),
    }
    return write_matching(record, folder)
