"""The double's API: repositories and artifacts, their tags, labels and scans."""

from __future__ import annotations

import uuid

from starlette.responses import Response

from registry.harbor.version import PROJECT_ARTIFACTS
from registry.oci import MANIFEST_TYPES
from registry.reference import is_digest, is_tag
from registry.sandbox.harbor import storage
from registry.sandbox.harbor.access import require
from registry.sandbox.harbor.calls import Call, Route, created, done, meets, numbered
from registry.sandbox.harbor.front import add_artifact, move_tag
from registry.sandbox.harbor.objects import (
    REPORT,
    SCANNER,
    accessory_objects,
    artifact_object,
    listed_artifacts,
    repository_object,
    tag_object,
)
from registry.sandbox.harbor.refusals import check_deletable, check_room
from registry.sandbox.harbor.state import Artifact, Project, Repository, Scan, Tag, worst
from registry.sandbox.replies import Problem, reply

# --- repositories ---


async def list_all_repositories(call: Call) -> Response:
    """GET /repositories: of every project the caller may look into."""
    shown = [project for project in call.state.projects.values()
             if call.caller.may(project, "repository", "list")]  # fmt: skip
    return call.page([repository_object(p, r) for p in shown for r in p.repositories.values()])


async def list_repositories(call: Call) -> Response:
    """GET P/repositories."""
    project = call.project("repository", "list", by_id=False)
    wanted = call.conditions().get("name")
    found = [repository_object(project, item) for item in project.repositories.values()]
    return call.page([item for item in found if not wanted or meets(wanted, item["name"])])


async def get_repository(call: Call) -> Response:
    """GET R."""
    return reply(200, repository_object(*call.repository("repository", "read")))


async def change_repository(call: Call) -> Response:
    """PUT R: its description."""
    _, repository = call.repository("repository", "update")
    repository.description = str(call.object().get("description", ""))
    return done()


async def delete_repository(call: Call) -> Response:
    """DELETE R, with all in it."""
    project, repository = call.repository("repository", "delete")
    for artifact in repository.artifacts.values():
        for tag in artifact.tags:
            if project.immutable(call.path["repository"], tag):
                message = f"repository {repository.name} has an immutable tag: {tag}"
                raise Problem(412, "PRECONDITION", message)
    del project.repositories[call.path["repository"]]
    return done()


# --- artifacts ---


async def list_artifacts(call: Call) -> Response:
    """GET R/artifacts; an empty list for a repository that does not exist."""
    project = call.project("artifact", "list", by_id=False)
    repository = project.repositories.get(call.path["repository"])
    return call.page(listed_artifacts(call, project, [repository] if repository else []))


async def list_project_artifacts(call: Call) -> Response:
    """GET P/artifacts, since 2.12."""
    project = call.project("artifact", "list")
    if not call.state.version.at_least(PROJECT_ARTIFACTS):
        return Response("404 page not found\n", 404, media_type="text/plain")
    return call.page(listed_artifacts(call, project, list(project.repositories.values())))


async def get_artifact(call: Call) -> Response:
    """GET A."""
    project, repository, artifact = call.artifact("artifact", "read")
    return reply(200, artifact_object(call, project, repository, artifact))


async def delete_artifact(call: Call) -> Response:
    """DELETE A."""
    project, repository, artifact = call.artifact("artifact", "delete")
    check_deletable(project, repository, artifact)
    del repository.artifacts[artifact.document.digest]
    return done()


async def copy_artifact(call: Call) -> Response:
    """POST R/artifacts?from=: with every tag of the source, and an index's children."""
    project = call.project("artifact", "create", by_id=False)
    source = call.query.get("from", "")
    name, mark, reference = source.partition("@") if "@" in source else source.rpartition(":")
    other, rest = call.state.split(name)
    if not mark or other is None:
        raise Problem(400, "BAD_REQUEST", f"invalid source: {source}")
    require(call.caller, call.caller.may(other, "artifact", "read"))
    if project.registry_id:
        message = f"cannot copy the artifact to a proxy project: {project.name}"
        raise Problem(405, "METHOD_NOT_ALLOWED", message)
    found = call.state.find_artifact(name, reference)
    if found is None:
        raise Problem(404, "NOT_FOUND", f"artifact {source} not found")
    target = project.repositories.get(call.path["repository"])
    for tag in found.tags:
        there = target.find(tag) if target else None
        if there and project.immutable(call.path["repository"], tag):
            raise Problem(412, "PRECONDITION", f"tag {tag} is configured as immutable")
    await _copy(call, other.repositories[rest], project, found)
    reference = reference if is_digest(reference) else found.document.digest
    return created(f"/projects/{project.name}/repositories/{call.path['repository']}"
                   f"/artifacts/{reference}")  # fmt: skip


async def _copy(call: Call, source: Repository, project: Project, found: Artifact) -> None:
    rest = call.path["repository"]
    for child in found.document.manifests:
        below = source.artifacts.get(child.digest)
        if below is not None:
            await _copy(call, source, project, below)
    parts = {blob.digest: blob.size for blob in found.document.blobs()}
    check_room(project, parts | {found.document.digest: len(found.document.raw)})
    target = f"{project.name}/{rest}"
    if target != source.name:
        await storage.copy_manifest(call.storage, source.name, target, found.document)
    project.blobs |= parts
    add_artifact(call.state, project, rest, found.document, found.config)
    for tag in list(found.tags):
        move_tag(call.state, project.repositories[rest], found.document.digest, tag)


# --- tags and labels ---


