"""Repositories and artifacts as the objects of Harbor's API; what is empty is left out."""

from __future__ import annotations

import re
from typing import Any

from registry.sandbox.harbor.calls import Call, meets
from registry.sandbox.harbor.state import (
    NEVER,
    Artifact,
    Project,
    Repository,
    Scan,
    Tag,
    now,
    worst,
)

REPORT = "application/vnd.security.vulnerability.report; version=1.1"
_SIGNATURE_TAG = re.compile(r"sha256-([0-9a-f]{64})\.sig")
SCANNER = {"name": "Trivy", "vendor": "Aqua Security", "version": "v0.50.1"}


def repository_object(project: Project, repository: Repository) -> dict[str, Any]:
    """A Repository object."""
    return {
        "id": repository.id,
        "project_id": project.id,
        "name": repository.name,
        "description": repository.description,
        "artifact_count": len(repository.artifacts),
        "creation_time": repository.creation_time,
        "update_time": repository.creation_time,
        "pull_count": 0,
    }


def listed_artifacts(
    call: Call, project: Project, repositories: list[Repository]
) -> list[dict[str, Any]]:
    """Artifacts for a list, newest first: without signatures and the like."""
    wanted = call.conditions().get("tags")
    found = []
    for repository in repositories:
        for artifact in reversed(repository.artifacts.values()):
            tagged = not wanted or (
                bool(artifact.tags) is (wanted == "*")
                if wanted in ("*", "nil")
                else any(meets(wanted, tag) for tag in artifact.tags)
            )
            if tagged and not _subject(artifact):
                found.append(artifact_object(call, project, repository, artifact))
    return found


def artifact_object(
    call: Call, project: Project, repository: Repository, artifact: Artifact
) -> dict[str, Any]:
    """An Artifact object, with what the query asks for."""
    document, config = artifact.document, artifact.config
    kind = document.media_type if document.is_index else document.config.media_type
    value: dict[str, Any] = {
        "id": artifact.id,
        "type": "IMAGE" if config.get("os") or document.is_index else "UNKNOWN",
        "media_type": kind,
        "manifest_media_type": document.media_type,
        "artifact_type": document.value.get("artifactType") or kind,
        "project_id": project.id,
        "repository_id": repository.id,
        "repository_name": repository.name,
        "digest": document.digest,
        "size": artifact.size,
        "icon": "",
        "push_time": artifact.push_time,
        "pull_time": NEVER,
        "addition_links": {},
    }  # fmt: skip
    if config:
        kept = ("architecture", "author", "config", "created", "os")
        value["extra_attrs"] = {key: config[key] for key in kept if key in config}
    if document.manifests:
        value["references"] = [
            {"child_digest": child.digest, "child_id": 0, "parent_id": artifact.id,
             **({"platform": child.platform.to_json()} if child.platform else {})}
            for child in document.manifests
        ]  # fmt: skip
    if call.flag("with_tag", True):
        value["tags"] = [
            tag_object(call, project, repository, artifact, tag) for tag in artifact.tags.values()
        ] or None
    if call.flag("with_label") and artifact.labels:
        value["labels"] = [call.state.labels[number] for number in artifact.labels]
    if call.flag("with_accessory"):
        value["accessories"] = accessory_objects(repository, artifact) or None
    if call.flag("with_scan_overview") and artifact.scan is not None:
        overview = _overview(artifact.scan)
        if overview:
            value["scan_overview"] = {REPORT: overview}
    return {key: item for key, item in value.items() if item not in ("", None)}


def tag_object(
    call: Call, project: Project, repository: Repository, artifact: Artifact, tag: Tag
) -> dict[str, Any]:
    """A Tag object."""
    held = project.immutable(repository.name.partition("/")[2], tag.name)
    return {
        "id": tag.id,
        "repository_id": repository.id,
        "artifact_id": artifact.id,
        "name": tag.name,
        "push_time": tag.push_time,
        "pull_time": NEVER,
        "immutable": held and call.flag("with_immutable_status"),
    }


def accessory_objects(repository: Repository, artifact: Artifact) -> list[dict[str, Any]]:
    """What refers to an artifact, as Accessory objects."""
    return [
        {
            "id": other.id,
            "artifact_id": other.id,
            "subject_artifact_id": artifact.id,
            "subject_artifact_digest": artifact.document.digest,
            "subject_artifact_repo": repository.name,
            "digest": other.document.digest,
            "size": other.size,
            "type": "subject.accessory" if other.document.subject else "signature.cosign",
            "creation_time": other.push_time,
        }
        for other in repository.artifacts.values()
        if _subject(other) == artifact.document.digest
    ]


def _subject(artifact: Artifact) -> str:
    """The digest of what an artifact is an accessory of, by its manifest or by cosign's tag for
    signatures; empty for none."""
    if artifact.document.subject:
        return artifact.document.subject.digest
    named = [found[1] for tag in artifact.tags if (found := _SIGNATURE_TAG.fullmatch(tag))]
    return f"sha256:{named[0]}" if named else ""


def _overview(scan: Scan) -> dict[str, Any]:
    status = scan.look()
    if not status:
        return {}
    value: dict[str, Any] = {
        "report_id": scan.id,
        "scan_status": status,
        "severity": worst(scan.counts) if status == "Success" else "Unknown",
        "duration": 1,
        "start_time": scan.start_time,
        "end_time": NEVER,
        "complete_percent": 0,
        "scanner": SCANNER,
    }
    if status == "Success":
        counts = {key: count for key, count in scan.counts.items() if count}
        value["summary"] = {
            "total": sum(counts.values()), "fixable": scan.fixable, "summary": counts
        }  # fmt: skip
        value |= {"end_time": now(), "complete_percent": 100}
    return value