async def list_tags(call: Call) -> Response:
    """GET A/tags."""
    project, repository, artifact = call.artifact("tag", "list")
    wanted = call.conditions().get("name")
    tags = [tag for tag in artifact.tags.values() if not wanted or meets(wanted, tag.name)]
    return call.page([tag_object(call, project, repository, artifact, tag) for tag in tags])


async def add_tag(call: Call) -> Response:
    """POST A/tags: never moves one, not even one that could be moved."""
    project, repository, artifact = call.artifact("tag", "create")
    name = str(call.object().get("name", ""))
    if project.registry_id:
        raise Problem(405, "METHOD_NOT_ALLOWED", "the operation isn't supported for proxy project")
    if not is_tag(name):
        raise Problem(400, "BAD_REQUEST", f"invalid tag name: {name}")
    if any(name in item.tags for item in repository.artifacts.values()):
        raise Problem(409, "CONFLICT", f"tag {name} already exists")
    artifact.tags[name] = Tag(call.state.number(), name)
    return done(201)


async def delete_tag(call: Call) -> Response:
    """DELETE A/tags/TAG."""
    project, _, artifact = call.artifact("tag", "delete")
    tag = call.path["tag"]
    if tag not in artifact.tags:
        raise Problem(404, "NOT_FOUND", f"tag {tag} not found")
    if project.immutable(call.path["repository"], tag):
        raise Problem(
            412, "PRECONDITION", f"the tag {tag} configured as immutable, cannot be deleted"
        )
    del artifact.tags[tag]
    return done()


async def add_label(call: Call) -> Response:
    """POST A/labels."""
    project, _, artifact = call.artifact("artifact-label", "create")
    number = int(call.object().get("id") or 0)
    label = numbered(call.state.labels, str(number), "label")
    if label["scope"] == "p" and label["project_id"] != project.id:
        raise Problem(404, "NOT_FOUND", f"label with id {number} not found")
    if number in artifact.labels:
        raise Problem(409, "CONFLICT", f"label {number} is already added to the artifact")
    artifact.labels.append(number)
    return done()


async def remove_label(call: Call) -> Response:
    """DELETE A/labels/ID."""
    _, _, artifact = call.artifact("artifact-label", "delete")
    number = int(call.path["label"]) if call.path["label"].isdigit() else 0
    if number not in artifact.labels:
        raise Problem(404, "NOT_FOUND", f"label {number} isn't on the artifact")
    artifact.labels.remove(number)
    return done()


async def list_accessories(call: Call) -> Response:
    """GET A/accessories: manifests whose subject it is."""
    _, repository, artifact = call.artifact("accessory", "list")
    return call.page(accessory_objects(repository, artifact))


# --- scans ---


async def start_scan(call: Call) -> Response:
    """POST A/scan: what comes of it is seen by looking at the artifact."""
    _, _, artifact = call.artifact("scan", "create")
    scanner = call.state.scanner
    if not scanner.present:
        raise Problem(412, "PRECONDITION", "no available scanner for project")
    if artifact.document.media_type not in MANIFEST_TYPES or not artifact.config.get("os"):
        message = "the configured scanner Trivy does not support scanning artifact with mime type"
        raise Problem(400, "BAD_REQUEST", f"{message} {artifact.document.media_type}")
    under_way = artifact.scan is not None and len(artifact.scan.steps) > 1
    if under_way:
        raise Problem(409, "CONFLICT", "a previous scan process is running")
    steps = list(scanner.steps)
    artifact.scan = Scan(str(uuid.uuid4()), steps, dict(scanner.counts), scanner.fixable)
    return done(202)


async def stop_scan(call: Call) -> Response:
    """POST A/scan/stop."""
    _, _, artifact = call.artifact("scan", "stop")
    if artifact.scan:
        artifact.scan.steps = ["Stopped"]
    return done(202)


async def vulnerabilities(call: Call) -> Response:
    """GET A/additions/vulnerabilities: no more than what the overview counts."""
    _, _, artifact = call.artifact("artifact-addition", "read")
    scan = artifact.scan
    if scan is None or scan.steps != ["Success"]:
        return reply(200, {})
    found = [
        {"id": f"CVE-2024-{number:04}", "package": "openssl", "version": "1.1.1f",
         "fix_version": "1.1.1w", "severity": severity, "description": "", "links": []}
        for severity, count in scan.counts.items() for number in range(count)
    ]  # fmt: skip
    report = {"generated_at": scan.start_time, "scanner": SCANNER,
              "severity": worst(scan.counts), "vulnerabilities": found}  # fmt: skip
    return reply(200, {REPORT: report})


_R = "/projects/{project}/repositories/{repository}"
_A = _R + "/artifacts/{reference}"
ROUTES: tuple[Route, ...] = (
    ("GET", "/repositories", list_all_repositories),
    ("GET", "/projects/{project}/repositories", list_repositories),
    ("GET", "/projects/{project}/artifacts", list_project_artifacts),
    ("GET", _R, get_repository),
    ("PUT", _R, change_repository),
    ("DELETE", _R, delete_repository),
    ("GET", _R + "/artifacts", list_artifacts),
    ("POST", _R + "/artifacts", copy_artifact),
    ("GET", _A, get_artifact),
    ("DELETE", _A, delete_artifact),
    ("GET", _A + "/tags", list_tags),
    ("POST", _A + "/tags", add_tag),
    ("DELETE", _A + "/tags/{tag}", delete_tag),
    ("POST", _A + "/labels", add_label),
    ("DELETE", _A + "/labels/{label}", remove_label),
    ("GET", _A + "/accessories", list_accessories),
    ("POST", _A + "/scan", start_scan),
    ("POST", _A + "/scan/stop", stop_scan),
    ("GET", _A + "/additions/vulnerabilities", vulnerabilities),
)
